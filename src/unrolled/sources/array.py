"""Arrays in .npy files."""

from __future__ import annotations

import math
from pathlib import Path

import numpy
import torch
from numpy.lib import format as npy
from torch import Tensor

from ..errors import DataError
from ..files.binary import BinaryFile
from .source import check_range


class ArrayFile:
    """A .npy file of vectors (steps, size) or tokens (steps,), read in parts.

    >>> numpy.save("steps.npy", numpy.zeros((1000, 40), "float32"))
    >>> ArrayFile("steps.npy").read(500, 600).shape
    torch.Size([100, 40])

    Args:
        path: of a file written by ``numpy.save``.
        dtype: of the tensors; by default that of the file, int64 for tokens.

    Raises:
        DataError: the file is not an array of numbers with one or two dimensions, or is truncated (with the step).
    """

    def __init__(self, path: str | Path, dtype: torch.dtype | None = None) -> None:
        self._file = BinaryFile(path, "a numpy array (.npy)")
        shape, column_order, self._kind, self._begin = _header(self._file.path)
        if self._kind.kind not in "biuf" or self._kind.itemsize > 8 or len(shape) not in (1, 2):
            raise DataError(
                f"'{path}' holds {self._kind} {shape}; expected numbers (steps, feature) or tokens (steps,)"
            )
        if len(shape) == 1 and self._kind.kind not in "iu":
            raise DataError(
                f"'{path}' holds {self._kind} {shape}; tokens must be whole numbers. "
                "For vectors of size 1, save array[:, None]"
            )
        if column_order and len(shape) == 2 and 1 not in shape:
            raise DataError(f"'{path}' is stored in column order. Save numpy.ascontiguousarray(array)")
        self.length, self.shape = shape[0], shape[1:]
        self._step = self._kind.itemsize * math.prod(self.shape)
        self.dtype = dtype or (_torch_dtype(self._kind) if self.shape else torch.int64)
        there = (self._file.size - self._begin) // max(self._step, 1)
        if there < self.length:
            raise DataError(f"'{path}' is truncated at step {there} of {self.length}. Copy it again")
        if not self.length:
            raise DataError(f"'{path}' has an array without steps, {shape}")

    def read(self, start: int, stop: int) -> Tensor:
        """Steps start to stop: (steps, size), or tokens (steps,)."""
        check_range(self, start, stop)
        content = self._file.read(self._begin + start * self._step, (stop - start) * self._step)
        values = numpy.frombuffer(content, self._kind).reshape(stop - start, *self.shape)
        return torch.from_numpy(values.astype(_numpy_kind(self._kind), copy=False)).to(self.dtype)


def _header(path: Path) -> tuple[tuple[int, ...], bool, numpy.dtype, int]:
    """Shape, whether it is in column order, dtype, and the offset of the data."""
    with path.open("rb") as file:
        try:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, column_order, kind = read(file)
        except (ValueError, EOFError) as problem:
            hint = ". Save a single array of the .npz with numpy.save" if path.suffix == ".npz" else ""
            raise DataError(f"'{path}' is not a numpy array (.npy): {problem}{hint}") from None
        return shape, column_order, kind, file.tell()


def _numpy_kind(kind: numpy.dtype) -> numpy.dtype:
    """The same dtype in the byte order of this machine, with unsigned integers as larger signed ones."""
    wider = {("u", 2): "i4", ("u", 4): "i8", ("u", 8): "i8"}
    return numpy.dtype(wider.get((kind.kind, kind.itemsize), kind.newbyteorder("=")))


def _torch_dtype(kind: numpy.dtype) -> torch.dtype:
    return torch.from_numpy(numpy.empty(0, _numpy_kind(kind))).dtype
