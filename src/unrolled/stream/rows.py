"""A stream of rows of numbers."""

from __future__ import annotations

import codecs
import math
import zlib

import torch
from torch import Tensor

from ..errors import DataError
from .bytes import ByteStream, Decoded

LONGEST = 1 << 24  # bytes of a line


class Rows(Decoded):
    """Lines of ``size`` numbers, separated by commas or blanks, as tensors (rows, size). The first line may hold names
    instead."""

    def __init__(self, stream: ByteStream, size: int, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(stream)
        self.size, self.dtype = size, dtype
        self._lines: list[bytes] = []  # the next line is the last of them
        self._part, self._line = b"", 0
        self._fault: DataError | None = None  # after the rows that were returned last

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
        """The next line that is not empty. Names in the first line are skipped."""
        while True:
            while not self._lines:
                if not self._fill():
                    return None
            line = self._lines.pop().strip()
            self._line += 1
            if self._line == 1:
                line = line.removeprefix(codecs.BOM_UTF8).strip()
            if not line or (self._line == 1 and all(map(_is_name, _fields(line)))):
                continue
            self.position += 1
            self._checksum = zlib.crc32(line, self._checksum)
            return line

    def _fill(self) -> bool:
        block = self._stream.read()
        lines = (self._part + block).split(b"\n")
        self._part = lines.pop() if block else b""
        if len(self._part) > LONGEST:
            raise DataError(f"{self._stream.name} has no line break within {LONGEST:,} bytes; expected rows of numbers")
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
            raise DataError(f"{where}, column {wrong + 1}: {_shown(fields[wrong])} is not a finite number")
        return numbers


def _fields(line: bytes) -> list[bytes]:
    return [field.strip() for field in line.split(b",")] if b"," in line else line.split()


def _is_name(field: bytes) -> bool:
    """Whether a field is not a number; 'nan' and 'inf' are numbers that cannot be read."""
    try:
        float(field)
    except ValueError:
        return True
    return False


def _is_number(field: bytes) -> bool:
    try:
        return math.isfinite(float(field))
    except ValueError:
        return False


def _shown(content: bytes) -> str:
    text = content.decode("utf-8", "replace")
    return repr(text if len(text) <= 40 else text[:40] + "...")
