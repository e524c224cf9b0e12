"""Numbers for sizes: the names of a recurrence's sizes, and the value of each from the few that are given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from ..errors import CircuitError, did_you_mean
from .language import RESERVED
from .node import is_fixed
from .recurrence import Recurrence
from .size import Conflict, Size, Solver


def nameable(recurrence: Recurrence) -> dict[str, Size]:
    """Every size that has a name: of inputs, states, outputs and intermediate values, the most important first. A
    matrix S has two, S.rows and S.columns."""
    values = {**recurrence.inputs, **recurrence.states, **recurrence.returns}
    values |= {name: node for node, name in recurrence.labels.items() if name not in values and name not in RESERVED}
    vectors = {name: node.type.dims[0] for name, node in values.items() if len(node.type.dims) == 1}
    for name, node in values.items():
        if len(node.type.dims) == 2:
            vectors |= dict(zip(names_of_matrix(name, is_fixed(node)), node.type.dims, strict=True))
    return vectors


def names_of_matrix(name: str, fixed: bool = False) -> tuple[str, str]:
    """The names of the two sizes of a matrix. One that is fixed in time has the size of its rows, under its own name;
    how many rows there are is read from the data."""
    return f"{name}.rows", name if fixed else f"{name}.columns"


@lru_cache(maxsize=256)
def of_data(recurrence: Recurrence) -> frozenset[str]:
    """The names of the sizes that may differ from call to call: how many rows a fixed matrix has, unless a parameter or
    a series has that size, too."""
    others = {*recurrence.parameters.values(), *recurrence.series.values()}
    known = {name for node in others for size in node.type.dims for name in size.names}
    rows = {name for n in recurrence.fixed for d in recurrence.inputs[n].type.dims[:-1] for name in d.names}
    return frozenset(rows - known)


def by_row(recurrence: Recurrence) -> frozenset[str]:
    """The returned values that have one entry per row of a memory, such as the weights of attention."""
    rows = of_data(recurrence)
    return frozenset(n for n, x in recurrence.returns.items() if any(rows & {*d.names} for d in x.type.dims))


def one_by_one(recurrence: Recurrence, given: Mapping[str, Any]) -> dict[str, Any]:
    """Sizes by name, with those of a matrix, as in ``S=(4, 6)``, under a name each."""
    found: dict[str, Any] = {}
    for name, number in given.items():
        pair = isinstance(number, (tuple, list)) and len(number) == 2
        names = names_of_matrix(name, name in recurrence.fixed)
        found |= dict(zip(names, number, strict=True)) if pair else {name: number}
    return found


def bind(recurrence: Recurrence, given: Mapping[str, Any]) -> dict[str, int]:
    """The value of every independent size name, from sizes given by name: a number for a vector, as in ``h=4``, or
    (rows, columns) for a matrix. Sizes that are read from the data can be left out, and are then missing.

    Raises:
        CircuitError: a name is unknown, a size is not a positive integer, sizes contradict the equations or each
            other, or a size is missing.
    """
    known = nameable(recurrence)
    solver, given, free = Solver(), one_by_one(recurrence, given), of_data(recurrence)
    for name, number in given.items():
        if name not in known:
            raise CircuitError(_no_size(recurrence, name, known))
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise CircuitError(f"size {name} must be a positive integer, got {number!r}")
        try:
            solver.equal(known[name], Size.of(number))
        except Conflict:
            others = ", ".join(f"{n}={v}" for n, v in given.items() if n != name)
            raise CircuitError(
                f"the equations of circuit '{recurrence.name}' say that the size of {name} is {known[name]}; "
                f"got {name}={number} with {others or 'no other size'}"
            ) from None
    names = {n for size in known.values() for n in size.names}
    missing = [n for n in known if n in names - free and solver.resolve(Size.of(n)).terms]
    if missing:
        example = dict.fromkeys(_assigned(n, given) for n in [*given, *missing])
        raise CircuitError(
            f"circuit '{recurrence.name}' needs the size of {' and '.join(dict.fromkeys(map(_owner, missing)))}. "
            f"Pass it by name: Recurrent({recurrence.name}, {', '.join(example)})"
        )
    sizes = {n: size for n in names if not (size := solver.resolve(Size.of(n))).terms}
    _all_whole(recurrence, sizes)
    return {n: int(size.constant) for n, size in sizes.items()}


def _owner(name: str) -> str:
    return name.partition(".")[0]


def _assigned(name: str, given: Mapping[str, Any]) -> str:
    """A size as an argument of Recurrent."""
    if "." not in name:
        return f"{name}={given.get(name, '...')}"
    return f"{_owner(name)}=({', '.join(str(given.get(n, '...')) for n in names_of_matrix(_owner(name)))})"


def _no_size(recurrence: Recurrence, name: str, known: Mapping[str, Size]) -> str:
    """The message for a size that is not in ``nameable``."""
    owner, many = _owner(name), {_owner(n): 1 + ("." in n) for n in known}
    if owner in many and many[owner] != 1 + ("." in name):
        write = f"two sizes, {owner}=(rows, columns)" if many[owner] == 2 else f"one size, {owner}=..."
        return f"'{owner}' of circuit '{recurrence.name}' is a {('vector', 'matrix')[many[owner] - 1]}: it has {write}"
    hint = did_you_mean(owner, many) or f". Its sizes are {', '.join(many)}"
    return f"circuit '{recurrence.name}' has no size '{owner}'{hint}"


def _all_whole(recurrence: Recurrence, sizes: Mapping[str, Size]) -> None:
    for node in recurrence.nodes:
        for size in node.type.dims:
            exact = size.replace(sizes)
            if exact.terms:  # read from the data
                continue
            if exact.constant.denominator != 1 or exact.constant < 1:
                raise CircuitError(
                    f"a vector of size {size} would have {exact} entries. Choose sizes that split evenly",
                    node.source,
                )


def shapes(recurrence: Recurrence, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter; a scalar has the shape (1,)."""
    return {n: tuple(d.value(sizes) for d in p.type.dims) or (1,) for n, p in recurrence.parameters.items()}
