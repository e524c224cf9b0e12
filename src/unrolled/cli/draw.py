"""unrolled draw"""

from __future__ import annotations

from pathlib import Path


def draw(cell: str, /, *, out: Path, steps: int = 3) -> None:
    """Draw a cell: its circuit diagram, and beside it the graph unfolded in time.

    Parameters
    ----------
    cell
        The name of a cell, or FILE.py:NAME for your own.
    out
        The picture to write: a file whose name ends in .svg.
    steps
        How many steps to unfold.
    """
    from ..errors import UsageError
    from ..train.files import write_text
    from . import screen
    from .cell import find_cell

    if out.suffix != ".svg":
        raise UsageError(f"--out names an SVG file, such as {out.with_suffix('.svg').name}; got '{out}'")
    if steps < 1:
        raise UsageError(f"--steps must be a whole number from 1, got {steps}")
    write_text(out, find_cell(cell).draw(steps).svg)
    screen.out(f"{out}")
