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
from .parquet import read_parquet_file

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
    import pandas

    files = parquet_files(folder)
    names = [file.relative_to(folder).as_posix() for file in files]
    if not files:
        raise DataError(f"'{folder}' is a folder without Parquet files ({SUFFIX}). Name a file, or rename those in it")
    if parts_of_folders(folder, names):
        raise DataError(
            f"'{folder}' has folders for training and testing. Name them apart: '{folder.name}/train' as the data, and "
            f"--validation or --test for the others"
        )
    found: list[Found] = []
    for number, (name, file) in enumerate(zip(names, files, strict=True)):
        one = _with_keys(read_parquet_file(file), name)
        if found and list(one.frame.columns) != list(found[0].frame.columns):
            raise DataError(f"'{folder}': {_difference(one, name, found[0], names[0])}. All files must have the same")
        found.append(one)
        progress((number + 1) / len(files), "reading files")
    frame = pandas.concat([one.frame for one in found], ignore_index=True)
    for name in frame.columns:
        if frame[name].dtype == object:
            raise DataError(f"'{folder}': column '{name}' has numbers in some files and texts in others")
    begins = list(accumulate((len(one.frame) for one in found), initial=0))

    def row_name(row: int) -> str:
        at = bisect_right(begins, row) - 1
        return f"{names[at]}, row {row - begins[at] + 1}"

    note = f"{len(files):,} Parquet files"
    return Found(frame, row_name, "", (note,), found[0].left_out, found[0].index), _sha256(names, files)


def _with_keys(found: Found, name: str) -> Found:
    """A table with the columns that its folders name."""
    for part in Path(name).parts[:-1]:
        key, sign, value = part.partition("=")
        if sign and key and key not in found.frame.columns:
            found.frame[key] = _texts(value, len(found.frame))
    return found


def _texts(value: str, count: int) -> Any:
    import pandas

    return pandas.Series([value] * count, dtype=pandas.StringDtype(na_value=float("nan")))


def _difference(one: Found, name: str, other: Found, first: str) -> str:
    ours, theirs = list(one.frame.columns), list(other.frame.columns)
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
