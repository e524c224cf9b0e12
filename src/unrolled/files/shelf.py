"""Arrays in memory, and in files once they are many, so that data may be larger than memory.

The files have no names, so they vanish with the process, however it ends. They are mapped into memory: the system reads
what is used, and drops it when memory is scarce.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy

from ..errors import DataError, reason

Array = numpy.ndarray[Any, Any]
IN_MEMORY = 16 << 20  # bytes of a shelf that are in memory
SEGMENT = 64 << 20  # bytes of a file, at least
ALIGNED = 64


class Shelf:
    """Space for arrays: in memory at first, then in files.

    >>> shelf = Shelf(in_memory=0)
    >>> shelf.keep(numpy.arange(3)).tolist()
    [0, 1, 2]

    An array exists as long as it is in use, whether or not the shelf is.

    Args:
        in_memory: the number of bytes that are in memory; the module's ``IN_MEMORY`` by default.
    """

    def __init__(self, in_memory: int | None = None) -> None:
        self._left = IN_MEMORY if in_memory is None else in_memory
        self._segment, self._place = numpy.empty(0, "uint8"), 0

    def keep(self, array: Array) -> Array:
        """An array, which is copied to a file if there is no room in memory."""
        if array.nbytes <= self._left:
            self._left -= array.nbytes
            return array
        kept = self.empty(array.shape, array.dtype)
        kept[...] = array
        return kept

    def empty(self, shape: tuple[int, ...], dtype: Any) -> Array:
        """An array to be filled.

        Raises:
            DataError: there is no room for the file.
        """
        dtype = numpy.dtype(dtype)
        size = int(numpy.prod(shape, dtype=object)) * dtype.itemsize
        if size <= self._left:
            self._left -= size
            return numpy.empty(shape, dtype)
        self._left = 0
        if size > len(self._segment) - self._place:
            self._segment, self._place = _mapped(max(size, SEGMENT)), 0
        begin, self._place = self._place, -(-(self._place + size) // ALIGNED) * ALIGNED
        return self._segment[begin : begin + size].view(dtype).reshape(shape)


def _mapped(size: int) -> Array:
    """The bytes of a new file."""
    folder = temporary_folder()
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)  # a mapped file that finds no room ends the process
            else:
                file.truncate(size)
            return numpy.frombuffer(mmap.mmap(file.fileno(), size), "uint8")
    except OSError as problem:
        raise no_room("the data", folder, problem) from None


def temporary_folder() -> Path:
    """Where large temporary files are: $TMPDIR, or /var/tmp, since /tmp is often in memory."""
    given = os.environ.get("TMPDIR")
    return Path("/var/tmp") if not given and os.access("/var/tmp", os.W_OK) else Path(tempfile.gettempdir())


def no_room(what: str, folder: Path, problem: OSError) -> DataError:
    """The error for a temporary file that cannot be written."""
    return DataError(
        f"{what} cannot be written to '{folder}': {reason(problem)}. Name a folder with more room in the environment "
        "variable TMPDIR"
    )
