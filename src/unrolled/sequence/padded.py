"""Sequences of different lengths as one tensor: padded behind their ends, and read no further than there.

The one place where tasks pad; whatever reads a padded batch reads it through these functions.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def pad(sequences: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """One tensor (batch, longest, ...) with zeros behind each end, and the lengths (batch,).

    >>> padded, lengths = pad([torch.ones(2, 3), torch.ones(4, 3)])
    >>> padded.shape, lengths.tolist()
    (torch.Size([2, 4, 3]), [2, 4])
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return torch.nn.utils.rnn.pad_sequence(list(sequences), batch_first=True), lengths


def valid(lengths: Tensor, steps: int) -> Tensor:
    """Which steps of a padded batch there are: (batch, steps), true before each end."""
    return torch.arange(steps, device=lengths.device) < lengths[:, None]


def backward(x: Tensor, lengths: Tensor) -> Tensor:
    """Each sequence from its end to its beginning, its padding still behind it."""
    steps = torch.arange(x.shape[1], device=x.device)
    index = torch.where(steps < lengths[:, None], lengths[:, None] - 1 - steps, steps)
    return x.gather(1, index.reshape(index.shape + (1,) * (x.ndim - 2)).expand_as(x))


def last(x: Tensor, lengths: Tensor) -> Tensor:
    """The last step of each sequence: (batch, feature). Zero for a sequence without steps."""
    rows = torch.arange(len(x), device=x.device)
    return x[rows, (lengths - 1).clamp(min=0)] * (lengths > 0)[:, None]


def mean(x: Tensor, lengths: Tensor) -> Tensor:
    """The mean over the steps of each sequence: (batch, feature)."""
    mask = valid(lengths, x.shape[1])[..., None]
    return torch.where(mask, x, 0.0).sum(1) / lengths.clamp(min=1)[:, None]
