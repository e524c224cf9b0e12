"""Tables as JSON: records (objects), one per line or in an array."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ..records import ARRAY, records_of_array, records_of_lines
from .content import kind_of
from .encoding import decoded
from .form import Form
from .found import Found, column_names


def read_json(path: Path, content: bytes, form: Form) -> Found:
    """The records of JSON lines, or of an array of records. A field that a record does not have is missing there.

    Raises:
        DataError: a record is not a JSON object, with its line or number.
    """
    import pandas

    text, encoding = decoded(path, content, form.encoding)
    array = kind_of(path) == ARRAY
    found = list(records_of_array(path, text) if array else records_of_lines(path, io.StringIO(text)))
    places, records = [place for place, _ in found], [record for _, record in found]
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
    return Found(frame, places.__getitem__, notes=notes, left_out=left_out)


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
