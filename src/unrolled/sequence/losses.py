"""Losses over sequences: the total over all steps, L = Σ_t L(t) (Goodfellow, Bengio and Courville 2016, eq. 10.14); the
mean per step on request. Of ragged batches every valid step counts the same, whatever sequence it is in."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .ragged import Ragged

Reduction = Literal["sum", "mean"]


def nll(scores: Tensor | Ragged, targets: Tensor | Ragged, reduction: Reduction = "sum") -> Tensor:
    """Negative log-likelihood -Σ_t log softmax(o(t))[y(t)], in nats.

    >>> losses.nll(out.o, y).shape
    torch.Size([])

    Args:
        scores: (batch, time, classes), before the softmax; (batch, classes) for one answer per sequence; or Ragged.
        targets: whole numbers (batch, time), or (batch,); Ragged where scores are.
        reduction: 'sum' over batch and time, or 'mean' per step.

    Raises:
        InputError: shapes or lengths that do not fit, targets that are no class, the mean of no steps.
    """
    scores, targets = _steps(scores, targets)
    _reduction(reduction, targets.numel())
    if targets.is_floating_point() or targets.shape != scores.shape[:-1]:
        raise InputError(
            f"targets must be whole numbers {tuple(scores.shape[:-1])} for scores {tuple(scores.shape)}, "
            f"got {str(targets.dtype).removeprefix('torch.')} {tuple(targets.shape)}"
        )
    if targets.numel() and (int(targets.min()) < 0 or int(targets.max()) >= scores.shape[-1]):
        raise InputError(f"targets must be from 0 to {scores.shape[-1] - 1}, got {targets.aminmax()}")
    return F.cross_entropy(scores.flatten(0, -2), targets.flatten().long(), reduction=reduction)


def bce(scores: Tensor | Ragged, targets: Tensor | Ragged, reduction: Reduction = "sum") -> Tensor:
    """Binary cross-entropy for multi-hot steps (several classes at once, as the keys of a chord), in nats.

    Args:
        scores: (batch, time, classes), before the sigmoid; or Ragged.
        targets: the same shape, each entry in [0, 1].
        reduction: 'sum' over everything, or 'mean' per step (still summed over classes).
    """
    scores, targets = _same_shape(scores, targets)
    total = F.binary_cross_entropy_with_logits(scores, targets.to(scores.dtype), reduction="sum")
    return _reduced(total, scores, reduction)


def squared_error(values: Tensor | Ragged, targets: Tensor | Ragged, reduction: Reduction = "sum") -> Tensor:
    """Σ_t Σ_i (o_i(t) - y_i(t))².

    Args:
        values, targets: (batch, time, size); or both Ragged.
        reduction: 'sum' over everything, or 'mean' per step (still summed over entries).
    """
    values, targets = _same_shape(values, targets)
    return _reduced((values - targets).square().sum(), values, reduction)


def _reduced(total: Tensor, series: Tensor, reduction: Reduction) -> Tensor:
    steps = series.shape[:-1].numel()
    _reduction(reduction, steps)
    return total if reduction == "sum" else total / steps


def _reduction(reduction: str, steps: int) -> None:
    if reduction not in ("sum", "mean"):
        raise InputError(f"reduction must be 'sum' or 'mean' (per step), got {reduction!r}")
    if reduction == "mean" and not steps:
        raise InputError("the mean loss of no steps is not defined. Use reduction='sum', which is 0")


def _same_shape(values: Tensor | Ragged, targets: Tensor | Ragged) -> tuple[Tensor, Tensor]:
    values, targets = _steps(values, targets)
    if values.shape != targets.shape or values.ndim < 2:
        raise InputError(
            f"values and targets must have the same shape, got {tuple(values.shape)}, {tuple(targets.shape)}"
        )
    return values, targets


def _steps(outputs: Tensor | Ragged, targets: Tensor | Ragged) -> tuple[Tensor, Tensor]:
    """Both as tensors: of ragged batches the valid steps, which must be of the same lengths."""
    if isinstance(outputs, Tensor) and isinstance(targets, Tensor):
        return outputs, targets
    if isinstance(outputs, Tensor) or isinstance(targets, Tensor):
        one, other = ("targets", "outputs") if isinstance(outputs, Tensor) else ("outputs", "targets")
        raise InputError(f"{one} are Ragged, but {other} are not. Make them so: Ragged.from_padded(..., lengths=...)")
    if len(outputs) != len(targets):
        raise InputError(f"outputs have {len(outputs)} sequences, but targets {len(targets)}")
    if len(different := (outputs.lengths != targets.lengths).nonzero()):
        row = int(different[0])
        lengths = int(outputs.lengths[row]), int(targets.lengths[row])
        raise InputError(f"sequence {row} has {lengths[0]} steps in the outputs, but {lengths[1]} in the targets")
    return outputs.values, targets.values
