"""unrolled plan"""

from __future__ import annotations


def plan(cell: str, /, *, given: list[str] | None = None, json: bool = False) -> None:
    """Say what of a cell is computed for all steps at once, and what must be done step by step.

    Parameters
    ----------
    cell
        The name of a cell, or FILE.py:NAME for your own.
    given
        A state that is fed from outside, as in teacher forcing.
    json
        One JSON object.
    """
    from . import screen
    from .cell import find_cell

    circuit = find_cell(cell)
    text = circuit.plan(given or ()).explain()
    print(screen.as_json({"cell": circuit.name, "given": given or [], "plan": text}) if json else text)
