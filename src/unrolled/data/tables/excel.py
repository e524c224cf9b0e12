"""Tables in Excel files."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from ...errors import DataError
from .form import Form
from .found import Found, column_names
from .json_records import values_of


def read_excel(path: Path, content: bytes, form: Form) -> Found:
    """The cells of a sheet of an Excel file. Empty rows at the end are left out.

    Raises:
        DataError: openpyxl is missing, the file is damaged, or the sheet must be named.
    """
    import pandas

    try:
        sheets = pandas.read_excel(
            io.BytesIO(content), sheet_name=None, header=None, dtype=object, na_filter=False, engine="openpyxl"
        )
    except ImportError:
        raise DataError("reading Excel needs openpyxl: pip install 'unrolled[excel]'") from None
    except (ValueError, KeyError, OSError, zipfile.BadZipFile) as problem:
        raise DataError(f"'{path}' cannot be read as an Excel file: {str(problem)[:200]}") from None
    names = [name for name, frame in sheets.items() if len(frame)]
    if form.sheet or len(names) != 1:
        if form.sheet not in names:
            listed = ", ".join(map(str, names)) or "none with cells"
            raise DataError(f"'{path}' has the sheets {listed}. Name one: --set 'data.sheet=NAME'")
        names = [form.sheet]
    rows = [list(row) for row in sheets[names[0]].itertuples(index=False)]
    filled = [i for i, row in enumerate(rows) if any(cell != "" for cell in row)]
    first = (form.header - 1) if form.header else filled[0]
    if form.header == 0:
        head, body = [f"column {i}" for i in range(1, len(rows[0]) + 1)], filled
    else:
        head, body = column_names(path, [str(cell) for cell in rows[first]]), [i for i in filled if i > first]
    frame = pandas.DataFrame({i: values_of([rows[r][i] for r in body]) for i in range(len(head))})
    frame.columns = head
    empty = [name for name in head if frame[name].isna().all() or (frame[name] == "").all()]
    unnamed = {name: "no name, no values" for name in empty if name.startswith("column ")}
    notes = (f"sheet '{names[0]}'",) if len(sheets) > 1 else ()
    return Found(frame.drop(columns=list(unnamed)), lambda row: f"row {body[row] + 1}", notes=notes, left_out=unnamed)
