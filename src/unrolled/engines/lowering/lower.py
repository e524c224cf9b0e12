"""Lowering: from a pass of the plan to its statements.

Lowering decides which operations share a loop, which are inlined, and which pieces of a concatenation are written
straight into it. It needs no sizes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ...graph.node import Node
from ...plan.loop import Loop
from ...plan.plan import Pass
from .lines import loop, size
from .refuse import Refused, check
from .schedule import ENTRYWISE, Schedule, of_fixed_values, of_loop, schedule, straight
from .statements import (
    Choose,
    Copy,
    MatrixProduct,
    OneHot,
    Part,
    Pick,
    Product,
    Reduction,
    RowProduct,
    Statement,
    Take,
    Transposed,
)
from .storage import Storage, places

Statements = tuple[Statement[Node], ...]


@dataclass(frozen=True, eq=False)
class Lowered:
    """A pass as statements: for many steps at once, then step by step, then for the same steps at once.

    new: the parts that become the states after a step. once: the pass of one row that computes the fixed values from
    parameters, if there is one; an engine may compute them in another way.
    """

    schedule: Schedule
    before: Statements
    step: Statements
    after: Statements
    new: tuple[Part[Node], ...]
    once: Lowered | None


@lru_cache(maxsize=512)
def lower(way: Pass, wanted: tuple[Node, ...]) -> Lowered:
    """The statements of a pass that stores the wanted values, unless they are available before it.

    Raises:
        Refused: no statement can express something that the pass computes.
    """
    made = schedule(way, wanted)
    check(made)
    fixed = of_fixed_values(made)
    return _lowered(made, _lowered(fixed, None) if fixed else None)


@lru_cache(maxsize=512)
def lower_loop(loop: Loop) -> Lowered:
    """The statements of a loop of the plan alone.

    Raises:
        Refused: no statement can express something that the loop computes.
    """
    made = of_loop(loop)
    check(made)
    return _lowered(made, None)


def _lowered(made: Schedule, once: Lowered | None) -> Lowered:
    storage = Storage(made)
    before, step, after = (tuple(_stage(k, storage)) for k in range(3))
    return Lowered(made, before, step, after, tuple(storage.part(n) for n in made.new), once)


def obstacle(way: Pass) -> str:
    """Why lowering refuses a pass; empty if it does not."""
    return _obstacle(schedule(way, ()))


def obstacle_of_loop(loop: Loop) -> str:
    """Why lowering refuses a loop; empty if it does not."""
    return _obstacle(of_loop(loop))


def _obstacle(made: Schedule) -> str:
    try:
        check(made)
    except Refused as reason:
        return str(reason)
    return ""


def _stage(number: int, storage: Storage) -> Iterator[Statement[Node]]:
    for group in storage.fusion.groups[number]:
        if group[0].op in ENTRYWISE:
            yield loop(group, storage)
        elif group[0].op == "concat":
            yield from _copied_pieces(group[0], storage)
        else:
            yield _single(group[0], storage)
    for n in storage.copied_parts():
        if storage.stage[n] == number:
            yield Copy(size(n), storage.part(n), Part(n))


def _copied_pieces(n: Node, storage: Storage) -> Iterator[Statement[Node]]:
    """The pieces of a concatenation that are not written straight into it."""
    for a, place in places(n):
        if place not in storage.pieces.get(a, ()):
            yield Copy(size(a), storage.part(a), place)


def _single(n: Node, storage: Storage) -> Statement[Node]:
    """An operation that is not entry by entry."""
    x, *others = n.args
    if n.op == "matvec":
        rows, columns = x.type.dims
        if x in storage.schedule.matrices:
            return Product(x, rows, columns, storage.part(others[0]), Part(n))
        by = straight(x)
        rows, columns = by.type.dims
        return RowProduct(storage.part(by), by is not x, rows, columns, storage.part(others[0]), Part(n))
    if n.op == "matmul":
        by, other = straight(x), straight(others[0])
        rows, columns = n.type.dims
        sides = storage.part(by), by is not x, storage.part(other), other is not others[0]
        return MatrixProduct(*sides, rows, x.type.dims[1], columns, Part(n))
    if n.op == "transpose":
        rows, columns = x.type.dims
        return Transposed(rows, columns, storage.part(x), Part(n))
    if n.op == "pick":
        return Pick(storage.part(x), storage.part(others[0]), Part(n))
    if n.op == "take":
        return Take(n.type.dims[0], storage.part(x), storage.part(others[0]), Part(n))
    if n.op == "choose":
        return Choose(storage.part(x), storage.part(others[0]), storage.part(others[1]), Part(n))
    if n.op == "onehot":
        return OneHot(n.type.dims[0], storage.part(x), Part(n))
    if (axis := dict(n.attrs).get("axis")) is not None:
        return Reduction(n.op, x.type.dims[0], storage.part(x), Part(n), x.type.dims[1], axis)
    op = "cumsum from the last" if n.op == "cumsum" and n["reverse"] else n.op
    return Reduction(op, size(x), storage.part(x), Part(n))
