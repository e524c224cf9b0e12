"""Tables: reading CSV and Parquet, finding columns, putting rows into sequences in the order of time."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy

from ..errors import DataError, did_you_mean
from ..files.read import read_bytes

MISSING = {"", "na", "n/a", "nan", "null", "none", "-"}


class Frame:
    """The columns of a table by name: each a list of what stands in its rows, None where nothing does."""

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow
            from pyarrow import csv, parquet
        except ImportError:
            raise DataError("to read tables takes pyarrow: pip install 'unrolled[tables]'") from None
        self.path, self.content = path, read_bytes(path, "a table (CSV, TSV, Parquet)")
        try:
            # Arrow's threads end after Python does. One that still holds a Python object then aborts the process
            # (apache/arrow#34314), so Arrow gets a copy of its own, and reads it without threads where it can.
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
            raise DataError(f"'{path}' has two columns of one name: {', '.join(table.column_names)}")
        self.columns: dict[str, list[Any]] = {n: table.column(n).to_pylist() for n in table.column_names}
        self.rows = table.num_rows
        if not self.rows:
            raise DataError(f"'{path}' has no rows under its header")

    def column(self, name: str, what: str) -> list[Any]:
        """A column that there must be. ``what`` says what it is for."""
        if name not in self.columns:
            hint = did_you_mean(name, self.columns) or f". It has {', '.join(self.columns)}"
            raise DataError(f"'{self.path}' has no column '{name}' ({what}){hint}")
        return self.columns[name]

    def is_number(self, name: str) -> bool:
        """Whether a column holds numbers alone."""
        return all(v is None or (isinstance(v, (int, float)) and not isinstance(v, str)) for v in self.columns[name])

    def numbers(self, name: str, what: str) -> numpy.ndarray:
        """A column of numbers, NaN where nothing stands.

        Raises:
            DataError: the row in which something else stands.
        """
        values = self.column(name, what)
        result = numpy.full(len(values), numpy.nan)
        for row, value in enumerate(values):
            try:
                result[row] = numpy.nan if value is None else float(value)
            except (TypeError, ValueError):
                raise DataError(
                    f"{self.path}:{row + 2}: column '{name}' ({what}) must hold numbers, got {str(value)[:40]!r}. "
                    "Write numbers with a point, and leave a cell empty where there is none"
                ) from None
        if numpy.isinf(result).any():
            row = int(numpy.isinf(result).argmax())
            raise DataError(f"{self.path}:{row + 2}: column '{name}' ({what}) holds {result[row]}")
        return result

    def sequences(self, key: str, time: str) -> dict[str, list[int]]:
        """The rows of each sequence in the order of time, by the value of the column ``key`` ('' for one sequence).

        Raises:
            DataError: a row without a key or a time, and a time that a sequence has twice.
        """
        keys = self.column(key, "which sequence a row belongs to") if key else ["" for _ in range(self.rows)]
        times: Sequence[Any] = self.column(time, "the order of time") if time else range(self.rows)
        rows: dict[str, list[int]] = {}
        for row, (name, at) in enumerate(zip(keys, times, strict=True)):
            for column, value in ((key, name), (time, at)):
                if value is None:
                    raise DataError(f"{self.path}:{row + 2}: column '{column}' is empty; each row needs one")
            rows.setdefault(str(name), []).append(row)
        for name, members in rows.items():
            try:
                members.sort(key=lambda row: times[row])
            except TypeError:
                raise DataError(f"'{self.path}': column '{time}' mixes kinds of values, which have no order") from None
            for a, b in pairwise(members):
                if times[a] == times[b]:
                    of = f" of sequence '{name}'" if key else ""
                    raise DataError(
                        f"{self.path}:{b + 2}: the time {times[b]}{of} stands in row {a + 2} already. Each time may "
                        "stand once in a sequence; name the column of sequences with --set data.sequence=COLUMN"
                    )
        return rows
