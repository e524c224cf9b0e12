"""What there is to read of a text: the whole of it, or many documents, one in each file of a folder or in each line."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from torch import Tensor

from ..errors import DataError
from ..files.read import read_text
from ..sequence.ragged import Ragged
from ..train.run_folder import is_taken
from .sequences import drawn_apart
from .text import Parts
from .vocabulary import Units

SHARES = (0.9, 0.05, 0.05)  # of documents: to learn from, to choose the best model by, held out
SUFFIX = ".txt"


@dataclass(frozen=True)
class Documents:
    """Texts, none of which says anything about the next one.

    >>> read_documents(Path("names.txt"), by_line=True).texts[0]
    '\\nAnna\\n'

    name: of the file or the folder.
    files: the text of each file by its name, in the order of the names.
    many: there are several documents, or may be; else one text, which is cut into parts where it stands.
    by_line: each line is a document, from the end of the line before it to its own, so that its first character and
        its end are predicted, too; empty lines are none. Else each file is one.
    """

    name: str
    files: dict[str, str]
    many: bool
    by_line: bool

    @cached_property
    def texts(self) -> list[str]:
        if not self.by_line:
            return list(self.files.values())
        return [f"\n{line}\n" for text in self.files.values() for line in text.split("\n") if line]

    @cached_property
    def text(self) -> str:
        """All of them, one behind the other."""
        return "".join(self.texts)

    @cached_property
    def parts(self) -> tuple[list[str], list[str], list[str]]:
        """Documents to learn from, to choose the best model by, and held out: drawn by the name of the file, or by the
        line itself, so that lines that are the same are never in two parts.

        Raises:
            DataError: too few for three parts.
        """
        names = self.texts if self.by_line else list(self.files)
        different = list(dict.fromkeys(names))
        if len(different) < 3:
            kind = f"{'different line' if self.by_line else 'document'}{'s' * (len(different) != 1)}"
            raise DataError(
                f"'{self.name}' has {len(different)} {kind}; to learn from some, choose by others and test on others "
                "takes 3 or more. Give more, or name a file that is one text: that is cut into parts"
            )
        part = dict(zip(different, drawn_apart(different, SHARES), strict=True))
        first, second, third = (
            [text for name, text in zip(names, self.texts, strict=True) if part[name] == k] for k in range(3)
        )
        return first, second, third

    @property
    def learned(self) -> str:
        """What is to be learned from, in one text."""
        return "".join(self.parts[0]) if self.many else self.text[: int(len(self.text) * 0.9)]

    def encoded(self, units: Units) -> Parts:
        """The three parts as numbers."""
        return Parts(*(_encoded(units, p) for p in self.parts)) if self.many else Parts.of(units.encode(self.text))

    def series(self, units: Units) -> Tensor | Ragged:
        """All of it as numbers."""
        return _encoded(units, self.texts) if self.many else units.encode(self.text)

    def without_unknown(self, units: Units) -> Documents:
        return Documents(
            self.name, {n: units.without_unknown(t) for n, t in self.files.items()}, self.many, self.by_line
        )

    @property
    def sha256(self) -> str:
        """The fingerprint of a text; of a folder that of all names and texts."""
        digest = hashlib.sha256()
        for name, text in self.files.items():
            content = text.encode("utf-8", "surrogatepass")
            if self.many and not self.by_line:
                digest.update(f"{len(name)} {name} {len(content)} ".encode("utf-8", "surrogatepass"))
            digest.update(content)
        return digest.hexdigest()


def _encoded(units: Units, texts: Sequence[str]) -> Ragged:
    return Ragged([units.encode(text) for text in texts])


def read_documents(path: Path, by_line: bool = False) -> Documents:
    """What a file holds, or a folder in its files .txt and in those of the folders in it.

    Raises:
        DataError: no such thing, no text in it, one that is empty or not UTF-8.
    """
    if not path.is_dir():
        return Documents(str(path), {path.name: read_text(path)}, by_line, by_line)
    files = text_files(path)
    if not files:
        raise DataError(f"'{path}' is a folder without texts ({SUFFIX}). Name a file, or rename those in it")
    texts = {file.relative_to(path).as_posix(): read_text(file) for file in files}
    return Documents(str(path), texts, True, by_line)


def text_files(folder: Path) -> list[Path]:
    """The texts of a folder, in the order of their names; those that a run folder in it holds are none."""
    found = (file for file in folder.rglob("*") if file.suffix.lower() == SUFFIX and file.is_file())
    return sorted(
        (file for file in found if not is_taken(file.parent)), key=lambda file: file.relative_to(folder).as_posix()
    )
