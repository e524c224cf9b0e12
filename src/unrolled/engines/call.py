"""What an engine is given, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol

from torch import Tensor

from ..graph.recurrence import Recurrence


@dataclass(frozen=True)
class Layout:
    """How many steps each sequence of a batch has. Sequences of equal length are (batch, steps, size), or one after
    another as the rows of a series (rows, size); others are always the latter."""

    lengths: tuple[int, ...]
    steps: int | None = None  # of every sequence, where they are equal

    @classmethod
    @lru_cache(maxsize=256)
    def dense(cls, batch: int, steps: int) -> Layout:
        return cls((steps,) * batch, steps)

    @cached_property
    def count(self) -> int:
        return len(self.lengths)

    @cached_property
    def rows(self) -> int:
        return sum(self.lengths)

    @cached_property
    def empty(self) -> tuple[int, ...]:
        """The sequences without steps."""
        return tuple(i for i, length in enumerate(self.lengths) if not length)

    def flat(self, series: Tensor) -> Tensor:
        return series if self.steps is None else series.reshape(self.rows, *series.shape[2:])

    def shaped(self, rows: Tensor) -> Tensor:
        return rows if self.steps is None else rows.view(self.count, self.steps, *rows.shape[1:])


@dataclass(frozen=True)
class Call:
    """One recurrence to be run over a batch of sequences.

    parameters: by name. inputs: (batch, steps, size), tokens (batch, steps). state: (batch, size).
    """

    recurrence: Recurrence
    sizes: dict[str, int]
    parameters: dict[str, Tensor]
    inputs: dict[str, Tensor]
    state: dict[str, Tensor]
    layout: Layout
    like: Tensor  # has the dtype and device of every new tensor

    @property
    def batch(self) -> int:
        return self.layout.count

    @property
    def steps(self) -> int:
        return max(self.layout.lengths, default=0) if self.layout.steps is None else self.layout.steps

    @property
    def leaves(self) -> dict[str, Tensor]:
        return {**self.inputs, **self.state, **self.parameters}


class Engine(Protocol):
    """Runs calls. Engines differ in speed only: ``reference`` says what is right."""

    @property
    def name(self) -> str: ...

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Any]:
        """Every returned value as (batch, steps, size), and (batch, steps, 1) for scalars; with ``keep`` also what the
        backward pass will want."""
        ...

    def backward(self, call: Call, kept: Any, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        """The gradients of the wanted leaves, from those of some returned values."""
        ...
