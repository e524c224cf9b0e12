"""Gumbel noise, with which a step draws a token (``draw`` in ``circuits/functional.py``)."""

from __future__ import annotations

import torch
from torch import Tensor


def gumbel(
    *shape: int,
    generator: torch.Generator | None = None,
    dtype: torch.dtype | None = None,
    device: torch.device | str | None = None,
) -> Tensor:
    """Independent numbers of the standard Gumbel distribution, -log(-log(u)) with u uniform in (0, 1).

    The index of the largest entry of o + gumbel is distributed as softmax(o): Gumbel, E. J. (1954). Statistical theory
    of extreme values and some practical applications; Maddison, Tarlow and Minka (2014). A* sampling.

    >>> unrolled.gumbel(8, 200, 65).shape
    torch.Size([8, 200, 65])

    Args:
        shape: of the result, such as batch, time, size.
        generator: torch's generator by default.
        dtype, device: of the result, as for torch's functions.

    Returns:
        a tensor of that shape, such as (batch, time, size) for the noise of ``draw``.
    """
    return -torch.empty(shape, dtype=dtype, device=device).exponential_(generator=generator).log()
