"""A file or a pipe as blocks of bytes."""

from __future__ import annotations

import os
import select
import stat
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

from ..errors import DataError, reason
from ..files.read import open_file
from .pieces import Pieces

BLOCK = 1 << 16  # bytes of a block
PATIENCE = 0.2  # seconds between two calls of ``stop`` while a pipe has no data


class ByteStream:
    """Blocks of bytes of a file, or of standard input for ``None``.

    While a pipe has no data, ``stop`` is called from time to time; true ends the stream.

    Raises:
        DataError: there is no such file, it is a folder, or the input is empty.
    """

    def __init__(self, path: Path | None, what: str, stop: Callable[[], bool] = lambda: False) -> None:
        self.name, self._stop = "standard input" if path is None else f"'{path}'", stop
        if path is None:
            self._descriptor = sys.stdin.fileno()
        else:
            self._descriptor = open_file(path, what)
            weakref.finalize(self, os.close, self._descriptor)
        status = os.fstat(self._descriptor)
        self._waits = os.name != "nt" and not stat.S_ISREG(status.st_mode)
        self.size = None if self._waits else status.st_size
        self.place, self.checksum = 0, 0
        self._ahead = self._block()
        if not self._ahead and not stop():
            raise DataError(f"{self.name} is empty; expected {what}")

    def read(self) -> bytes:
        """The next block; empty at the end."""
        block, self._ahead = self._ahead, b""
        block = block or self._block()
        self.place += len(block)
        return block

    @property
    def stopped(self) -> bool:
        """Whether the input ended because ``stop`` said so."""
        return self._stop()

    def _block(self) -> bytes:
        while self._waits and not select.select([self._descriptor], [], [], PATIENCE)[0]:
            if self._stop():
                return b""
        try:
            return os.read(self._descriptor, BLOCK)
        except OSError as problem:
            raise DataError(f"{self.name} cannot be read further at byte {self.place}: {reason(problem)}") from None


class Decoded(Pieces):
    """What is decoded from bytes: the fraction that was read, and a checksum of what came out."""

    def __init__(self, stream: ByteStream) -> None:
        self.position, self._stream, self._checksum = 0, stream, 0

    @property
    def done(self) -> float | None:
        return self._stream.place / self._stream.size if self._stream.size else None

    @property
    def mark(self) -> str:
        return f"{self._checksum:08x}"
