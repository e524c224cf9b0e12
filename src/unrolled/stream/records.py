"""A stream of JSON lines, each with a text in a field."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..data.record_texts import texts_of
from ..data.records import ARRAY, records_of_array, records_of_lines
from ..data.texts import lines
from ..files.text import with_line_ends
from .bytes import ByteStream, Decoded
from .characters import Characters


class Passage(NamedTuple):
    """Characters of one record.

    text: the characters.
    record: the number of the record, from 0.
    opens: whether the text of the record begins here.
    """

    text: str
    record: int
    opens: bool


class RecordCharacters(Decoded):
    """The characters of the texts in a field of JSON lines, as passages of one record each. An array of records (.json)
    is read as a whole.

    >>> RecordCharacters(stream, Path("news.jsonl"), "body").next(4)  # doctest: +SKIP
    Passage(text='A he', record=0, opens=True)

    Args:
        stream: of the bytes.
        path: of the input, for messages.
        field: that has the text. Records without a text are left out.
        line_ends: whether the line ends CR LF and CR are read as LF.
    """

    def __init__(self, stream: ByteStream, path: Path, field: str, line_ends: bool = True) -> None:
        super().__init__(stream)
        array = path.suffix.lower() == ARRAY
        records = records_of_array(path, "\n".join(self._lines())) if array else records_of_lines(path, self._lines())
        self._texts = texts_of(path, records, field)
        self._line_ends = line_ends
        self._text, self._record, self._begun = "", -1, 0

    def next(self, steps: int) -> Passage | None:
        while self._begun >= len(self._text):
            text = next(self._texts, None)
            if text is None:
                return None
            self._text, self._begun = with_line_ends(text) if self._line_ends else text, 0
            self._record += 1
        passage = Passage(self._text[self._begun : self._begun + steps], self._record, not self._begun)
        self._begun += len(passage.text)
        self.position += len(passage.text)
        marked = f"\0{passage.record} {passage.text}" if passage.opens else passage.text
        self._checksum = zlib.crc32(marked.encode("utf-8", "surrogatepass"), self._checksum)
        return passage

    def skip(self, steps: int) -> None:
        end = self.position + steps
        while self.position < end and self.next(end - self.position):
            pass

    def _lines(self) -> Iterator[str]:
        """All lines that arrived as a whole."""
        for line in lines(Characters(self._stream).blocks()):
            if self._stream.stopped:
                return
            yield line
