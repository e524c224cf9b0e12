"""Tables as people have them: each small input with what must be said of it, or with the refusal and its option."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy
import pytest

from unrolled.data.kinds import recognise
from unrolled.errors import UnrolledError
from unrolled.run.spec import Spec

pandas = pytest.importorskip("pandas")

Make = Callable[[], "str | bytes"]
SAID: list[tuple[str, str, Any, dict[str, Any], tuple[str, ...]]] = []
REFUSED: list[tuple[str, str, Any, dict[str, Any], tuple[str, ...]]] = []


def said(name: str, content: Any, *expected: str, file: str = "d.csv", **options: Any) -> None:
    SAID.append((name, file, content, options, expected))


def refused(name: str, content: Any, *expected: str, file: str = "d.csv", **options: Any) -> None:
    REFUSED.append((name, file, content, options, expected))


def lines(header: str, rows: Iterable[str], end: str = "\n") -> str:
    return end.join([header, *rows]) + end


def days(form: str, count: int = 40, row: str = "{day},{v}", header: str = "date,load", first: int = 1) -> str:
    """A table with a row per day, its date as strftime's form says."""
    at = [date(2021, 1, first) + timedelta(days=i) for i in range(count)]
    return lines(header, [row.format(day=d.strftime(form), v=(7 * i) % 11, u=i % 8 + 1) for i, d in enumerate(at)])


def stamped(form: str, step: timedelta, count: int = 40, month: int = 1) -> str:
    from datetime import datetime

    at = [datetime(2021, month, 1) + i * step for i in range(count)]
    return lines("date,load", [f"{d.strftime(form)},{(7 * i) % 11}" for i, d in enumerate(at)])


DAILY = "2021-01-01 to 2021-02-09, every day"
ISO = days("%Y-%m-%d")
HALF = {"validation": 0.3, "test": 0.3}  # of few rows

# how the file is cut into cells
said("commas", ISO, f"time date, {DAILY}", "1 series, divided in time; forecast 'load' 1 ahead, from load")
said("semicolons", ISO.replace(",", ";"), "file semicolons between cells", DAILY)
said("tabs", ISO.replace(",", "\t"), "tabs between cells", DAILY, file="d.tsv")
said("tabs in a .csv", ISO.replace(",", "\t"), "tabs between cells", DAILY)
said("bars", ISO.replace(",", "|"), "bars between cells", DAILY)
said("blanks", ISO.replace(",", "   "), "blanks between cells", DAILY)
said("the delimiter that Excel is told", "sep=;\n" + ISO.replace(",", ";"), DAILY)
said("a blank after each comma", ISO.replace(",", ", "), DAILY, "from load")
said("line ends of Windows", ISO.replace("\n", "\r\n"), DAILY)
said("line ends of old Macs", ISO.replace("\n", "\r"), DAILY)
said("no line end at the end", ISO.rstrip("\n"), DAILY)
said("empty lines", ISO.replace("2021-01-20", "\n2021-01-20"), DAILY)
said("quotes", days("%Y-%m-%d", row='"{day}","{v}"', header='"date","load"'), DAILY)
said(
    "line ends and quotes in quotes",
    days("%Y-%m-%d", row='{day},"one, ""two""\nlines",{v}', header="date,note,load"),
    "without note (texts)",
    DAILY,
)
said("a single column", lines("v", [str(i % 7) for i in range(40)]), "rows in the order of the file, 40")
said("an empty line in a single column", lines("v", [str(i % 7) if i != 9 else "" for i in range(40)]), "missing v 1")
said("comment lines", "# logger 7\n# kW\n" + ISO, "2 comment lines", DAILY)
said("a comment between rows", ISO.replace("2021-01-20", "# moved\n2021-01-20"), "1 comment line", DAILY)
said("a comma at the end of each line", ISO.replace("\n", ",\n"), "without column 3 (no name, no values)", DAILY)
said("lines before the header", "Export\n\n" + ISO, DAILY, header=3)
said("no header, and said so", ISO.partition("\n")[2], "time column 1, " + DAILY, header=0)
said("a footer, and said so", ISO + "Total,99\n", "without the last row", DAILY, footer=1)
refused("two delimiters fit", lines("a;b,c", ["x;y,z"] * 40), "d.csv", "data.delimiter=;", "'data.delimiter=,'")
refused("a row too long", ISO + "2021-03-01,1,2\n", "d.csv:42: expected 2 cells", "got 3")
refused("a row too short", ISO + "2021-03-01\n", "d.csv:42: expected 2 cells", "got 1", "data.footer=1")
refused("a title before the header", "Export of today\n" + ISO, "d.csv:2", "data.header=2")
refused("a quote without an end", ISO + '2021-03-01,"1\n', "cannot be read as a table")
refused("no header", ISO.partition("\n")[2], "d.csv:1", "'2021-01-01' is a value", "data.header=0")
refused("many numbers as header", lines(",".join(["0.5"] * 90), [",".join(["1"] * 90)] * 9), "'0.5' is a value")
refused("numbers as header", lines("1,-0.187", [f"{i},{i}" for i in range(40)]), "'1' is a value", "data.header=0")
refused("nan as header", lines("nan", ["1", "2"] * 20), "'nan' is a value", "data.header=0")
refused("two columns of one name", lines("a,a", ["1,2"] * 40), "duplicate column names: a")
refused("nothing", "", "d.csv' is empty")
refused("blanks alone", "  \n\n ", "is empty")
refused("a header alone", "date,load\n", "no rows under its header")

