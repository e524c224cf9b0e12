"""The command ``unrolled draw``: a picture of a cell."""

from __future__ import annotations

from pathlib import Path


def draw(cell: str, /, *, out: Path, steps: int = 3, folded: bool = False, gradient: bool = False) -> None:
    """Draw a cell as a circuit diagram, and next to it the same circuit unfolded in time.

    Args:
        cell: Name of a cell, or FILE.py:NAME for your own.
        out: File to write: .svg, .png or .pdf.
        steps: Number of steps to unfold.
        folded: Draw only inputs, states and outputs; fold the gates into the arrows.
        gradient: Also draw how the gradient flows back in time.
    """
    from ..errors import UsageError
    from ..train.files import write_text
    from . import screen
    from .cell import find_cell

    if out.suffix not in (".svg", ".png", ".pdf"):
        raise UsageError(f"--out must be an SVG, PNG or PDF file, such as {out.with_suffix('.svg').name}; got '{out}'")
    if steps < 1:
        raise UsageError(f"--steps must be at least 1, got {steps}")
    picture = find_cell(cell).draw(steps, gates=not folded, gradient=gradient)
    if out.suffix == ".svg":
        write_text(out, picture.svg)
    else:
        picture.save(out)
    screen.plain(out)
