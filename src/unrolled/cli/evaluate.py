"""unrolled evaluate"""

from __future__ import annotations

from pathlib import Path


def evaluate(run: Path, data: Path, /, *, skip_unknown: bool = False, beam: int = 1, json: bool = False) -> None:
    """Evaluate a trained model.

    Parameters
    ----------
    run
        Run folder of the trained model.
    data
        A text, a table, pairs, music or recordings. If the model was trained on them, only their test part is used.
    skip_unknown
        Text only: skip characters that the model has never seen.
    beam
        Pairs only: width of the search for the most probable answer.
    json
        Print one JSON object.
    """
    from ..data.forecast.kind import Forecast
    from ..run.trained import Trained
    from . import screen
    from .reading import reading

    trained = Trained.load(run)
    with reading(quiet=json):
        score = trained.evaluate(data, skip_unknown, beam)
    if json:
        print(screen.as_json({"run": str(run), "data": str(data), **score}))
        return
    which = "the test part of its own data" if score.get("held_out") else "all of the data"
    if isinstance(trained.kind, Forecast):
        screen.plain(f"{which}: {score['forecasts']:,} forecasts of {score['series']:,} series")
        for line in trained.kind.report(score):
            screen.plain(line)
        return
    (name, value), *others = score.items()
    rest = ", ".join(f"{n.replace('_', ' ')} {v:,}" for n, v in others if n != "held_out" and not isinstance(v, dict))
    screen.out(f"[bold]{screen.figure(value)}[/] {name.replace('_', ' ')} ({which}; {rest})")