# encodings and packing
said("a mark of UTF-8", "\ufeff".encode() + ISO.encode(), f"time date, {DAILY}")
said("UTF-16", ISO.encode("utf-16"), "file UTF-16", DAILY)
said("UTF-16 without a mark", ISO.encode("utf-16-le"), "UTF-16-LE", DAILY)
said("cp1252, named", ISO.replace("load", "Höhe €").encode("cp1252"), "'Höhe €'", "CP1252", encoding="cp1252")
said("latin-1, named", ISO.replace("load", "Höhe").encode("latin-1"), "'Höhe'", "LATIN-1", encoding="latin-1")
refused(
    "latin-1", ISO.replace("load", "Höhe").encode("latin-1"), "d.csv:1", "0xf6", "'date,Höhe'", "data.encoding=cp1252"
)
refused("cp1252", ISO.replace("load", "€").encode("cp1252"), "cp1252 (Windows), this line is 'date,€'")
refused("an unknown encoding", ISO, "there is no encoding 'utf-99'", encoding="utf-99")
said("gzip", gzip.compress(ISO.encode()), DAILY, file="d.csv.gz")
refused("gzip without its name", gzip.compress(ISO.encode()), "packed by gzip", "d.gz")
refused("a cut gzip", gzip.compress(ISO.encode())[:60], "cannot be unpacked", file="d.csv.gz")
refused("a Parquet file without its name", b"PAR1" + b"x" * 40, "is a Parquet file")


def zipped(**files: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("_", "."), text)
    return content.getvalue()


said("zip", zipped(d_csv=ISO), DAILY, file="d.csv.zip")
said("zip named after another", zipped(d_csv=ISO), DAILY, file="d.zip")
refused("two files in a zip", zipped(a_csv=ISO, b_csv=ISO), "one file in it, and has 2: a.csv, b.csv", file="d.csv.zip")

# dates
for form, note in (
    ("%Y/%m/%d", ""),
    ("%d.%m.%Y", "day/month/year"),
    ("%d.%m.%y", "day/month/year"),
    ("%d/%m/%Y", "day/month/year"),
    ("%m/%d/%Y", "month/day/year"),
    ("%m-%d-%Y", "month/day/year"),
    ("%d %b %Y", "day month year"),
    ("%d-%b-%Y", "day month year"),
    ("%B %d %Y", "month day, year"),
    ("%a %d %b %Y", "day month year"),
    ("%Y-%b-%d", "year month day"),
):
    said(f"dates as {form}", days(form, first=1), DAILY, f"date ({note})" if note else "time date,")
said("dates with a comma in quotes", days("%b %d, %Y", row='"{day}",{v}'), DAILY)
said("days as numbers", days("%Y%m%d"), DAILY, "days such as 20210131")
said("months", stamped("%Y-%m", timedelta(days=31), 20), "2021-01-01 to", "every month")
said("months and years", stamped("%b-%Y", timedelta(days=31), 20), "every month")
MONTHS = numpy.arange("2021-02", "2024-02", dtype="datetime64[M]")
ENDS = [day for i, day in enumerate(MONTHS.astype("datetime64[D]") - 1) if i not in (5, 17)]
WEEKDAYS = numpy.busday_offset(MONTHS.astype("datetime64[D]"), -1, "forward")
said("ends of months, two of them missing", lines("date,v", [f"{d},{i % 5}" for i, d in enumerate(ENDS)]),
     "every month; 2 gaps, the largest of 2 months")  # fmt: skip
