"""The last row of each sequence in a series, and its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from ..sequence.layout import Layout
from .border import constants


def last_rows(series: Tensor, start: Tensor, layout: Layout) -> Tensor:
    """The last row of each sequence, in memory of its own.

    Args:
        series: (rows, size).
        start: the initial states (sequences, size), which are returned for sequences without steps.
        layout: which rows belong to which sequence.

    Returns:
        (sequences, size).
    """
    if layout.steps:
        return series[layout.steps - 1 :: layout.steps].clone()
    filled, rows = _indices(layout)
    return start.index_copy(0, filled.to(series.device), series[rows.to(series.device)])


def with_last_rows(gradient: Tensor | None, of_last: Tensor, layout: Layout) -> Tensor:
    """The gradient of a series (rows, size) plus that of its last rows (sequences, size)."""
    total = of_last.new_zeros(layout.rows, *of_last.shape[1:]) if gradient is None else gradient.clone()
    if layout.steps:
        total[layout.steps - 1 :: layout.steps] += of_last
        return total
    filled, rows = _indices(layout)
    return total.index_add_(0, rows.to(total.device), of_last[filled.to(total.device)])


def gradient_without_steps(of_last: Tensor, layout: Layout) -> Tensor:
    """The part of the gradient of the last rows (sequences, size) that goes to the initial states: that of sequences
    without steps."""
    filled, _ = _indices(layout)
    return of_last.index_fill(0, filled.to(of_last.device), 0)


@constants
def _indices(layout: Layout) -> tuple[Tensor, Tensor]:
    """The sequences that have steps, and the indices of their last rows."""
    lengths = torch.tensor(layout.lengths, dtype=torch.int64)
    filled = lengths.nonzero().flatten()
    return filled, lengths.cumsum(0)[filled] - 1
