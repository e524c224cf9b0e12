"""Dates as people write them, as numpy's datetime64[ns]."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy

from .zones import said, zone_of

MONTHS = {
    name: number
    for number, names in enumerate(
        (
            "january jan januar jänner janvier janv enero ene gennaio gen januari janeiro",
            "february feb februar feber février fevrier févr fevr fév fev febrero febbraio februari fevereiro",
            "march mar märz mrz maerz mars marzo maart mrt março marco",
            "april apr avril avr abril abr aprile",
            "may mai mayo maggio mag mei maio",
            "june jun juni juin junio giugno giu junho",
            "july jul juli juillet juil julio luglio lug julho",
            "august aug août aout agosto ago augustus",
            "september sep sept septembre septiembre settembre set setembro",
            "october oct oktober okt octobre octubre ottobre ott outubro out",
            "november nov novembre noviembre novembro",
            "december dec dezember dez décembre decembre déc diciembre dic dicembre dezembro",
        ),
        1,
    )
    for name in names.split()
}
CLOCK = (
    r"(?:(?:[T,]\s*|\s+)(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?"
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>Z|UTC|GMT|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)
WEEKDAY, MONTH, YEAR = r"(?:[^\W\d]{2,10}\.?,?\s+)??", r"(?P<b>[^\W\d]{3,10})\.?", r"(?P<y>[0-9]{4})"
SHAPES = {
    "year-month-day": rf"{YEAR}([-/.])(?P<m>[0-9]{{1,2}})\2(?P<d>[0-9]{{1,2}}){CLOCK}",
    "numbers": rf"(?P<p>[0-9]{{1,2}})(?P<mark>[-/.])(?P<q>[0-9]{{1,2}})(?P=mark)(?P<r>[0-9]{{4}}|[0-9]{{2}}){CLOCK}",
    "year-month": rf"{YEAR}[-/](?P<m>[0-9]{{1,2}})",
    "month/year": rf"(?P<m>[0-9]{{1,2}})[-/]{YEAR}",
    "day month year": rf"{WEEKDAY}(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th|er)?\.?[- /]?{MONTH},?[- /]?{YEAR}{CLOCK}",
    "month day, year": rf"{WEEKDAY}{MONTH}[- ]?(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?,?[- ]{YEAR}{CLOCK}",
    "year month day": rf"{YEAR}[- /]?{MONTH}[- /]?(?P<d>[0-9]{{1,2}}){CLOCK}",
    "month year": rf"{MONTH}[- /]?{YEAR}",
    "year month": rf"{YEAR}[- /]?{MONTH}",
    "quarters": rf"{YEAR}[- /]?[Qq](?P<quarter>[1-4])",
    "quarters ": rf"[Qq](?P<quarter>[1-4])[- /]?{YEAR}",
    "weeks": rf"{YEAR}-?W(?P<week>[0-9]{{2}})(?:-?(?P<day>[1-7]))?",
}
PATTERNS = {name: re.compile(shape) for name, shape in SHAPES.items()}
ORDERS = {"dmy": "day/month/year", "mdy": "month/day/year", "ymd": "year/month/day"}
FIELDS = {"dmy": "rqp", "mdy": "rpq", "ymd": "pqr"}  # the groups of "numbers" that are year, month and day
LEAST, MOST = numpy.datetime64("1678-01-01"), numpy.datetime64("2262-01-01")  # fits 64 bits of nanoseconds
PLAIN = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?")


@dataclass(frozen=True)
class Dates:
    """The dates of some texts.

    kind: how they are written; '' if they are not dates.
    values: datetime64[ns] (texts,). Empty if something must be decided first.
    strange: the positions of texts that are no date of the shape that most have.
    ask: what must be decided.
    note: for people.
    zone: the time zone that they are written in; None without one. The values are in UTC.
    """

    kind: str = ""
    values: Any = ()
    strange: list[int] = field(default_factory=list)
    ask: str = ""
    note: str = ""
    zone: tzinfo | None = None


def parse_dates(texts: Sequence[str], order: str = "") -> Dates:
    """The dates of texts that are all written in one way.

    >>> parse_dates(["31.12.2020", "01.01.2021"]).values.astype("datetime64[D]")
    array(['2020-12-31', '2021-01-01'], dtype='datetime64[D]')

    Args:
        texts: none of them empty.
        order: of numbers such as 1/2/2021: dmy, mdy or ymd. By default the only one that all texts can have.
    """
    if (quick := _plain(texts)) is not None:
        return Dates("year-month-day", quick)
    matched = {name: [pattern.fullmatch(text.strip()) for text in texts] for name, pattern in PATTERNS.items()}
    name = max(matched, key=lambda name: sum(m is not None for m in matched[name]))
    readings = {order: _read(matched[name], order) for order in _orders(matched[name], order)}
    if name != "numbers":
        readings = {"": _read(matched[name], "")}
    whole = {order: found for order, found in readings.items() if None not in found}
    if not whole:
        best = min(readings.values(), key=lambda found: found.count(None), default=[None] * len(texts))
        return Dates(strange=[i for i, found in enumerate(best) if found is None])
    if len({tuple(found) for found in whole.values()}) > 1:
        ways = " or ".join(f"{ORDERS[order]} (--set data.dates={order})" for order in whole)
        return Dates(name, ask=f"{texts[0]!r} may be {ways}. Say which")
    chosen, found = next(iter(whole.items()))
    return _checked(name, [moment for moment in found if moment], texts, ORDERS.get(chosen, name.strip()))


def _plain(texts: Sequence[str]) -> Any:
    """Dates in numpy's own form, quickly; None if they are not."""
    if not all(map(PLAIN.fullmatch, texts)):
        return None
    try:
        dates = numpy.array(texts, dtype="datetime64[s]")
    except ValueError:
        return None
    return None if outside(dates) else dates.astype("datetime64[ns]")