said("last weekdays of months", lines("date,v", [f"{d},{i % 5}" for i, d in enumerate(WEEKDAYS)]), "every month")
said("quarters", lines("date,v", [f"{2000 + i // 4}Q{i % 4 + 1},{i}" for i in range(40)]), "every quarter")
said("weeks", lines("date,v", [f"2021-W{i + 1:02},{i % 5}" for i in range(40)]), "every 7 days")
said("years", lines("year,v", [f"{1950 + i},{i % 5}" for i in range(40)]), "time year, 1950 to 1989, every 1")
said("German months", days("%Y-%m-%d").replace("2021-01-", "2021-Jänner-").replace("2021-02-", "2021-Feber-"), DAILY)
said("clock times", stamped("%Y-%m-%d %H:%M", timedelta(hours=1)), "2021-01-01 to 2021-01-02 15:00, every hour")
said("clock times with T", stamped("%Y-%m-%dT%H:%M:%S", timedelta(minutes=15)), "every 15 minutes")
said("twelve hours", stamped("%d.%m.%Y %I:%M %p", timedelta(hours=1)), "to 2021-01-02 15:00, every hour")
said("a time zone", stamped("%Y-%m-%dT%H:%M:%S+02:00", timedelta(hours=1)), "(in UTC+02:00), 2021-01-01 to")
said("Zulu", stamped("%Y-%m-%dT%H:%MZ", timedelta(hours=1)), "(in UTC), 2021-01-01 to")
said("fractions of seconds", stamped("%Y-%m-%dT%H:%M:%S.500", timedelta(seconds=1)), "every second")
said("ambiguous dates, and said so", days("%d/%m/%Y", 12), "2021-01-01 to 2021-01-12", dates="dmy", **HALF)
refused("ambiguous dates", days("%d/%m/%Y", 12), "data.dates=dmy", "data.dates=mdy", "'01/01/2021' may be")
refused("ambiguous short years", days("%y-%m-%d", 28), "data.dates=ymd", "data.dates=dmy")
refused("a date that is none", ISO.replace("2021-01-20", "2021-01-32"), "d.csv:21", "2021-01-32", time="date")
refused("text as time", lines("when,v", ["soon,1", "later,2"] * 20), "'when' (the time) must hold dates", time="when")
refused("zones here and there", ISO.replace("2021-01-20", "2021-01-20T00:00Z"), "has no time zone", time="date")
refused("dates of long ago", ISO.replace("2021-01-20", "1021-01-20"), "1678 to 2261", time="date")

# numbers
said("a decimal comma", days("%Y-%m-%d", row="{day};{v},5", header="date;load"), "decimal comma")
said("thousands in quotes", days("%Y-%m-%d", row='{day},"{u},000,000"'), DAILY)
said("thousands of Germany", days("%Y-%m-%d", row="{day};1.00{u},5", header="date;load"), "decimal comma")
said("thousands of Switzerland", days("%Y-%m-%d", row="{day},1'00{u}.5"), DAILY)
said("thousands of France", days("%Y-%m-%d", row="{day};1\u202f00{u},5", header="date;load"), "decimal comma")
said("a decimal comma, and said so", days("%Y-%m-%d", row='{day},"1,23{u}"'), "decimal comma", decimal=",")
said("exponents", days("%Y-%m-%d", row="{day},{v}.5e-12"), DAILY)
said("signs", days("%Y-%m-%d", row="{day},\u2212{v}.5"), DAILY)
said("booleans", days("%Y-%m-%d", row="{day},true,{v}", header="date,open,load"), "from open, load")
refused("1,234", days("%Y-%m-%d", row='{day},"1,23{u}"'), "'data.decimal=,'", "'1,23")
refused("1.234 after semicolons", lines("a;b", [f"{i};1.23{i % 10}" for i in range(40)]), "data.decimal=.")
refused("a point here, a comma there", lines("a;b", ["0.5;0,5"] * 40), "'0.5' in 'a'", "'0,5' in 'b'", "data.decimal")
refused("a word in the target", ISO.replace(",7\n", ",many\n", 1), "d.csv:3", "'many'", "data.empty", target="load")
refused("infinity", ISO.replace(",7\n", ",inf\n", 1), "d.csv:3", "finite numbers, got inf")
for word in ("", "NA", "nan", "null", "-", "?", "n/a", "#N/A"):
    said(
        f"{word!r} for a missing number",
        ISO.replace(",7\n", f",{word}\n", 1),
        "missing load 1",
        f"'{word}' 1" if word else "",
    )
