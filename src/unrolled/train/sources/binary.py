"""Pieces of a file by their place.

Read, not mapped into memory: pages of a map count as memory of the process, and a file that shrinks under its map
kills it.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from ...errors import DataError, reason
from ..files import no_such_file


class BinaryFile:
    """A file of which any range of bytes can be read.

    Args:
        path: of a file that stays as it is while it is read.
        what: what it should be, for the messages: 'a text file'.

    Raises:
        DataError: no such file, a folder, an empty file; one that shrank while it was read.
    """

    def __init__(self, path: str | Path, what: str) -> None:
        self.path = Path(path)
        if self.path.is_dir():
            raise DataError(f"'{path}' is a folder; expected {what}. Name a file in it")
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except FileNotFoundError:
            raise no_such_file(self.path, what) from None
        except (OSError, ValueError) as problem:
            raise DataError(f"'{path}' cannot be read: {reason(problem)}. Expected {what}") from None
        weakref.finalize(self, os.close, self._descriptor)
        self.size = os.fstat(self._descriptor).st_size
        if not self.size:
            raise DataError(f"'{path}' is empty; expected {what}")

    def read(self, start: int, count: int) -> bytearray:
        """So many bytes from a place within the file."""
        content = bytearray()
        os.lseek(self._descriptor, start, os.SEEK_SET)
        while len(content) < count:
            piece = os.read(self._descriptor, count - len(content))
            if not piece:
                ends = start + len(content)
                raise DataError(f"'{self.path}' has shrunk: it had {self.size} bytes and now ends at {ends}")
            content += piece
        return content
