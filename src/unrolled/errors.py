"""The errors of this package. Each message says where, what was expected, what was given, and what to do."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A line of the user's code: its file, its number and its text, and the circuit that it belongs to."""

    file: str
    line: int
    text: str
    circuit: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: in circuit '{self.circuit}': {self.text}"


class UnrolledError(Exception):
    """The base class of all errors that this library raises on purpose.

    The message has two parts: the user's file and line, if known, and on the next line what is wrong, what was
    expected, what was given and what to do.
    """

    def __init__(self, message: str, source: SourceLine | None = None) -> None:
        self.source = source
        super().__init__(f"{source}\n  {message}" if source else message)


class CircuitError(UnrolledError):
    """The equations of a circuit do not make sense, or sizes contradict them."""


class GraphError(UnrolledError):
    """A graph violates its contract. This indicates a bug in a transformation, not in the user's code."""


class InputError(UnrolledError, ValueError):
    """The arguments of a call have wrong shapes, dtypes, names or values."""


class EngineError(UnrolledError):
    """The requested engine cannot be used."""


class DataError(UnrolledError):
    """A file or folder is damaged or has the wrong format. ``sound`` is the number of valid steps before the damage, if
    known."""

    sound: int | None = None


class NumberError(UnrolledError):
    """A loss or a gradient is NaN or infinite. The model was not updated with it; ``batch`` is the batch."""

    batch: object = None


class UsageError(UnrolledError):
    """The command line is invalid."""


def reason(problem: Exception) -> str:
    """The message of a system error, without its number and path."""
    return (getattr(problem, "strerror", None) or str(problem)).lower()


def command_line(*words: object) -> str:
    """A command that the user can run again from the same folder, for messages.

    >>> command_line("train", "--resume", Path("runs/my text"))
    "unrolled train --resume 'runs/my text'"
    """
    return shlex.join([*_program(), *map(str, words)])


def _program() -> list[str]:
    """How this program was called: only its name if the path finds it, or if Python uses it as a library."""
    called = Path(sys.argv[0])
    if (called.parent.name, called.name) == ("unrolled", "__main__.py"):
        return [sys.orig_argv[0], "-m", "unrolled"]
    found = shutil.which("unrolled")
    if called.stem != "unrolled" or (found and called.exists() and called.samefile(found)):
        return ["unrolled"]
    return [sys.argv[0]]


def did_you_mean(name: str, known: object) -> str:
    """The end of a message: ``. Did you mean 'gru'?`` if a known name is similar, else an empty string.

    >>> did_you_mean("gro", ["gru", "lstm"])
    ". Did you mean 'gru'?"
    """
    from difflib import get_close_matches

    close = get_close_matches(name, [str(k) for k in known], n=1, cutoff=0.6)  # type: ignore[attr-defined]
    return f". Did you mean '{close[0]}'?" if close else ""
