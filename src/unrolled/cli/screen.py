"""What the commands print for people: calm on a terminal, plain text elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING

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


def warn(text: str) -> None:
    """Say something on standard error that is no end."""
    print(f"unrolled: {text}", file=sys.stderr)


def program() -> str:
    """How the user can call this program again, for commands that are shown."""
    if sys.argv[0].endswith("__main__.py"):
        return "python -m unrolled"
    named_so = Path(sys.argv[0]).name == "unrolled"
    return sys.argv[0] if named_so and not which("unrolled") else "unrolled"
