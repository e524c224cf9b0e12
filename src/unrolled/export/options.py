"""How a C file is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields

from ..errors import UsageError, check_choice

WEIGHTS, STARTS = ("float32", "bf16", "int8"), ("zero", "settled", "trained")
KEYWORDS = frozenset((
    "auto", "break", "case", "char", "const", "continue", "default", "do", "double", "else", "enum", "extern",
    "float", "for", "goto", "if", "inline", "int", "long", "register", "restrict", "return", "short", "signed",
    "sizeof", "static", "struct", "switch", "typedef", "union", "unsigned", "void", "volatile", "while", "main",
))  # fmt: skip


@dataclass(frozen=True)
class Options:
    """How a C file is written.

    name: the beginning of every name in the file, a C identifier. By default 'model'.
    header: also write a header beside the file.
    weights: of matrices: 'float32', 'bf16' or 'int8' (with a scale for each row).
    static: loops of known size in plain C, for small machines, instead of vectors.
    start: the state before the first step: 'zero'; 'settled', the state after a long input of zeros; or 'trained', the
        starting state that the network learned.
    rows: the largest number of rows of an input that is fixed in time, such as the memory of an attention.
    longest: the largest number of steps of a sequence, for a model that reads in both directions.

    Raises:
        UsageError: a name that C does not allow, or a choice that does not exist.
    """

    name: str = "model"
    header: bool = False
    weights: str = "float32"
    static: bool = False
    start: str = "zero"
    rows: int | None = None
    longest: int | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", self.name) or self.name in KEYWORDS:
            raise UsageError(
                f"--name must be a C identifier (a letter, then letters, digits or '_') and no word of C, got "
                f"'{self.name}'"
            )
        check_choice("--weights", self.weights, WEIGHTS)
        check_choice("--start", self.start, STARTS)
        for name in ("rows", "longest"):
            number = getattr(self, name)
            if number is not None and number < 1:
                raise UsageError(f"--{name} must be a whole number from 1, got {number}")

    def changed(self) -> list[str]:
        """The options that differ from their defaults, as on the command line."""
        return [f"--{each.name}" for each in fields(self) if getattr(self, each.name) != each.default]
