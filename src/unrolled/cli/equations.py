"""The command ``unrolled equations``: the equations of a cell or of its gradient."""

from __future__ import annotations

from typing import Literal


def equations(
    cell: str,
    /,
    *,
    format: Literal["text", "latex"] = "text",
    adjoint: bool = False,
    tangent: bool = False,
    json: bool = False,
) -> None:
    """Print the equations of a cell, of its gradient, or of its tangent.

    Args:
        cell: Name of a cell, or FILE.py:NAME for your own.
        format: Plain text, or LaTeX for a paper.
        adjoint: Print the gradient instead: back-propagation through time, derived from the equations.
        tangent: Print the step with its derivative in one direction instead: forward mode, derived from the equations.
        json: Print one JSON object.
    """
    from ..errors import UsageError
    from . import screen
    from .cell import find_cell

    circuit = find_cell(cell)
    if adjoint and tangent:
        raise UsageError("--adjoint and --tangent are two sets of equations; print one at a time")
    view = circuit.adjoint() if adjoint else circuit.tangent() if tangent else circuit
    text = view.equations(format)
    if json:
        which = {"adjoint": adjoint, "tangent": tangent}
        print(screen.as_json({"cell": circuit.name, "format": format, **which, "equations": text}))
    else:
        print(text)