said("a word for a missing number, and said so", ISO.replace(",7\n", ",broken\n", 1), "'broken' 1", empty=["broken"])
said(
    "a word in an input",
    days("%Y-%m-%d", row="{day},{v},{v}", header="date,temp,load").replace(",7,7", ",err,7", 1),
    "without temp (line 3: 'err' is not a number)",
)
said("an empty column", days("%Y-%m-%d", row="{day},,{v}", header="date,temp,load"), "without temp (empty)")

# the order of rows, and series
said("the newest row first", lines("date,load", ISO.splitlines()[:0:-1]), DAILY, "the newest row is first in the file")
said(
    "shuffled rows, and said so",
    lines("date,load", sorted(ISO.splitlines()[1:], key=lambda row: row[::-1])),
    DAILY,
    time="date",
)
said(
    "the order of the file, and said so", lines("date,load", ISO.splitlines()[:0:-1]), "rows in the order", time="rows"
)
said(
    "gaps",
    lines("date,load", [r for i, r in enumerate(ISO.splitlines()[1:]) if i not in (5, 6, 20)]),
    "2 gaps, the largest of 3 days",
)
said("irregular times", lines("t,v", [f"{i * i},{i % 5}" for i in range(40)]), "irregular: 1 to 77 apart")
said("two columns of rising dates", days("%Y-%m-%d", row="{day},{day},{v}", header="begin,end,load"), "time begin")
said("dates after the target", days("%Y-%m-%d", row="{v},{day}", header="load,date"), "forecast 'load'", DAILY)
said(
    "row numbers of pandas",
    lines(",date,load", [f"{i},{row}" for i, row in enumerate(ISO.splitlines()[1:])]),
    DAILY,
    "without column 1 (row numbers)",
)
refused(
    "shuffled rows",
    lines("date,load", ISO.splitlines()[20:] + ISO.splitlines()[1:20]),
    "neither rise nor fall",
    "--time date",
    "--time rows",
)
refused("a total at the end", ISO + "Total,220\n", "d.csv:42", "'Total'", "data.footer=1")
refused("a total without a date", ISO + ",220\n", "d.csv:42: column 'date' is empty", "data.footer=1")
refused("a time twice", ISO + "2021-02-09,1\n", "--sequence", time="date")
SHOPS = lines("day,shop,sales", [f"2021-01-{i // 3 + 1:02},{'ABC'[i % 3]},{i % 7}" for i in range(90)])
said("series", SHOPS, "series 3 by shop (A, B, C), 30 rows each", "2021-01-01 to 2021-01-30", sequence="shop")
refused("several rows per date", SHOPS, "the same date in up to 3 rows", "--sequence shop", "--time rows")
TWO = lines("day,shop,item,n", [f"{i // 4},{'AB'[i % 2]},{i // 2 % 2},{i % 7}" for i in range(160)])
said("two keys", TWO, "series 4 by shop, item (A / 0, A / 1, B / 0, B / 1), 40 rows each", sequence="shop,item")
said("two keys as a list", TWO, "series 4 by shop, item", sequence=["shop", "item"])
refused("a key too few", TWO, "duplicate time 0 of sequence 'A'", "--sequence", sequence="shop", time="day")
refused("an empty key", SHOPS.replace(",A,", ",,", 1), "d.csv:2: column 'shop' is empty", sequence="shop")
ZEROS = lines("id,t,v", [f"{k},{t},{(t * 3) % 7}" for t in range(30) for k in ("007", "07", "7")])
said("leading zeros", ZEROS, "series 3 by id (007, 07, 7), 30 rows each", sequence="id")
said("the key NA", SHOPS.replace(",A,", ",NA,"), "(B, C, NA)", sequence="shop")
WIDE = lines(
    "name," + ",".join(f"V{i}" for i in range(2, 42)),
    [f"H{k}," + ",".join(str((i + k) % 9) for i in range(40)) for k in range(4)],
)
said("a series per row", WIDE, "each row is a series, 'V2' to 'V41'", "series 4 by name (H0, H1, H2, H3), 40 rows each")
said(
    "a series per row, of years",
    lines("land," + ",".join(map(str, range(1990, 2020))), ["A" + ",1" * 30, "B" + ",2" * 29 + ","]),
    "time time, 1990 to 2019",
    "series 2 by land (A, B), 29 to 30 rows",
)
said(
    "a series per row, and said not to be",
    WIDE,
    "rows in the order of the file, 4",
    "from V2",
    layout="long",
    target="V9",
    **HALF,
)
said("dates without a name", ISO.replace("date,", ",", 1), "time column 1, " + DAILY)

