"""Text as numbers: reading it, its characters, and which part of it is for what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor

from ..sequence.ragged import Ragged


@dataclass(frozen=True)
class Vocabulary:
    """The characters a model knows, in the order of their numbers."""

    characters: str

    @staticmethod
    def of(text: str) -> Vocabulary:
        return Vocabulary("".join(map(chr, numpy.unique(_code_points(text)))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """The numbers (characters,) of a text, all of whose characters are known: see ``unknown``."""
        known = _code_points(self.characters)
        return torch.from_numpy(numpy.searchsorted(known, _code_points(text)))

    def decode(self, number: int) -> str:
        return self.characters[number]

    def texts(self, numbers: Iterable[int]) -> Iterator[str]:
        """The characters of numbers, one by one."""
        return map(self.decode, numbers)

    def opening(self) -> Tensor:
        """What is read first when nothing else is: the end of a line, if that is known."""
        return self.encode("\n" if "\n" in self.characters else self.characters[0])

    def dump(self) -> str:
        """As it is stored."""
        return self.characters

    def unknown(self, text: str) -> Unknown | None:
        """Where the text leaves the vocabulary, if it does."""
        strange = ~numpy.isin(_code_points(text), _code_points(self.characters))
        if not strange.any():
            return None
        first = int(strange.argmax())
        line = text.count("\n", 0, first) + 1
        column = first - (text.rfind("\n", 0, first) + 1) + 1
        return Unknown(text[first], line, column, int(strange.sum()))

    def without_unknown(self, text: str) -> str:
        """The text less its unknown characters."""
        known = set(self.characters)
        return "".join(c for c in text if c in known)


@dataclass(frozen=True)
class Unknown:
    """The first character that is not in a vocabulary, and how many there are."""

    character: str
    line: int
    column: int
    count: int


@dataclass(frozen=True)
class Parts:
    """A text in three contiguous parts: the first 90 % to learn from, 5 % to choose the best model by, and
    the last 5 % held out, by which nothing is decided. Or three sets of documents: see ``documents.Documents.parts``.
    """

    train: Tensor | Ragged
    validation: Tensor | Ragged
    held_out: Tensor | Ragged

    @staticmethod
    def of(series: Tensor) -> Parts:
        first, second = int(len(series) * 0.9), int(len(series) * 0.95)
        return Parts(series[:first], series[first:second], series[second:])


def frequency_bits(train: Tensor, held_out: Tensor, characters: int) -> float:
    """Bits per character of guessing by frequency alone.

    Each character of ``held_out`` costs -log2 p, where p is its share of ``train``, with every character of the
    vocabulary counted once more than it occurs, so that none is impossible.
    """
    counts = torch.bincount(train, minlength=characters).double() + 1
    cost = -torch.log2(counts / counts.sum())
    return float(cost[held_out].mean())


def _code_points(text: str) -> numpy.ndarray:
    return numpy.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
