"""unrolled evaluate"""

from __future__ import annotations

from pathlib import Path


def evaluate(run: Path, data: Path, /, *, skip_unknown: bool = False, json: bool = False) -> None:
    """Measure a trained model on data like those it learned from.

    Parameters
    ----------
    run
        The folder of the trained model.
    data
        A text, a table, music or recordings. Of the data that the model learned from, only the held-out part is read.
    skip_unknown
        Leave out characters that the model has never seen.
    json
        One JSON object.
    """
    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from ..tasks.language_run import Language
    from ..tasks.registry import check_readable, trained
    from . import screen

    task = trained(run)
    check_readable(task, data)
    with processor_threads():
        if isinstance(task, Language):
            score = task.evaluate(data, skip_unknown)
        elif skip_unknown:
            raise UsageError(f"--skip-unknown is for characters of a text; '{run}' is of the task '{task.name}'")
        else:
            score = task.evaluate(data)
    if json:
        print(screen.as_json({"run": str(run), "data": str(data), **score}))
        return
    (name, value), *others = score.items()
    which = "the held-out part of what it learned from" if score.get("held_out") else "all of it"
    rest = ", ".join(f"{n.replace('_', ' ')} {v:,}" for n, v in others if n != "held_out" and not isinstance(v, dict))
    screen.out(f"[bold]{value:.3f}[/] {name.replace('_', ' ')} ({which}; {rest})")
