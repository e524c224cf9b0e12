"""The different texts of a column, and what they show about its numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy

from .numbers import Evidence, evidence, missing_words

if TYPE_CHECKING:
    import pandas

Array = numpy.ndarray[Any, Any]


@dataclass(frozen=True)
class Cells:
    """The different texts of a column, in which most are repeated.

    codes: the number of the text of each row: (rows,).
    texts: each once.
    there: which of them are not words for a missing number.
    """

    codes: Array
    texts: list[str]
    there: Array

    @staticmethod
    def of(column: pandas.Series[Any], more: Sequence[str] | None) -> Cells:
        """The texts of a column. ``more``: words for a missing number, besides the usual ones."""
        import pandas

        if isinstance(column.dtype, pandas.CategoricalDtype):
            codes, found = column.cat.codes.to_numpy(), column.cat.categories
        else:
            codes, found = pandas.factorize(column)
        texts, words = found.to_numpy(dtype=object).tolist(), missing_words(more)
        longest = max(map(len, words)) + 2  # blanks around a word
        short = [len(text) <= longest or text.isspace() for text in texts]
        there = [not (s and text.strip().lower() in words) for s, text in zip(short, texts, strict=True)]
        return Cells(codes, texts, numpy.array(there, dtype=bool))

    @cached_property
    def known(self) -> list[str]:
        """The texts that are not missing."""
        return [text for text, there in zip(self.texts, self.there, strict=True) if there]

    @cached_property
    def shown(self) -> Evidence | None:
        """What the texts show about the decimal mark; None if one is not a number, or if all are missing."""
        return evidence(self.known) if self.known else None

    @property
    def missing(self) -> dict[str, int]:
        """How often each word for a missing number is there."""
        counts = numpy.bincount(self.codes, minlength=len(self.texts))
        return {text: int(counts[i]) for i, text in enumerate(self.texts) if not self.there[i]}

    def spread(self, values: Any, missing: Any) -> Array:
        """Values of the known texts as a column (rows,), with another value where one is missing."""
        array = numpy.asarray(values)
        every = numpy.full(len(self.texts), missing, dtype=array.dtype)
        every[self.there] = array
        return every[self.codes]
