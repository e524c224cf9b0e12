"""Folders of Parquet files that are one table together, as pandas, Spark and others write large tables."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import Any

from ...errors import DataError
from ...files.folder import visible
from ...files.progress import progress
from ..given import parts_of_folders
from .found import Found
from .parquet import ParquetFile
from .pieces import Pieces

SUFFIX = ".parquet"


def parquet_files(folder: Path) -> list[Path]:
    """The Parquet files of a folder and its subfolders, sorted by name, without hidden ones and those that begin with
    _ (as _metadata)."""
    found = (file for file in visible(folder) if file.suffix.lower() == SUFFIX)
    return sorted(file for file in found if not any(p.startswith("_") for p in file.relative_to(folder).parts))


def read_parquet_folder(folder: Path) -> tuple[Found, str]:
    """The rows of all files, one file after the other, and one fingerprint of them. A folder called KEY=VALUE adds a
    column KEY.

    >>> found, sha256 = read_parquet_folder(Path("sales"))  # sales/shop=A/1.parquet, sales/shop=B/1.parquet
    >>> list(found.frame.columns)
    ['day', 'load', 'shop']

    Raises:
        DataError: there are no files, one is damaged, their columns differ, or they are in folders of parts.
    """

    files = parquet_files(folder)
    names = [file.relative_to(folder).as_posix() for file in files]
    if not files:
        raise DataError(f"'{folder}' is a folder without Parquet files ({SUFFIX}). Name a file, or rename those in it")
    if parts_of_folders(folder, names):
        raise DataError(
            f"'{folder}' has folders for training and testing. Name them apart: '{folder.name}/train' as the data, and "
            f"--validation or --test for the others"
        )
    parts = [ParquetFile(file) for file in files]
    columns = [[*part.names, *_keys(part, name)] for part, name in zip(parts, names, strict=True)]
    for own, name in zip(columns, names, strict=True):
        if own != columns[0]:
            raise DataError(f"'{folder}': {_difference(own, name, columns[0], names[0])}. All files must have the same")
    pieces = Pieces(sum(part.rows for part in parts))
    for number, (part, name) in enumerate(zip(parts, names, strict=True)):
        for share, frame in part.frames():
            progress((number + share) / len(files), "reading files")
            for key, value in _keys(part, name).items():
                frame[key] = _texts(value, len(frame))
            pieces.add(frame)
    frame = pieces.frame()
    for name in frame.columns:
        if frame[name].dtype == object:
            raise DataError(f"'{folder}': column '{name}' has numbers in some files and texts in others")
    begins = list(accumulate((part.rows for part in parts), initial=0))

    def row_name(row: int) -> str:
        at = bisect_right(begins, row) - 1
        return f"{names[at]}, row {row - begins[at] + 1}"

    note = f"{len(files):,} Parquet files"
    return Found(frame, row_name, "", (note,), parts[0].left_out, parts[0].index), _sha256(names, files)


def _keys(part: ParquetFile, name: str) -> dict[str, str]:
    """The columns that the folders of a file name, and their values."""
    pairs = (folder.partition("=") for folder in Path(name).parts[:-1])
    return {key: value for key, sign, value in pairs if sign and key and key not in part.names}


def _texts(value: str, count: int) -> Any:
    import pandas

    return pandas.Series([value] * count, dtype=pandas.StringDtype(na_value=float("nan")))


def _difference(ours: list[str], name: str, theirs: list[str], first: str) -> str:
    more, less = [n for n in ours if n not in theirs], [n for n in theirs if n not in ours]
    if more:
        return f"'{name}' has a column '{more[0]}', which '{first}' does not have"
    if less:
        return f"'{name}' has no column '{less[0]}', which '{first}' has"
    return f"the columns of '{name}' are in another order than those of '{first}'"


def _sha256(names: list[str], files: list[Path]) -> str:
    """One fingerprint of all files, with their names."""
    digest = hashlib.sha256()
    for name, file in zip(names, files, strict=True):
        with file.open("rb") as content:
            one = hashlib.file_digest(content, "sha256").digest()
        digest.update(f"{len(name)} {name} ".encode("utf-8", "surrogatepass") + one)
    return digest.hexdigest()
