"""The series of a call as rows, and delayed by one step."""

from __future__ import annotations

import torch
from torch import Tensor

from ..engines.border import constants
from ..sequence.layout import Layout


def flat(value: Tensor, layout: Layout) -> Tensor:
    """A series (batch, time, ...) as rows; those of a Ragged are returned unchanged."""
    if layout.steps is None:
        return value
    if torch._C._get_tracing_state() is not None:  # a traced model accepts only this batch and time: let it check
        value = value.split_with_sizes([layout.count])[0].split_with_sizes([layout.steps], 1)[0]
    return value.flatten(0, 1)


def shifted(series: Tensor, start: Tensor, layout: Layout) -> Tensor:
    """The series delayed by one step: in each sequence the initial state, then all rows except the last."""
    if layout.steps and not layout.resets:
        steps = series.unflatten(0, (layout.count, layout.steps))
        return torch.cat([start[:, None], steps[:, :-1]], 1).flatten(0, 1)
    source, fresh = _earlier(layout)
    result = torch.cat([start, series])[source.to(series.device)]
    if not layout.resets:
        return result
    return result.masked_fill(fresh.to(series.device).view(-1, *[1] * (result.ndim - 1)), 0)


@constants
def _earlier(layout: Layout) -> tuple[Tensor, Tensor]:
    """For each row, the index of the previous one in (initial states, series), and whether the state is reset there."""
    lengths = torch.tensor(layout.lengths, dtype=torch.int64)
    source = torch.arange(layout.rows) + layout.count - 1
    filled = lengths.nonzero().flatten()
    source[(lengths.cumsum(0) - lengths)[filled]] = filled
    fresh = torch.zeros(layout.rows, dtype=torch.bool)
    fresh[list(layout.resets)] = True
    return source, fresh
