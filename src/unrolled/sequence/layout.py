"""Where the steps of a batch stand in a series: sequence after sequence, step after step, one row each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache


@dataclass(frozen=True)
class Layout:
    """How many steps each sequence of a batch has.

    steps: of every sequence, where they are equal. resets: rows before which the state is set to zero.
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
        """How many sequences."""
        return len(self.lengths)

    @cached_property
    def rows(self) -> int:
        """How many steps in all."""
        return sum(self.lengths)

    @cached_property
    def longest(self) -> int:
        return max(self.lengths, default=0)

    @cached_property
    def empty(self) -> Sequence[int]:
        """The sequences without steps."""
        return tuple(i for i, length in enumerate(self.lengths) if not length)
