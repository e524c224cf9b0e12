"""What goes out while a stream is read: tables of one row per step, as JSON lines or CSV, to a file or a pipe."""

from __future__ import annotations

import csv
import io
import json
import os
import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import DataError, UnrolledError, UsageError, reason
from ..files.lock import lock
from ..files.read import no_such_file

Table = Mapping[str, "Tensor | list[str]"]  # columns by name: tensors (rows,) or (rows, size), or words
FORMATS = ("jsonl", "csv")


class Writer:
    """Tables as text: numbers with the nine digits that make a float32 come back the same; what is not finite as null,
    or an empty field."""

    def __init__(self, form: str) -> None:
        if form not in FORMATS:
            raise UsageError(f"--format must be {' or '.join(FORMATS)}, got '{form}'")
        self.form = form

    def head(self, table: Table) -> str:
        """What comes before the first row: names of columns for CSV."""
        if self.form == "jsonl":
            return ""
        names = []
        for name, column in table.items():
            wide = isinstance(column, Tensor) and column.ndim > 1
            names += [f"{name}_{i}" for i in range(column.shape[1])] if wide else [name]  # type: ignore[union-attr]
        return ",".join(names) + "\n"

    def rows(self, table: Table) -> str:
        """All rows of a table."""
        rows = zip(*map(_values, table.values()), strict=True)
        if self.form == "csv":
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(_flat(row) for row in rows)
            return text.getvalue()
        keys = [json.dumps(name) + ": " for name in table]
        return "".join(
            "{" + ", ".join(key + _json(value) for key, value in zip(keys, row, strict=True)) + "}\n" for row in rows
        )


def _values(column: Tensor | list[str]) -> list[Any]:
    return column.tolist() if isinstance(column, Tensor) else column


def _number(value: float) -> str:
    return f"{value:.9g}" if value - value == 0 else ""  # not so for nan and the infinities


def _json(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return (_number(value) or "null") if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _flat(row: tuple[Any, ...]) -> Iterator[Any]:
    for value in row:
        for entry in value if isinstance(value, list) else [value]:
            yield _number(entry) if isinstance(entry, float) else entry


class OutputFile:
    """A file that is written to its end and can be gone on with from a place that was reached before.

    Raises:
        UsageError: it is there already, and is neither to be replaced nor gone on with; another process writes it.
        DataError: it cannot be written; it is shorter than the place to go on from.
    """

    def __init__(self, path: Path, size: int | None = None, overwrite: bool = False) -> None:
        self.path = path
        if size is None and path.exists() and not overwrite:
            raise UsageError(
                f"'{path}' is there already. Choose another --out, add --resume to go on with it, or --overwrite"
            )
        try:
            # neither emptied nor cut before it is known that nobody else writes it
            self._file = path.open("ab" if size is None else "r+b", buffering=0)
        except FileNotFoundError:
            raise no_such_file(path, "an output to go on with, or a place for one") from None
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
        lock(self._file.fileno(), f"another process is writing '{self.path}'. Wait for it, or choose another --out")
        if not stat.S_ISREG(os.fstat(self._file.fileno()).st_mode):
            return  # a pipe or a device, such as /dev/null
        there = self._file.seek(0, os.SEEK_END)
        if there < size:
            raise DataError(f"'{self.path}' has {there} bytes, but {size} were written. Begin again: --overwrite")
        self._file.truncate(size)
        self._file.seek(size)

    def write(self, text: str) -> None:
        content = memoryview(text.encode("utf-8", "surrogatepass"))
        self.size += len(content)
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError as problem:
            raise DataError(f"'{self.path}' cannot be written: {reason(problem)}") from None

    def flush(self) -> None:
        """Onto the disk."""
        if not self.path.is_file():
            return
        try:
            os.fsync(self._file.fileno())
        except OSError as problem:
            raise DataError(f"'{self.path}' cannot be written: {reason(problem)}") from None

    def close(self) -> None:
        self._file.close()


class StandardOutput:
    """The same for a pipe or a terminal, which cannot be gone on with."""

    size = 0

    def write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    def flush(self) -> None:
        sys.stdout.flush()

    def close(self) -> None:
        """Nothing to close."""
