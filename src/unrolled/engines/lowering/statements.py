"""The statements of a compiled pass, which are carried out in order for each row of a batch.

A statement refers to values of type V. ``lower`` makes statements over the nodes of the graph. ``place`` turns them
into statements over buffers, which an engine can print without further decisions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ...graph.size import Area, Size

V = TypeVar("V")
W = TypeVar("W")
START = Size.of(0)


@dataclass(frozen=True)
class Part(Generic[V]):
    """The entries of a value, from entry ``offset`` on.

    along: in a loop over a matrix, of a vector with an entry for each column (0) or each row (1); else None.
    """

    of: V
    offset: Size = START
    along: int | None = None


@dataclass(frozen=True)
class Number(Generic[V]):
    """The one number of a scalar, the same for all entries of a loop."""

    of: V


@dataclass(frozen=True)
class Local:
    """The result of an earlier line of the same loop."""

    line: int


@dataclass(frozen=True)
class Literal:
    """A constant, or the number that a size stands for."""

    value: float | Size


@dataclass(frozen=True)
class Line(Generic[V]):
    """One operation on one entry."""

    op: str
    args: tuple[Part[V] | Number[V] | Local | Literal, ...]


@dataclass(frozen=True)
class Store(Generic[V]):
    """The result of a line becomes an entry of a value."""

    line: int
    to: Part[V]


@dataclass(frozen=True)
class Total(Generic[V]):
    """The sum or the mean of the results of a line: of all, or over the rows (axis 0) or the columns (axis 1)."""

    op: str
    line: int
    to: Part[V]
    axis: int | None = None


@dataclass(frozen=True)
class Loop(Generic[V]):
    """A loop over independent entries; for each entry, first the lines in order, then the stores.

    size: the number of entries; of a matrix, the number of rows, with the number of columns.
    """

    size: Size
    lines: tuple[Line[V], ...]
    stores: tuple[Store[V], ...]
    totals: tuple[Total[V], ...]
    columns: Size | None = None


@dataclass(frozen=True)
class Product(Generic[V]):
    """A matrix (rows, columns) times a vector, for all rows of the batch at once."""

    matrix: V
    rows: Size
    columns: Size
    x: Part[V]
    to: Part[V]


@dataclass(frozen=True)
class RowProduct(Generic[V]):
    """A matrix (rows, columns) times a vector, where each row of the batch has a matrix of its own. turned: the product
    is with the transpose."""

    by: Part[V]
    turned: bool
    rows: Size
    columns: Size
    x: Part[V]
    to: Part[V]


@dataclass(frozen=True)
class Reduction(Generic[V]):
    """An operation over all entries of a value, to a number (sum, max, ...) or to a vector (softmax, cumsum). If the
    number of columns is given, over the rows (axis 0) or the columns (axis 1) of a matrix."""

    op: str
    size: Size | Area
    x: Part[V]
    to: Part[V]
    columns: Size | None = None
    axis: int = 0


@dataclass(frozen=True)
class Pick(Generic[V]):
    """The entry of a vector that a token names."""

    x: Part[V]
    token: Part[V]
    to: Part[V]


@dataclass(frozen=True)
class OneHot(Generic[V]):
    """A token as a vector."""

    size: Size
    token: Part[V]
    to: Part[V]


@dataclass(frozen=True)
class Take(Generic[V]):
    """The row of a table that a token names; a row has ``size`` entries."""

    size: Size
    x: Part[V]
    token: Part[V]
    to: Part[V]


@dataclass(frozen=True)
class Choose(Generic[V]):
    """A token if the condition x is true, else another one."""

    x: Part[V]
    token: Part[V]
    other: Part[V]
    to: Part[V]


@dataclass(frozen=True)
class Copy(Generic[V]):
    """Entries of one value become entries of another."""

    size: Size | Area
    x: Part[V]
    to: Part[V]


Statement = Loop[V] | Product[V] | RowProduct[V] | Reduction[V] | Pick[V] | OneHot[V] | Take[V] | Choose[V] | Copy[V]


def reads(statement: Statement[V]) -> Iterator[Part[V] | Number[V]]:
    """The values that a statement reads, row by row."""
    if isinstance(statement, Loop):
        for line in statement.lines:
            yield from (a for a in line.args if isinstance(a, Part | Number))
        return
    if not isinstance(statement, OneHot):
        yield statement.x
    if isinstance(statement, RowProduct):
        yield statement.by
    if isinstance(statement, Pick | OneHot | Take | Choose):
        yield statement.token
    if isinstance(statement, Choose):
        yield statement.other


def writes(statement: Statement[V]) -> Iterator[Part[V]]:
    """The values that a statement writes."""
    if isinstance(statement, Loop):
        yield from (store.to for store in statement.stores)
        yield from (total.to for total in statement.totals)
    else:
        yield statement.to


Read = Callable[[Part[V]], Part[W]]
Written = Callable[[Part[V]], list[Part[W]]]


def rewritten(
    statement: Statement[V], read: Read[V, W], written: Written[V, W], matrices: Mapping[V, W]
) -> Statement[W]:
    """The same statement over other values. A loop stores its results in all places that ``written`` names, any other
    statement in the first."""
    given: Any = statement
    if isinstance(statement, Loop):

        def argument(a: Any) -> Any:
            if isinstance(a, Part):
                return replace(read(a), along=a.along)
            return Number(read(Part(a.of)).of) if isinstance(a, Number) else a

        lines = tuple(Line[W](line.op, tuple(map(argument, line.args))) for line in statement.lines)
        stores = dict.fromkeys(Store(s.line, to) for s in statement.stores for to in written(s.to))
        totals = dict.fromkeys(Total(t.op, t.line, to, t.axis) for t in statement.totals for to in written(t.to))
        return Loop(statement.size, lines, tuple(stores), tuple(totals), statement.columns)
    changed = {name: read(getattr(given, name)) for name in ("x", "token", "other", "by") if hasattr(given, name)}
    matrix = {"matrix": matrices[statement.matrix]} if isinstance(statement, Product) else {}
    result: Statement[W] = replace(given, **changed, **matrix, to=written(given.to)[0])
    return result


def operations(statement: Statement[V], sizes: Mapping[str, int]) -> int:
    """The number of operations of a statement for one row; a multiply-add counts as one."""
    if isinstance(statement, Product | RowProduct):
        return statement.rows.value(sizes) * statement.columns.value(sizes)
    columns = statement.columns.value(sizes) if isinstance(statement, Loop | Reduction) and statement.columns else 1
    if isinstance(statement, Loop):
        return statement.size.value(sizes) * columns * len(statement.lines)
    if isinstance(statement, Reduction):
        return statement.size.value(sizes) * columns
    return 1 if isinstance(statement, Pick | Choose) else statement.size.value(sizes)
