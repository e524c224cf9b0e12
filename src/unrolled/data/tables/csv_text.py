"""Tables as text: CSV, TSV, and whatever else separates cells."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DataError
from .content import check_name
from .dates import parse_dates
from .dialect import NAMES, Dialect, found_dialect
from .encoding import decoded
from .form import Form
from .found import Found, column_names
from .numbers import MISSING, is_number

if TYPE_CHECKING:
    import pandas

YEARS = 3  # columns named by numbers, from which a header of years or steps is one
CLIP = 60  # characters of a line that are shown


def read_csv(path: Path, content: bytes, form: Form) -> Found:
    """The cells of a text as texts, '' where one is empty.

    Raises:
        DataError: the encoding or the delimiter is not clear, a row has too many or too few cells, or the names of the
            columns are numbers.
    """
    check_name(path, content)
    text, encoding = decoded(path, content, form.encoding)
    dialect = found_dialect(path, text, form)
    records = _Records(path, text, dialect)
    frame = _parsed(records)
    headless = form.header == 0
    if headless:
        frame.columns = [f"column {i}" for i in range(1, frame.shape[1] + 1)]
    else:
        head = [str(cell).strip() for cell in frame.iloc[0]] if len(frame) else []
        if form.header is None:
            _check_header(records, head)
        names = column_names(path, head)
        frame = frame.iloc[1:]
        frame.columns = names
    frame, comments = _without_comments(frame)
    _check_short(records, frame)
    left_out = {}
    for name in [n for n in frame.columns if n.startswith("column ") and (frame[n] == "").all()]:
        frame, left_out[name] = frame.drop(columns=name), "no name, no values"
    notes = [] if dialect.delimiter in (",", "") else [f"{NAMES[dialect.delimiter]} between cells"]
    notes += [] if encoding == "utf-8" else [encoding.upper().removesuffix("-SIG")]
    notes += [f"{n} comment line{'s' * (n > 1)}"] if (n := _comment_lines(text, dialect) + comments) else []
    return Found(frame, records.place, dialect.delimiter, tuple(notes), left_out)


class _Records:
    """The records of a text (its header is number 0), and the line of each."""

    def __init__(self, path: Path, text: str, dialect: Dialect) -> None:
        self.path, self.dialect, self.lines = path, dialect, dialect.comments
        at = 0
        for _ in range(dialect.comments):
            at = text.find("\n", at) + 1
        self.text = text[at:].rstrip("\r\n") + "\n"

    def __iter__(self):  # type: ignore[no-untyped-def]
        return ((self.lines + line, cells) for line, cells in self.dialect.records(self.text))

    def place(self, record: int) -> str:
        """The line of a record."""
        return f"line {next((line for i, (line, _) in enumerate(self) if i == record), record + 1)}"


def _parsed(records: _Records) -> pandas.DataFrame:
    import pandas

    delimiter = records.dialect.delimiter
    try:
        return pandas.read_csv(
            io.StringIO(records.text, newline=""),
            sep=r"\s+" if delimiter == " " else delimiter or "\x1f",
            header=None,
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            skip_blank_lines=delimiter != "",
            skipinitialspace=records.dialect.padded,
            engine="c",
        )
    except (ValueError, pandas.errors.ParserError, pandas.errors.EmptyDataError) as problem:
        raise _unequal(records) or DataError(
            f"'{records.path}' cannot be read as a table: {str(problem).strip().splitlines()[0][:200]}"
        ) from None


def _unequal(records: _Records) -> DataError | None:
    """The error for the first row that has not as many cells as the header."""
    first = 0
    try:
        for line, cells in records:
            first = first or len(cells)
            if len(cells) != first:
                return _not_as_many(records, line, cells, first)
    except csv.Error:
        pass
    return None


def _not_as_many(records: _Records, line: int, cells: Sequence[str], expected: int) -> DataError:
    shown = (records.dialect.delimiter or ",").join(cells)[:CLIP]
    header = f". If the names of the columns are in a later line, name it: --set data.header={line}"
    footer = ". If rows at the end are notes, leave them out: --set data.footer=1"
    advice = header if expected < len(cells) and line <= records.lines + 5 else footer if expected > len(cells) else ""
    return DataError(
        f"{records.path}:{line}: expected {expected} cell{'s' * (expected > 1)}, as in the first line, got "
        f"{len(cells)}: {shown!r}. Cells with a {NAMES[records.dialect.delimiter or ','][:-1]} in them need quotes; "
        f"--set data.delimiter=... names another delimiter{advice}"
    )


def _check_header(records: _Records, names: Sequence[str]) -> None:
    """Refuse a first line of data."""
    numbers = [name for name in names if name and _is_value(name)]
    years = len(numbers) == len(names) - 1 >= YEARS and names[0] not in numbers
    if numbers and not years:
        line = next((line for line, _ in records), 1)
        raise DataError(
            f"{records.path}:{line}: the names of the columns should be here, but {numbers[0]!r} is a value. If this "
            "line is data, add --set data.header=0; if the names are in a later line, name it: --set data.header=LINE"
        )


def _is_value(name: str) -> bool:
    """Whether a name is rather a number, a date, or a word for a missing number."""
    return is_number(name) or name.lower() in MISSING or bool(parse_dates([name], "dmy").kind)


def _without_comments(frame: pandas.DataFrame) -> tuple[pandas.DataFrame, int]:
    """The rows that are not comments (# and nothing in the other cells), and the number of comments."""
    if frame.shape[1] < 2 or not len(frame):
        return frame, 0
    comment = frame.iloc[:, 0].str.startswith("#").to_numpy(dtype=bool)
    if not comment.any():
        return frame, 0
    comment = comment & (frame.iloc[:, 1:] == "").all(axis=1).to_numpy(dtype=bool)
    return frame[~comment], int(comment.sum())


def _check_short(records: _Records, frame: pandas.DataFrame) -> None:
    """Refuse rows with fewer cells than the header, which pandas fills with empty ones."""
    if frame.shape[1] < 2 or not (frame.iloc[:, -1] == "").any():
        return
    first = 0
    for line, cells in records:
        first = first or len(cells)
        if len(cells) < first and not cells[0].startswith("#"):
            raise _not_as_many(records, line, cells, first)


def _comment_lines(text: str, dialect: Dialect) -> int:
    lines = text.split("\n", dialect.comments)[: dialect.comments]
    return sum(line.lstrip().startswith("#") for line in lines)
