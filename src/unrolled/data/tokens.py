"""A text as numbers, in a file instead of in memory.

The file has no name, so it vanishes with the process, however that ends. It is mapped into memory. What was read is
given back at once, so that memory does not grow with the text.
"""

from __future__ import annotations

import mmap
import tempfile
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy
import torch
from torch import Tensor

from ..files.shelf import no_room, temporary_folder

CHUNK = 1 << 18  # steps that are read at a time


class Tokens:
    """A text as numbers, or a part of it. Slices are other parts; nothing is read until it is needed.

    >>> text = Tokens.of([torch.tensor([3, 1, 2]), torch.tensor([0])], size=4)
    >>> len(text), text[1:].read(0, 2)
    (4, tensor([1, 2]))

    Args:
        values: the numbers (steps,), of any whole type.
        mapping: the memory that holds them, if they are in a file.
    """

    def __init__(self, values: numpy.ndarray[Any, Any], mapping: mmap.mmap | None = None) -> None:
        self.values, self.mapping = values, mapping

    @staticmethod
    def of(parts: Iterable[Tensor], size: int) -> Tokens:
        """Numbers from 0 to ``size`` - 1 that are written to a file, part by part."""
        writer = TokenWriter(size)
        for part in parts:
            writer.write(part)
        return writer.tokens()

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, part: slice) -> Tokens:
        return Tokens(self.values[part], self.mapping)

    def read(self, start: int, stop: int) -> Tensor:
        """Steps start to stop: (steps,), int64."""
        return self._released(self.values[start:stop])

    def take(self, places: numpy.ndarray[Any, Any]) -> Tensor:
        """The numbers at some places: (places,), int64."""
        return self._released(self.values[places])

    def chunks(self) -> Iterator[Tensor]:
        """All steps, some after the other: (steps,), int64."""
        for start in range(0, len(self), CHUNK):
            yield self.read(start, start + CHUNK)

    @property
    def predicted(self) -> int:
        """See ``sequence.streams.Stored``."""
        return max(len(self) - 1, 0)

    def pairs(self, begin: int, end: int) -> tuple[Tensor, ...]:
        """See ``sequence.streams.Stored``."""
        steps = self.read(begin, end + 1)
        return steps[:-1], steps[1:]

    def _released(self, values: numpy.ndarray[Any, Any]) -> Tensor:
        copy = torch.from_numpy(values.astype("int64"))
        if self.mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            self.mapping.madvise(mmap.MADV_DONTNEED)
        return copy


class TokenWriter:
    """A file of numbers from 0 to ``size`` - 1, in the smallest type that holds them."""

    def __init__(self, size: int) -> None:
        self.type = numpy.dtype("uint8" if size <= 1 << 8 else "uint16" if size <= 1 << 16 else "int32")
        self.length = 0
        self._folder = temporary_folder()
        with self._errors():
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        weakref.finalize(self, self._file.close)

    def write(self, numbers: Tensor) -> None:
        """Append numbers (steps,)."""
        with self._errors():
            self._file.write(numbers.numpy().astype(self.type).tobytes())
        self.length += len(numbers)

    def tokens(self) -> Tokens:
        """All that was written. The file is closed, and exists as long as the result is in use."""
        with self._errors():
            self._file.flush()
        if not self.length:
            self._file.close()
            return Tokens(numpy.empty(0, self.type))
        mapping = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        self._file.close()
        return Tokens(numpy.frombuffer(mapping, self.type), mapping)

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as problem:
            raise no_room("the numbers of the text", self._folder, problem) from None
