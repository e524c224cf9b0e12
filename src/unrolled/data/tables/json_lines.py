"""Tables as JSON lines: one record (object) per line."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

from ...errors import DataError
from .encoding import decoded
from .form import Form
from .found import Found, column_names


def read_json_lines(path: Path, content: bytes, form: Form) -> Found:
    """The records of JSON lines; a field that is missing in a record is missing there.

    Raises:
        DataError: a line is not a JSON object, with its number.
    """
    import pandas

    text, encoding = decoded(path, content, form.encoding)
    lines, records = [], []
    for number, line in enumerate(io.StringIO(text), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except ValueError as problem:
            raise DataError(f"{path}:{number}: this is not JSON: {problem}") from None
        if not isinstance(record, dict):
            raise DataError(f'{path}:{number}: expected a JSON object such as {{"date": "2021-01-01", "load": 1}}')
        lines.append(number)
        records.append(record)
    names = list(dict.fromkeys(name for record in records for name in record))
    left_out: dict[str, str] = {}
    columns = {}
    for name in names:
        values = [record.get(name) for record in records]
        if any(isinstance(value, (list, dict)) for value in values):
            left_out[name] = "lists or objects"
        else:
            columns[name] = values_of(values)
    frame = pandas.DataFrame(columns)
    frame.columns = column_names(path, list(columns))
    notes = () if encoding == "utf-8" else (encoding.upper().removesuffix("-SIG"),)
    return Found(frame, lambda row: f"line {lines[row]}", notes=notes, left_out=left_out)


def values_of(values: list[Any]) -> Any:
    """Values of a column as one of pandas: numbers if all are, dates if all are, else texts as they stand.

    >>> values_of([1, None, 2.5]).dtype, values_of(["007", 7]).tolist()
    (dtype('float64'), ['007', '7'])
    """
    import datetime

    import pandas

    there = [value for value in values if value is not None and value != "" and value == value]
    if there and all(isinstance(value, bool) for value in there):
        return pandas.Series([value if isinstance(value, bool) else None for value in values], dtype="boolean")
    if there and all(isinstance(value, int) and not isinstance(value, bool) for value in there):
        whole = [value if isinstance(value, int) else None for value in values]
        return pandas.Series(whole, dtype="Int64" if max(map(abs, there)) < 2**63 else "float64")
    if there and all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in there):
        return pandas.Series([value if isinstance(value, (int, float)) else None for value in values], dtype="float64")
    if there and all(isinstance(value, datetime.datetime) for value in there):
        return pandas.Series([value if isinstance(value, datetime.datetime) else None for value in values])
    return pandas.Series(["" if value is None or value != value else _text(value) for value in values], dtype=str)


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
