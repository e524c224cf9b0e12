"""Columns of values as JSON lines or CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from ..errors import UsageError

Columns = Mapping[str, "Tensor | list[str]"]  # by name: tensors (rows,) or (rows, size), or texts
FORMATS = ("jsonl", "csv")


class Format:
    """Columns as text. Numbers have nine digits, which is enough to restore a float32 exactly; NaN and infinity become
    null, or an empty field."""

    def __init__(self, form: str) -> None:
        if form not in FORMATS:
            raise UsageError(f"--format must be {' or '.join(FORMATS)}, got '{form}'")
        self.form = form

    def head(self, columns: Columns) -> str:
        """What is written before the first row: for CSV, the names of the columns."""
        if self.form == "jsonl":
            return ""
        names = []
        for name, column in columns.items():
            wide = isinstance(column, Tensor) and column.ndim > 1
            names += [f"{name}_{i}" for i in range(column.shape[1])] if wide else [name]  # type: ignore[union-attr]
        return ",".join(names) + "\n"

    def rows(self, columns: Columns) -> str:
        """The rows of some columns."""
        rows = zip(*map(_values, columns.values()), strict=True)
        if self.form == "csv":
            text = io.StringIO()
            csv.writer(text, lineterminator="\n").writerows(_flat(row) for row in rows)
            return text.getvalue()
        keys = [json.dumps(name) + ": " for name in columns]
        return "".join(
            "{" + ", ".join(key + _json(value) for key, value in zip(keys, row, strict=True)) + "}\n" for row in rows
        )


def _values(column: Tensor | list[str]) -> list[Any]:
    return column.tolist() if isinstance(column, Tensor) else column


def _number(value: float) -> str:
    return f"{value:.9g}" if value - value == 0 else ""  # false for NaN and infinity


def _json(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(map(_json, value)) + "]"
    return (_number(value) or "null") if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def _flat(row: tuple[Any, ...]) -> Iterator[Any]:
    for value in row:
        for entry in value if isinstance(value, list) else [value]:
            yield _number(entry) if isinstance(entry, float) else entry
