"""The series of a table: its rows by their keys, in order of time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path
from typing import Any

import numpy

from ...errors import DataError
from ...files.shelf import Shelf
from .form import Form
from .read import read_sheet
from .sheet import Sheet
from .time_column import time_column, times_of
from .zones import local

Array = numpy.ndarray[Any, Any]
BETWEEN = " / "  # keys of a name
TOGETHER = 1 << 16  # rows that are read at a time


@dataclass(frozen=True)
class Roles:
    """What the columns of a table are for.

    >>> Roles(time="date", keys=("shop",), target="sales", inputs=("price",))

    time: the column to sort rows by; '' for rows in order.
    keys: the columns that tell series apart.
    target: the column to predict; '' to read none.
    inputs: the columns that are read.
    future: those that are known beyond the end of the target.
    labels: whether the target is read as texts.
    """

    time: str = ""
    keys: tuple[str, ...] = ()
    target: str = ""
    inputs: tuple[str, ...] = ()
    future: tuple[str, ...] = ()
    labels: bool = False


@dataclass(frozen=True)
class Series:
    """One series of a table, in order of time.

    name: its keys; '' where the table is one series.
    time: datetime64[ns], or float64: (steps,). None for rows in order.
    x: inputs (steps, columns), NaN where one is missing.
    y: the target (steps,): float64, NaN where one is missing, or labels, '' where one is missing. Empty without one.
    future: inputs known beyond the end (steps, columns).
    rows: the rows of the file, from 0: (steps,).
    zone: the time zone of the time, which is in UTC here; None without one.
    """

    name: str
    time: Array | None
    x: Array
    y: Array
    future: Array
    rows: Array
    zone: tzinfo | None = None

    @property
    def clock(self) -> Array | None:
        """The time as local clocks show it: (steps,)."""
        return self.time if self.time is None or self.zone is None else local(self.time, self.zone)

    def until(self, steps: int) -> Series:
        """The first steps of the series."""
        time = self.time[:steps] if self.time is not None else None
        return Series(
            self.name, time, self.x[:steps], self.y[:steps], self.future[:steps], self.rows[:steps], self.zone
        )


def read_series(source: Path | Sheet, roles: Roles, form: Form | None = None) -> list[Series]:
    """The series of a table, sorted by name, each in order of time.

    >>> [series.x.shape for series in read_series(Path("shops.csv"), Roles("day", ("shop",), "sales", ("price",)))]
    [(365, 1), (365, 1)]

    Args:
        source: a file, or the table that was read from it.
        roles: what its columns are for.
        form: how the file is written, where it does not decide.

    Raises:
        DataError: a column is missing or does not hold numbers, a key or a time is empty, or a series has a time twice.
    """
    sheet = source if isinstance(source, Sheet) else read_sheet(source, form)
    for name in (*roles.inputs, *roles.future):
        sheet.numbers(name, "an input")
    if not roles.target:
        y = numpy.empty(0)
    elif roles.labels:
        y = sheet.texts(roles.target, "the label")
    else:
        y = sheet.numbers(roles.target, "the target")
    time, zone = (times_of(sheet, roles.time), time_column(sheet, roles.time).zone) if roles.time else (None, None)
    found, shelf = [], Shelf()
    for name, rows in _groups(sheet, roles.keys):
        if time is not None:
            rows = _sorted(sheet, rows, time, f" of sequence '{name}'" if roles.keys else "")
        of_time = shelf.keep(time[rows]) if time is not None else None
        target = shelf.keep(y[rows]) if roles.target and y.dtype != object else y[rows] if roles.target else y
        x, future = (_stacked(sheet, names, rows, shelf) for names in (roles.inputs, roles.future))
        found.append(Series(name, of_time, x, target, future, shelf.keep(rows), zone))
    return found


def _stacked(sheet: Sheet, names: Sequence[str], rows: Array, shelf: Shelf) -> Array:
    """Some rows of columns, side by side: (rows, columns)."""
    columns = [sheet.numbers(name, "an input") for name in names]
    found = shelf.empty((len(rows), len(columns)), "float64")
    for begin in range(0, len(rows) if columns else 0, TOGETHER):
        part = slice(begin, begin + TOGETHER)
        numpy.stack([column[rows[part]] for column in columns], 1, out=found[part])
    return found


def _groups(sheet: Sheet, keys: Sequence[str]) -> list[tuple[str, Array]]:
    """The name and the rows of each series, sorted by name."""
    import pandas

    if not keys:
        return [("", numpy.arange(sheet.rows))]
    texts = {key: sheet.texts(key, "the sequence of each row") for key in keys}
    for key, values in texts.items():
        if (empty := values == "").any():
            where = sheet.place(int(empty.argmax()))
            raise DataError(f"{where}: column '{key}' is empty; every row needs a value")
    groups = pandas.DataFrame(texts).groupby(list(keys), sort=True).indices
    return [(name if isinstance(name, str) else BETWEEN.join(name), rows) for name, rows in groups.items()]


def _sorted(sheet: Sheet, rows: Array, time: Array, of: str) -> Array:
    """Rows in order of time."""
    rows = rows[numpy.argsort(time[rows], kind="stable")]
    again = numpy.flatnonzero(time[rows][1:] == time[rows][:-1])
    if len(again):
        first, second = int(rows[again[0]]), int(rows[again[0] + 1])
        raise DataError(
            f"{sheet.place(second)}: duplicate time {_shown(time[first])}{of} (first seen in {sheet.place(first)}); "
            "times must be unique within a sequence. If there are several sequences, name the columns that tell them "
            "apart: --sequence COLUMN"
        )
    return rows


def _shown(time: Any) -> str:
    return f"{time:g}" if isinstance(time, float) else str(time).split(".")[0].removesuffix("T00:00:00")
