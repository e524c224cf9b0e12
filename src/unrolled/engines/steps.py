"""A batch one step at a time, for engines that run each step for all sequences together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..sequence.layout import Layout
from .border import constants


class Steps:
    """The rows of a series that belong to each step, and the sequences that are alive in it.

    Attributes:
        live: for each step, the indices of the sequences that have it; None for all.
        fresh: for each step, which of these sequences are reset there, (live,) booleans; None for none.
    """

    def __init__(self, layout: Layout, device: torch.device) -> None:
        self.layout = layout
        self.live: Sequence[Tensor | None] = [None] * layout.longest
        self.fresh: list[Tensor | None] = [None] * layout.longest
        self.order: Tensor | None = None
        self.place: Tensor | None = None  # the position of each row of the series in this order
        self.counts: list[int] = []
        if layout.steps is not None and not layout.resets:
            return
        lengths = torch.tensor(layout.lengths, dtype=torch.int64)
        sequence = torch.repeat_interleave(lengths)
        begin = lengths.cumsum(0) - lengths
        time = torch.arange(layout.rows) - begin[sequence]
        order = torch.argsort(time, stable=True)  # by step, then by sequence
        reset = torch.zeros(layout.rows, dtype=torch.bool)
        reset[list(layout.resets)] = True
        self.counts = torch.bincount(time, minlength=layout.longest).tolist()
        self.order, self.place = order.to(device), order.argsort().to(device)
        self.live = sequence[order].to(device).split(self.counts)
        fresh = reset[order].split(self.counts)
        self.fresh = [f.to(device) if bool(f.any()) else None for f in fresh]

    def read(self, series: Tensor) -> Sequence[Tensor]:
        """The rows of each step: (live, size). They are contiguous, since torch rounds products of strided rows
        differently."""
        if self.order is None:
            steps = series.view(self.layout.count, self.layout.longest, *series.shape[1:])
            return steps.transpose(0, 1).contiguous().unbind(0)
        return series[self.order].split(self.counts)

    def write(self, steps: Sequence[Tensor]) -> Tensor:
        """The series of some steps, at least one, in memory of its own; the inverse of ``read``."""
        if self.order is None:
            return torch.stack(list(steps), 1).flatten(0, 1).clone()
        return torch.cat(list(steps))[self.place]

    def alive(self, t: int) -> int:
        """How many sequences have a step t."""
        live = self.live[t]
        return self.layout.count if live is None else len(live)

    def enter(self, t: int, state: Sequence[Tensor]) -> list[Tensor]:
        """The states of the sequences alive at a step, from those of all sequences."""
        live = self.live[t]
        return [s if live is None else s[live] for s in state]

    def leave(self, t: int, state: Sequence[Tensor], new: Sequence[Tensor]) -> list[Tensor]:
        """The states of all sequences, updated with the new ones of those alive at a step."""
        live = self.live[t]
        return [n if live is None else s.index_copy(0, live, n) for s, n in zip(state, new, strict=True)]

    def cut(self, t: int, values: Sequence[Tensor]) -> list[Tensor]:
        """States before a step, or gradients going back beyond it, set to zero where a sequence is reset."""
        fresh = self.fresh[t]
        if fresh is None:
            return [*values]
        return [v.masked_fill(fresh.view(-1, *[1] * (v.ndim - 1)), 0) for v in values]


@constants
def sequence_of_row(layout: Layout, device: torch.device) -> Tensor:
    """The number of the sequence that each row of a series belongs to: (rows,)."""
    return torch.repeat_interleave(torch.tensor(layout.lengths, dtype=torch.int64)).to(device)


@constants
def steps_of(layout: Layout, device: torch.device) -> Steps:
    """The steps of a layout on a device, cached."""
    return Steps(layout, device)
