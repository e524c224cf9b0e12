"""The last row of each sequence of a series, and the way of its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from ..sequence.layout import Layout
from .border import constants


def last(series: Tensor, start: Tensor, layout: Layout) -> Tensor:
    """The last row of each sequence, in memory of its own; of one without steps the starting state."""
    if layout.steps:
        return series[layout.steps - 1 :: layout.steps].clone()
    filled, rows = _last_rows(layout)
    return start.index_copy(0, filled.to(series.device), series[rows.to(series.device)])


def with_last(gradient: Tensor | None, of_last: Tensor, layout: Layout) -> Tensor:
    """The gradient of a series, with that of its last rows added."""
    total = of_last.new_zeros(layout.rows, of_last.shape[1]) if gradient is None else gradient.clone()
    if layout.steps:
        total[layout.steps - 1 :: layout.steps] += of_last
        return total
    filled, rows = _last_rows(layout)
    return total.index_add_(0, rows.to(total.device), of_last[filled.to(total.device)])


def of_empty(of_last: Tensor, layout: Layout) -> Tensor:
    """What of the gradient of the last rows goes to the starting states: that of the sequences without steps."""
    filled, _ = _last_rows(layout)
    return of_last.index_fill(0, filled.to(of_last.device), 0)


@constants
def _last_rows(layout: Layout) -> tuple[Tensor, Tensor]:
    """The sequences that have steps, and their last rows."""
    lengths = torch.tensor(layout.lengths, dtype=torch.int64)
    filled = lengths.nonzero().flatten()
    return filled, lengths.cumsum(0)[filled] - 1
