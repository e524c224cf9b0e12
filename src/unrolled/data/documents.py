"""Texts: a single one, or many documents, one per file of a folder, per line or per record. They are read from their
files again and again, piece by piece, and are never in memory as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError
from ..files.folder import visible
from ..files.text import TextFile
from .characters import Unknown
from .document_parts import Division
from .filtered import Filtered, unknown_in
from .record_texts import RecordTexts, has_records
from .scan import Scan, scanned
from .texts import Texts, first_characters, lines, watched
from .token_documents import TokenDocuments
from .tokenising import Tokenising
from .tokens import Tokens
from .units import Units

Series = Tokens | TokenDocuments  # a text as numbers, or documents
SHARES = (0.9, 0.05, 0.05)  # for training, validation and testing
SUFFIX = ".txt"


class Document(NamedTuple):
    """A document in pieces, the name of its file, and the name that its part follows from."""

    file: str
    name: str
    pieces: Iterable[str]


@dataclass(frozen=True)
class Documents:
    """Texts that are independent of each other.

    >>> read_documents(Path("names.txt"), by_line=True).texts[0]
    '\\nAnna\\n'

    name: of the file or the folder.
    files: the file of each name, sorted by name.
    many: whether these are documents; a single text is divided into contiguous parts instead.
    held_out: the shares for validation and for testing.
    by_line: whether each line is a document. It then includes the line breaks before and after it, so that its first
        character and its end are predicted as well. Empty lines are skipped.
    records: whether files have several texts each. Documents are then divided into parts by their texts, as lines are.
    """

    name: str
    files: dict[str, Texts]
    many: bool
    by_line: bool
    held_out: tuple[float, float] = SHARES[1:]
    records: bool = False

    def documents(self, doing: str = "reading") -> Iterator[Document]:
        """All documents in their order. Each is read before the next one.

        Args:
            doing: what is done with them, to show the progress.
        """
        for name, pieces in watched(self.files, doing):
            yield from self._of_text(name, pieces)

    def _of_text(self, file: str, pieces: Iterable[str]) -> Iterator[Document]:
        if self.by_line:
            for line in filter(None, lines(pieces)):
                text = f"\n{line}\n"
                yield Document(file, text, (text,))
        elif self.records:
            text = "".join(pieces)
            yield Document(file, text, (text,))
        else:
            yield Document(file, file, pieces)

    @property
    def texts(self) -> list[str]:
        """The text of each document, in memory."""
        return ["".join(document.pieces) for document in self.documents()]

    @cached_property
    def scan(self) -> Scan:
        """What is in them."""
        return scanned(self.files, self.many and not self.by_line, self.by_line)

    @property
    def sha256(self) -> str:
        """The fingerprint of the text; for a folder, of all names and texts."""
        return self.scan.sha256

    @property
    def line_ends(self) -> list[str]:
        """The names of the line ends that were read as LF: CR LF, CR."""
        return sorted({end for file in self.files.values() for end in file.found}, reverse=True)

    @property
    def left_out(self) -> int:
        """The number of records without a text."""
        return sum(file.left_out for file in self.files.values() if isinstance(file, RecordTexts))

    @property
    def shares(self) -> tuple[float, float, float]:
        """The shares for training, validation and testing."""
        return SHARES if self.held_out == SHARES[1:] else (1 - sum(self.held_out), *self.held_out)

    @cached_property
    def parts(self) -> bytes:
        """The part of each document: 0 for training, 1 for validation, 2 for testing. They are divided by the name of
        the file, or by the text of a line or a record, so that equal ones are in the same part.

        Raises:
            DataError: there are too few for three parts.
        """
        kind = "different line" if self.by_line else "different record" if self.records else "document"
        division = Division(self.name, list(self.files), self.shares, self.held_out, kind)
        return division.of(lambda: ((d.file, d.name) for d in self._named()))

    def _named(self) -> Iterator[Document]:
        """The documents; those that are files without reading them."""
        if self.by_line or self.records:
            return self.documents("dividing")
        return (Document(name, name, ()) for name in self.files)

    def training_pieces(self) -> Iterator[str]:
        """The training part as one text."""
        if not self.many:
            whole = chain.from_iterable(document.pieces for document in self.documents("learning units"))
            return first_characters(whole, int(self.scan.length * self.shares[0]))
        chosen = zip(self.parts, self.documents("learning units"), strict=True)
        return chain.from_iterable(_if(part == 0, document.pieces) for part, document in chosen)

    def encoded(self, units: Units) -> tuple[Series, Series, Series]:
        """The parts for training, validation and testing, as numbers: of a single text, by default, its first 90 %, the
        next 5 % and the last 5 %."""
        if self.many:
            first, second, third = self._written(units, self.parts, 3)
            return first, second, third
        series = self.series(units)
        assert isinstance(series, Tokens)
        begin, end = int(len(series) * self.shares[0]), int(len(series) * (1 - self.shares[2]))
        return series[:begin], series[begin:end], series[end:]

    def series(self, units: Units) -> Series:
        """Everything as numbers."""
        (whole,) = self._written(units, bytes(self.scan.count), 1)
        return whole if self.many else whole.tokens

    def unknown(self, units: Units) -> Iterator[tuple[str, Unknown]]:
        """The files that have characters which the units do not know, and the first of these."""
        for name, file in self.files.items():
            if unknown := unknown_in(chain.from_iterable(file.texts()), units):
                yield name, unknown

    def without_unknown(self, units: Units) -> Documents:
        """The same documents without the characters that the units do not know."""
        return replace(self, files={name: Filtered(file, units) for name, file in self.files.items()})

    def _written(self, units: Units, parts: bytes, count: int) -> list[TokenDocuments]:
        """The documents of each part as numbers, in a file."""
        tokenised = [Tokenising(units) for _ in range(count)]
        for part, document in zip(parts, self.documents("tokenising"), strict=True):
            tokenised[part].add(document.pieces)
        return [part.documents() for part in tokenised]


def _if(kept: bool, pieces: Iterable[str]) -> Iterable[str]:
    """The pieces, or none. They are read in any case, since the next document follows them."""
    return (piece for piece in pieces if kept)


def read_documents(path: Path, by_line: bool = False, line_ends: bool = True, field: str = "") -> Documents:
    """A text file, or the .txt files of a folder and its subfolders; or JSON records.

    Args:
        path: of the file or the folder.
        by_line: whether each line is a document.
        line_ends: whether the line ends CR LF and CR are read as LF.
        field: of JSON records that have the texts; files are then JSON lines, or arrays of records.

    Raises:
        DataError: nothing is there, or the folder has no texts. When they are read: one is empty or not UTF-8.
    """
    folder = path.is_dir()
    files = text_files(path, field) if folder else [path]
    if not files:
        what = "JSON records (.jsonl, .json)" if field else f"texts ({SUFFIX})"
        raise DataError(f"'{path}' is a folder without {what}. Name a file, or rename those in it")
    names = [file.relative_to(path).as_posix() if folder else path.name for file in files]
    texts = [RecordTexts(file, field, line_ends) if field else TextFile(file, line_ends) for file in files]
    found: dict[str, Texts] = dict(zip(names, texts, strict=True))
    return Documents(str(path), found, folder or by_line or bool(field), by_line, records=bool(field))


def text_files(folder: Path, field: str = "") -> list[Path]:
    """The texts of a folder, or its files of JSON records, sorted by name, without hidden ones and those of runs."""
    chosen = has_records if field else lambda file: file.suffix.lower() == SUFFIX
    found = (file for file in visible(folder) if chosen(file))
    return sorted(
        (file for file in found if not (file.parent / "config.json").exists()),
        key=lambda file: file.relative_to(folder).as_posix(),
    )
