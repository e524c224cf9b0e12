"""The symbols of one side of pairs, as numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...files.checked import Checked
from ..units import RARE

END, UNKNOWN = 0, 1  # numbers of the end of a target, and of symbols that training never had
RESERVED = 2
UNITS = ("character", "word")


@dataclass(frozen=True)
class Symbols:
    """The symbols of sources, of targets or of features, numbered from 2: 0 is the end, 1 an unknown symbol.

    >>> Symbols("character", ("a", "b")).encode("abc")
    tensor([2, 3, 1])

    unit: 'character', 'word' (separated by spaces) or 'feature' (separated by ; or spaces).
    """

    unit: str
    known: tuple[str, ...]

    @staticmethod
    def of(unit: str, texts: Iterable[str], most: int) -> Symbols:
        """The most common symbols of some texts, ``most`` of them at most, in their order."""
        counts = Counter(symbol for text in texts for symbol in parted(unit, text))
        return Symbols(unit, tuple(sorted(sorted(counts, key=lambda s: (-counts[s], s))[:most])))

    @staticmethod
    def stored(unit: str, description: Checked, name: str) -> Symbols:
        """The symbols that a run has stored."""
        known = description.list_of(name, str)
        if len(set(known)) != len(known):
            description.refuse(f"'{name}' has a symbol twice")
        return Symbols(unit, tuple(known))

    def __len__(self) -> int:
        return RESERVED + len(self.known)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """The number of each symbol."""
        return {symbol: number for number, symbol in enumerate(self.known, RESERVED)}

    def encode(self, text: str) -> Tensor:
        """The numbers of a text: (symbols,)."""
        return torch.tensor([self.numbers.get(s, UNKNOWN) for s in parted(self.unit, text)], dtype=torch.long)

    def unknown(self, text: str) -> list[str]:
        """The symbols of a text that training never had."""
        return [s for s in parted(self.unit, text) if s not in self.numbers]

    def decode(self, numbers: Sequence[int]) -> str:
        """The text of some numbers."""
        symbols = [self.known[n - RESERVED] if n >= RESERVED else RARE for n in numbers]
        return ("" if self.unit == "character" else " ").join(symbols)


def parted(unit: str, text: str) -> list[str]:
    """The symbols of a text.

    >>> parted("word", "AH B AW1 T"), parted("feature", "V;PST")
    (['AH', 'B', 'AW1', 'T'], ['V', 'PST'])
    """
    return list(text) if unit == "character" else text.replace(";", " ").split() if unit == "feature" else text.split()
