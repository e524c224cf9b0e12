"""Series with one symbol more, at the beginning or the end of each sequence."""

from __future__ import annotations

import torch
from torch import Tensor

from .ragged import Ragged
from .series import Series


def preceded(series: Series, symbol: int) -> Series:
    """A symbol, then each sequence: tokens (batch, time + 1), or a Ragged.

    >>> preceded(unrolled.Ragged([torch.tensor([5, 6]), torch.tensor([7])]), 0).values
    tensor([0, 5, 6, 0, 7])

    Args:
        series: tokens (batch, time), or a Ragged of them.
        symbol: the token to add.
    """
    return _with(series, symbol, 0)


def succeeded(series: Series, symbol: int) -> Series:
    """Each sequence, then a symbol: tokens (batch, time + 1), or a Ragged.

    >>> succeeded(unrolled.Ragged([torch.tensor([5, 6]), torch.tensor([7])]), 0).values
    tensor([5, 6, 0, 7, 0])

    Args:
        series: tokens (batch, time), or a Ragged of them.
        symbol: the token to add.
    """
    return _with(series, symbol, -1)


def _with(series: Series, symbol: int, place: int) -> Series:
    """``place``: 0 for the beginning, -1 for the end."""
    if not isinstance(series, Ragged):
        added = series.new_full((len(series), 1), symbol)
        return torch.cat([added, series] if place == 0 else [series, added], 1)
    lengths = series.lengths + 1
    ends = lengths.cumsum(0)
    values = series.values.new_full((int(lengths.sum()),), symbol)
    values[_others(len(values), ends - lengths if place == 0 else ends - 1).to(values.device)] = series.values
    return Ragged(values=values, lengths=lengths)


def _others(count: int, places: Tensor) -> Tensor:
    """Booleans (count,), false at some places."""
    chosen = torch.ones(count, dtype=torch.bool)
    chosen[places] = False
    return chosen
