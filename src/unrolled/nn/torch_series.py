"""Conversion between the layouts of torch's recurrent layers and rows: the steps of one sequence after another.

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
        """Rows (N, F), from torch's layout."""
        ...

    def series(self, values: Tensor) -> Tensor:
        """torch's layout, from the result of an engine: (B, T, F) or (N, F)."""
        ...

    def flip(self, values: Tensor) -> Tensor:
        """Reverse each sequence: (N, F) or (B, T, F), in the same layout."""
        ...

    def in_time_order(self, values: Tensor) -> Tensor:
        """The rows in the order in which torch draws a dropout mask: first the first steps of all sequences."""
        ...

    def from_time_order(self, values: Tensor) -> Tensor:
        """Rows (N, F), from that order."""
        ...


@dataclass(frozen=True)
class Dense:
    """A dense batch: (T, B, F), or (B, T, F) with ``batch_first``."""

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
    """A packed batch (N, F): first the ``alive[0]`` first steps of all sequences, then the second steps, and so on."""

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
    """The rows (N, F) of a Ragged."""

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
    """The lengths of the sequences, from the number of sequences alive at each step."""
    ends = [n - m for n, m in zip(alive, (*alive[1:], 0), strict=True)]  # how many sequences end after each step
    return Layout(tuple(step for step in range(len(alive), 0, -1) for _ in range(ends[step - 1])))


@constants
def _rows_of_packed(alive: tuple[int, ...]) -> Tensor:
    """The index of each row among the packed rows: (N,)."""
    which, times = rows_and_times(torch.tensor(_lengths(alive).lengths))
    return starts(torch.tensor(alive))[times] + which


@constants
def _packed_of_rows(alive: tuple[int, ...]) -> Tensor:
    """The index of each packed row among the rows: (N,)."""
    return _rows_of_packed(alive).argsort()


@constants
def _flipped(lengths: tuple[int, ...]) -> Tensor:
    """The indices of the rows that reverse each sequence: (N,)."""
    of = torch.tensor(lengths, dtype=torch.int64)
    which, times = rows_and_times(of)
    return of.cumsum(0)[which] - 1 - times
