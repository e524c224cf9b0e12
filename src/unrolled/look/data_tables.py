"""The columns, series and rows of a table, for the page about data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy

from ..data.table import TableOptions
from ..data.tables.column import Column
from ..data.tables.roles import find_roles
from ..data.tables.series import Series, read_series
from ..data.tables.sheet import Sheet
from ..data.tables.summary import few, regularity_of, shown_time
from ..data.tables.time_column import parts_of_time

Grid = tuple[str, Sequence[str], Iterable[Sequence[object]]]  # a title, the names of columns, rows
SHOWN = 50  # series
ROWS = 10


def columns_of(sheet: Sheet, options: TableOptions) -> Grid:
    """Each column: what it is for, what it holds, and how many cells are missing."""
    understood = find_roles(sheet, options)
    roles = understood.roles
    uses = {
        **{name: f"left out: {why}" for name, why in understood.left_out.items()},
        **dict.fromkeys(roles.inputs, "input"),
        **dict.fromkeys(roles.future, "input, known beyond the end"),
        **dict.fromkeys(parts_of_time(sheet, roles.time), "time"),
        **dict.fromkeys(roles.keys, "sequence"),
        roles.target: "target",
    }
    rows = [(name, uses.get(name, ""), *_held(sheet.column(name))) for name in sheet.names]
    rows += [(name, uses[name], "", "", "") for name in understood.left_out if name not in sheet.names]
    return "columns", ("name", "for", "holds", "from, to", "missing"), rows


def _held(column: Column) -> tuple[str, str, str]:
    """What a column holds, its range, and its number of missing cells."""
    if column.kind in ("texts", "nothing"):
        different = list(dict.fromkeys(map(str, column.values)))
        return column.kind, few([text[:20] for text in different]), f"{sum(v == '' for v in column.values):,}"
    missing = numpy.isnat(column.values) if column.kind == "dates" else numpy.isnan(column.values)
    there = column.values[~missing]
    span = f"{shown_time(there.min())}, {shown_time(there.max())}" if len(there) else column.ask
    return column.kind, span, f"{int(missing.sum()):,}{column.words}"


def series_of(sheet: Sheet, options: TableOptions) -> Grid:
    """Each series: its length, its time from and to, and its gaps."""
    series = read_series(sheet, find_roles(sheet, options).roles)
    more = [(f"and {len(series) - SHOWN} more", "", "", "")] if len(series) > SHOWN else []
    names = ("name", "rows", "from, to", "steps")
    return "series", names, [*map(_row, series[:SHOWN]), *more]


def _row(series: Series) -> tuple[str, str, str, str]:
    rows = f"{len(series.rows):,}"
    times = series.clock
    if times is None:
        return series.name, rows, "", "in the order of the file"
    span = f"{shown_time(times[0])}, {shown_time(times[-1])}"
    return series.name, rows, span, regularity_of([series])


def rows_of(sheet: Sheet) -> Grid:
    """The first rows, as they are in the file."""
    frame = sheet.frame.head(ROWS)
    return "first rows", sheet.names, frame.astype(object).where(frame.notna(), "").values.tolist()
