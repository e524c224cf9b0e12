"""Random access to the bytes of a file.

The file is not mapped into memory: mapped pages count as memory of the process, and a file that shrinks while it is
mapped kills the process.
"""

from __future__ import annotations

import os
import weakref
from pathlib import Path

from ..errors import DataError
from .read import open_file


class BinaryFile:
    """A file any range of which can be read.

    Args:
        path: of a file that does not change while it is read.
        what: what it should be, for messages: 'a text file'.

    Raises:
        DataError: there is no such file, it is a folder, it is empty, or it shrank while it was read.
    """

    def __init__(self, path: str | Path, what: str) -> None:
        self.path = Path(path)
        self._descriptor = open_file(self.path, what)
        weakref.finalize(self, os.close, self._descriptor)
        self.size = os.fstat(self._descriptor).st_size
        if not self.size:
            raise DataError(f"'{path}' is empty; expected {what}")

    def read(self, start: int, count: int) -> bytearray:
        """``count`` bytes from an offset within the file."""
        content = bytearray()
        os.lseek(self._descriptor, start, os.SEEK_SET)
        while len(content) < count:
            piece = os.read(self._descriptor, count - len(content))
            if not piece:
                ends = start + len(content)
                raise DataError(f"'{self.path}' has shrunk: it had {self.size} bytes and now ends at {ends}")
            content += piece
        return content
