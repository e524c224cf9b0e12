"""Numbers for a page: 16 bits each, relative to the largest of their step: vanishing gradients keep their digits."""

from __future__ import annotations

import base64
from typing import Any

import numpy
import torch
from torch import Tensor

TOP = 32000  # the largest of a step; beyond it stand what is not finite
NAN, ABOVE, BELOW = -32768, 32767, -32767


def pack(rows: Tensor) -> dict[str, Any]:
    """(steps, units) → data: base64 of 16-bit whole numbers, row by row; scales: what TOP stands for in each row."""
    values = rows.numpy()
    finite = numpy.where(numpy.isfinite(values), values, 0.0)
    scales = numpy.abs(finite).max(1)
    unit = numpy.where(scales > 0, scales, 1.0)[:, None]
    codes = numpy.round(finite / unit * TOP).astype("<i2")
    codes[numpy.isnan(values)] = NAN
    codes[values == numpy.inf] = ABOVE
    codes[values == -numpy.inf] = BELOW
    return {"data": base64.b64encode(codes.tobytes()).decode("ascii"), "scales": [_short(s) for s in scales]}


def short(rows: Tensor) -> list[float | str]:
    """A few numbers as they stand; those that are not finite by name, for JSON has none."""
    return [_short(v) for v in rows.reshape(-1).tolist()]


def size(rows: Tensor) -> list[float | str]:
    """The root mean square of each row."""
    return short(torch.sqrt((rows * rows).mean(1)))


def _short(value: float) -> float | str:
    if value != value:
        return "NaN"
    if value in (numpy.inf, -numpy.inf):
        return "∞" if value > 0 else "-∞"
    return float(f"{value:.6g}")
