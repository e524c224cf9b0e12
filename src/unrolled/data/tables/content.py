"""The bytes of a table, unpacked."""

from __future__ import annotations

import gzip
import io
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from shutil import copyfileobj
from typing import BinaryIO

from ...errors import DataError, reason
from ..records import ARRAY, LINES, begins_with_records

SUFFIXES = (".csv", ".tsv", ".parquet", *LINES, ".xlsx")
BEGIN = 4096  # bytes that show whether a JSON file has records
PACKED = (".gz", ".zip")
DAMAGE = (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError)
OTHERWISE = {
    b"\x1f\x8b": "it is packed by gzip. Name it so: '{}.gz'",
    b"PK\x03\x04": "it is an Excel file or packed by zip. Name it so: '{}.xlsx' or '{}.zip'",
    b"PAR1": "it is a Parquet file. Name it so: '{}.parquet'",
}


def is_table(path: Path) -> bool:
    """Whether the name of a file is that of a table, or a JSON file is an array of records.

    >>> is_table(Path("load.csv.gz"))
    True
    """
    kind = kind_of(path)
    if kind == ARRAY and path.is_file():
        with path.open("rb") as file:
            return path.suffix.lower() in PACKED or begins_with_records(file.read(BEGIN))
    return kind in SUFFIXES


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
    except DAMAGE as problem:
        raise DataError(f"'{path}' cannot be unpacked: {reason(problem)}") from None
    return content


def unpacking(path: Path) -> Callable[[BinaryIO, BinaryIO], None] | None:
    """How a file is unpacked to another one, piece by piece; None if its name says that it is not packed.

    Raises:
        DataError: when it is unpacked: the archive is damaged, or has more than one file.
    """

    def unpack(file: BinaryIO, to: BinaryIO) -> None:
        try:
            if path.suffix.lower() == ".gz":
                copyfileobj(gzip.GzipFile(fileobj=file), to)
                return
            with zipfile.ZipFile(file) as archive, archive.open(_only(path, _members(archive))) as member:
                copyfileobj(member, to)
        except DAMAGE as problem:
            raise DataError(f"'{path}' cannot be unpacked: {reason(problem)}") from None

    return unpack if path.suffix.lower() in PACKED else None


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
