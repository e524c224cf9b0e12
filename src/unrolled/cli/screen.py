"""What the commands print for people: calm on a terminal, plain text elsewhere."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

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


def warn(text: str) -> None:
    """Say something on standard error that is no end."""
    print(f"unrolled: {text}", file=sys.stderr)
