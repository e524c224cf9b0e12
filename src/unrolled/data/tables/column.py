"""What the cells of a column are: numbers, dates, or texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy

from ...errors import DataError
from .dates import Dates, outside, parse_dates
from .labels import as_texts
from .numbers import evidence, first_strange, missing_words, number

if TYPE_CHECKING:
    import pandas

    from .sheet import Sheet

Array = numpy.ndarray[Any, Any]
BOOLEANS = {"true": 1.0, "false": 0.0}
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
    if isinstance(series.dtype, pandas.StringDtype) or series.dtype == object:
        return _of_texts(sheet, name, as_texts(series))
    if pandas.api.types.is_datetime64_any_dtype(series.dtype):
        return _of_dates(series, name)
    if pandas.api.types.is_timedelta64_dtype(series.dtype):
        return Column(name, "numbers", series.dt.total_seconds().to_numpy(), note="in seconds")
    return Column(name, "numbers", series.to_numpy(dtype="float64", na_value=numpy.nan))


def _of_dates(series: pandas.Series[Any], name: str) -> Column:
    zone = getattr(series.dtype, "tz", None)
    dates = (series.dt.tz_convert("UTC").dt.tz_localize(None) if zone else series).to_numpy()
    if ask := outside(dates):
        return Column(name, "dates", numpy.full(len(dates), numpy.datetime64("NaT"), "datetime64[ns]"), ask=ask)
    return Column(name, "dates", dates.astype("datetime64[ns]"), note="in UTC" if zone else "")


def _of_texts(sheet: Sheet, name: str, cells: Array) -> Column:
    import pandas

    codes, texts = pandas.factorize(cells)
    words = missing_words(sheet.form.empty)
    bare = [text.strip().lower() for text in texts]
    there = numpy.array([text not in words for text in bare], dtype=bool)
    known = [text for text, known in zip(texts, there, strict=True) if known]
    if not known:
        return Column(name, "nothing", cells)
    values = numpy.full(len(texts), numpy.nan)
    counts = numpy.bincount(codes, minlength=len(texts))
    missing = {text: int(counts[i]) for i, text in enumerate(texts) if not there[i]}
    shown = evidence(known)
    if shown is not None and next(first_strange(known, sheet.decimal), None) is None:
        values[there] = [number(text, sheet.decimal) for text in known]
        return Column(name, "numbers", values[codes], missing)
    if all(text in BOOLEANS for text, known in zip(bare, there, strict=True) if known):
        values[there] = [BOOLEANS[text] for text, known in zip(bare, there, strict=True) if known]
        return Column(name, "numbers", values[codes], missing, note="true is 1, false is 0")
    found = parse_dates(known, sheet.form.dates)
    if found.kind:
        dates = numpy.full(len(texts), numpy.datetime64("NaT"), dtype="datetime64[ns]")
        if not found.ask:
            dates[there] = found.values
        return Column(name, "dates", dates[codes], missing, ask=found.ask, note=found.note)
    return _texts(sheet, name, cells, codes, texts, there, found)


def _texts(sheet: Sheet, name: str, cells: Array, codes: Array, texts: Any, there: Array, found: Dates) -> Column:
    """A column of texts, with a cell that is no number or no date where most are."""
    known = numpy.flatnonzero(there)
    odd_number = [int(known[i]) for i in first_strange([texts[i] for i in known], sheet.decimal)]
    odd_date = [int(known[i]) for i in found.strange]
    odd = min(odd_number, odd_date, key=len)
    if len(odd) > MOSTLY * len(known):
        return Column(name, "texts", cells, row=int((codes == known[0]).argmax()))
    rows = numpy.flatnonzero(numpy.isin(codes, odd))
    end = len(rows) if len(rows) <= AT_THE_END and rows[0] == sheet.rows - len(rows) and rows[0] > 1 else 0
    first = int(rows[0])
    return Column(name, "texts", cells, row=first, strange=str(cells[first]), end=end)


def decimal_of(sheet: Sheet) -> str:
    """The decimal mark of the numbers of a table: the one named, or the only one that all its columns can have.

    Raises:
        DataError: columns contradict each other, or numbers such as 1,234 have two readings.
    """
    import pandas

    if sheet.form.decimal:
        return sheet.form.decimal
    found: dict[str, tuple[str, str]] = {}
    words = missing_words(sheet.form.empty)
    for name in sheet.names:
        if not isinstance(sheet.frame[name].dtype, pandas.StringDtype):
            continue
        texts = [text for text in pandas.unique(sheet.frame[name]) if text.strip().lower() not in words]
        shown = evidence(texts)
        if shown is not None and not shown.mixed:
            found |= {kind: (name, text) for kind, text in shown._asdict().items() if text and kind not in found}
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
    doubtful = found.get("comma or thousands") or (found.get("either") if ";" in sheet.delimiter else None)
    if doubtful:
        name, text = doubtful
        raise DataError(
            f"'{sheet.path}': {text!r} in column '{name}' may be a fraction or a number of thousands. {ask}"
        )
    return "."
