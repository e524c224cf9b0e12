"""Losses over sequences: the total over all steps, L = Σ_t L(t) (Goodfellow, Bengio and Courville 2016, eq. 10.14); the
mean per step on request."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

Reduction = Literal["sum", "mean"]


def nll(scores: Tensor, targets: Tensor, reduction: Reduction = "sum") -> Tensor:
    """Negative log-likelihood -Σ_t log softmax(o(t))[y(t)], in nats.

    >>> losses.nll(out.o, y).shape
    torch.Size([])

    Args:
        scores: (batch, time, classes), before the softmax; (batch, classes) for one answer per sequence.
        targets: whole numbers (batch, time), or (batch,).
        reduction: 'sum' over batch and time, or 'mean' per step.

    Raises:
        InputError: shapes that do not fit, or targets that are no class.
    """
    _reduction(reduction)
    if targets.is_floating_point() or targets.shape != scores.shape[:-1]:
        raise InputError(
            f"targets must be whole numbers {tuple(scores.shape[:-1])} for scores {tuple(scores.shape)}, "
            f"got {str(targets.dtype).removeprefix('torch.')} {tuple(targets.shape)}"
        )
    if targets.numel() and (int(targets.min()) < 0 or int(targets.max()) >= scores.shape[-1]):
        raise InputError(f"targets must be from 0 to {scores.shape[-1] - 1}, got {targets.aminmax()}")
    return F.cross_entropy(scores.flatten(0, -2), targets.flatten().long(), reduction=reduction)


def bce(scores: Tensor, targets: Tensor, reduction: Reduction = "sum") -> Tensor:
    """Binary cross-entropy for multi-hot steps (several classes at once, as the keys of a chord), in nats.

    Args:
        scores: (batch, time, classes), before the sigmoid.
        targets: the same shape, each entry in [0, 1].
        reduction: 'sum' over everything, or 'mean' per step (still summed over classes).
    """
    _same_shape(scores, targets)
    total = F.binary_cross_entropy_with_logits(scores, targets.to(scores.dtype), reduction="sum")
    return _reduced(total, scores, reduction)


def squared_error(values: Tensor, targets: Tensor, reduction: Reduction = "sum") -> Tensor:
    """Σ_t Σ_i (o_i(t) - y_i(t))².

    Args:
        values, targets: (batch, time, size).
        reduction: 'sum' over everything, or 'mean' per step (still summed over entries).
    """
    _same_shape(values, targets)
    return _reduced((values - targets).square().sum(), values, reduction)


def _reduced(total: Tensor, series: Tensor, reduction: Reduction) -> Tensor:
    _reduction(reduction)
    return total if reduction == "sum" else total / series.shape[:-1].numel()


def _reduction(reduction: str) -> None:
    if reduction not in ("sum", "mean"):
        raise InputError(f"reduction must be 'sum' or 'mean' (per step), got {reduction!r}")


def _same_shape(values: Tensor, targets: Tensor) -> None:
    if values.shape != targets.shape or values.ndim < 2:
        raise InputError(
            f"values and targets must have the same shape, got {tuple(values.shape)}, {tuple(targets.shape)}"
        )
