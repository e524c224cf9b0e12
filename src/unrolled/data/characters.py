"""The characters of a text as numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy
import torch
from torch import Tensor


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows, sorted; the number of each is its place."""

    any_cut: ClassVar[bool] = True

    characters: str

    @staticmethod
    def of(text: str) -> Vocabulary:
        """The characters of a text."""
        return Vocabulary("".join(sorted(set(text))))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """The numbers (characters,) of a text that has known characters alone: see ``unknown``."""
        return torch.from_numpy(self._numbers(text))

    def _numbers(self, text: str) -> numpy.ndarray[Any, Any]:
        """The number of each character, -1 if it is not known."""
        numbers: numpy.ndarray[Any, Any] = self._table[numpy.minimum(code_points(text), len(self._table) - 1)]
        return numbers

    @cached_property
    def _table(self) -> numpy.ndarray[Any, Any]:
        """The number of each code point up to one more than the largest known one, -1 for those that are not known."""
        known = code_points(self.characters)
        table = numpy.full(int(known[-1]) + 2 if len(known) else 1, -1, dtype="int64")
        table[known] = numpy.arange(len(known))
        return table

    def steps(self, text: str) -> int:
        """The number of characters of a text."""
        return len(text)

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
        strange = self._numbers(text) < 0
        if not strange.any():
            return None
        first = int(strange.argmax())
        line = text.count("\n", 0, first) + 1
        column = first - (text.rfind("\n", 0, first) + 1) + 1
        return Unknown(text[first], line, column, int(strange.sum()))

    def without_unknown(self, text: str) -> str:
        """The text without its unknown characters."""
        strange = self._numbers(text) < 0
        return "".join(c for c, skipped in zip(text, strange.tolist(), strict=True) if not skipped)


@dataclass(frozen=True)
class Unknown:
    """The first character that is not in a vocabulary, and the number of such characters."""

    character: str
    line: int
    column: int
    count: int


def code_points(text: str) -> numpy.ndarray[Any, Any]:
    """The code point of each character: (characters,)."""
    return numpy.frombuffer(text.encode("utf-32-le", "surrogatepass"), dtype="<u4")
