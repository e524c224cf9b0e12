"""unrolled draw"""

from __future__ import annotations

from pathlib import Path


def draw(cell: str, /, *, out: Path, steps: int = 3, folded: bool = False, gradient: bool = False) -> None:
    """Draw a cell: its circuit diagram, and beside it the graph unfolded in time.

    Parameters
    ----------
    cell
        The name of a cell, or FILE.py:NAME for your own.
    out
        The picture to write: a file whose name ends in .svg, .png or .pdf.
    steps
        How many steps to unfold.
    folded
        Only inputs, states and outputs: gates are folded into the arrows.
    gradient
        Also the arrows along which the gradient flows back in time.
    """
    from ..errors import UsageError
    from . import screen
    from .cell import find_cell

    if out.suffix not in (".svg", ".png", ".pdf"):
        raise UsageError(f"--out names an SVG, PNG or PDF file, such as {out.with_suffix('.svg').name}; got '{out}'")
    if steps < 1:
        raise UsageError(f"--steps must be a whole number from 1, got {steps}")
    picture = find_cell(cell).draw(steps, gates=not folded, gradient=gradient)
    picture.save(out)
    screen.plain(out)
