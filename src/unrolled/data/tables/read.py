"""From a file to a table: CSV, TSV, Parquet, JSON and Excel, each also packed (.gz, .zip)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import DataError
from ...files.read import read_bytes
from .content import kind_of, unpacked
from .csv_text import read_csv
from .excel import read_excel
from .form import Form
from .json_records import read_json
from .parquet import read_parquet, read_parquet_file
from .parquet_folder import SUFFIX, read_parquet_folder
from .sheet import Sheet
from .wide import is_wide, made_long

if TYPE_CHECKING:
    from .found import Found

READERS: dict[str, Callable[[Path, bytes, Form], Found]] = {
    ".parquet": read_parquet,
    ".jsonl": read_json,
    ".ndjson": read_json,
    ".json": read_json,
    ".xlsx": read_excel,
}
WHAT = "a table (CSV, TSV, Parquet, JSON, Excel)"


def read_sheet(path: Path, form: Form | None = None) -> Sheet:
    """Read a table.

    >>> read_sheet(Path("load.csv")).names
    ['date', 'load']

    Args:
        path: of the file, or a folder of Parquet files. The name of a file says how it is packed and what it is; one of
            another name is read as CSV.
        form: how it is written, where the file does not decide.

    Raises:
        DataError: it cannot be read, is empty, has duplicate names of columns, or can be understood in several ways.
    """
    try:
        import pandas  # noqa: F401
    except ImportError:
        raise DataError("reading tables needs pandas: pip install 'unrolled[tables]'") from None
    form = form or Form()
    found, sha256 = _read(path, form)
    frame, left_out = found.frame, dict(found.left_out)
    notes = list(found.notes)
    if form.footer:
        frame = frame.iloc[: -form.footer]
        notes.append(f"without the last {'row' if form.footer == 1 else f'{form.footer} rows'}")
    if not len(frame):
        raise DataError(f"'{path}' has no rows under its header")
    sheet = Sheet(path, sha256, frame, form, found.row_names, found.delimiter, tuple(notes), left_out, found.index)
    wide = form.layout == "wide" or (not form.layout and is_wide(sheet))
    return made_long(sheet) if wide else sheet


def _read(path: Path, form: Form) -> tuple[Found, str]:
    """What the reader of the format finds, and the fingerprint of the file. Parquet is not read as a whole first."""
    if path.is_dir():
        return read_parquet_folder(path)
    if path.suffix.lower() == SUFFIX and path.is_file() and path.stat().st_size:
        found = read_parquet_file(path)
        with path.open("rb") as file:
            return found, hashlib.file_digest(file, "sha256").hexdigest()
    packed = read_bytes(path, WHAT)
    content = unpacked(path, packed)
    if not content.strip():
        raise DataError(f"'{path}' is empty; expected {WHAT}")
    return READERS.get(kind_of(path), read_csv)(path, content, form), hashlib.sha256(packed).hexdigest()
