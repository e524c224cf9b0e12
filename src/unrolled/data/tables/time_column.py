"""The column of a table that is its time: found, or named."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy

from ...errors import DataError
from .cells import Cells
from .column import Column
from .dates import Dates, parse_dates
from .sheet import Sheet

if TYPE_CHECKING:
    import pandas

Array = numpy.ndarray[Any, Any]
IN_ORDER = "rows"  # data.time: keep the order of the rows
NAMES = {
    *("time", "date", "day", "week", "month", "quarter", "year", "hour", "minute", "second", "t", "timestamp"),
    *("datetime", "period", "step", "index", "ds", "zeit", "datum", "tag", "woche", "monat", "quartal", "jahr"),
}
CLOCK_TIME = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?[AaPp]\.?[Mm]\.?)?")
KEEP = "To keep the order of the rows: --time rows"


def times_of(sheet: Sheet, name: str) -> Array:
    """A column as points in time: datetime64[ns] or float64 (rows,).

    Raises:
        DataError: a cell is neither a date nor a number, is empty, or can be read in several ways.
    """
    column = time_column(sheet, name)
    if column.ask:
        raise DataError(f"'{sheet.path}': column '{name}' (the time): {column.ask}")
    if column.kind in ("texts", "nothing"):
        raise _no_time(sheet, column)
    missing = numpy.isnat(column.values) if column.kind == "dates" else numpy.isnan(column.values)
    if missing.any():
        at = int(missing.argmax())
        footer = _footer(sheet, int(missing.sum()), at)
        raise DataError(f"{sheet.place(at)}: column '{name}' is empty; every row needs a value{footer}")
    return sheet.numbers(name, "the time") if column.kind == "numbers" else column.values


def time_column(sheet: Sheet, name: str) -> Column:
    """A column as it is read as the time: days written as 20210131 are dates, and a column of days and one of clock
    times (with a comma between their names) are one."""
    parts = parts_of_time(sheet, name)
    if len(parts) > 1:
        return _joined(sheet, name, parts)
    column = sheet.column(name, "the time")
    values = column.values
    if column.kind != "numbers" or not ((values >= 1e7) & (values < 1e8)).all() or (values % 1 != 0).any():
        return column
    texts = [f"{day // 10000:04}-{day // 100 % 100:02}-{day % 100:02}" for day in values.astype(int).tolist()]
    found = parse_dates(texts)
    return Column(column.name, "dates", found.values, note="days such as 20210131") if found.kind else column


def parts_of_time(sheet: Sheet, name: str) -> tuple[str, ...]:
    """The columns that the time is made of: one, or two with a comma between their names; none for rows in order."""
    if not name or name in sheet.names or "," not in name:
        return (sheet.require(name, "the time"),) if name else ()
    return tuple(sheet.require(part.strip(), "the time") for part in name.split(","))


def _joined(sheet: Sheet, name: str, parts: Sequence[str]) -> Column:
    """Columns of texts as one of dates, such as 2021-01-31 and 18:30."""
    import pandas

    texts = [sheet.texts(part, "the time") for part in parts]
    together = pandas.Series([" ".join(cells).strip() for cells in zip(*texts, strict=True)], dtype=str)
    cells = Cells.of(together, sheet.form.empty)
    found = parse_dates(cells.known, sheet.form.dates) if cells.known else Dates()
    if not found.kind:
        at = found.strange[0] if found.strange else 0
        return Column(name, "texts", together.to_numpy(dtype=object), strange=(cells.known or [""])[at])
    missing = numpy.datetime64("NaT", "ns")
    dates = cells.spread(numpy.full(len(cells.known), missing) if found.ask else found.values, missing)
    return Column(name, "dates", dates, ask=found.ask, note=found.note, zone=found.zone)


def _clock(sheet: Sheet, keys: Sequence[str], apart: set[str]) -> str:
    """The only column of clock times, such as 18:30; '' without one."""
    names = [name for name in sheet.names if name not in apart and name not in keys and sheet.has_texts(name)]
    found = [n for n in names if (known := sheet.cells(n).known) and all(map(CLOCK_TIME.fullmatch, known))]
    return found[0] if len(found) == 1 else ""


def _no_time(sheet: Sheet, column: Column) -> DataError:
    shown = column.strange or str(column.values[0])
    where = sheet.place(column.row or 0)
    return DataError(
        f"{where}: column '{column.name}' (the time) must hold dates or numbers, got {shown[:40]!r}"
        f"{_footer(sheet, column.end, sheet.rows - column.end)}. Write dates such as 2021-01-31, 31.01.2021 or "
        f"Jan 31, 2021. {KEEP}"
    )


def _footer(sheet: Sheet, count: int, first: int) -> str:
    """What to do about rows at the end that are no data, such as a total."""
    if not count or first + count != sheet.rows:
        return ""
    return f". If rows at the end are totals or notes, leave them out: --set data.footer={count}"


def find_time(sheet: Sheet, named: str, keys: Sequence[str], apart: set[str], numbers: bool) -> str:
    """The column of the time; '' for rows in order.

    Args:
        sheet: the table.
        named: the option data.time; '' to find the column.
        keys: the columns that tell series apart.
        apart: columns with another role.
        numbers: whether a column of rising numbers with a name such as 'year' may be the time.

    Raises:
        DataError: there are several columns of dates, or their dates are not in order.
    """
    if named:
        if named == IN_ORDER and named not in sheet.names:
            return ""
        return ",".join(parts) if len(parts := parts_of_time(sheet, named)) > 1 else parts[0]
    columns = [sheet.column(name) for name in sheet.names if name not in apart and name not in keys]
    for column in columns:
        if column.end and _dates_before(column):
            raise _no_time(sheet, column)
    dates = [column.name for column in columns if column.kind == "dates"]
    if len(dates) == 1 and (clock := _clock(sheet, keys, apart)):
        dates = [f"{dates[0]},{clock}"]
    order = {name: _order(sheet, name, keys) for name in dates}
    if dates and all(way == "rising" for way in order.values()):
        return dates[0]
    if len(dates) > 1:
        ways = " or ".join(f"--time '{name}'" if " " in name else f"--time {name}" for name in dates)
        raise DataError(f"'{sheet.path}' has several columns of dates. Say which one is the time: {ways}. {KEEP}")
    if dates:
        return _only(sheet, dates[0], order[dates[0]], keys)
    for column in columns if numbers else ():
        if column.kind == "numbers" and column.name.lower() in NAMES and _order(sheet, column.name, keys) != "mixed":
            return column.name
    return ""


def _dates_before(column: Column) -> bool:
    """Whether the cells of a column are dates but for some at its end."""
    texts = [str(text) for text in dict.fromkeys(column.values[: -column.end].tolist()) if str(text).strip()]
    return bool(texts) and bool(parse_dates(texts).kind)


def _order(sheet: Sheet, name: str, keys: Sequence[str]) -> str:
    """How the times of each series change: 'rising', 'falling', 'mixed', or 'repeated' if one has a time twice."""
    import pandas

    column = time_column(sheet, name)
    values = column.values if column.kind == "numbers" else times_of(sheet, name)
    if column.kind == "numbers" and not numpy.isfinite(values).all():
        return "mixed"
    frame = pandas.DataFrame({"time": values, **{f"key {k}": sheet.texts(k, "the sequence") for k in keys}})
    if frame.duplicated().any():
        return "mixed" if column.kind == "numbers" else "repeated"
    groups = frame.groupby([f"key {k}" for k in keys])["time"] if keys else frame["time"]
    change = groups.diff().dropna()
    zero = pandas.Timedelta(0) if column.kind == "dates" else 0.0
    return "rising" if (change > zero).all() else "falling" if (change < zero).all() else "mixed"


def _only(sheet: Sheet, name: str, order: str, keys: Sequence[str]) -> str:
    """The only column of dates, if its order leaves no question."""
    if order in ("rising", "falling"):
        return name
    if order == "mixed":
        raise DataError(
            f"'{sheet.path}': the dates of column '{name}' neither rise nor fall from row to row. To sort the rows by "
            f"them: --time {_quoted(name)}. {KEEP}"
        )
    fits = _telling_apart(sheet, name, keys)
    several = int(_by_time(sheet, name, keys).groupby([name, *keys]).size().max())
    hint = f", such as --sequence {_quoted(fits[0])}" if fits else ""
    raise DataError(
        f"'{sheet.path}': column '{name}' has the same date in up to {several} rows, as in a table of several series. "
        f"Name the columns that tell them apart: --sequence COLUMN{hint}. {KEEP}"
    )


def _by_time(sheet: Sheet, name: str, keys: Sequence[str]) -> pandas.DataFrame:
    return sheet.frame[[*keys]].assign(**{name: times_of(sheet, name)})


def _telling_apart(sheet: Sheet, name: str, keys: Sequence[str]) -> list[str]:
    """The columns of texts with which no date is repeated."""
    frame = _by_time(sheet, name, keys)
    texts = [n for n in sheet.names if n not in (name, *keys) and sheet.column(n).kind == "texts"]
    apart = {n: frame.assign(**{"key": sheet.frame[n]}) for n in texts if sheet.frame[n].nunique() < sheet.rows}
    return [n for n, with_key in apart.items() if not with_key.duplicated().any()]


def _quoted(name: str) -> str:
    import shlex

    return shlex.quote(name)
