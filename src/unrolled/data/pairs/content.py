"""Files of pairs as they are, and how their rows are divided into training, validation and test data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from ...errors import DataError
from ...files.folder import visible
from ...files.read import read_bytes
from ..example import divided
from ..given import completed, parts_of_folders, shares
from ..reading import Reading
from .options import PairsOptions
from .rows import SUFFIX, Row, are_pairs, read_rows


@dataclass(frozen=True)
class Content:
    """The rows of a file, or of the files of a folder by name, each pair of a file once.

    repeated: how many pairs are there again.
    """

    path: Path
    files: dict[str, list[Row]]
    sha256: str
    repeated: int

    @cached_property
    def rows(self) -> list[Row]:
        """The rows of all files."""
        return [row for rows in self.files.values() for row in rows]

    def parts(self, options: PairsOptions, reading: Reading) -> tuple[list[Row], list[Row], list[Row]]:
        """The rows for training, validation and testing. All pairs of a source are in one part.

        Raises:
            DataError: a part would be empty, or a file that is named for it cannot be read.
        """
        number = self._numbers(shares(reading, options.validation, options.test))
        train, validation, test = (
            [row for row, part in zip(self.rows, number, strict=True) if part == k] for k in range(3)
        )
        validation = read_content(Path(reading.validation)).rows if reading.validation else validation
        test = read_content(Path(reading.test)).rows if reading.test else test
        for name, part in (("training", train), ("validation", validation), ("testing", test)):
            if not part:
                raise DataError(f"'{self.path}': no pair is left for {name}. Add pairs with other sources")
        return train, validation, test

    def _numbers(self, held_out: tuple[float, float]) -> list[int]:
        """The part of each row: of its folder, or drawn by its source."""
        names, of_file = [row.source for row in self.rows], [n for n, rows in self.files.items() for _ in rows]
        folders = parts_of_folders(self.path, list(self.files))
        if folders:
            return completed([folders[file] for file in of_file], names, held_out)
        different = list(dict.fromkeys(names))
        part = dict(zip(different, divided(different, (1 - sum(held_out), *held_out)), strict=True))
        return [part[name] for name in names]


def read_content(path: Path) -> Content:
    """The pairs of a file, or of the files of a folder that are named .tsv.

    Raises:
        DataError: there are none, or a file cannot be read.
    """
    paths = tsv_files(path) if path.is_dir() else [path]
    if not paths:
        raise DataError(f"'{path}' is a folder without pairs ({SUFFIX}). Name a file, or rename those in it")
    names = [file.relative_to(path).as_posix() if path.is_dir() else file.name for file in paths]
    digest, repeated = hashlib.sha256(), 0
    files: dict[str, list[Row]] = {}
    for name, file in zip(names, paths, strict=True):
        content = read_bytes(file, "pairs: a source, a tab and its target in each line")
        digest.update(f"{len(name)} {name} {len(content)} ".encode("utf-8", "surrogatepass") if path.is_dir() else b"")
        digest.update(content)
        rows = read_rows(file)
        different: dict[tuple[str, ...], Row] = {}
        for row in rows:
            different.setdefault(row[1:], row)
        files[name] = list(different.values())
        repeated += len(rows) - len(files[name])
    return Content(path, files, digest.hexdigest(), repeated)


def tsv_files(folder: Path) -> list[Path]:
    """The .tsv files of a folder and its subfolders, sorted by name."""
    found = (file for file in visible(folder) if file.suffix.lower() == SUFFIX)
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def is_folder_of_pairs(folder: Path) -> bool:
    """Whether a folder has .tsv files, and all of them are pairs."""
    files = tsv_files(folder)
    return bool(files) and all(map(are_pairs, files))


def overlap(train: Sequence[Row], other: Sequence[Row]) -> int:
    """How many different sources of other data are in the training data, too."""
    return len({row.key for row in train} & {row.key for row in other})
