"""Matrices of narrow numbers, as C is given them (see narrow.c)."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Sequence
from functools import cache

from torch import Tensor

from ...sequence.rounding import Narrow
from .blocks import aligned
from .build import load
from .libraries import address, products
from .render import part

FLOATS, BF16, INT8 = range(3)
NUMBERS = 4  # of a reading


@cache
def narrow_products() -> ctypes.CDLL:
    """Products with narrow matrices. A pass reads every matrix as narrow.c describes, also those of floats."""
    return load("\n".join(map(part, ("prelude", "crew", "narrow"))), "product_narrow", "turned_narrow")


class Readings:
    """How C reads the matrices of a pass: narrow ones as they are, and others, in panels, as floats.

    ``addresses`` has one for each matrix, valid while this lives.
    """

    def __init__(self, matrices: Sequence[Narrow | Tensor]) -> None:
        self.owners, self.table = tuple(matrices), array("Q")
        for matrix in matrices:
            if isinstance(matrix, Tensor):
                self.table.extend((FLOATS, aligned(matrix), 0, address(products(False).product)))
            elif matrix.scales is None:
                self.table.extend((BF16, matrix.values.data_ptr(), 0, 0))
            else:
                self.table.extend((INT8, matrix.values.data_ptr(), matrix.scales.data_ptr(), 0))
        first, size = self.table.buffer_info()[0], NUMBERS * self.table.itemsize
        self.addresses = [first + size * i for i in range(len(matrices))]
