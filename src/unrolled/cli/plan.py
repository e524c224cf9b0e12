"""The command ``unrolled plan``: which values of a cell are computed outside the loop over time."""

from __future__ import annotations


def plan(cell: str, /, *, given: list[str] | None = None, json: bool = False) -> None:
    """Show what a cell computes for all steps at once, and what it has to compute step by step.

    Args:
        cell: Name of a cell, or FILE.py:NAME for your own.
        given: State whose values are given from outside, as in teacher forcing. Can be repeated.
        json: Print one JSON object.
    """
    from . import screen
    from .cell import find_cell

    circuit = find_cell(cell)
    text = circuit.plan(given or ()).explain()
    print(screen.as_json({"cell": circuit.name, "given": given or [], "plan": text}) if json else text)
