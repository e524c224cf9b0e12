"""How the steps of a batch are stored in a series: one row per step, sequence after sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache


@dataclass(frozen=True)
class Layout:
    """The number of steps of each sequence in a batch.

    Attributes:
        lengths: the number of steps of each sequence.
        steps: the number of steps if it is the same for all sequences, else None.
        resets: the rows before which the state is set to zero.
    """

    lengths: tuple[int, ...]
    steps: int | None = None
    resets: tuple[int, ...] = ()

    @classmethod
    @lru_cache(maxsize=256)
    def dense(cls, batch: int, steps: int, resets: tuple[int, ...] = ()) -> Layout:
        """Sequences of equal length."""
        return cls((steps,) * batch, steps, resets)

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash((self.lengths, self.resets))

    @cached_property
    def count(self) -> int:
        """The number of sequences."""
        return len(self.lengths)

    @cached_property
    def rows(self) -> int:
        """The number of steps of all sequences together."""
        return sum(self.lengths)

    @cached_property
    def longest(self) -> int:
        """The number of steps of the longest sequence."""
        return max(self.lengths, default=0)

    @cached_property
    def empty(self) -> Sequence[int]:
        """The indices of the sequences of length 0."""
        return tuple(i for i, length in enumerate(self.lengths) if not length)
