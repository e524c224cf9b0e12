"""What the cells of a column are: numbers, dates, or texts."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from typing import TYPE_CHECKING, Any

import numpy

from ...errors import DataError
from .cells import Cells
from .dates import Dates, outside, parse_dates
from .labels import as_texts
from .numbers import first_strange, numbers
from .zones import said

if TYPE_CHECKING:
    import pandas

    from .sheet import Sheet

Array = numpy.ndarray[Any, Any]
BOOLEANS = {"true": 1.0, "false": 0.0}
SPELLINGS = 6  # true, True, TRUE, and false
MOSTLY = 0.5  # the share of numbers, or of dates, from which a cell that is none is worth naming
AT_THE_END = 3  # rows that may be a total or a note


@dataclass(frozen=True)
class Column:
    """A column by what its cells are.

    kind: 'numbers', 'dates', 'texts', or 'nothing' if all cells are empty.
    values: float64, datetime64[ns], or texts: (rows,).
    missing: the words that mean a missing number, and how often each is there.
    row, strange: the row and the text of a cell that is no number (or no date) where most are.
    end: the number of rows at the end that are neither, where all others are.
    ask: what must be decided before the dates can be used.
    note: what is special about it, for people.
    zone: the time zone of dates, which are in UTC here; None without one.
    """

    name: str
    kind: str
    values: Array
    missing: dict[str, int] | None = None
    row: int | None = None
    strange: str = ""
    end: int = 0
    ask: str = ""
    note: str = ""
    zone: tzinfo | None = None

    @property
    def words(self) -> str:
        """The words that mean a missing number, for people: " ('?' 2, 'NA' 1)"."""
        found = ", ".join(f"{word!r} {count}" for word, count in (self.missing or {}).items() if word.strip())
        return f" ({found})" if found else ""

    def must_be_numbers(self) -> str:
        """The end of a message about a column that must hold numbers and does not."""
        if self.kind == "dates":
            return "must hold numbers, but holds dates. Name the column to predict: --target COLUMN"
        advice = "Write numbers with a decimal mark only, and leave missing values empty; or name the words that mean "
        return f"must hold numbers, got {self.strange[:40]!r}. {advice}a missing value: --set 'data.empty=[...]'"


def typed(sheet: Sheet, name: str) -> Column:
    """A column by what its cells are."""
    import pandas

    series = sheet.frame[name]
    if sheet.has_texts(name):
        return _of_texts(sheet, name)
    if pandas.api.types.is_datetime64_any_dtype(series.dtype):
        return _of_dates(series, name)
    if pandas.api.types.is_timedelta64_dtype(series.dtype):
        return Column(name, "numbers", series.dt.total_seconds().to_numpy(), note="in seconds")
    if series.dtype == "float64":
        return Column(name, "numbers", series.to_numpy())  # without a copy
    return Column(name, "numbers", series.to_numpy(dtype="float64", na_value=numpy.nan))


def _of_dates(series: pandas.Series[Any], name: str) -> Column:
    zone = getattr(series.dtype, "tz", None)
    dates = (series.dt.tz_convert("UTC").dt.tz_localize(None) if zone else series).to_numpy()
    if ask := outside(dates):
        return Column(name, "dates", numpy.full(len(dates), numpy.datetime64("NaT"), "datetime64[ns]"), ask=ask)
    return Column(name, "dates", dates.astype("datetime64[ns]"), note=said(zone) if zone else "", zone=zone)


def _of_texts(sheet: Sheet, name: str) -> Column:
    cells = sheet.cells(name)
    if not cells.known:
        return Column(name, "nothing", as_texts(sheet.frame[name]))
    values = numbers(cells.known, sheet.decimal, cells.shown)
    if values is not None:
        return Column(name, "numbers", cells.spread(values, numpy.nan), cells.missing)
    bare = [text.strip().lower() for text in cells.known] if len(cells.known) <= SPELLINGS else [""]
    if all(text in BOOLEANS for text in bare):
        truth = cells.spread([BOOLEANS[text] for text in bare], numpy.nan)
        return Column(name, "numbers", truth, cells.missing, note="true is 1, false is 0")
    found = parse_dates(cells.known, sheet.form.dates)
    if not found.kind:
        return _texts(sheet, name, cells, found)
    missing = numpy.datetime64("NaT", "ns")
    dates = cells.spread(numpy.full(len(cells.known), missing) if found.ask else found.values, missing)
    return Column(name, "dates", dates, cells.missing, ask=found.ask, note=found.note, zone=found.zone)


def _texts(sheet: Sheet, name: str, cells: Cells, found: Dates) -> Column:
    """A column of texts, with a cell that is no number or no date where most are."""
    texts, known = as_texts(sheet.frame[name]), numpy.flatnonzero(cells.there)
    odd = min(list(first_strange(cells.known, sheet.decimal)), found.strange, key=len)
    if len(odd) > MOSTLY * len(known):
        return Column(name, "texts", texts, row=int((cells.codes == known[0]).argmax()))
    rows = numpy.flatnonzero(numpy.isin(cells.codes, known[odd]))
    first = int(rows[0])
    end = len(rows) if len(rows) <= AT_THE_END and first == sheet.rows - len(rows) and first > 1 else 0
    return Column(name, "texts", texts, row=first, strange=str(texts[first]), end=end)


def decimal_of(sheet: Sheet) -> str:
    """The decimal mark of the numbers of a table: the one named, or the only one that all its columns can have.

    Raises:
        DataError: columns contradict each other, or numbers such as 1,234 have two readings.
    """
    if sheet.form.decimal:
        return sheet.form.decimal
    found: dict[str, tuple[str, str]] = {}
    for name in sheet.names:
        shown = sheet.cells(name).shown if sheet.has_texts(name) else None
        if shown is not None and not shown.mixed:
            examples = {"point": shown.point, "comma": shown.comma, "either": shown.either}
            found |= {kind: (name, text) for kind, text in examples.items() if text and kind not in found}
            if shown.either and "," in shown.either:
                found.setdefault("comma or thousands", (name, shown.either))
    return _decided(sheet, found)


def _decided(sheet: Sheet, found: dict[str, tuple[str, str]]) -> str:
    ask = "Say what the decimal mark is: --set 'data.decimal=.' or --set 'data.decimal=,'"
    if "point" in found and "comma" in found:
        (a, x), (b, y) = found["point"], found["comma"]
        raise DataError(f"'{sheet.path}' has numbers with a point ({x!r} in '{a}') and a comma ({y!r} in '{b}'). {ask}")
    if "point" in found or "comma" in found:
        return "." if "point" in found else ","
    doubtful = found.get("comma or thousands") or (found.get("either") if sheet.delimiter not in ("", ",") else None)
    if doubtful:
        name, text = doubtful
        raise DataError(
            f"'{sheet.path}': {text!r} in column '{name}' may be a fraction or a number of thousands. {ask}"
        )
    return "."
