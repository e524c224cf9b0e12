"""Records of JSON: lines with an object each, or an array of objects."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from ..errors import DataError

Records = Iterator[tuple[str, dict[str, Any]]]  # where each record is, and the record
LINES, ARRAY = (".jsonl", ".ndjson"), ".json"
EXAMPLE = '{"date": "2021-01-01", "load": 1}'


def records_of_lines(path: Path, lines: Iterable[str]) -> Records:
    """The records of JSON lines, with 'line 1' and so on. Empty lines are skipped.

    >>> list(records_of_lines(Path("a.jsonl"), ['{"a": 1}', "", '{"a": 2}']))
    [('line 1', {'a': 1}), ('line 3', {'a': 2})]

    Raises:
        DataError: a line is not a JSON object, with its number.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except (ValueError, RecursionError) as problem:
            raise DataError(f"{path}:{number}: this is not JSON: {problem}") from None
        if not isinstance(record, dict):
            raise DataError(f"{path}:{number}: expected a JSON object such as {EXAMPLE}")
        yield f"line {number}", record


def records_of_array(path: Path, text: str) -> Records:
    """The records of an array, with 'record 1' and so on.

    >>> list(records_of_array(Path("a.json"), '[{"a": 1}]'))
    [('record 1', {'a': 1})]

    Raises:
        DataError: it is not JSON, with the line, or no array of objects.
    """
    try:
        records = json.loads(text)
    except (ValueError, RecursionError) as problem:
        line = getattr(problem, "lineno", 1)
        raise DataError(f"{path}:{line}: this is not JSON: {problem}") from None
    if not isinstance(records, list):
        raise DataError(f"'{path}' holds {_kind(records)}; expected an array of records: [{EXAMPLE}, ...]")
    for number, record in enumerate(records, 1):
        if not isinstance(record, dict):
            raise DataError(f"'{path}', record {number}: expected a JSON object such as {EXAMPLE}, got {_kind(record)}")
        yield f"record {number}", record


def begins_with_records(content: bytes) -> bool:
    """Whether a file begins like an array of records.

    >>> begins_with_records(b'[ {"a": 1}]'), begins_with_records(b'{"a": [1]}')
    (True, False)
    """
    begin = content.removeprefix(b"\xef\xbb\xbf").lstrip()
    return begin[:1] == b"[" and begin[1:].lstrip()[:1] == b"{"


def place(path: Path, where: str) -> str:
    """Where a record is, for messages: 'a.jsonl:3', or "'a.json', record 3"."""
    return f"{path}:{where.removeprefix('line ')}" if where.startswith("line ") else f"'{path}', {where}"


def _kind(value: object) -> str:
    names = {dict: "an object", list: "an array", str: "a text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")
