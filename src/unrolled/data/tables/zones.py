"""Time zones: that of a column, its local times, and the points in time of local times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

import numpy

Array = numpy.ndarray[Any, Any]
FIRST = ("Europe/Berlin", "Europe/London", "America/New_York", "America/Chicago", "America/Los_Angeles")
DAYS = 23 * 3600 * 10**9  # nanoseconds from which rows are days apart, even where a day has 23 hours


def zone_of(moments: Sequence[datetime], offsets: Sequence[timedelta]) -> tzinfo:
    """The time zone of points in time that are written with their offset from UTC.

    Where all have the same offset, it is that one. Where the offset changes, as with daylight saving time, it is the
    first zone that has all these offsets; without one, the offset of the last.

    >>> summer, winter = datetime(2024, 7, 1, tzinfo=UTC), datetime(2024, 12, 1, tzinfo=UTC)
    >>> zone_of([summer, winter], [timedelta(hours=2), timedelta(hours=1)])
    zoneinfo.ZoneInfo(key='Europe/Berlin')
    """
    pairs = sorted(zip(moments, offsets, strict=True))
    if len(set(offsets)) == 1:
        return timezone(offsets[0])
    ends = [pairs[i] for i in range(len(pairs)) if i in (0, len(pairs) - 1) or _changes(pairs, i)]
    for name in _names():
        zone = _zone(name)
        if zone and all(zone.utcoffset(moment.astimezone(zone)) == offset for moment, offset in ends):
            return zone
    return timezone(pairs[-1][1])


def _changes(pairs: Sequence[tuple[datetime, timedelta]], i: int) -> bool:
    """Whether the offset is another one before or after."""
    return len({offset for _, offset in pairs[i - 1 : i + 2]}) > 1


@cache
def _names() -> tuple[str, ...]:
    return (*FIRST, *sorted(available_timezones()))


def _zone(name: str) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, OSError, ValueError):
        return None


def said(zone: tzinfo) -> str:
    """A zone for people.

    >>> said(UTC), said(timezone(timedelta(hours=2))), said(ZoneInfo("Europe/Berlin"))
    ('in UTC', 'in UTC+02:00', 'in the time of Europe/Berlin')
    """
    name = str(zone)
    return f"in {name}" if name.startswith("UTC") else f"in the time of {name}"


def local(times: Array, zone: tzinfo) -> Array:
    """The local times of points in time in UTC, both datetime64[ns] (steps,).

    >>> local(numpy.array(["2024-07-01"], "datetime64[ns]"), ZoneInfo("Europe/Berlin")).astype("datetime64[m]")
    array(['2024-07-01T02:00'], dtype='datetime64[m]')
    """
    import pandas

    found = pandas.DatetimeIndex(times).tz_localize("UTC").tz_convert(zone).tz_localize(None)
    return found.to_numpy().astype("datetime64[ns]")


def instants(times: Array, zone: tzinfo) -> Array:
    """The points in time in UTC of local times. One that is skipped when clocks go forward is the next one there is;
    of two that have the same local time it is the earlier one."""
    import pandas

    earlier = numpy.ones(len(times), bool)
    of = pandas.DatetimeIndex(times).tz_localize(zone, ambiguous=earlier, nonexistent="shift_forward")
    return of.tz_convert("UTC").tz_localize(None).to_numpy().astype("datetime64[ns]")


def steady(times: Array, zone: tzinfo | None) -> bool:
    """Whether the steps between times are those of local clocks: days, weeks or months. Hours are those of UTC."""
    if zone is None or len(times) < 2:
        return False
    return bool(numpy.median(numpy.diff(times).astype("int64")) >= DAYS)


def written(time: Any, zone: tzinfo) -> str:
    """A point in time as it is written in its zone.

    >>> written(numpy.datetime64("2024-07-01T00:00", "ns"), ZoneInfo("Europe/Berlin"))
    '2024-07-01 02:00:00+02:00'
    """
    seconds = int(time.astype("datetime64[s]").astype("int64"))
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).astimezone(zone).isoformat(" ")
