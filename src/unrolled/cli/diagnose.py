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
    """Diagnose how a network learns: how far gradients reach, how stable they are, which units are dead or saturated.

    Parameters
    ----------
    run
        Run folder of the trained model.
    data
        Data of the kind that it was trained on (default: the validation part of the data that it was trained on).
    steps
        Largest lag to measure, in steps (default: the window of the training, or 1,000).
    exponents
        Number of Lyapunov exponents.
    seed
        Random seed of the directions that are followed.
    out
        File to write: a picture (.svg, .png, .pdf), a page with it (.html), or the numbers (.json).
    json
        Print one JSON object.
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
        raise UsageError(f"--out must end in {ANY_KIND}, such as {out.with_suffix('.html').name}; got '{out}'")
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
