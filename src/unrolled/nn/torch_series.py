"""The layouts of torch's recurrent layers, from and to rows: one sequence after the other, each step after step.

Letters: T time, B batch, F features, N steps of all sequences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Protocol

import torch
from torch import Tensor

from ..engines.border import constants
from ..sequence.layout import Layout
from ..sequence.layouts import rows_and_times, starts, take


class Batch(Protocol):
    """A batch of sequences in one of torch's layouts."""

    @property
    def layout(self) -> Layout: ...
    def rows(self, data: Tensor) -> Tensor:
        """(N, F), from torch's layout."""
        ...

    def series(self, values: Tensor) -> Tensor:
        """torch's layout, from what an engine returns: (B, T, F) or (N, F)."""
        ...

    def flip(self, values: Tensor) -> Tensor:
        """Each sequence from its end to its beginning: (N, F) for (N, F), (B, T, F) for (B, T, F)."""
        ...

    def in_time_order(self, values: Tensor) -> Tensor:
        """In the order in which torch draws a dropout mask: all sequences' first steps first."""
        ...

    def from_time_order(self, values: Tensor) -> Tensor:
        """(N, F), from that order."""
        ...


@dataclass(frozen=True)
class Dense:
    """(T, B, F), or with ``batch_first`` (B, T, F)."""

    batch: int
    steps: int
    batch_first: bool

    @staticmethod
    def of(data: Tensor, batch_first: bool) -> Dense:
        first, second, _ = data.shape
        return Dense(first, second, True) if batch_first else Dense(second, first, False)

    @property
    def layout(self) -> Layout:
        return Layout.dense(self.batch, self.steps)

    def rows(self, data: Tensor) -> Tensor:
        if self.batch_first or 1 in (self.batch, self.steps):
            return data.flatten(0, 1)
        return data.transpose(0, 1).flatten(0, 1)

    def series(self, values: Tensor) -> Tensor:
        return values if self.batch_first else values.transpose(0, 1).contiguous()

    def flip(self, values: Tensor) -> Tensor:
        if values.ndim == 3:
            return values.flip(1)
        return values.unflatten(0, (self.batch, self.steps)).flip(1).flatten(0, 1)

    def in_time_order(self, values: Tensor) -> Tensor:
        return values.transpose(0, 1).contiguous()

    def from_time_order(self, values: Tensor) -> Tensor:
        return values.transpose(0, 1).flatten(0, 1)


@dataclass(frozen=True)
class Packed:
    """(N, F), of which the first ``alive[0]`` rows are the first steps of all sequences, and so on."""

    alive: tuple[int, ...]

    @cached_property
    def layout(self) -> Layout:
        return _lengths(self.alive)

    def rows(self, data: Tensor) -> Tensor:
        return take(data, _rows_of_packed(self.alive))

    def series(self, values: Tensor) -> Tensor:
        return take(values, _packed_of_rows(self.alive))

    def flip(self, values: Tensor) -> Tensor:
        return take(values, _flipped(self.layout.lengths))

    in_time_order, from_time_order = series, rows


@dataclass(frozen=True)
class Rows:
    """(N, F) of sequences with these lengths, as a Ragged has them."""

    layout: Layout

    def rows(self, data: Tensor) -> Tensor:
        return data

    def series(self, values: Tensor) -> Tensor:
        return values

    def flip(self, values: Tensor) -> Tensor:
        return take(values, _flipped(self.layout.lengths))

    in_time_order = from_time_order = series


@lru_cache(maxsize=256)
def _lengths(alive: tuple[int, ...]) -> Layout:
    """How many steps each sequence has, where so many are alive at each step."""
    ends = [n - m for n, m in zip(alive, (*alive[1:], 0), strict=True)]  # how many sequences end after each step
    return Layout(tuple(step for step in range(len(alive), 0, -1) for _ in range(ends[step - 1])))


@constants
def _rows_of_packed(alive: tuple[int, ...]) -> Tensor:
    """Where each row stands among the packed ones: (N,)."""
    which, times = rows_and_times(torch.tensor(_lengths(alive).lengths))
    return starts(torch.tensor(alive))[times] + which


@constants
def _packed_of_rows(alive: tuple[int, ...]) -> Tensor:
    """Where each packed row stands among the rows: (N,)."""
    return _rows_of_packed(alive).argsort()


@constants
def _flipped(lengths: tuple[int, ...]) -> Tensor:
    """Rows from the end of each sequence to its beginning: (N,)."""
    of = torch.tensor(lengths, dtype=torch.int64)
    which, times = rows_and_times(of)
    return of.cumsum(0)[which] - 1 - times
