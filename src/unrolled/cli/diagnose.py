"""unrolled diagnose"""

from __future__ import annotations

from pathlib import Path

COLOURS = {"healthy": "green", "nan": "red", "explode": "red"}


def diagnose(
    run: Path,
    data: Path | None = None,
    /,
    *,
    steps: int | None = None,
    exponents: int = 3,
    seed: int = 0,
    out: Path | None = None,
    json: bool = False,
) -> None:
    """Find out how a network learns: how far back, how stably, with which units, and what it remembers.

    Parameters
    ----------
    run
        The folder of the trained model.
    data
        Data like those it learned from. By default the validation part of the data it learned from.
    steps
        How many steps to look back. By default the window of a language model, and up to 1,000 steps of others.
    exponents
        How many Lyapunov exponents.
    seed
        Seed of the random directions that are followed.
    out
        The picture to write, FILE.svg, .png or .pdf; or a page with it, FILE.html; or the numbers, FILE.json.
    json
        One JSON object.
    """
    from rich.markup import escape

    from ..diagnosis.report import ANY_KIND, KINDS
    from ..diagnosis.run import diagnose_run
    from ..engines.threads import processor_threads
    from ..errors import UsageError
    from . import screen

    for name, number in (("--steps", steps), ("--exponents", exponents)):
        if number is not None and number < 1:
            raise UsageError(f"{name} must be a whole number from 1, got {number}")
    if out is not None and out.suffix not in KINDS:
        raise UsageError(f"--out names a file {ANY_KIND}, such as {out.with_suffix('.html').name}; got '{out}'")
    with processor_threads():
        report = diagnose_run(run, data, steps, exponents, seed)
    if out is not None:
        report.save(out)
    if json:
        print(screen.as_json({"run": str(run), **report.as_dict()}))
        return
    screen.out(f"[bold {COLOURS.get(report.kind, 'yellow')}]{escape(report.verdict)}[/]")
    for line in report.lines():
        screen.out(escape(line))
    if out is not None:
        screen.plain(f"\n{out}")
