"""Texts in a field of JSON records: each is a document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import DataError, did_you_mean
from ..files.text import TextFile, line_ends_of, with_line_ends
from .records import ARRAY, LINES, Records, place, records_of_array, records_of_lines
from .tables.content import PACKED, unpacking
from .texts import lines


class RecordTexts:
    """The texts in a field of the records of a file: JSON lines, or an array of records.

    >>> list(RecordTexts(Path("news.jsonl"), "body").texts())  # doctest: +SKIP
    [('A headline\\nand a text',), ('Another text',)]

    Records without a text are left out. An array is read as a whole; lines are not.

    Args:
        path: of the file, which may be packed (.gz, .zip).
        field: that has the text.
        line_ends: whether the line ends CR LF and CR are read as LF.

    Raises:
        DataError: when it is read: a record is not JSON, its field is not a text, or no record has a text.
    """

    def __init__(self, path: Path, field: str, line_ends: bool = True) -> None:
        self.path, self.field, self.line_ends = path, field, line_ends
        self.found: frozenset[str] = frozenset()
        self.left_out = 0  # records without a text
        self._file = TextFile(path, unpack=unpacking(path))

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self._file.size

    @property
    def place(self) -> int:
        """Bytes that were read."""
        return self._file.place

    def texts(self) -> Iterator[Iterable[str]]:
        """Each text, in one piece."""
        found, left_out = set[str](), 0
        for text in texts_of(self.path, self._records(), self.field):
            if not text:
                left_out += 1
            elif self.line_ends and "\r" in text:
                found |= line_ends_of(text)
                yield (with_line_ends(text),)
            else:
                yield (text,)
        self.found, self.left_out = frozenset(found), left_out

    def _records(self) -> Records:
        if ARRAY in _suffixes(self.path):
            return records_of_array(self.path, "".join(self._file.pieces()))
        return records_of_lines(self.path, lines(self._file.pieces()))


def texts_of(path: Path, records: Records, field: str) -> Iterator[str]:
    """The text in a field of each record, '' where there is none.

    >>> list(texts_of(Path("a.jsonl"), iter([("line 1", {"body": "A headline"}), ("line 2", {})]), "body"))
    ['A headline', '']

    Raises:
        DataError: the field of a record is not a text; at the end, if no record has a text.
    """
    any_text, names = False, dict[str, None]()
    for where, record in records:
        text = record.get(field)
        if text is not None and not isinstance(text, str):
            raise DataError(f"{place(path, where)}: the field '{field}' must be a text, got {str(text)[:60]}")
        any_text = any_text or bool(text)
        names.update(dict.fromkeys(record) if not text and len(names) < 50 else {})
        yield text or ""
    if not any_text:
        hint = did_you_mean(field, names) or f". The records have {', '.join(names) or 'no fields'}"
        raise DataError(f"'{path}' has no record with a text in the field '{field}'{hint}")


def has_records(path: Path) -> bool:
    """Whether the name of a file is that of JSON records.

    >>> has_records(Path("news.jsonl.gz")), has_records(Path("news.txt"))
    (True, False)
    """
    return any(suffix in (*LINES, ARRAY) for suffix in _suffixes(path))


def _suffixes(path: Path) -> list[str]:
    """The suffix of a file, or that before its packing."""
    suffix = path.suffix.lower()
    return [Path(path.stem).suffix.lower()] if suffix in PACKED else [suffix]
