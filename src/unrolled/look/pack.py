"""Numbers for a page: 16 bits each, scaled by the largest of each step, so that tiny gradients keep their digits."""

from __future__ import annotations

import base64
import math
from typing import Any

import numpy
import torch
from torch import Tensor

from ..draw.numbers import special

TOP = 32000  # the code of the largest value of a step; larger codes mean NaN and infinities
NAN, ABOVE, BELOW = -32768, 32767, -32767


def pack(rows: Tensor) -> dict[str, Any]:
    """Encode values (steps, units).

    Returns:
        'data': base64 of 16-bit integers, row by row; 'scales': the value that the code TOP has in each row.
    """
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
    """A few numbers for JSON, which has no NaN and no infinity: those become 'NaN', '∞' and '-∞'."""
    return [_short(v) for v in rows.reshape(-1).tolist()]


def size(rows: Tensor) -> list[float | str]:
    """The root mean square of each row of (steps, units), for JSON."""
    return short(torch.sqrt((rows * rows).mean(1)))


def _short(value: float) -> float | str:
    return float(f"{value:.6g}") if math.isfinite(value) else special(value)
