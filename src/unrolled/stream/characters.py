"""A stream of text."""

from __future__ import annotations

import zlib
from codecs import getincrementaldecoder
from collections.abc import Iterator
from io import IncrementalNewlineDecoder

from ..errors import DataError
from .bytes import BLOCK, ByteStream, Decoded


class Characters(Decoded):
    """The characters of a text (UTF-8), as strings.

    Args:
        stream: of the bytes.
        line_ends: whether the line ends CR LF and CR are read as LF.
    """

    def __init__(self, stream: ByteStream, line_ends: bool = True) -> None:
        super().__init__(stream)
        self._decoder, self._text = getincrementaldecoder("utf-8-sig")(), ""
        self._ends = IncrementalNewlineDecoder(None, translate=line_ends)

    def next(self, steps: int) -> str | None:
        while len(self._text) < steps and (block := self._stream.read()):
            self._text += self._decoded(block)
        if len(self._text) < steps:
            self._text += self._decoded(b"", final=True)
        piece, self._text = self._text[:steps], self._text[steps:]
        self.position += len(piece)
        self._checksum = zlib.crc32(piece.encode(), self._checksum)
        return piece or None

    def skip(self, steps: int) -> None:
        end = self.position + steps
        while self.position < end and self.next(min(BLOCK, end - self.position)):
            pass

    def blocks(self) -> Iterator[str]:
        """The text in pieces as they arrive."""
        while block := self._stream.read():
            yield self._decoded(block)
        yield self._decoded(b"", final=True)

    def _decoded(self, block: bytes, final: bool = False) -> str:
        try:
            return self._ends.decode(self._decoder.decode(block, final), final)
        except UnicodeDecodeError as problem:
            place = self._stream.place - len(problem.object) + problem.start
            raise DataError(
                f"{self._stream.name} is not UTF-8: byte 0x{problem.object[problem.start]:02x} at offset {place} "
                f"({problem.reason}). Convert it, for example with: iconv -f latin1 -t utf-8"
            ) from None
