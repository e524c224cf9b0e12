"""Tables in Parquet files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import DataError, reason
from ...files.progress import progress
from .form import Form
from .found import Found, column_names

UNNAMED = "__index_level_"


def read_parquet(path: Path, content: bytes, form: Form) -> Found:
    """The columns of a Parquet file. The row numbers that pandas stored are left out.

    Raises:
        DataError: pyarrow is missing, or the file is damaged.
    """
    arrow = _arrow()
    # Arrow's threads outlive Python. One that holds a Python object then aborts the process (apache/arrow#34314). So
    # Arrow gets its own copy, and reads it without threads.
    copy = arrow.BufferOutputStream()
    copy.write(content)
    return _found(path, list(_tables(path, arrow.BufferReader(copy.getvalue()))))


def read_parquet_file(path: Path) -> Found:
    """The same of a file that is not packed, read one group of rows after the other."""
    try:
        return _found(path, list(_tables(path, _arrow().OSFile(str(path)))))
    except OSError as problem:
        raise DataError(f"'{path}' cannot be read: {reason(problem)}") from None


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError("reading Parquet needs pyarrow: pip install 'unrolled[tables]'") from None
    return pyarrow


def _tables(path: Path, source: Any) -> Iterator[tuple[Any, dict[str, str], tuple[str, ...]]]:
    """The frame of each group of rows, the columns that are left out, and those that pandas stored as the index."""
    arrow = _arrow()
    try:
        file = arrow.parquet.ParquetFile(source, pre_buffer=False)
        count = file.num_row_groups
        for group in range(max(count, 1)):
            progress(group / max(count, 1), "reading")
            table = file.read_row_groups([group] if count else [], use_threads=False)
            index = tuple(name for name in _index(table) if name in table.column_names)
            left_out: dict[str, str] = {}
            kept = []
            for name, column in zip(table.column_names, table.columns, strict=True):
                if why := _not_a_column(name, column.type, name in index):
                    left_out[name] = why
                else:
                    kept.append(name)
            yield _frame(table.select(kept)), left_out, index
    except (arrow.ArrowException, ValueError, OSError) as problem:
        first = (str(problem).splitlines() or [type(problem).__name__])[0]
        raise DataError(f"'{path}' cannot be read as a table: {first[:200]}") from None


def _found(path: Path, tables: list[tuple[Any, dict[str, str], tuple[str, ...]]]) -> Found:
    import pandas

    frames, (_, left_out, index) = [frame for frame, *_ in tables], tables[0]
    frame = frames[0] if len(frames) == 1 else pandas.concat(frames, ignore_index=True)
    frame.columns = column_names(path, list(map(str, frame.columns)))
    return Found(frame, lambda row: f"row {row + 1}", left_out=left_out, index=index)


def _index(table: Any) -> list[str]:
    """The columns that pandas stored as the index."""
    stored = (table.schema.pandas_metadata or {}).get("index_columns", [])
    return [name for name in stored if isinstance(name, str)]


def _not_a_column(name: str, kind: Any, index: bool) -> str:
    """Why a column is left out; '' if it is not."""
    import pyarrow

    types = pyarrow.types
    if index and name.startswith(UNNAMED) and types.is_integer(kind):
        return "the row numbers of pandas"
    return "lists or binary values" if types.is_nested(kind) or types.is_binary(kind) else ""


def _frame(table: Any) -> Any:
    """Arrow's columns as those of pandas, whole numbers and missing ones side by side."""
    import pandas
    import pyarrow

    whole = {
        getattr(pyarrow, f"{sign}int{bits}")(): getattr(pandas, f"{'UI' if sign else 'I'}nt{bits}Dtype")()
        for sign in ("", "u")
        for bits in (8, 16, 32, 64)
    }
    strings = (pyarrow.string(), pyarrow.large_string())
    kinds = whole | {kind: pandas.StringDtype(na_value=float("nan")) for kind in strings}
    kinds[pyarrow.bool_()] = pandas.BooleanDtype()
    frame = table.to_pandas(
        ignore_metadata=True,
        date_as_object=False,
        use_threads=False,
        types_mapper=kinds.get,
        strings_to_categorical=False,
    )
    for name, kind in zip(table.column_names, table.schema.types, strict=True):
        if pyarrow.types.is_decimal(kind):
            frame[name] = frame[name].astype("float64")
        elif pyarrow.types.is_dictionary(kind):
            frame[name] = frame[name].astype(frame[name].cat.categories.dtype)
        if frame[name].dtype == object or isinstance(frame[name].dtype, pandas.StringDtype):
            frame[name] = frame[name].where(frame[name].notna(), "").astype(str)
    return frame
