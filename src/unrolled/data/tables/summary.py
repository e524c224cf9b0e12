"""What was understood of a table, line by line, for people to check before the training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy

from .months import in_months
from .parts import Parts
from .roles import Understood
from .series import Roles, Series
from .sheet import Sheet
from .time_column import time_column
from .zones import steady

SHOWN = 6  # columns or names in a line
NAMES = ("training", "validation", "test")
UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))
MONTHS = {1: "month", 3: "quarter", 12: "year"}
Array = numpy.ndarray[Any, Any]


def summary(
    sheet: Sheet,
    understood: Understood,
    series: Sequence[Series],
    parts: Parts,
    files: tuple[str, str] = ("", ""),
) -> list[tuple[str, str]]:
    """What was understood of a table: how it is written, the order of its rows, its series and parts, and what is left
    out. Each line has a word before it.

    >>> summary(sheet, find_roles(sheet, options), series, parts)[0]
    ('time', 'day, 2021-01-01 to 2021-12-31, every day')

    Args:
        sheet: the table.
        understood: what its columns are for.
        series: at least one.
        parts: the steps for training, validation and testing.
        files: those that are given for validation and testing, or ''.
    """
    roles = understood.roles
    lines = [("file", ", ".join(notes))] if (notes := _writing(sheet, roles)) else []
    lines.append(("time", order_of(sheet, roles, series)))
    if roles.keys:
        lines.append(("series", _series(roles, series)))
    shown = zip(NAMES, parts, ("", *files), strict=True)
    told = [f"{name} {file}" if file else _part(name, series, spans) for name, spans, file in shown]
    lines.append(("parts", "; ".join(told)))
    if understood.left_out:
        lines.append(("without", few([f"{name} ({why})" for name, why in understood.left_out.items()])))
    return lines


def few(names: Sequence[str]) -> str:
    """The first names of a list, and how many more there are.

    >>> few(list("abcdefgh"))
    'a, b, c, d, e, f and 2 more'
    """
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def _writing(sheet: Sheet, roles: Roles) -> list[str]:
    """What is special about how the file is written."""
    notes = list(sheet.notes)
    used = [name for name in (*roles.inputs, *roles.future, *([] if roles.labels else [roles.target])) if name]
    if any(sheet.column(name).note for name in used):
        notes += [f"{name}: {sheet.column(name).note}" for name in used if sheet.column(name).note]
    return notes if sheet.decimal == "." else [*notes, "decimal comma"]


def order_of(sheet: Sheet, roles: Roles, series: Sequence[Series]) -> str:
    """The column of the time, its first and last time, its step and its gaps; else that rows are in order."""
    if not roles.time:
        return f"rows in the order of the file, {sheet.rows:,}"
    times = [one.clock for one in series if one.clock is not None]
    first, last = min(t[0] for t in times), max(t[-1] for t in times)
    note = time_column(sheet, roles.time).note
    name = f"{roles.time} ({note})" if note else roles.time
    shown = f"{name}, {shown_time(first)} to {shown_time(last)}, {regularity_of(series)}"
    falling = all(len(one.rows) < 2 or one.rows[0] > one.rows[-1] for one in series) and sheet.rows > len(series)
    resorted = any((numpy.diff(one.rows) < 0).any() for one in series)
    order = "; the newest row is first in the file" if falling else "; rows were sorted" if resorted else ""
    return shown + order


def shown_time(time: Any) -> str:
    """A point in time for people: without zeros of the clock at its end, a number without decimals if it has none."""
    if isinstance(time, numpy.datetime64):
        day, _, clock = str(time.astype("datetime64[s]")).partition("T")
        return day if clock == "00:00:00" else f"{day} {clock.removesuffix(':00')}"
    return f"{time:.10g}"


def regularity_of(series: Iterable[Series]) -> str:
    """The step between the times of series, see ``regularity``. Days are those of local clocks."""
    measured = [one.clock if one.time is not None and steady(one.time, one.zone) else one.time for one in series]
    return regularity([times for times in measured if times is not None])


def regularity(times: Iterable[Array]) -> str:
    """The step between times, and how often it is longer.

    >>> regularity([numpy.array([1.0, 2.0, 3.0, 6.0])])
    'every 1; 1 gap, the largest of 3'
    """
    several = [one for one in times if len(one) > 1]
    if not several:
        return "one row each"
    dated = several[0].dtype.kind == "M"
    months = [found.months for one in several if (found := in_months(one))] if dated else []
    if len(months) == len(several):
        steps = numpy.concatenate([numpy.diff(of.astype("int64")).astype("float64") for of in months])
    else:
        dated_steps = [numpy.diff(one) for one in several]
        steps = numpy.concatenate([d.astype("int64") / 1e9 if dated else d for d in dated_steps])
        months = []
    values, counts = numpy.unique(steps, return_counts=True)
    usual = float(values[counts.argmax()])
    name = _in_months if months else _in_units if dated else "{:.10g}".format
    if counts.max() < 0.5 * counts.sum():
        return f"irregular: {name(float(values[0]))} to {name(float(values[-1]))} apart"
    longer = int((steps > usual).sum())
    shorter = int((steps < usual).sum())
    gaps = f"; {longer:,} gap{'s' * (longer > 1)}, the largest of {name(float(values[-1]))}" if longer else ""
    return f"every {name(usual).removeprefix('1 ') if dated else name(usual)}{gaps}" + (
        f"; {shorter:,} shorter step{'s' * (shorter > 1)}" if shorter else ""
    )


def _in_months(count: float) -> str:
    number = max(n for n in MONTHS if count % n == 0)
    return f"{count / number:.10g} {MONTHS[number]}{'s' * (count != number)}"


def _in_units(seconds: float) -> str:
    size, unit = next(((size, unit) for size, unit in UNITS if seconds % size == 0), (1, "second"))
    return f"{seconds / size:.10g} {unit}{'s' * (seconds != size)}"


def _series(roles: Roles, series: Sequence[Series]) -> str:
    lengths = sorted(len(one.x) for one in series)
    rows = f"{lengths[0]:,} rows each" if lengths[0] == lengths[-1] else f"{lengths[0]:,} to {lengths[-1]:,} rows"
    return f"{len(series):,} by {', '.join(roles.keys)} ({few([one.name for one in series])}), {rows}"


def _part(name: str, series: Sequence[Series], spans: Sequence[Any]) -> str:
    """The times, or the rows, of a part."""
    if any(series[span.series].time is None for span in spans) or not spans:
        rows = sum(len(series[span.series].x[span.first : span.end]) for span in spans)
        return f"{name} {rows:,} rows"
    times = [clock[span.first : span.end] for span in spans if (clock := series[span.series].clock) is not None]
    return f"{name} {shown_time(min(t[0] for t in times))} to {shown_time(max(t[-1] for t in times))}"
