"""The bytes of a table, unpacked."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from pathlib import Path

from ...errors import DataError, reason

SUFFIXES = (".csv", ".tsv", ".parquet", ".jsonl", ".ndjson", ".xlsx")
PACKED = (".gz", ".zip")
OTHERWISE = {
    b"\x1f\x8b": "it is packed by gzip. Name it so: '{}.gz'",
    b"PK\x03\x04": "it is an Excel file or packed by zip. Name it so: '{}.xlsx' or '{}.zip'",
    b"PAR1": "it is a Parquet file. Name it so: '{}.parquet'",
}


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of a table.

    >>> is_table(Path("load.csv.gz"))
    True
    """
    return kind_of(path) in SUFFIXES


def kind_of(path: Path) -> str:
    """The suffix of a table, without that of its packing; that of the only file of a zip archive with another name.

    >>> kind_of(Path("load.CSV.gz"))
    '.csv'
    """
    suffix = path.suffix.lower()
    if suffix in PACKED:
        suffix = Path(path.stem).suffix.lower()
        if not suffix and path.suffix.lower() == ".zip" and path.is_file() and zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                suffix = next((Path(name).suffix.lower() for name in _members(archive)), "")
    return suffix


def unpacked(path: Path, content: bytes) -> bytes:
    """The bytes of a table, those of a file that is not packed as they are.

    Raises:
        DataError: the archive is damaged, or has more than one file.
    """
    try:
        if path.suffix.lower() == ".gz":
            return gzip.decompress(content)
        if path.suffix.lower() == ".zip":
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                return archive.read(_only(path, _members(archive)))
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as problem:
        raise DataError(f"'{path}' cannot be unpacked: {reason(problem)}") from None
    return content


def check_name(path: Path, content: bytes) -> None:
    """Refuse a file with the name of a text and the content of something else."""
    for begin, what in OTHERWISE.items():
        if content.startswith(begin):
            raise DataError(f"'{path}' is no text: {what.replace('{}', path.stem)}")


def _members(archive: zipfile.ZipFile) -> list[str]:
    """The files of an archive, without those that a system adds."""
    names = [name for name in archive.namelist() if not name.endswith("/") and not name.startswith("__MACOSX")]
    return [name for name in names if not Path(name).name.startswith(".")]


def _only(path: Path, names: list[str]) -> str:
    if len(names) != 1:
        listed = ", ".join(names[:6]) or "none"
        raise DataError(f"'{path}' must have one file in it, and has {len(names)}: {listed}. Unpack it first")
    return names[0]
