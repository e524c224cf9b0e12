"""The characters of a text as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy
import torch
from torch import Tensor


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows, sorted; the number of each is its place."""

    characters: str

    @staticmethod
    def of(text: str) -> Vocabulary:
        """The characters of a text."""
        return Vocabulary("".join(map(chr, numpy.unique(_code_points(text)))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """The numbers (characters,) of a text that has known characters alone: see ``unknown``."""
        known = _code_points(self.characters)
        return torch.from_numpy(numpy.searchsorted(known, _code_points(text)))

    def decode(self, number: int) -> str:
        """The character of a number."""
        return self.characters[number]

    def texts(self, numbers: Iterable[int]) -> Iterator[str]:
        """The characters of numbers, one by one."""
        return map(self.decode, numbers)

    def opening(self) -> Tensor:
        """What is read when there is no prompt: a line break, if the model knows it: (1,)."""
        return self.encode("\n" if "\n" in self.characters else self.characters[0])

    def dump(self) -> str:
        """The vocabulary as JSON."""
        return self.characters

    def unknown(self, text: str) -> Unknown | None:
        """The first character that is not in the vocabulary, if there is one."""
        strange = ~numpy.isin(_code_points(text), _code_points(self.characters))
        if not strange.any():
            return None
        first = int(strange.argmax())
        line = text.count("\n", 0, first) + 1
        column = first - (text.rfind("\n", 0, first) + 1) + 1
        return Unknown(text[first], line, column, int(strange.sum()))

    def without_unknown(self, text: str) -> str:
        """The text without its unknown characters."""
        known = set(self.characters)
        return "".join(c for c in text if c in known)


@dataclass(frozen=True)
class Unknown:
    """The first character that is not in a vocabulary, and the number of such characters."""

    character: str
    line: int
    column: int
    count: int


def _code_points(text: str) -> numpy.ndarray:
    return numpy.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
