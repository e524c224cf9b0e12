"""A batch of sequences in either layout, a tensor (batch, time, ...) or a Ragged: the same arithmetic for both."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .ragged import Ragged

Series = Tensor | Ragged


def values_of(series: Series) -> Tensor:
    """The steps of all sequences: the tensor itself, or the values (steps, ...) of a Ragged."""
    return series.values if isinstance(series, Ragged) else series


def lengths_of(series: Series) -> Tensor:
    """The steps of each sequence: (batch,)."""
    return series.lengths if isinstance(series, Ragged) else torch.full((len(series),), series.shape[1])


def each(f: Callable[..., Tensor], *series: Series) -> Series:
    """f of the steps of series that have the same lengths and layout."""
    first, *others = series
    if isinstance(first, Ragged):
        return first.map(lambda values: f(values, *(values_of(other) for other in others)))
    return f(*series)


def padded(series: Series) -> Tensor:
    """(batch, time, ...), with zeros after the end of each sequence."""
    return series.to_padded()[0] if isinstance(series, Ragged) else series


def flipped(series: Series) -> Series:
    """Each sequence from its end to its beginning."""
    return series.flip() if isinstance(series, Ragged) else series.flip(1)


def last(series: Series) -> Tensor:
    """The last step of each sequence: (batch, ...)."""
    return series.last if isinstance(series, Ragged) else series[:, -1]


def mean(series: Series) -> Tensor:
    """The mean over the steps of each sequence: (batch, ...)."""
    return series.means if isinstance(series, Ragged) else series.mean(1)


def select(series: Series, rows: Tensor) -> Series:
    """Some of the sequences: integers (k,), which may repeat."""
    return series.select(rows) if isinstance(series, Ragged) else series[rows]


def in_layout_of(series: Series, values: Tensor) -> Series:
    """Other values of the same steps, such as their gradients."""
    return series.map(lambda _: values) if isinstance(series, Ragged) else values
