"""unrolled cells"""

from __future__ import annotations

import json as _json


def cells(*, json: bool = False) -> None:
    """List the published cells, with what each one is.

    Parameters
    ----------
    json
        One JSON object instead of a table.
    """
    from inspect import getdoc, getmodule

    from ..cells import ALL
    from .screen import out

    if json:
        print(
            _json.dumps(
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
        out(f"  [bold]{cell.name:<{width}}[/]  {getdoc(cell)}")
    out(
        "\nThe equations of one: [bold]unrolled equations gru[/]. "
        "Wherever a cell is named, FILE.py:NAME is one of your own."
    )
