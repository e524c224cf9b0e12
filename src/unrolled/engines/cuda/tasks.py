"""The statements of a step as tasks, which the threads of a block share.

A task computes some entries for each lane. Entry j is computed by thread j modulo the number of threads of a lane, so
two tasks may follow each other without a barrier as long as each thread only touches what it touched itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...graph.size import Area, Size
from ..lowering.buffers import PARTIALS, Buffer
from ..lowering.place import Ahead, Begin, End, Placed, Placement
from ..lowering.statements import (
    START,
    Choose,
    Copy,
    Loop,
    MatrixProduct,
    Number,
    OneHot,
    Part,
    Pick,
    Product,
    Reduction,
    RowProduct,
    Take,
    Transposed,
)

ONE = Size.of(1)
ALONE = ("argmax", "cumsum", "cumsum from the last")  # one thread does all the work

# the parts of a statement that has several
ENTRIES, TOTALS, ROWS, COLUMNS = "entries", "totals", "rows", "columns"
TOP, EXPONENTIALS, RESULT = "top", "exponentials", "result"


@dataclass(frozen=True)
class Touch:
    """How a task uses a buffer. own: the offset, if the thread of entry j touches only entry j + offset; None if a
    thread may touch any entry."""

    buffer: Buffer
    own: Size | None
    writes: bool


@dataclass(frozen=True)
class Restart:
    """States that become zero where a sequence is reset."""

    states: tuple[Buffer, ...]


@dataclass(frozen=True)
class Task:
    """A statement, or a part of one, that computes ``entries`` entries. partials: the buffers of sums in parts."""

    of: Placed | Restart
    part: str
    entries: Size | Area
    touches: tuple[Touch, ...]
    partials: tuple[Buffer, ...] = ()


def tasks(placement: Placement, totals: int) -> tuple[Task, ...]:
    """The tasks of a step. ``totals``: how many states, the last ones, are sums over the steps and are never reset."""
    found, number = list[Task](), 0
    for s in placement.step:
        if isinstance(s, End) and placement.reverse:
            found.append(_of_states(Restart(placement.states[: len(placement.states) - totals])))
        new = list(_tasks(s, number))
        number += len({b for task in new for b in task.partials})
        found += new
    return tuple(task for task in found if task.touches)


def _tasks(s: Placed, number: int) -> Iterator[Task]:
    """The tasks of a statement. ``number``: how many buffers for partial results exist."""
    if isinstance(s, Begin | End):
        yield _of_states(s)
    elif isinstance(s, Loop):
        yield from _of_loop(s, number)
    elif isinstance(s, Reduction):
        yield from _of_reduction(s, number)
    elif not isinstance(s, Ahead):
        entries, inputs = _simple(s)
        to = [Touch(s.to.of, None, True)] if isinstance(s, MatrixProduct | Transposed) else _written([s.to])
        yield Task(s, "", entries, (*inputs, *to))


def _of_states(s: Begin | End | Restart) -> Task:
    writes = not isinstance(s, End)
    largest = s.states[0].size if s.states else ONE
    return Task(s, "", largest, tuple(Touch(b, START, writes) for b in s.states))


def _own(parts: Iterable[Part[Buffer]]) -> Iterator[Touch]:
    return (Touch(p.of, p.offset, False) for p in parts)


def _any(parts: Iterable[Part[Buffer]]) -> Iterator[Touch]:
    return (Touch(p.of, None, False) for p in parts)


def _written(parts: Iterable[Part[Buffer]]) -> Iterator[Touch]:
    return (Touch(p.of, p.offset, True) for p in parts)


def _simple(s: Placed) -> tuple[Size | Area, list[Touch]]:
    """The number of entries of a statement that is one task, and what it reads."""
    if isinstance(s, Product):
        return s.rows, [*_any([s.x])]
    if isinstance(s, RowProduct):
        return s.columns if s.turned else s.rows, [*_any([s.by, s.x])]
    if isinstance(s, MatrixProduct):
        return Area(s.rows, s.columns), [*_any([s.by, s.x])]
    if isinstance(s, Transposed):
        return Area(s.columns, s.rows), [*_any([s.x])]
    if isinstance(s, Copy):
        return s.size, [*_own([s.x])]
    if isinstance(s, Pick):
        return ONE, [*_any([s.x]), *_own([s.token])]
    if isinstance(s, OneHot):
        return s.size, [*_any([s.token])]
    if isinstance(s, Take):
        return s.size, [*_any([s.x, s.token])]
    assert isinstance(s, Choose)
    return ONE, [*_own([s.x, s.token, s.other])]


def _of_loop(s: Loop[Buffer], number: int) -> Iterator[Task]:
    """Sums over the rows or columns of a matrix come first: they compute the lines again, which a store may change."""
    single = s.size == ONE and not s.columns
    inputs = [
        Touch(a.of, a.offset if isinstance(a, Part) and a.along is None else START if single else None, False)
        for line in s.lines
        for a in line.args
        if isinstance(a, Part | Number)
    ]
    anywhere = [Touch(t.buffer, None, False) for t in inputs]
    for axis, part, size in ((0, COLUMNS, s.columns), (1, ROWS, s.size)):
        if size and (sums := [t.to for t in s.totals if t.axis == axis]):
            yield Task(s, part, size, (*anywhere, *_written(sums)))
    sums = [t.to for t in s.totals if t.axis is None]
    partials = tuple(_partials(number, len({t.line for t in s.totals if t.axis is None})))
    if s.stores or sums:
        stored, added = _written(store.to for store in s.stores), (Touch(b, None, True) for b in partials)
        entries = Area(s.size, s.columns) if s.columns else s.size
        yield Task(s, ENTRIES, entries, (*inputs, *stored, *added), partials)
    if sums:
        yield Task(s, TOTALS, ONE, (*(Touch(b, None, False) for b in partials), *_written(sums)), partials)


def _of_reduction(s: Reduction[Buffer], number: int) -> Iterator[Task]:
    to, x = [*_written([s.to])], [*_own([s.x])]
    if s.columns:
        entries = s.size if s.axis else s.columns
        yield Task(s, "", entries, (*_any([s.x]), Touch(s.to.of, None, True)))
    elif s.op in ALONE:
        yield Task(s, "", ONE, (*_any([s.x]), Touch(s.to.of, None, True)))
    elif s.op in ("logsumexp", "softmax"):
        top, total = _partials(number, 2)
        read = [Touch(b, None, False) for b in (top, total)]
        stored = to if s.op == "softmax" else []
        last = s.size if s.op == "softmax" else ONE
        yield Task(s, TOP, s.size, (*x, Touch(top, None, True)), (top,))
        yield Task(s, EXPONENTIALS, s.size, (*x, read[0], *stored, Touch(total, None, True)), (top, total))
        yield Task(s, RESULT, last, (*read, *to), (top, total))
    else:
        (partial,) = _partials(number, 1)
        whose = START if s.size == ONE else None  # a single entry is the same thread's part and result
        yield Task(s, TOP, s.size, (*x, Touch(partial, whose, True)), (partial,))
        yield Task(s, RESULT, ONE, (Touch(partial, whose, False), *to), (partial,))


def _partials(first: int, count: int) -> Iterator[Buffer]:
    return (Buffer(f"p{first + i}", PARTIALS, ONE) for i in range(count))
