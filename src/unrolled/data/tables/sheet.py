"""A table as it stands in its file: named columns of texts, or of the values that the file's format has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy

from ...errors import DataError, did_you_mean
from ...files.shelf import Shelf
from .cells import Cells
from .column import Column, decimal_of, typed
from .form import Form
from .labels import as_texts

if TYPE_CHECKING:
    import pandas

MANY = 1_000_000  # rows from which columns of texts are read anew whenever they are needed


@dataclass(frozen=True)
class Sheet:
    """A table as it stands in its file.

    >>> sheet = read_sheet(Path("load.csv"))
    >>> sheet.names, sheet.column("load").values.shape
    (['date', 'load'], (8760,))

    path, sha256: of the file.
    frame: the columns by name. Each has texts ('' where a cell is empty; a categorical column of them), numbers, or
        dates.
    form: the options that it was read with.
    row_names: from a number of ``frame.index`` to the name of that row: 'line 17', or 'row 16' in files without lines.
    delimiter: of the cells of a text.
    notes: how the file is written, for people.
    left_out: columns that were not read, and why.
    index: columns that pandas stored as the index of a table. They are never the target by default.
    layout: 'wide' if each row of the file is a series; the table here has a row per step.
    keys: columns that tell series apart, where the layout says so.
    """

    path: Path
    sha256: str
    frame: pandas.DataFrame
    form: Form
    row_names: Callable[[int], str]
    delimiter: str = ""
    notes: tuple[str, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)
    index: tuple[str, ...] = ()
    layout: str = "long"
    keys: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        return [str(name) for name in self.frame.columns]

    @property
    def rows(self) -> int:
        return len(self.frame)

    def place(self, row: int) -> str:
        """The file and the line of a row (from 0), for messages: 'load.csv:17'."""
        line = self.line(row)
        return f"{self.path}:{line.removeprefix('line ')}" if line.startswith("line ") else f"{self.path}, {line}"

    def line(self, row: int) -> str:
        """The line of a row (from 0): 'line 17', or 'row 16' in files without lines."""
        return self.row_names(int(self.frame.index[row]))

    def require(self, name: str, what: str) -> str:
        """The name of a column. ``what`` says what it is for, in case it is missing."""
        if name not in self.frame.columns:
            hint = did_you_mean(name, self.names) or f". It has {', '.join(self.names)}"
            if self.layout == "wide":
                hint += ", since each row was read as a series; else: --set data.layout=long"
            raise DataError(f"'{self.path}' has no column '{name}' ({what}){hint}")
        return name

    @cached_property
    def _cells(self) -> dict[str, Cells]:
        return {}

    def has_texts(self, name: str) -> bool:
        """Whether a column has texts, which may be numbers or dates."""
        import pandas

        return isinstance(self.frame[name].dtype, (pandas.StringDtype, pandas.CategoricalDtype))

    def cells(self, name: str) -> Cells:
        """The different texts of a column of texts."""
        if name not in self._cells:
            self._cells[name] = Cells.of(self.frame[name], self.form.empty)
        return self._cells[name]

    @cached_property
    def _columns(self) -> dict[str, Column]:
        return {}

    @cached_property
    def decimal(self) -> str:
        """The decimal mark of the numbers of this table."""
        return decimal_of(self)

    def column(self, name: str, what: str = "a column") -> Column:
        """A column as numbers, dates or texts."""
        if name not in self._columns:
            column = typed(self, self.require(name, what))
            if column.kind in ("texts", "nothing") and self.rows > MANY:
                return column
            self._columns[name] = replace(column, values=self._shelf.keep(column.values))
        return self._columns[name]

    @cached_property
    def _shelf(self) -> Shelf:
        return Shelf()

    def texts(self, name: str, what: str) -> numpy.ndarray[Any, Any]:
        """A column as labels or keys (rows,): texts as they stand, '' where one is missing."""
        return as_texts(self.frame[self.require(name, what)])

    def numbers(self, name: str, what: str) -> numpy.ndarray[Any, Any]:
        """A column of numbers (rows,), NaN where one is missing.

        Raises:
            DataError: a cell is not a finite number, with its place.
        """
        column = self.column(name, what)
        if column.kind == "nothing":
            return numpy.full(self.rows, numpy.nan)
        if column.kind != "numbers":
            where = f"'{self.path}'" if column.row is None else self.place(column.row)
            raise DataError(f"{where}: column '{name}' ({what}) {column.must_be_numbers()}")
        infinite = numpy.isinf(column.values)
        if infinite.any():
            row = int(infinite.argmax())
            where = f"{self.place(row)}: column '{name}' ({what})"
            raise DataError(f"{where} must hold finite numbers, got {column.values[row]}")
        return column.values
