"""What each column of a table is for: named by options, or found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy

from ...errors import DataError
from .column import Column
from .series import Roles
from .sheet import Sheet
from .time_column import find_time, parts_of_time


class Named(Protocol):
    """The options that name columns; each is empty by default."""

    @property
    def goal(self) -> str: ...
    @property
    def target(self) -> str: ...
    @property
    def time(self) -> str: ...
    @property
    def sequence(self) -> str | list[str]: ...
    @property
    def inputs(self) -> str | list[str] | None: ...
    @property
    def future(self) -> str | list[str] | None: ...


@dataclass(frozen=True)
class Understood:
    """The roles of columns, and the columns that have none, with the reason."""

    roles: Roles
    left_out: dict[str, str]


def find_roles(sheet: Sheet, named: Named) -> Understood:
    """What each column is for.

    >>> find_roles(read_sheet(Path("load.csv")), TableOptions()).roles
    Roles(time='date', keys=(), target='load', inputs=('temp',), future=(), labels=False)

    Args:
        sheet: the table.
        named: the options. By default the only column of dates is the time, the last other column is the target, and
            all other columns of numbers are inputs.

    Raises:
        DataError: a named column is missing, or a role has no column that fits, or more than one.
    """
    labels = named.goal != "forecast"
    keys = columns_named(sheet, named.sequence, "the sequence of each row") or sheet.keys
    future = _future(sheet, named)
    inputs = columns_named(sheet, named.inputs, "an input") if named.inputs else None
    if named.target:
        sheet.require(named.target, "the target")
    apart = {named.target, *(inputs or ()), *future}
    time = find_time(sheet, named.time, keys, apart, numbers=not labels)
    left_out = dict(sheet.left_out)
    times = parts_of_time(sheet, time)
    for name in sheet.names:
        if name not in {*apart, *keys, *times} and _is_row_number(sheet, name):
            left_out[name] = "row numbers"
    rest = [name for name in sheet.names if name not in {*keys, *future, *left_out, *times}]
    target = named.target or _default_target(sheet, rest, labels)
    if not labels:
        sheet.numbers(target, "the target")
    if inputs is None:
        others = [name for name in rest if name != target]
        inputs = tuple(name for name in others if sheet.column(name).kind == "numbers")
        left_out |= {name: _why_left_out(sheet, sheet.column(name)) for name in others if name not in inputs}
    else:
        left_out |= {name: "not named in data.inputs" for name in rest if name not in inputs and name != target}
        inputs = tuple(name for name in inputs if labels or name != target)
    return Understood(Roles(time, keys, target, inputs, future, labels), left_out)


def columns_named(sheet: Sheet, value: str | Sequence[str] | None, what: str) -> tuple[str, ...]:
    """The columns that an option names: a list, or names with commas between them.

    >>> columns_named(sheet, "shop,item", "the sequence of each row")
    ('shop', 'item')
    """
    given = [value] if isinstance(value, str) else list(value or ())
    names = [n.strip() for g in given for n in ([g] if g in sheet.names else g.split(",")) if n.strip()]
    return tuple(sheet.require(name, what) for name in dict.fromkeys(names))


def _why_left_out(sheet: Sheet, column: Column) -> str:
    """Why a column is not an input."""
    if column.kind == "nothing":
        return "empty"
    if column.strange and column.row is not None:
        return f"{sheet.line(column.row)}: {column.strange!r} is not a number"
    return column.kind


def _future(sheet: Sheet, named: Named) -> tuple[str, ...]:
    return columns_named(sheet, named.future, "known beyond the end") if named.future else ()


def _is_row_number(sheet: Sheet, name: str) -> bool:
    """Whether a column without a name counts the rows, as the index that pandas writes."""
    column = sheet.column(name)
    if not name.startswith(("column ", "Unnamed: ")) or column.kind != "numbers" or sheet.form.header == 0:
        return False
    first = column.values[0]
    return first in (0.0, 1.0) and numpy.array_equal(column.values, first + numpy.arange(sheet.rows))


def _default_target(sheet: Sheet, rest: Sequence[str], labels: bool) -> str:
    """The last column that can be the target."""
    names = [name for name in rest if name not in sheet.index and sheet.column(name).kind != "nothing"]
    if not names:
        raise DataError(f"'{sheet.path}' has no column to predict; it has {', '.join(sheet.names)}")
    last = names[-1]
    numbers = [name for name in names if sheet.column(name).kind == "numbers"]
    if labels or last in numbers:
        return last
    if sheet.column(last).strange:
        return last
    if len(numbers) == 1:
        return numbers[0]
    choice = f" It may be {', '.join(numbers)}" if numbers else " No column holds numbers"
    raise DataError(
        f"'{sheet.path}': the last column, '{last}', holds {sheet.column(last).kind}. Name the column to forecast: "
        f"--target COLUMN.{choice}"
    )
