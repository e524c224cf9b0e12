"""Text files, read in pieces, so that memory does not grow with them."""

from __future__ import annotations

import os
import stat
import weakref
from codecs import getincrementaldecoder
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import IncrementalNewlineDecoder
from pathlib import Path
from shutil import copyfileobj
from tempfile import TemporaryFile
from typing import BinaryIO, cast

from ..errors import DataError
from .encoding import content_of, found_encoding
from .read import open_bytes

PIECE = 1 << 20  # bytes
WHAT = "a text file (UTF-8)"
Unpack = Callable[[BinaryIO, BinaryIO], None]  # from a packed file to another one
NAMES = {"\r\n": "CR LF", "\r": "CR"}


class TextFile:
    """A text file (UTF-8) without its byte order mark, read in pieces.

    >>> "".join(TextFile(Path("windows.txt")).pieces())
    'one line\\nand another\\n'

    Args:
        path: of the text.
        line_ends: whether the line ends CR LF and CR are read as LF.
        unpack: copies what is packed in the file to another one.

    Raises:
        DataError: there is no such file, it is empty, not UTF-8 (with byte and line), or not a text.
    """

    def __init__(self, path: Path, line_ends: bool = True, unpack: Unpack | None = None) -> None:
        self.path, self.line_ends, self._unpack = path, line_ends, unpack
        self.found: frozenset[str] = frozenset()  # the line ends that were read as LF, by name
        self.place = 0  # bytes that were read
        self._copy: BinaryIO | None = None
        self._state: tuple[int, int] | None = None  # size and time of the file when it was read first

    def pieces(self) -> Iterator[str]:
        """The text in pieces of at most a MiB."""
        decoder = getincrementaldecoder("utf-8")()
        ends = IncrementalNewlineDecoder(None, translate=True)
        place = line = length = 0
        with self._opened() as file:
            begin = content = file.read(PIECE)
            while content:
                place += len(content)
                self.place = place
                following = file.read(PIECE)
                try:
                    text = decoder.decode(content, final=not following)
                except UnicodeDecodeError as problem:
                    raise self._not_utf_8(begin, place - len(problem.object), line, problem) from None
                line += content.count(b"\n")
                text = text if length else text.removeprefix("\ufeff")
                self._check(begin, text)
                if self.line_ends:
                    text = ends.decode(text, final=not following)
                if text:
                    yield text
                length, content = length + len(text), following
        self.found = _names(ends.newlines)
        if not length:
            raise DataError(f"'{self.path}' is empty; expected a text")

    def texts(self) -> Iterator[Iterator[str]]:
        """The only text of the file, in pieces."""
        yield self.pieces()

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.path.stat().st_size if self.path.is_file() else 0

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        """The file; of a packed file, and of a pipe, which can be read only once, a copy."""
        if self._copy:
            self._copy.seek(0)
            yield self._copy
            return
        with open_bytes(self.path, WHAT) as file:
            about = os.fstat(file.fileno())
            if self._unpack or not stat.S_ISREG(about.st_mode):
                self._copy = cast(BinaryIO, TemporaryFile())  # noqa: SIM115
                weakref.finalize(self, self._copy.close)
                (self._unpack or copyfileobj)(file, self._copy)
                self._copy.seek(0)
            state = about.st_size, about.st_mtime_ns
            if self._copy is None and self._state not in (None, state):
                raise DataError(f"'{self.path}' has changed while it was read. Try again when it is complete")
            self._state = state
            yield self._copy or file

    def _check(self, begin: bytes, text: str) -> None:
        """Refuse what is not a text, though it can be decoded."""
        encoding = found_encoding(begin)
        if encoding.startswith(("utf-16", "utf-32")):
            name = self.path.name
            raise DataError(f"'{self.path}' is {encoding.upper()}. Convert it: iconv -f {encoding} -t utf-8 '{name}'")
        if "\0" in text and (what := content_of(begin)):
            raise DataError(f"'{self.path}' is not a text but {what}")

    def _not_utf_8(self, begin: bytes, offset: int, line: int, problem: UnicodeDecodeError) -> DataError:
        """The error for bytes that are not UTF-8. ``offset`` and ``line``: of the bytes that were to be decoded."""
        if what := content_of(begin):
            return DataError(f"'{self.path}' is not a text but {what}")
        at, encoding = problem.start, found_encoding(begin)
        known = "latin1" if encoding == "utf-8" else encoding
        line += problem.object.count(b"\n", 0, at) + 1
        return DataError(
            f"{self.path}:{line}: the text is not UTF-8: byte 0x{problem.object[at]:02x} at offset {offset + at} "
            f"({problem.reason}). Convert the file, for example with: iconv -f {known} -t utf-8 '{self.path.name}'"
        )


def read_text(path: Path, line_ends: bool = True) -> str:
    """A whole text; see ``TextFile``."""
    return "".join(TextFile(path, line_ends).pieces())


def with_line_ends(text: str) -> str:
    """A text with LF where it has CR LF or CR.

    >>> with_line_ends("one\\r\\ntwo\\r")
    'one\\ntwo\\n'
    """
    return text.replace("\r\n", "\n").replace("\r", "\n")


def line_ends_of(text: str) -> frozenset[str]:
    """The names of the line ends in a text, but for LF.

    >>> sorted(line_ends_of("one\\r\\ntwo\\n"))
    ['CR LF']
    """
    ends = IncrementalNewlineDecoder(None, translate=True)
    ends.decode(text, final=True)
    return _names(ends.newlines)


def _names(newlines: object) -> frozenset[str]:
    """The names of the line ends that a decoder met, but for LF."""
    met = newlines if isinstance(newlines, tuple) else (newlines,)
    return frozenset(NAMES[end] for end in met if end in NAMES)
