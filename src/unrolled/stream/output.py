"""Where the results of a stream go: a file or standard output."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from ..errors import DataError, UnrolledError, UsageError, reason
from ..files.lock import lock
from ..files.read import no_such_file


class OutputFile:
    """A file that is written piece by piece, from its beginning or from a size that was reached before.

    Args:
        path: of the file.
        size: continue from this size; None starts anew.
        overwrite: replace an existing file.

    Raises:
        UsageError: the file exists and must not be replaced, or another process is writing it.
        DataError: it cannot be written, or it is smaller than ``size``.
    """

    def __init__(self, path: Path, size: int | None = None, overwrite: bool = False) -> None:
        self.path = path
        if size is None and path.exists() and not overwrite:
            raise UsageError(
                f"'{path}' already exists. Choose another --out, or add --resume to continue it or --overwrite to "
                "replace it"
            )
        try:
            # not truncated before the lock shows that no other process writes it
            self._file = path.open("ab" if size is None else "r+b", buffering=0)
        except FileNotFoundError:
            raise no_such_file(path, "a place for the output") from None
        except OSError as problem:
            raise DataError(f"'{path}' cannot be written: {reason(problem)}") from None
        self.size = size or 0
        try:
            self._begin(self.size)
        except OSError as problem:
            self._file.close()
            raise DataError(f"'{path}' cannot be written: {reason(problem)}") from None
        except UnrolledError:
            self._file.close()
            raise

    def _begin(self, size: int) -> None:
        lock(self._file.fileno(), f"another process is writing '{self.path}'. Wait until it ends, or change --out")
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            return  # a pipe or a device, such as /dev/null
        there = self._file.seek(0, os.SEEK_END)
        if there < size:
            raise DataError(f"'{self.path}' has {there} bytes, but {size} were written. Start again with --overwrite")
        self._file.truncate(size)
        self._file.seek(size)

    def write(self, text: str) -> None:
        """Append text. Raises DataError if it cannot be written."""
        content = memoryview(text.encode("utf-8", "surrogatepass"))
        self.size += len(content)
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError as problem:
            raise DataError(f"'{self.path}' cannot be written: {reason(problem)}") from None

    def flush(self) -> None:
        """Flush to the disk."""
        if not self.path.is_file():
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise DataError(f"'{self.path}' cannot be written: {reason(problem)}") from None

    def close(self) -> None:
        """Close the file, which unlocks it."""
        self._file.close()


class StandardOutput:
    """The same for a pipe or a terminal, which cannot be resumed."""

    size = 0

    def write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def flush(self) -> None:
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing to close."""
