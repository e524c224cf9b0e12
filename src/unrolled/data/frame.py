"""Tables: reading CSV and Parquet, checking columns, sorting rows into sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy

from ..errors import DataError, did_you_mean
from ..files.read import read_bytes

MISSING = {"", "na", "n/a", "nan", "null", "none", "-"}


class Frame:
    """The columns of a table by name: the values of each, None where one is missing.

    Raises:
        DataError: the file cannot be read as a table, has duplicate column names, or no rows.
    """

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            from pyarrow import csv, parquet
        except ImportError:
            raise DataError("reading tables needs pyarrow: pip install 'unrolled[tables]'") from None
        self.path, self.content = path, read_bytes(path, "a table (CSV, TSV, Parquet)")
        try:
            # Arrow's threads outlive Python. One that holds a Python object then aborts the process
            # (apache/arrow#34314). So Arrow gets its own copy, and reads it without threads where it can.
            copy = pyarrow.BufferOutputStream()
            copy.write(self.content)
            source = pyarrow.BufferReader(copy.getvalue())
            if path.suffix.lower() == ".parquet":
                table = parquet.read_table(source, use_threads=False, pre_buffer=False)
            else:
                delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
                table = csv.read_csv(
                    source,
                    csv.ReadOptions(use_threads=False),
                    csv.ParseOptions(delimiter=delimiter),
                    csv.ConvertOptions(strings_can_be_null=True, null_values=sorted(MISSING | {"NA", "NaN"})),
                )
        except (pyarrow.ArrowException, ValueError) as problem:
            first = (str(problem).splitlines() or [type(problem).__name__])[0]
            raise DataError(f"'{path}' cannot be read as a table: {first[:200]}") from None
        if len(set(table.column_names)) < len(table.column_names):
            raise DataError(f"'{path}' has duplicate column names: {', '.join(table.column_names)}")
        self.columns: dict[str, list[Any]] = {n: table.column(n).to_pylist() for n in table.column_names}
        self.rows = table.num_rows
        if not self.rows:
            raise DataError(f"'{path}' has no rows under its header")

    def column(self, name: str, what: str) -> list[Any]:
        """The values of a column. ``what`` says what it is for, in case it is missing."""
        if name not in self.columns:
            hint = did_you_mean(name, self.columns) or f". It has {', '.join(self.columns)}"
            raise DataError(f"'{self.path}' has no column '{name}' ({what}){hint}")
        return self.columns[name]

    def is_number(self, name: str) -> bool:
        """Whether all values of a column are numbers or missing."""
        return all(v is None or (isinstance(v, (int, float)) and not isinstance(v, str)) for v in self.columns[name])

    def numbers(self, name: str, what: str) -> numpy.ndarray:
        """A column of numbers (rows,), NaN where one is missing.

        Raises:
            DataError: a value is not a finite number, with its row.
        """
        values = self.column(name, what)
        result = numpy.full(len(values), numpy.nan)
        for row, value in enumerate(values):
            try:
                result[row] = numpy.nan if value is None else float(value)
            except (TypeError, ValueError):
                raise DataError(
                    f"{self.path}:{row + 2}: column '{name}' ({what}) must hold numbers, got {str(value)[:40]!r}. "
                    "Write numbers with a decimal point, and leave missing values empty"
                ) from None
        if numpy.isinf(result).any():
            row = int(numpy.isinf(result).argmax())
            where = f"{self.path}:{row + 2}: column '{name}' ({what})"
            raise DataError(f"{where} must hold finite numbers, got {result[row]}")
        return result

    def sequences(self, key: str, time: str) -> dict[str, list[int]]:
        """The rows of each sequence, sorted by time, by the value of the column ``key`` ('' for one sequence).

        Raises:
            DataError: a row has no key or no time, or a sequence has the same time twice.
        """
        keys = self.column(key, "the sequence of each row") if key else ["" for _ in range(self.rows)]
        times: Sequence[Any] = self.column(time, "the time") if time else range(self.rows)
        rows: dict[str, list[int]] = {}
        for row, (name, at) in enumerate(zip(keys, times, strict=True)):
            for column, value in ((key, name), (time, at)):
                if value is None:
                    raise DataError(f"{self.path}:{row + 2}: column '{column}' is empty; every row needs a value")
            rows.setdefault(str(name), []).append(row)
        for name, members in rows.items():
            self._sort(members, times, time, f" of sequence '{name}'" if key else "")
        return rows

    def _sort(self, rows: list[int], times: Sequence[Any], time: str, of: str) -> None:
        """Sort the rows of a sequence by time."""
        try:
            rows.sort(key=lambda row: times[row])
        except TypeError:
            raise DataError(f"'{self.path}': column '{time}' mixes types of values, which cannot be sorted") from None
        for a, b in pairwise(rows):
            if times[a] == times[b]:
                raise DataError(
                    f"{self.path}:{b + 2}: duplicate time {times[b]}{of} (first seen in row {a + 2}); times must be "
                    "unique within a sequence. If there are several sequences, name their column with "
                    "--set data.sequence=COLUMN"
                )


@dataclass(frozen=True)
class Rows:
    """One sequence of a table: inputs x (steps, columns), NaN where one is missing; targets y (steps,), or none; and
    the rows of the table."""

    name: str
    x: numpy.ndarray
    y: list[Any] | numpy.ndarray
    rows: list[int]


def read_rows(frame: Frame, inputs: list[str], target: str | None, goal: str, key: str, time: str) -> list[Rows]:
    """The sequences of a table, sorted by name, each sorted by time.

    Args:
        inputs, target: columns; no target for sequences without one.
        goal: 'forecast' a target of numbers, or label 'steps' or 'sequences'.
        key, time: the columns of the sequence and of the time, or ''.

    Raises:
        DataError: a column is missing or does not hold numbers; a label is empty; a sequence has several labels.
    """
    x = numpy.stack([frame.numbers(name, "an input") for name in inputs], 1)
    labels: Any = None
    if target is not None:
        labels = frame.numbers(target, "the target") if goal == "forecast" else frame.column(target, "the label")
    found = []
    for name, rows in sorted(frame.sequences(key, time).items()):
        y = [labels[row] for row in rows] if labels is not None else []
        if goal != "forecast" and target is not None:
            empty = next((row for row, value in zip(rows, y, strict=True) if value is None), None)
            if empty is not None:
                raise DataError(f"{frame.path}:{empty + 2}: column '{target}' (the label) is empty")
            if goal == "sequences" and len({str(v) for v in y}) > 1:
                raise DataError(
                    f"'{frame.path}': sequence '{name}' has several labels in column '{target}'. To label each row, "
                    "use data.goal=steps"
                )
        found.append(Rows(name, x[rows], y, rows))
    return found
