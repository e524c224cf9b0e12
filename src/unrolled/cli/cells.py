"""The command ``unrolled cells``: the list of published cells."""

from __future__ import annotations


def cells(*, json: bool = False) -> None:
    """List the published cells, with a line about each.

    Args:
        json: Print one JSON object instead of a table.
    """
    from inspect import getdoc, getmodule

    from rich.markup import escape

    from ..cells import ALL
    from ..errors import command_line
    from . import screen

    if json:
        print(
            screen.as_json(
                {
                    "cells": [
                        {
                            "name": cell.name,
                            "about": getdoc(cell),
                            "reference": " ".join((getdoc(getmodule(cell.function)) or "").split()),
                            "inputs": cell.inputs,
                            "states": cell.states,
                            "outputs": cell.outputs,
                            "parameters": cell.parameters,
                        }
                        for cell in ALL.values()
                    ]
                }
            )
        )
        return
    width = max(map(len, ALL))
    for cell in ALL.values():
        screen.out(f"  [bold]{cell.name:<{width}}[/]  {escape(getdoc(cell) or '')}")
    screen.out(
        f"\nTo print the equations of a cell: [bold]{escape(command_line('equations', 'gru'))}[/]. "
        "Use FILE.py:NAME for a cell of your own."
    )
