"""Printing for people: colours and line breaks on a terminal, plain text elsewhere."""

from __future__ import annotations

import json
import math
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from ..errors import command_line

if TYPE_CHECKING:
    from rich.console import Console


def console() -> Console:
    """A console for the current standard output; colours and line breaks only on a terminal."""
    from rich.console import Console

    return Console(highlight=False, emoji=False)


def out(text: str = "") -> None:
    """Print a line with rich's markup. Long lines are broken only on a terminal."""
    screen = console()
    screen.print(text, soft_wrap=not screen.is_terminal)


def entry(word: str, text: str) -> None:
    """Print a text with a word before it. On a terminal, the other lines of a long text begin below the first one."""
    screen, indent = console(), 10
    wide = screen.width - indent if screen.is_terminal else 0
    lines = textwrap.wrap(text, wide, break_long_words=False, break_on_hyphens=False) if wide > indent else [text]
    for number, line in enumerate(lines or [""]):
        screen.print(f"  {'' if number else word:<7} {line}", markup=False, soft_wrap=True)


def plain(text: object) -> None:
    """Print text that a user chose, such as a path: on one line, without reading markup from it."""
    console().print(str(text), markup=False, soft_wrap=True)


def command(*words: object, indent: int = 2) -> None:
    """Print a command for the user to run, on one line however long, so that it can be copied."""
    console().print(" " * indent + command_line(*words), style="bold", markup=False, soft_wrap=True)


def figure(value: float) -> str:
    """A number for people: three decimals, or three digits if it is smaller.

    >>> figure(31.5182), figure(0.0000123)
    ('31.518', '1.23e-05')
    """
    return f"{value:.3g}" if 0 < abs(value) < 0.1 else f"{value:.3f}"


def as_json(values: object) -> str:
    """Values as one line of JSON. NaN and infinity, which JSON lacks, become null."""
    return json.dumps(finite(values))


def finite(values: Any) -> Any:
    """The same values, with None instead of every number that is not finite."""
    if isinstance(values, dict):
        return {name: finite(value) for name, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values


def warn(text: str) -> None:
    """Print a warning on standard error."""
    print(f"unrolled: {text}", file=sys.stderr)