def outside(dates: Any) -> str:
    """What is to be said of dates (rows,) that do not fit 64 bits of nanoseconds; '' if all do."""
    wrong = (dates < LEAST) | (dates >= MOST)
    return f"{str(dates[wrong][0])[:19]} is not in the years 1678 to 2261, which can be read" if wrong.any() else ""


Moment = tuple[datetime, int, timedelta | None]  # UTC, without fractions of a second; nanoseconds; offset from UTC


def _orders(found: Sequence[re.Match[str] | None], order: str) -> list[str]:
    """The orders of day, month and year that numbers with their mark may have."""
    marks = {match["mark"] for match in found if match and "mark" in match.re.groupindex}
    if order:
        return [order]
    return ["dmy"] if marks == {"."} else list(ORDERS)


def _read(found: Sequence[re.Match[str] | None], order: str) -> list[Moment | None]:
    return [_moment(match.groupdict(), order) if match else None for match in found]


def _moment(parts: dict[str, str | None], order: str) -> Moment | None:
    """A point in time; None if there is no such day or hour."""
    try:
        day = _day(parts, order)
        hour = int(parts.get("H") or 0)
        if half := parts.get("half"):
            if not 1 <= hour <= 12:
                return None
            hour = hour % 12 + 12 * (half[0] in "pP")
        moment = datetime(day.year, day.month, day.day, hour, int(parts.get("M") or 0), int(parts.get("S") or 0))
        zone = parts.get("zone")
        offset = _offset(zone) if zone else None
        aware = (moment - (offset or timedelta())).replace(tzinfo=UTC)
    except (ValueError, KeyError, OverflowError):
        return None
    return aware, int((parts.get("f") or "0").ljust(9, "0")), offset


def _day(parts: dict[str, str | None], order: str) -> date:
    if "week" in parts:
        return date.fromisocalendar(int(parts["y"] or 0), int(parts["week"] or 0), int(parts["day"] or 1))
    if "quarter" in parts:
        return date(int(parts["y"] or 0), 3 * int(parts["quarter"] or 0) - 2, 1)
    if "mark" in parts:
        y, m, d = (str(parts[name]) for name in FIELDS[order])
        if len(y) == 2:
            y = str(int(y) + (2000 if int(y) < 69 else 1900))  # as POSIX and strptime do
        if len(y) != 4 or len(m) > 2 or len(d) > 2:
            raise ValueError
        return date(int(y), int(m), int(d))
    name = parts.get("b")
    month = MONTHS[name.lower()] if name else int(parts["m"] or 0)
    return date(int(parts["y"] or 0), month, int(parts.get("d") or 1))


def _offset(zone: str) -> timedelta:
    if zone in ("Z", "UTC", "GMT"):
        return timedelta()
    digits = zone[1:].replace(":", "").ljust(4, "0")
    found = (-1 if zone[0] == "-" else 1) * timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    timezone(found)  # raises ValueError from 24 hours
    return found


def _checked(name: str, found: list[Moment], texts: Sequence[str], shape: str) -> Dates:
    """Points in time as datetime64[ns], all with a time zone or all without."""
    offsets = [offset for _, _, offset in found if offset is not None]
    if 0 < len(offsets) < len(found):
        without = texts[next(i for i, (_, _, offset) in enumerate(found) if offset is None)]
        return Dates(name, ask=f"{without!r} has no time zone, but others have. Write all of them in the same way")
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    seconds = [(moment - epoch) // timedelta(seconds=1) for moment, _, _ in found]
    if ask := outside(numpy.array(seconds, dtype="datetime64[s]")):
        return Dates(name, ask=ask)
    nanoseconds = numpy.array(seconds, dtype="int64") * 10**9 + numpy.array([n for _, n, _ in found], dtype="int64")
    zone = zone_of([moment for moment, _, _ in found], offsets) if offsets else None
    note = ", ".join(([] if shape == "year-month-day" else [shape]) + ([said(zone)] if zone else []))
    return Dates(name, nanoseconds.astype("datetime64[ns]"), note=note, zone=zone)
