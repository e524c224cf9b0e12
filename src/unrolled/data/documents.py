"""Texts: a single one, or many documents, one per file of a folder or one per line."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..errors import DataError
from ..files.text import TextFile
from ..sequence.ragged import Ragged
from .example import divided
from .given import completed, parts_of_folders
from .units import Units

Series = Tensor | Ragged  # a text as numbers (steps,), or documents
SHARES = (0.9, 0.05, 0.05)  # for training, validation and testing
SUFFIX = ".txt"


@dataclass(frozen=True)
class Documents:
    """Texts that are independent of each other.

    >>> read_documents(Path("names.txt"), by_line=True).texts[0]
    '\\nAnna\\n'

    name: of the file or the folder.
    files: the text of each file by its name, sorted by name.
    many: whether these are documents; a single text is divided into contiguous parts instead.
    held_out: the shares for validation and for testing.
    by_line: whether each line is a document. It then includes the line breaks before and after it, so that its first
        character and its end are predicted as well. Empty lines are skipped.
    line_ends: the names of the line ends that were read as LF: CR LF, CR.
    """

    name: str
    files: dict[str, str]
    many: bool
    by_line: bool
    held_out: tuple[float, float] = SHARES[1:]
    line_ends: tuple[str, ...] = ()

    @cached_property
    def texts(self) -> list[str]:
        """The text of each document."""
        if not self.by_line:
            return list(self.files.values())
        return [f"\n{line}\n" for text in self.files.values() for line in _lines(text)]

    @cached_property
    def text(self) -> str:
        """All texts, concatenated."""
        return "".join(self.texts)

    @cached_property
    def parts(self) -> tuple[list[str], list[str], list[str]]:
        """Documents for training, validation and testing, divided by the name of the file, or by the line itself, so
        that equal lines are in the same part.

        Raises:
            DataError: there are too few for three parts.
        """
        texts, files = self.texts, [n for n, t in self.files.items() for _ in (_lines(t) if self.by_line else (t,))]
        names = texts if self.by_line else files
        brought = parts_of_folders(Path(self.name), self.files) if len(self.files) > 1 else None
        different = list(dict.fromkeys(names))
        if not brought and len(different) < sum(share > 0 for share in self.shares):
            kind = f"{'different line' if self.by_line else 'document'}{'s' * (len(different) != 1)}"
            raise DataError(
                f"'{self.name}' has {len(different)} {kind}; training, validation and test data need 3 or more. "
                "Add more, or name a file with a single text, which is divided into contiguous parts"
            )
        if brought:
            number = completed([brought[file] for file in files], names, self.held_out)
        else:
            part = dict(zip(different, divided(different, self.shares), strict=True))
            number = [part[name] for name in names]
        first, second, third = ([text for k, text in zip(number, texts, strict=True) if k == p] for p in range(3))
        return first, second, third

    @property
    def shares(self) -> tuple[float, float, float]:
        """The shares for training, validation and testing."""
        return SHARES if self.held_out == SHARES[1:] else (1 - sum(self.held_out), *self.held_out)

    @property
    def training_text(self) -> str:
        """The training part as one text."""
        return "".join(self.parts[0]) if self.many else self.text[: int(len(self.text) * self.shares[0])]

    def encoded(self, units: Units) -> tuple[Series, Series, Series]:
        """The parts for training, validation and testing, as numbers: of a single text, by default, its first 90 %, the
        next 5 % and the last 5 %."""
        if self.many:
            first, second, third = (_encoded(units, part) for part in self.parts)
            return first, second, third
        series = units.encode(self.text)
        begin, end = int(len(series) * self.shares[0]), int(len(series) * (1 - self.shares[2]))
        return series[:begin], series[begin:end], series[end:]

    def series(self, units: Units) -> Series:
        """Everything as numbers."""
        return _encoded(units, self.texts) if self.many else units.encode(self.text)

    def without_unknown(self, units: Units) -> Documents:
        """The same documents without the characters that the units do not know."""
        known = {name: units.without_unknown(text) for name, text in self.files.items()}
        return replace(self, files=known)

    @property
    def sha256(self) -> str:
        """The fingerprint of the text; for a folder, of all names and texts."""
        digest = hashlib.sha256()
        for name, text in self.files.items():
            content = text.encode("utf-8", "surrogatepass")
            if self.many and not self.by_line:
                digest.update(f"{len(name)} {name} {len(content)} ".encode("utf-8", "surrogatepass"))
            digest.update(content)
        return digest.hexdigest()


def _lines(text: str) -> list[str]:
    """The lines of a text that are not empty."""
    return [line for line in text.split("\n") if line]


def _encoded(units: Units, texts: Sequence[str]) -> Ragged:
    return Ragged([units.encode(text) for text in texts])


def read_documents(path: Path, by_line: bool = False, line_ends: bool = True) -> Documents:
    """Read a text file, or the .txt files of a folder and its subfolders.

    Args:
        path: of the file or the folder.
        by_line: whether each line is a document.
        line_ends: whether the line ends CR LF and CR are read as LF.

    Raises:
        DataError: nothing is there, there is no text in it, or one is empty or not UTF-8.
    """
    folder = path.is_dir()
    files = text_files(path) if folder else [path]
    if not files:
        raise DataError(f"'{path}' is a folder without texts ({SUFFIX}). Name a file, or rename those in it")
    found = {file.relative_to(path).as_posix() if folder else path.name: TextFile(file, line_ends) for file in files}
    texts = {name: "".join(file.pieces()) for name, file in found.items()}
    ends = sorted({end for file in found.values() for end in file.found}, reverse=True)
    return Documents(str(path), texts, folder or by_line, by_line, line_ends=tuple(ends))


def text_files(folder: Path) -> list[Path]:
    """The texts of a folder, sorted by name, without those in run folders."""
    found = (file for file in folder.rglob("*") if file.suffix.lower() == SUFFIX and file.is_file())
    return sorted(
        (file for file in found if not (file.parent / "config.json").exists()),
        key=lambda file: file.relative_to(folder).as_posix(),
    )
