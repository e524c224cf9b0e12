"""Tables in Parquet files."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ...files.progress import progress
from .form import Form
from .found import Found, column_names
from .pieces import Pieces

if TYPE_CHECKING:
    import pandas

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
    buffer = copy.getvalue()
    return _found(ParquetFile(path, lambda: arrow.BufferReader(buffer)))


def read_parquet_file(path: Path) -> Found:
    """The same of a file that is not packed, without its bytes in memory."""
    return _found(ParquetFile(path))


def _found(file: ParquetFile) -> Found:
    pieces = Pieces(file.rows)
    for part, frame in file.frames():
        progress(part, "reading")
        pieces.add(frame)
    return Found(pieces.frame(), lambda row: f"row {row + 1}", left_out=file.left_out, index=file.index)


class ParquetFile:
    """A Parquet file that is read one group of rows after the other.

    rows: their number.
    names: of the columns that are read.
    left_out: the other columns, and why.
    index: the columns that pandas stored as the index.

    Args:
        path: of the file.
        source: opens the bytes; those of the file by default.

    Raises:
        DataError: pyarrow is missing, or the file is damaged.
    """

    def __init__(self, path: Path, source: Callable[[], Any] | None = None) -> None:
        self.path, self._source = path, source or (lambda: _arrow().OSFile(str(path)))
        with self._opened() as file:
            schema, self.rows = file.schema_arrow, int(file.metadata.num_rows)
        self.index = tuple(name for name in _index(schema) if name in schema.names)
        why = [_not_a_column(f.name, f.type, f.name in self.index) for f in schema]
        self.left_out = {f.name: reason for f, reason in zip(schema, why, strict=True) if reason}
        self._kept = [i for i, reason in enumerate(why) if not reason]
        self.names = column_names(path, [str(schema.names[i]) for i in self._kept])

    def frames(self) -> Iterator[tuple[float, pandas.DataFrame]]:
        """The rows of each group, and the share of groups before it. A file without rows has one group."""
        with self._opened() as file:
            count = file.num_row_groups
            for group in range(max(count, 1)):
                frame = _frame(file.read_row_groups([group] if count else [], use_threads=False).select(self._kept))
                frame.columns = self.names
                yield group / max(count, 1), frame

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        arrow = _arrow()
        try:
            with self._source() as source:
                yield arrow.parquet.ParquetFile(source, pre_buffer=False)
        except (arrow.ArrowException, ValueError, OSError) as problem:
            first = (str(problem).splitlines() or [type(problem).__name__])[0]
            raise DataError(f"'{self.path}' cannot be read as a table: {first[:200]}") from None


def _arrow() -> Any:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise DataError("reading Parquet needs pyarrow: pip install 'unrolled[tables]'") from None
    return pyarrow


def _index(schema: Any) -> list[str]:
    """The columns that pandas stored as the index."""
    stored = (schema.pandas_metadata or {}).get("index_columns", [])
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
