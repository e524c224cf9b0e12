"""Weights of 16 or 8 bits: how float32 numbers are rounded to them, and which numbers they then are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError

LARGEST = 127  # int8 is used symmetrically: -128 is left out


@dataclass(frozen=True, eq=False)
class Narrow:
    """A matrix of narrow numbers.

    >>> narrow = rounded(torch.randn(2048, 512), "int8")
    >>> narrow.values.shape, narrow.values.dtype, narrow.scales.shape
    (torch.Size([2048, 512]), torch.int8, torch.Size([2048]))

    Attributes:
        values: (rows, columns), bfloat16 or int8.
        scales: of int8, what the numbers of each row are multiplied by, float32 (rows,); None of bfloat16.
    """

    values: Tensor
    scales: Tensor | None = None

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The values (rows, columns), and the scales (rows,) if there are any."""
        return (self.values,) if self.scales is None else (self.values, self.scales)

    def wide(self) -> Tensor:
        """The numbers that the matrix stands for.

        >>> rounded(torch.tensor([[0.5, -1.27, 0.013]]), "int8").wide()
        tensor([[ 0.5000, -1.2700,  0.0100]])

        Returns:
            float32 (rows, columns).
        """
        wide = self.values.float()
        return wide if self.scales is None else wide * self.scales[:, None]


def rounded(weights: Tensor, kind: str) -> Narrow:
    """A matrix in fewer bits, each number rounded to the nearest one, and halfway to the even one.

    >>> rounded(torch.tensor([[0.5, -1.27, 0.013]]), "int8").values
    tensor([[  50, -127,    1]], dtype=torch.int8)

    Args:
        weights: float32 (rows, columns).
        kind: 'bf16', the upper half of float32: 8 bits of precision; or 'int8', integers from -127 to 127, which are
            multiplied by a scale for each row, its largest absolute value divided by 127.

    Raises:
        InputError: there is no such kind, or the weights have another dtype or shape, or are not finite.
    """
    check_kind(kind, KINDS)
    weights = weights.detach()
    if weights.dtype != torch.float32 or weights.ndim != 2:
        raise InputError(f"narrow weights are made from float32 (rows, columns), got {weights.dtype} {weights.shape}")
    narrow = KINDS[kind](weights)
    if not weights.is_meta and not bool(narrow.wide().isfinite().all()):
        raise InputError(f"weights that are infinite, NaN or too large for {kind} cannot be rounded to it")
    return narrow


def check_kind(kind: object, known: Iterable[str]) -> None:
    """Refuse what is not a kind of weights."""
    known = list(known)
    if kind not in known:
        raise InputError(f"weights={kind!r} does not exist. Choose one of: {', '.join(known)}")


def _bf16(weights: Tensor) -> Narrow:
    return Narrow(weights.to(torch.bfloat16))


def _int8(weights: Tensor) -> Narrow:
    scales = weights.abs().amax(1) / LARGEST
    steps = weights / torch.where(scales > 0, scales, 1.0)[:, None]  # of zeros, or numbers near the smallest: zeros
    return Narrow(steps.round().clamp(-LARGEST, LARGEST).to(torch.int8), scales)


KINDS: dict[str, Callable[[Tensor], Narrow]] = {"bf16": _bf16, "int8": _int8}