CLOCK = [f"2021-01-{i // 24 + 1:02},{i % 24:02}:00,{i % 7}" for i in range(96)]
said("days and clock times", lines("day,at,load", CLOCK), "time day,at, 2021-01-01 to 2021-01-04 23:00, every hour")
said(
    "days and clock times, named", lines("day,at,load", CLOCK[::-1]), "every hour", "newest row is first", time="day,at"
)
said(
    "an index that was saved twice",
    lines("Unnamed: 0,v", [f"{i},{i % 7}" for i in range(40)]),
    "without Unnamed: 0 (row",
)

# what is predicted
LABELS = lines("t,v,y", [f"{i},{i % 4},{'ab'[i % 2]}" for i in range(60)])
said("labels", LABELS, "label steps, from v", "classes 2: a, b", goal="steps", time="t")
said(
    "labels with zeros before",
    LABELS.replace(",a", ",01").replace(",b", ",1"),
    "classes 2: 01, 1",
    goal="steps",
    time="t",
)
said("the label none", LABELS.replace(",a", ",none"), "classes 2: b, none", goal="steps", time="t")
said("the label NA", LABELS.replace(",a", ",NA"), "classes 2: NA, b", goal="steps", time="t")
said(
    "the labels 0.0 and 1.0",
    LABELS.replace(",a", ",0.0").replace(",b", ",1.0"),
    "classes 2: 0, 1",
    goal="steps",
    time="t",
)
said(
    "labels that are versions",
    LABELS.replace(",a", ",1.0").replace(",b", ",1.5"),
    "classes 2: 1.0, 1.5",
    goal="steps",
    time="t",
)
refused(
    "an empty label", LABELS.replace(",a", ",", 1), "d.csv:2: column 'y' (the label) is empty", goal="steps", time="t"
)
refused(
    "texts at the end", lines("v,w,note", ["1,2,good", "2,3,bad"] * 20), "the last column, 'note', holds texts", "v, w"
)
refused("a missing target", ISO, "no column 'laod' (the target). Did you mean 'load'?", target="laod")
refused("dates as target", ISO, "'date' (the target) must hold numbers, but holds dates", target="date", time="rows")
refused("only texts", lines("a,b", ["x,y", "z,w"] * 20), "--target COLUMN", "No column holds numbers")
said(
    "inputs, named",
    days("%Y-%m-%d", row="{day},{v},{v},{v}", header="date,a,b,load"),
    "from a, load",
    "without b (not named",
    inputs="a",
)
said(
    "an end without targets",
    ISO + "".join(f"2021-03-{i:02},\n" for i in range(1, 9)),
    "missing load 8",
    "test 2021-02-03 to 2021-02-08",
)
refused("too few rows", ISO[:60], "too few for training, validation and test data")


# other formats


def parquet_of(frame: Any, **options: Any) -> bytes:
    pytest.importorskip("pyarrow")
    content = io.BytesIO()
    frame.to_parquet(content, **options)
    return content.getvalue()


