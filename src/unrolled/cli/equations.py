"""The command ``unrolled equations``: the equations of a cell or of its gradient."""

from __future__ import annotations

from typing import Literal


def equations(
    cell: str, /, *, format: Literal["text", "latex"] = "text", adjoint: bool = False, json: bool = False
) -> None:
    """Print the equations of a cell, or those of its gradient.

    Args:
        cell: Name of a cell, or FILE.py:NAME for your own.
        format: Plain text, or LaTeX for a paper.
        adjoint: Print the gradient instead: back-propagation through time, derived from the equations.
        json: Print one JSON object.
    """
    from . import screen
    from .cell import find_cell

    circuit = find_cell(cell)
    text = circuit.adjoint().equations(format) if adjoint else circuit.equations(format)
    if json:
        print(screen.as_json({"cell": circuit.name, "format": format, "adjoint": adjoint, "equations": text}))
    else:
        print(text)
