"""Texts and other files as tokens."""

from __future__ import annotations

from bisect import bisect_right
from codecs import BOM_UTF8 as BOM
from codecs import getincrementaldecoder
from collections.abc import Callable
from pathlib import Path

import numpy
import torch
from torch import Tensor

from ..errors import DataError
from ..files.binary import BinaryFile
from .source import check_range

STRIDE = 1 << 16  # bytes between two entries of the index of characters


class ByteFile:
    """Any file as bytes: tokens from 0 to 255.

    >>> ByteFile("text.txt").read(0, 4)
    tensor([ 84, 111,  32,  98])

    Raises:
        DataError: there is no such file, or it is empty.
    """

    def __init__(self, path: str | Path) -> None:
        self._file = BinaryFile(path, "a file of bytes")
        self.length = self._file.size

    def read(self, start: int, stop: int) -> Tensor:
        """Tokens start to stop: (steps,)."""
        check_range(self, start, stop)
        content = numpy.frombuffer(self._file.read(start, stop - start), "uint8")
        return torch.from_numpy(content.astype("int64"))


def code_points(text: str) -> Tensor:
    """The Unicode code point of each character: (characters,)."""
    return torch.from_numpy(numpy.frombuffer(text.encode("utf-32-le"), "<u4").astype("int64"))


class CharacterFile:
    """A text file (UTF-8) with one token per character, read in parts. A byte order mark is skipped.

    >>> CharacterFile("text.txt").read(0, 4)
    tensor([ 84, 111,  32,  98])

    The file is read once when it is opened, to index the characters at every 64 KiB.

    Args:
        path: of the text.
        encode: maps characters to tokens (steps,); by default to Unicode code points.

    Raises:
        DataError: there is no such file, it is empty, or it is not UTF-8 (with the byte).
    """

    def __init__(self, path: str | Path, encode: Callable[[str], Tensor] = code_points) -> None:
        self._file = BinaryFile(path, "a text file (UTF-8)")
        self.encode = encode
        self._begin = len(BOM) if self._piece(0, len(BOM)) == BOM else 0
        self._marks = [0]  # characters that begin before each multiple of STRIDE
        decoder = getincrementaldecoder("utf-8")()
        for place in range(self._begin, self._file.size, STRIDE):
            piece = self._piece(place, place + STRIDE)
            self._decoded(decoder.decode, piece, place - len(decoder.getstate()[0]))
            self._marks.append(self._marks[-1] + len(_heads(piece)))
        self._decoded(lambda rest: decoder.decode(rest, final=True), b"", self._file.size - len(decoder.getstate()[0]))
        self.length = self._marks[-1]
        if not self.length:
            raise DataError(f"'{path}' has no characters; expected a text file (UTF-8)")

    def read(self, start: int, stop: int) -> Tensor:
        """Tokens start to stop: (steps,)."""
        return self.encode(self.text(start, stop)) if start < stop else _NONE

    def text(self, start: int, stop: int) -> str:
        """Characters start to stop."""
        check_range(self, start, stop)
        if start == stop:
            return ""
        first, last = (bisect_right(self._marks, place) - 1 for place in (start, stop - 1))
        begin = self._begin + first * STRIDE
        piece = self._piece(begin, self._begin + (last + 1) * STRIDE + 3)  # the last character may end later
        heads = numpy.append(_heads(piece), len(piece))[start - self._marks[first] : stop - self._marks[first] + 1]
        chosen = piece[heads[0] : heads[-1]]
        return self._decoded(lambda content: content.decode("utf-8"), chosen, begin + int(heads[0]))

    def _piece(self, begin: int, end: int) -> bytes:
        return bytes(self._file.read(begin, min(end, self._file.size) - begin))

    def _decoded(self, decode: Callable[[bytes], str], piece: bytes, place: int) -> str:
        try:
            return decode(piece)
        except UnicodeDecodeError as problem:
            byte = problem.object[problem.start]
            raise DataError(
                f"'{self._file.path}' is not UTF-8: byte 0x{byte:02x} at offset {place + problem.start} "
                f"({problem.reason}). Convert the file, for example with: iconv -f latin1 -t utf-8"
            ) from None


def _heads(piece: bytes) -> numpy.ndarray:
    """The offsets of the first bytes of characters."""
    return numpy.flatnonzero((numpy.frombuffer(piece, "uint8") & 0xC0) != 0x80)


_NONE = torch.empty(0, dtype=torch.int64)
