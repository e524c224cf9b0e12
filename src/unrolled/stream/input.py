"""What comes in, piece by piece, from a file or a pipe of any length: text, rows of numbers, frames of a recording."""

from __future__ import annotations

import math
import os
import select
import stat
import sys
import weakref
import zlib
from codecs import getincrementaldecoder
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import DataError, UsageError, reason
from ..files.read import open_file
from ..sources import AudioFile, LogMel

BLOCK = 1 << 16  # bytes at a time
PATIENCE = 0.2  # seconds between two looks at whether to stop, while a pipe gives nothing
LONGEST = 1 << 24  # bytes of a line


class Pieces(Protocol):
    """An input that is read once, from its beginning to its end."""

    position: int  # steps given out or passed over so far

    @property
    def done(self) -> float | None:
        """Which part was read, from 0 to 1; None where nobody knows."""

    @property
    def mark(self) -> str:
        """Tells whether what was read so far is the same as in another reading."""

    def next(self, steps: int) -> Any:
        """The next so many steps, less at the end, None behind it. Rows and frames before a fault are given first."""

    def skip(self, steps: int) -> None:
        """Pass over so many steps, as far as there are any."""


class ByteStream:
    """Blocks of bytes of a file, or of standard input for ``None``.

    Where a pipe gives nothing, ``stop`` is asked again and again; true ends the stream.

    Raises:
        DataError: no such file, a folder, an empty input.
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
        """The next block; nothing at the end."""
        block, self._ahead = self._ahead, b""
        block = block or self._block()
        self.place += len(block)
        return block

    def _block(self) -> bytes:
        while self._waits and not select.select([self._descriptor], [], [], PATIENCE)[0]:
            if self._stop():
                return b""
        try:
            return os.read(self._descriptor, BLOCK)
        except OSError as problem:
            raise DataError(f"{self.name} cannot be read on at byte {self.place}: {reason(problem)}") from None


class Text:
    """Characters of UTF-8, as strings."""

    def __init__(self, stream: ByteStream) -> None:
        self.position, self._stream, self._checksum = 0, stream, 0
        self._decoder, self._text = getincrementaldecoder("utf-8-sig")(), ""

    @property
    def done(self) -> float | None:
        return self._stream.place / self._stream.size if self._stream.size else None

    @property
    def mark(self) -> str:
        return f"{self._checksum:08x}"

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

    def _decoded(self, block: bytes, final: bool = False) -> str:
        try:
            return self._decoder.decode(block, final)
        except UnicodeDecodeError as problem:
            place = self._stream.place - len(problem.object) + problem.start
            raise DataError(
                f"{self._stream.name} is not UTF-8: byte 0x{problem.object[problem.start]:02x} at offset {place} "
                f"({problem.reason}). Convert it, for example with: iconv -f latin1 -t utf-8"
            ) from None


class Rows:
    """Lines of ``size`` numbers with commas or blanks between them, as tensors (rows, size). One line of names may
    come first."""

    def __init__(self, stream: ByteStream, size: int, dtype: torch.dtype = torch.float32) -> None:
        self.position, self.size, self.dtype, self._stream, self._checksum = 0, size, dtype, stream, 0
        self._lines: list[bytes] = []  # the next line is the last of them
        self._part, self._line = b"", 0
        self._fault: DataError | None = None  # met behind what was given last

    @property
    def done(self) -> float | None:
        return self._stream.place / self._stream.size if self._stream.size else None

    @property
    def mark(self) -> str:
        return f"{self._checksum:08x}"

    def next(self, steps: int) -> Tensor | None:
        if self._fault:
            raise self._fault
        rows: list[list[float]] = []
        while len(rows) < steps:
            before = self.position, self._checksum
            try:
                if (line := self._next_line()) is None:
                    break
                rows.append(self._numbers(line))
            except DataError as fault:
                if not rows:
                    raise
                self.position, self._checksum = before
                self._fault = fault
                break
        return torch.tensor(rows, dtype=torch.float64).to(self.dtype) if rows else None

    def skip(self, steps: int) -> None:
        for _ in range(steps):
            if self._next_line() is None:
                return

    def _next_line(self) -> bytes | None:
        """The next line with something in it; names at the beginning are passed over."""
        while True:
            while not self._lines:
                if not self._fill():
                    return None
            line = self._lines.pop().strip()
            self._line += 1
            if not line or (self._line == 1 and not any(map(_is_number, _fields(line)))):
                continue
            self.position += 1
            self._checksum = zlib.crc32(line, self._checksum)
            return line

    def _fill(self) -> bool:
        block = self._stream.read()
        lines = (self._part + block).split(b"\n")
        self._part = lines.pop() if block else b""
        if len(self._part) > LONGEST:
            raise DataError(
                f"{self._stream.name} has no end of line within {LONGEST:,} bytes. Expected rows of numbers"
            )
        self._lines = lines[::-1] if block or lines != [b""] else []
        return bool(block or self._lines)

    def _numbers(self, line: bytes) -> list[float]:
        fields = _fields(line)
        where = f"{self._stream.name}, line {self._line}"
        if len(fields) != self.size:
            raise DataError(f"{where}: expected {self.size} numbers, got {len(fields)}: {_shown(line)}")
        try:
            numbers = list(map(float, fields))
        except ValueError:
            numbers = [math.nan]
        if not all(map(math.isfinite, numbers)):
            wrong = next(i for i, field in enumerate(fields) if not _is_number(field))
            raise DataError(f"{where}, column {wrong + 1}: {_shown(fields[wrong])} is no finite number")
        return numbers


class Frames:
    """Log-mel features of a recording, as tensors (frames, mels)."""

    def __init__(self, path: Path | None, rate: int, mel: dict[str, Any]) -> None:
        if path is None:
            raise UsageError("a recording is read from a file, not from standard input: write it to one first")
        self.position, self._source = 0, LogMel(AudioFile(path, rate=rate, channels=1), **mel)

    @property
    def done(self) -> float:
        return self.position / self._source.length

    @property
    def mark(self) -> str:
        return f"{self._source.length} frames"

    def next(self, steps: int) -> Tensor | None:
        begin, end = self.position, min(self.position + steps, self._source.length)
        try:
            frames = self._source.read(begin, end)
        except DataError as fault:
            if fault.sound is None or fault.sound <= begin:
                raise
            frames = self._source.read(begin, min(end, fault.sound))
        self.position += len(frames)
        return frames if len(frames) else None

    def skip(self, steps: int) -> None:
        self.position = min(self.position + steps, self._source.length)


def _fields(line: bytes) -> list[bytes]:
    return [field.strip() for field in line.split(b",")] if b"," in line else line.split()


def _is_number(field: bytes) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def _shown(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")
