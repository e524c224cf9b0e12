"""One family of errors. Each says where, what was expected, what was given, and what to do."""

from __future__ import annotations

import shlex
import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Source:
    """A place in the user's own text: file, line, and the line itself."""

    file: str
    line: int
    text: str
    circuit: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: in circuit '{self.circuit}': {self.text}"


class UnrolledError(Exception):
    """Base of every error that this library raises on purpose.

    The message has two parts: the place (the user's file and line, where known) and, on the next
    line, what is wrong with what was expected, what was given and what to do.
    """

    def __init__(self, message: str, source: Source | None = None) -> None:
        self.source = source
        super().__init__(f"{source}\n  {message}" if source else message)


class CircuitError(UnrolledError):
    """The equations of a circuit do not make sense: at definition, or when sizes are given."""


class GraphError(UnrolledError):
    """A graph breaks its own contract. Seeing this one means a fault in a transformation."""


class InputError(UnrolledError, ValueError):
    """What was handed to a network does not fit it: shapes, dtypes, names, ranges."""


class EngineError(UnrolledError):
    """A named engine cannot be used here."""


class DataError(UnrolledError):
    """A file or folder cannot be read as what it should be; ``sound``: how many steps of it are good, where known."""

    sound: int | None = None


class NumberError(UnrolledError):
    """A loss or a gradient is NaN or infinite. Nothing was learned from it; ``batch`` is what was read."""

    batch: object = None


class UsageError(UnrolledError):
    """The command line was used wrongly."""


def reason(problem: Exception) -> str:
    """What the system says of an error, without its number and path."""
    return (getattr(problem, "strerror", None) or str(problem)).lower()


def command_line(*words: object) -> str:
    """A command of this program as the user can run it again from the same folder, for messages that show one.

    >>> command_line("train", "--resume", Path("runs/my text"))
    "unrolled train --resume 'runs/my text'"
    """
    return shlex.join([*_program(), *map(str, words)])


def _program() -> list[str]:
    """How this program was called; just its name where that finds it, or where Python uses it as a library."""
    called = Path(sys.argv[0])
    if (called.parent.name, called.name) == ("unrolled", "__main__.py"):
        return [sys.orig_argv[0], "-m", "unrolled"]
    found = shutil.which("unrolled")
    if called.stem != "unrolled" or (found and called.exists() and called.samefile(found)):
        return ["unrolled"]
    return [sys.argv[0]]


def did_you_mean(name: str, known: object) -> str:
    """The tail of a message: ``. Did you mean 'gru'?`` when a known name is close, else nothing."""
    from difflib import get_close_matches

    close = get_close_matches(name, [str(k) for k in known], n=1, cutoff=0.6)  # type: ignore[attr-defined]
    return f". Did you mean '{close[0]}'?" if close else ""


def check_choice(name: str, value: str, known: Iterable[str]) -> None:
    """Refuse a value that is none of those known.

    Raises:
        UsageError: with the most similar known value, or all of them.
    """
    choices = list(known)
    if value not in choices:
        hint = did_you_mean(value, choices) or f". Choose from: {', '.join(choices)}"
        raise UsageError(f"{name} cannot be '{value}'{hint}")
