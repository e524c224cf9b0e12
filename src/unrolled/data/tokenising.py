"""From documents to numbers in a file."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import torch

from .texts import at_words
from .token_documents import TokenDocuments
from .tokens import TokenWriter
from .units import Units

HELD = 1 << 18  # characters of short documents that are encoded at once


class Tokenising:
    """Documents that are encoded one after the other.

    >>> tokenising = Tokenising(Vocabulary.of("abc"))
    >>> for name in ("ab", "cab"):
    ...     tokenising.add([name])
    >>> tokenising.documents().lengths
    tensor([2, 3])
    """

    def __init__(self, units: Units) -> None:
        self.units, self._writer = units, TokenWriter(len(units))
        self._lengths, self._held, self._characters = array("q"), list[str](), 0

    def add(self, pieces: Iterable[str]) -> None:
        """Encode the next document, given in pieces."""
        if not self.units.any_cut:
            before = self._writer.length
            for piece in at_words(pieces):
                self._writer.write(self.units.encode(piece))
            self._lengths.append(self._writer.length - before)
            return
        steps = 0
        for piece in pieces:
            steps += self.units.steps(piece)
            self._held.append(piece)
            self._characters += len(piece)
            if self._characters >= HELD:
                self._write()
        self._lengths.append(steps)

    def _write(self) -> None:
        self._writer.write(self.units.encode("".join(self._held)))
        self._held, self._characters = [], 0

    def documents(self) -> TokenDocuments:
        """All documents."""
        self._write()
        return TokenDocuments(self._writer.tokens(), torch.tensor(self._lengths, dtype=torch.long))
