"""Large tables from pieces: each column is written to its place, so that only one piece is in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy

from ...files.shelf import Shelf

if TYPE_CHECKING:
    import pandas

Array = numpy.ndarray[Any, Any]


class Pieces:
    """A table that is read in pieces.

    >>> pieces = Pieces(rows=3)
    >>> pieces.add(pandas.DataFrame({"load": [1.0, 2.0]}))
    >>> pieces.add(pandas.DataFrame({"load": [3.0]}))
    >>> pieces.frame().load.tolist()
    [1.0, 2.0, 3.0]

    Texts are stored as numbers of the different texts, a categorical column of pandas.

    Args:
        rows: of all pieces.
    """

    def __init__(self, rows: int) -> None:
        self.rows, self.shelf, self.done = rows, Shelf(), 0
        self.columns: dict[str, _Column] = {}

    def add(self, frame: pandas.DataFrame) -> None:
        """Append the rows of a piece, which has the columns of the first one."""
        for name in frame.columns:
            column = self.columns.setdefault(name, _Column(self.rows, self.shelf))
            column.add(self.done, frame[name])
        self.done += len(frame)

    def frame(self) -> pandas.DataFrame:
        """The table."""
        import pandas

        return pandas.DataFrame({name: column.series(self.rows) for name, column in self.columns.items()}, copy=False)


class _Column:
    """A column. Pieces of different types, and those that numpy does not have, are held in memory.

    values, missing: what was added, and where nothing is: (rows,).
    texts: the number of each different text.
    """

    def __init__(self, rows: int, shelf: Shelf) -> None:
        self.rows, self.shelf = rows, shelf
        self.dtype: Any = None
        self.values = self.missing = numpy.empty(0)
        self.texts: dict[str, int] = {}
        self.held: list[pandas.Series[Any]] = []

    def add(self, begin: int, series: pandas.Series[Any]) -> None:
        if self.dtype is None:
            self._prepare(series)
        if self.held or series.dtype != self.dtype or not len(self.values):
            self.held += [] if self.held or not begin else [self.series(begin)]
            self.held.append(series)
            return
        part = slice(begin, begin + len(series))
        if _is_text(self.dtype):
            self.values[part] = self._numbers(series)
        elif len(self.missing):
            self.missing[part] = series.isna().to_numpy()
            self.values[part] = series.to_numpy(dtype=self.values.dtype, na_value=0)
        else:
            self.values[part] = series.to_numpy()

    def _prepare(self, series: pandas.Series[Any]) -> None:
        """Find room for the column."""
        self.dtype = series.dtype
        if _is_text(self.dtype):
            self.values = self.shelf.empty((self.rows,), "int32")
        elif _is_masked(self.dtype):
            self.values = self.shelf.empty((self.rows,), self.dtype.numpy_dtype)
            self.missing = self.shelf.empty((self.rows,), "bool")
        elif isinstance(self.dtype, numpy.dtype) and self.dtype.kind in "biufmM":
            self.values = self.shelf.empty((self.rows,), self.dtype)

    def _numbers(self, series: pandas.Series[Any]) -> Array:
        """The number of each text of a piece."""
        import pandas

        codes, different = pandas.factorize(series)
        numbers = [self.texts.setdefault(text, len(self.texts)) for text in different.tolist()]
        return numpy.array(numbers, "int32")[codes] if len(series) else numpy.empty(0, "int32")

    def series(self, rows: int) -> pandas.Series[Any]:
        """The first rows."""
        import pandas

        if self.held:
            return pandas.concat(self.held, ignore_index=True)
        values, missing = self.values[:rows], self.missing[:rows]
        if _is_text(self.dtype):
            texts = pandas.Index(list(self.texts), dtype=self.dtype)
            return pandas.Series(pandas.Categorical.from_codes(values, categories=texts))
        if _is_masked(self.dtype):
            array = pandas.arrays.BooleanArray if self.dtype.kind == "b" else pandas.arrays.IntegerArray
            return pandas.Series(array(values, missing, copy=False))
        return pandas.Series(values, copy=False)


def _is_text(dtype: Any) -> bool:
    import pandas

    return isinstance(dtype, pandas.StringDtype)


def _is_masked(dtype: Any) -> bool:
    """Whether a type of pandas has whole numbers or truth values, and a mask."""
    import pandas

    return isinstance(dtype, pandas.api.extensions.ExtensionDtype) and dtype.kind in "biu"
