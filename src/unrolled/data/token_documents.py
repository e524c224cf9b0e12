"""Documents as numbers, in a file instead of in memory."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy
import torch
from torch import Tensor

from .tokens import Tokens


class TokenDocuments:
    """Documents as numbers, in an order of their own.

    >>> documents = TokenDocuments(Tokens.of([torch.arange(5)], size=5), torch.tensor([2, 3]))
    >>> [document.tolist() for document in documents.select(torch.tensor([1, 0]))]
    [[2, 3, 4], [0, 1]]

    Args:
        tokens: that have all documents.
        lengths: the steps of each document: (documents,).
        starts: the place of the first step of each; by default one document follows the other.
    """

    def __init__(self, tokens: Tokens, lengths: Tensor, starts: Tensor | None = None) -> None:
        self.tokens, self.lengths = tokens, lengths
        self.starts = lengths.cumsum(0) - lengths if starts is None else starts

    def __len__(self) -> int:
        return len(self.lengths)

    def __getitem__(self, number: int) -> Tensor:
        start = int(self.starts[number])
        return self.tokens.read(start, start + int(self.lengths[number]))

    def __iter__(self) -> Iterator[Tensor]:
        return map(self.__getitem__, range(len(self)))

    def __repr__(self) -> str:
        return f"{len(self):,} documents"

    def select(self, which: Tensor) -> TokenDocuments:
        """Some documents, by their numbers or as booleans (documents,)."""
        return TokenDocuments(self.tokens, self.lengths[which], self.starts[which])

    @property
    def predicted(self) -> int:
        """See ``sequence.streams.Stored``."""
        return int(self._ends[-1]) if len(self) else 0

    def pairs(self, begin: int, end: int) -> tuple[Tensor, ...]:
        """See ``sequence.streams.Stored``."""
        first = int(numpy.searchsorted(self._ends, begin, "right"))
        last = int(numpy.searchsorted(self._ends, end, "left")) + 1
        number = numpy.repeat(
            numpy.arange(first, last), numpy.diff(self._ends[first:last].clip(begin, end), prepend=begin)
        )
        step = numpy.arange(begin, end) - self._ends[number] + self.lengths.numpy()[number] - 1
        places = self.starts.numpy()[number] + step
        return self.tokens.take(places), self.tokens.take(places + 1), torch.from_numpy(step == 0)

    @cached_property
    def _ends(self) -> numpy.ndarray:
        """The number of pairs to the end of each document."""
        return (self.lengths - 1).clamp(min=0).cumsum(0).numpy()


def tokens_of(series: Tokens | TokenDocuments) -> Tokens:
    """All steps of a text, or of documents in the order in which they were written."""
    return series.tokens if isinstance(series, TokenDocuments) else series
