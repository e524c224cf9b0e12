"""The calendar of a series: the step from row to row, the times after its end, and where a time is in the day, week and
year."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

import numpy

from ..tables.months import in_months
from ..tables.zones import instants, local, steady

Array = numpy.ndarray[Any, Any]
DAY = 86_400.0
HARMONICS = 3
WEEK = 6  # days that show whether there are weekends
CYCLES = {"day": DAY, "week": 7 * DAY, "year": 365.25 * DAY}


def is_dates(times: Array | None) -> bool:
    return times is not None and times.dtype.kind == "M"


def step_of(times: Array | None) -> float | None:
    """The usual time from row to row in seconds; None without dates.

    >>> step_of(numpy.array(["2024-01-01", "2024-01-02", "2024-01-04"], "datetime64[ns]"))
    86400.0
    """
    if times is None or not is_dates(times) or len(times) < 2:
        return None
    return float(numpy.median(numpy.diff(times).astype("timedelta64[ns]").astype(float))) / 1e9


def cycles_of(times: Array | None) -> list[str]:
    """The cycles that can be seen in a series: 'day', 'week', 'year'. Each is longer than two steps, and has been seen
    twice."""
    step = step_of(times)
    if step is None or times is None:
        return []
    span = float((times[-1] - times[0]) / numpy.timedelta64(1, "s"))
    return [name for name, seconds in CYCLES.items() if 2.5 * step < seconds and 2 * seconds <= span]


def circles(times: Array | None, cycles: list[str], steps: int) -> Array:
    """Where each time is in each cycle, as sines and cosines: (steps, 6 · cycles).

    >>> circles(numpy.array(["2024-01-01T06:00"], "datetime64[ns]"), ["day"], 1)[0, :2].round(6)
    array([1., 0.])
    """
    found = []
    for name in cycles if times is not None else ():
        angle = 2 * numpy.pi * _share(times, name)[:, None] * numpy.arange(1, HARMONICS + 1)
        found.append(numpy.stack([numpy.sin(angle), numpy.cos(angle)], 2).reshape(steps, -1))
    return numpy.concatenate(found, 1) if found else numpy.zeros((steps, 2 * HARMONICS * len(cycles)))


def _share(times: Any, name: str) -> Array:
    """The share of the cycle that is over at each time, from 0 to 1."""
    unit = {"day": "D", "week": "W", "year": "Y"}[name]
    start = times.astype(f"datetime64[{unit}]")
    length = ((start + 1).astype(times.dtype) - start.astype(times.dtype)).astype(float)
    return (times - start.astype(times.dtype)).astype(float) / length


def following(times: Array | None, count: int, steps: int, zone: tzinfo | None = None) -> Array:
    """The times after the end of a series: dates in its rhythm, numbers at its usual distance, or the numbers of rows.

    >>> following(numpy.array(["2024-01-31", "2024-02-29", "2024-03-31"], "datetime64[ns]"), 2, 3).astype(
    ...     "datetime64[D]"
    ... )
    array(['2024-04-30', '2024-05-31'], dtype='datetime64[D]')

    Args:
        times: datetime64[ns] or numbers (steps,), rising; None for rows in order.
        count: the number of times to find.
        steps: the number of rows.
        zone: the time zone of dates in UTC. Days and months go on at the same time of local clocks.
    """
    if times is None:
        return numpy.arange(steps, steps + count)
    if len(times) < 2:
        return numpy.repeat(times[-1:], count)
    if not is_dates(times):
        return times[-1] + numpy.median(numpy.diff(times)) * numpy.arange(1, count + 1)
    if steady(times, zone):
        assert zone is not None
        return instants(following(local(times, zone), count, steps), zone)
    if found := in_months(times):
        months = found.months
        return found.date_in(months[-1] + _usual(numpy.diff(months)) * numpy.arange(1, count + 1))
    step = _usual(numpy.diff(times))
    after = times[-1] + step * numpy.arange(1, 3 * count + 7)
    if step == numpy.timedelta64(1, "D") and len(times) >= WEEK and not _on_weekends(times).any():
        after = after[~_on_weekends(after)]
    return after[:count]


def _usual(steps: Array) -> Any:
    """The most common step."""
    values, counts = numpy.unique(steps, return_counts=True)
    return values[counts.argmax()]


def _on_weekends(times: Array) -> Array:
    return (times.astype("datetime64[D]").astype("int64") + 3) % 7 >= 5  # day 0 was a Thursday


def shown(time: Any, clock: bool = False) -> str:
    """A time for people: without a clock at midnight, unless others have one.

    >>> shown(numpy.datetime64("2024-01-31T00:00:00", "ns")), shown(numpy.float64(1984.0))
    ('2024-01-31', '1984')
    """
    if isinstance(time, numpy.datetime64):
        text = str(time.astype("datetime64[s]"))
        return (text if clock else text.removesuffix("T00:00:00")).replace("T", " ")
    return f"{float(time):.12g}"


def have_clock(times: Array) -> bool:
    """Whether any of some dates is not midnight."""
    return bool((times != times.astype("datetime64[D]")).any())
