"""The kinds of numbers that weights are stored as."""

from __future__ import annotations

from dataclasses import dataclass

import numpy
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...sequence.rounding import rounded


@dataclass(frozen=True)
class Kind:
    """A kind of numbers: its type in C, how C makes a float of one, its bytes, and whether each row has a scale."""

    type: str
    number: str
    bytes: int
    scaled: bool = False


KINDS = {
    "float32": Kind("float", "{}", 4),
    "bf16": Kind("uint16_t", "u_number((uint32_t){} << 16)", 2),
    "int8": Kind("int8_t", "(float){}", 1, scaled=True),
}


def stored(value: Tensor, kind: str) -> tuple[NDArray[numpy.generic], NDArray[numpy.float32] | None]:
    """A matrix (rows, columns) in float64 as the numbers that C stores, and the scale of each row if it has one."""
    single = value.float()
    if kind == "float32":
        return single.numpy(), None
    narrow = rounded(single, kind)
    if kind == "bf16":
        return narrow.values.view(torch.int16).numpy().view(numpy.uint16), None
    assert narrow.scales is not None
    return narrow.values.numpy(), narrow.scales.numpy()


def wide(value: Tensor, kind: str) -> Tensor:
    """The numbers that a matrix stands for when it is stored, in float64."""
    return value.float().double() if kind == "float32" else rounded(value.float(), kind).wide().double()
