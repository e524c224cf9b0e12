"""How good written answers are: exact matches and symbol errors, against the nearest of several right answers."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy

Symbols = Sequence[Hashable]


def distance(one: Symbols, other: Symbols) -> int:
    """The least number of insertions, deletions and substitutions that turn one sequence into another (Levenshtein
    1966).

    >>> distance("kitten", "sitting")
    3
    """
    columns = numpy.arange(len(other) + 1)
    before = columns
    for number, symbol in enumerate(one, 1):
        replaced = before[:-1] + numpy.fromiter((symbol != s for s in other), dtype=numpy.int64, count=len(other))
        row = numpy.concatenate([[number], numpy.minimum(replaced, before[1:] + 1)])
        before = numpy.minimum.accumulate(row - columns) + columns  # an insertion costs 1 per column
    return int(before[-1])


@dataclass(frozen=True)
class Scores:
    """Counts over answers.

    sources: the number of answers.
    right: how many equal a right answer.
    errors, symbols: the symbols that are wrong, and the symbols of the right answers.
    """

    sources: int
    right: int
    errors: int
    symbols: int

    @staticmethod
    def of(answers: Iterable[tuple[Symbols, Sequence[Symbols]]]) -> Scores:
        """From written answers, each with all right ones. The errors are those against the nearest."""
        sources = right = errors = symbols = 0
        for written, possible in answers:
            wrong, count = min((distance(written, answer), len(answer)) for answer in possible)
            sources, right, errors, symbols = sources + 1, right + (wrong == 0), errors + wrong, symbols + count
        return Scores(sources, right, errors, symbols)

    @property
    def symbol_error_rate(self) -> float:
        """Wrong symbols per symbol of the right answers."""
        return self.errors / max(self.symbols, 1)

    @property
    def exact_matches(self) -> float:
        """The share of answers that equal a right one."""
        return self.right / max(self.sources, 1)
