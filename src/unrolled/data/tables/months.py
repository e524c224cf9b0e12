"""Dates that are whole months apart: on the same day of each month, its last day, or its first or last weekday."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy

Array = numpy.ndarray[Any, Any]
Rule = Callable[[Array], Array]  # from months to a date in each
ENOUGH = 4  # dates that show that they are on a weekday; fewer may be four weeks apart


class Months(NamedTuple):
    """The months of some dates (steps,), and the date in each month."""

    months: Array
    date_in: Rule


def in_months(times: Array) -> Months | None:
    """The months of dates that are whole months apart; None if they are not.

    >>> found = in_months(numpy.array(["2024-01-31", "2024-02-29", "2024-04-30"], "datetime64[ns]"))
    >>> found.date_in(found.months[-1:] + 1).astype("datetime64[D]")
    array(['2024-05-31'], dtype='datetime64[D]')

    Args:
        times: datetime64[ns] (steps,), rising.
    """
    months = times.astype("datetime64[M]")
    if len(times) < 2 or (numpy.diff(months.astype("int64")) <= 0).any():
        return None
    last, kind = times[-1], times.dtype
    from_start, to_end = last - months[-1].astype(kind), (months[-1] + 1).astype(kind) - last
    clock = last - last.astype("datetime64[D]")
    rules: list[Rule] = [lambda of: of.astype(kind) + from_start, lambda of: (of + 1).astype(kind) - to_end]
    if len(times) >= ENOUGH:
        rules.append(lambda of: _weekday(of + 1, -1).astype(kind) + clock)
        rules.append(lambda of: _weekday(of, 0).astype(kind) + clock)
    return next((Months(months, rule) for rule in rules if (rule(months) == times).all()), None)


def _weekday(months: Array, offset: int) -> Array:
    """The first weekday of each month, or one that is some weekdays from it."""
    return numpy.busday_offset(months.astype("datetime64[D]"), offset, roll="forward")
