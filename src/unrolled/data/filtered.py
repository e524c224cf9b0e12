"""Characters of texts that a model does not know."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from .characters import Unknown
from .texts import Texts
from .units import Units


@dataclass(frozen=True)
class Filtered:
    """The texts of a file without the characters that the units do not know."""

    file: Texts
    units: Units

    @property
    def size(self) -> int:
        return self.file.size

    @property
    def place(self) -> int:
        return self.file.place

    @property
    def found(self) -> frozenset[str]:
        return self.file.found

    def texts(self) -> Iterator[Iterable[str]]:
        """See ``Texts``."""
        for pieces in self.file.texts():
            yield (self.units.without_unknown(piece) for piece in pieces)


def unknown_in(pieces: Iterable[str], units: Units) -> Unknown | None:
    """The first character of a text that the units do not know, and the number of such characters.

    >>> unknown_in(["ab\\nc", "a!?"], Vocabulary.of("abc\\n"))
    Unknown(character='!', line=2, column=3, count=2)
    """
    first: Unknown | None = None
    line = column = count = 0
    for piece in pieces:
        if unknown := units.unknown(piece):
            count += unknown.count
            start = column if unknown.line == 1 else 0
            first = first or replace(unknown, line=line + unknown.line, column=start + unknown.column)
        line += piece.count("\n")
        column = len(piece) - piece.rfind("\n") - 1 if "\n" in piece else column + len(piece)
    return replace(first, count=count) if first else None