FRAME = pandas.DataFrame({"day": pandas.date_range("2021-01-01", periods=40), "load": numpy.arange(40) % 7})
said("Parquet", lambda: parquet_of(FRAME), "time day, " + DAILY, file="d.parquet")
said("Parquet in gzip", lambda: gzip.compress(parquet_of(FRAME)), DAILY, file="d.parquet.gz")
said("an index of dates", lambda: parquet_of(FRAME.set_index("day")), "forecast 'load'", DAILY, file="d.parquet")
said(
    "rows that pandas filtered",
    lambda: parquet_of(FRAME[FRAME.load > 1]),
    "without __index_level_0__ (the row numbers of pandas)",
    "forecast 'load'",
    file="d.parquet",
)
said(
    "a time zone in Parquet",
    lambda: parquet_of(FRAME.assign(day=FRAME.day.dt.tz_localize("Europe/Berlin"))),
    "(in the time of Europe/Berlin), 2021-01-01 to 2021-02-09, every day",
    file="d.parquet",
)
said(
    "whole numbers with missing ones",
    lambda: parquet_of(FRAME.assign(load=FRAME.load.astype("Int64").where(FRAME.load != 3))),
    "missing load 6",
    file="d.parquet",
)
said(
    "lists in Parquet",
    lambda: parquet_of(FRAME.assign(more=[[1]] * 40)[["day", "more", "load"]]),
    "without more (lists or binary values)",
    file="d.parquet",
)
refused(
    "a missing label in Parquet",
    lambda: parquet_of(FRAME.assign(x=FRAME.load, load=FRAME.load.where(FRAME.load != 3))[["x", "load"]]),
    "d.parquet, row 4: column 'load' (the label) is empty",
    file="d.parquet",
    goal="steps",
)
refused("half a Parquet file", lambda: parquet_of(FRAME)[:99], "cannot be read as a table", file="d.parquet")
RECORDS = "".join(json.dumps({"day": str(d)[:10], "load": i % 5}) + "\n" for i, d in enumerate(FRAME.day))
said("JSON lines", RECORDS, "time day, " + DAILY, file="d.jsonl")
said("JSON lines with a missing field", RECORDS.replace(', "load": 3', "", 1), "missing load 1", file="d.ndjson")
said(
    "JSON lines with lists",
    RECORDS.replace('"load"', '"x": [1], "load"'),
    "without x (lists or objects)",
    file="d.jsonl",
)
refused("JSON lines that are none", RECORDS + "{,\n", "d.jsonl:41: this is not JSON", file="d.jsonl")
refused("JSON lines of numbers", "1\n2\n", "d.jsonl:1: expected a JSON object", file="d.jsonl")


def learned(path: Path, options: dict[str, Any]) -> Any:
    spec = Spec.read(recognise(path).name, {"data": options})
    return spec.kind.learn(path, spec.data, spec.reading)


def made(folder: Path, file: str, content: Any) -> Path:
    content = content() if callable(content) else content
    path = folder / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@pytest.mark.parametrize(("file", "content", "options", "expected"), [c[1:] for c in SAID], ids=[c[0] for c in SAID])
def test_what_was_understood_is_said(file: str, content: Any, options: dict, expected: tuple, tmp_path: Path):
    data = learned(made(tmp_path, file, content), options)
    told = "\n".join(f"{word} {text}" for word, text in data.describe())
    for words in expected:
        assert words in told, told


@pytest.mark.parametrize(
    ("file", "content", "options", "expected"), [c[1:] for c in REFUSED], ids=[c[0] for c in REFUSED]
)
def test_what_cannot_be_understood_is_asked(file: str, content: Any, options: dict, expected: tuple, tmp_path: Path):
    with pytest.raises(UnrolledError) as refusal:
        learned(made(tmp_path, file, content), options)
    for words in expected:
        assert words in str(refusal.value)


def test_the_catalogue_is_large():
    assert len(SAID) + len(REFUSED) >= 100


@pytest.fixture
def excel(tmp_path: Path) -> Callable[..., Path]:
    pytest.importorskip("openpyxl")

    def write(**sheets: Any) -> Path:
        with pandas.ExcelWriter(tmp_path / "d.xlsx") as file:
            for name, (frame, options) in sheets.items():
                frame.to_excel(file, sheet_name=name, **options)
        return tmp_path / "d.xlsx"

    return write


def test_excel_is_read(excel: Callable[..., Path]):
    frame = FRAME.assign(code=["007", "7"] * 20, note="")[["day", "code", "note", "load"]]
    told = dict(learned(excel(s=(frame, {})), {}).describe())
    assert told["time"] == f"day, {DAILY}" and told["without"] == "column 1 (row numbers), note (empty)"
    told = dict(learned(excel(s=(frame, {"index": False})), {"goal": "steps", "target": "code"}).describe())
    assert told["classes"] == "2: 007, 7" and "note (empty)" in told["without"]
    path = excel(one=(frame, {"index": False, "startrow": 3}), two=(frame.head(3), {}))
    with pytest.raises(UnrolledError, match=r"has the sheets one, two. Name one: --set 'data.sheet=NAME'"):
        learned(path, {})
    assert dict(learned(path, {"sheet": "one"}).describe())["time"] == f"day, {DAILY}"
