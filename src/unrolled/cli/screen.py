"""What the commands print for people: calm on a terminal, plain text elsewhere."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

from ..errors import command_line

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """Standard output as it is now: colours and line breaks are for terminals only."""
    from rich.console import Console

    return Console(highlight=False, emoji=False)


def out(text: str = "") -> None:
    """Print a line with rich's markup. Elsewhere than on a terminal, lines are as long as they are."""
    screen = console()
    screen.print(text, soft_wrap=not screen.is_terminal)


def plain(text: object) -> None:
    """Print what users named, such as a path: no markup is read from it, and it stays in one line."""
    console().print(str(text), markup=False, soft_wrap=True)


def command(*words: object, indent: int = 2) -> None:
    """Print a command for the user to run: in one line however long, so that it can be copied."""
    console().print(" " * indent + command_line(*words), style="bold", markup=False, soft_wrap=True)


def as_json(values: object) -> str:
    """Values as one line of JSON, which has no NaN and no infinity: null instead."""
    return json.dumps(finite(values))


def finite(values: Any) -> Any:
    """The same values with None for every number that is not finite."""
    if isinstance(values, dict):
        return {name: finite(value) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def warn(text: str) -> None:
    """Say something on standard error that is no end."""
    print(f"unrolled: {text}", file=sys.stderr)
