"""Numbers for sizes: the names of a recurrence's sizes, and the value of each from the few that are given."""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import CircuitError, did_you_mean
from .language import RESERVED
from .recurrence import Recurrence
from .size import Conflict, Size, Solver


def nameable(recurrence: Recurrence) -> dict[str, Size]:
    """Every size that has a name: of inputs, states, outputs and intermediate values, the most important first."""
    vectors = {**recurrence.inputs, **recurrence.states, **recurrence.returns}
    vectors |= {n: node for node, n in recurrence.labels.items() if n not in vectors and n not in RESERVED}
    return {name: node.type.dims[0] for name, node in vectors.items() if len(node.type.dims) == 1}


def bind(recurrence: Recurrence, given: Mapping[str, int]) -> dict[str, int]:
    """The value of every independent size name, from sizes given by name.

    Raises:
        CircuitError: a name is unknown, a size is not a positive integer, sizes contradict the equations or each
            other, or a size is missing.
    """
    known = nameable(recurrence)
    solver = Solver()
    for name, number in given.items():
        if name not in known:
            hint = did_you_mean(name, known) or f". Its sizes are {', '.join(known)}"
            raise CircuitError(f"circuit '{recurrence.name}' has no size '{name}'{hint}")
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
    missing = [n for n in known if n in names and solver.resolve(Size.of(n)).terms]
    if missing:
        example = ", ".join(f"{n}={given.get(n, '...')}" for n in [*given, *missing])
        raise CircuitError(
            f"circuit '{recurrence.name}' needs the size of {' and '.join(missing)}. "
            f"Pass it by name: Recurrent({recurrence.name}, {example})"
        )
    sizes = {n: solver.resolve(Size.of(n)) for n in names}
    _all_whole(recurrence, sizes)
    return {n: int(size.constant) for n, size in sizes.items()}


def _all_whole(recurrence: Recurrence, sizes: Mapping[str, Size]) -> None:
    for node in recurrence.nodes:
        for size in node.type.dims:
            exact = size.replace(sizes)
            if exact.constant.denominator != 1 or exact.constant < 1:
                raise CircuitError(
                    f"a vector of size {size} would have {exact} entries. Choose sizes that split evenly",
                    node.source,
                )


def shapes(recurrence: Recurrence, sizes: Mapping[str, int]) -> dict[str, tuple[int, ...]]:
    """The shape of every parameter; a scalar has the shape (1,)."""
    return {n: tuple(d.value(sizes) for d in p.type.dims) or (1,) for n, p in recurrence.parameters.items()}
