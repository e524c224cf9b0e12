"""Random tables, written as people and programs write them, are read back equal, or refused by the name of an option;
never silently different."""

from __future__ import annotations

import csv
import gzip
import io
import math
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from unrolled.data.tables.form import Form
from unrolled.data.tables.read import read_sheet
from unrolled.data.tables.series import Roles, read_series
from unrolled.errors import UnrolledError

pytest.importorskip("pandas")

DATES = {
    "%Y-%m-%d": "ymd",
    "%Y/%m/%d": "ymd",
    "%d.%m.%Y": "dmy",
    "%d/%m/%Y": "dmy",
    "%m/%d/%Y": "mdy",
    "%d-%m-%y": "dmy",
    "%y/%m/%d": "ymd",
    "%d %b %Y": "dmy",
    "%B %d, %Y": "mdy",
    "%a, %d %b %Y": "dmy",
    "%Y%m%d": "ymd",
}
WORDS = ("", "NA", "nan", "null", "?", "-")
LETTERS = "abz019 _,;|\t\"'#.-ÄéßŁ\n"


@dataclass
class Written:
    """A table, and how it is written."""

    times: list[datetime]
    keys: list[str]
    values: list[float | None]
    counts: list[int | None]
    delimiter: str
    decimal: str
    thousands: str
    encoding: str
    form: str
    clock: bool
    missing: str
    quoting: int
    end: str
    order: list[int]
    index: bool
    comments: int
    packed: bool

    def number(self, value: float | None) -> str:
        if value is None:
            return self.missing
        sign, text = ("-" if value < 0 else ""), repr(abs(value))
        if "e" in text:
            return sign + text.replace(".", self.decimal)
        whole, _, rest = text.partition(".")
        if self.thousands:
            whole = f"{int(whole):,}".replace(",", self.thousands)
        return sign + whole + (self.decimal + rest if rest and isinstance(value, float) else "")

    def date(self, time: datetime) -> str:
        return time.strftime(self.form + (" %H:%M:%S" if self.clock else ""))

    @property
    def content(self) -> bytes:
        text = io.StringIO(newline="")
        text.write("".join(f"# comment {i}{self.end}" for i in range(self.comments)))
        writer = csv.writer(text, delimiter=self.delimiter, quoting=self.quoting, lineterminator=self.end)
        head = [""] if self.index else []
        writer.writerow([*head, "time", "key", "value", "count"])
        for number, i in enumerate(self.order):
            row = [self.date(self.times[i]), self.keys[i], self.number(self.values[i]), self.number(self.counts[i])]
            writer.writerow([*([number] if self.index else []), *row])
        content = text.getvalue().encode(self.encoding)
        return gzip.compress(content) if self.packed else content

    @property
    def told(self) -> Form:
        """All that a person can say about it."""
        return Form(self.delimiter, self.decimal, DATES[self.form], self.encoding, header=self.comments + 1)


@st.composite
def tables(draw: st.DrawFn) -> Written:
    rows = draw(st.integers(3, 40))
    clock = draw(st.booleans())
    form = draw(st.sampled_from([form for form in DATES if not (clock and form == "%Y%m%d")]))
    step = timedelta(minutes=draw(st.sampled_from([1, 15, 60]))) if clock else timedelta(days=draw(st.integers(1, 40)))
    start = draw(st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1))).replace(microsecond=0, second=0, minute=0)
    if not clock:
        start = start.replace(hour=0)
    names = draw(st.lists(st.text(LETTERS, min_size=1, max_size=5), min_size=1, max_size=3, unique=True))
    keys = [names[i % len(names)] for i in range(rows)]
    numbers = st.none() | st.floats(-1e7, 1e7, allow_subnormal=False) | st.integers(-300, 300).map(lambda n: n / 10)
    delimiter, decimal = draw(
        st.sampled_from([(",", "."), (";", "."), (";", ","), ("\t", "."), ("\t", ","), ("|", ",")])
    )
    thousands = draw(st.sampled_from(["", "", "'", "\u00a0", "," if decimal == "." else "."]))
    count = st.none() | st.integers(0, 10**7)
    return Written(
        times=[start + i * step for i in range(rows)],
        keys=keys,
        values=draw(st.lists(numbers, min_size=rows, max_size=rows)),
        counts=draw(st.lists(count, min_size=rows, max_size=rows)),
        delimiter=delimiter,
        decimal=decimal,
        thousands=thousands,
        encoding=draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1250", "latin2"])),
        form=form,
        clock=clock,
        missing=draw(st.sampled_from(WORDS)),
        quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        end=draw(st.sampled_from(["\n", "\r\n"])),
        order=draw(st.permutations(range(rows)) | st.just(range(rows)) | st.just(range(rows)[::-1])),
        index=draw(st.booleans()),
        comments=draw(st.sampled_from([0, 0, 1, 3])),
        packed=draw(st.booleans()),
    )


def check_equal(written: Written, form: Form) -> None:
    """Read the table; compare each series with what was written."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / ("t.csv.gz" if written.packed else "t.csv")
        path.write_bytes(written.content)
        roles = Roles("time", ("key",), "value", ("count",))
        series = read_series(read_sheet(path, form), roles)
    assert [one.name for one in series] == sorted(set(written.keys))
    for one in series:
        rows = [i for i, key in enumerate(written.keys) if key == one.name]
        assert [written.order[row] for row in one.rows] == rows
        assert one.time is not None
        expected = numpy.array([written.times[i] for i in rows], dtype="datetime64[ns]")
        assert numpy.array_equal(one.time, expected), (one.time, expected)
        for found, values in ((one.y, written.values), (one.x[:, 0], written.counts)):
            assert found.tolist() == pytest.approx(
                [math.nan if values[i] is None else values[i] for i in rows], nan_ok=True, rel=0, abs=0
            )


@given(tables())
@settings(max_examples=300, deadline=None)
def test_a_table_is_read_back_equal_or_refused(written: Written):
    try:
        check_equal(written, Form())
    except UnrolledError as refusal:
        assert "data." in str(refusal) or "--" in str(refusal), refusal
        event("refused")


@given(tables())
@settings(max_examples=300, deadline=None)
def test_a_table_that_is_described_is_read_back_equal(written: Written):
    check_equal(written, written.told)
