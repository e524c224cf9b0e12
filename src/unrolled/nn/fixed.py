"""Checks of the inputs that are fixed in time, and the sizes that are read from them: the rows of memories."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ..engines.border import readable, shape_of
from ..errors import InputError
from ..graph.bind import nameable
from ..graph.node import TOKEN
from ..graph.size import Conflict, Size, Solver
from ..sequence.ragged import Ragged
from ..transform.masked import valid
from .incoming import Incoming, listed


@dataclass(frozen=True)
class Fixed:
    """The fixed inputs of a call.

    Attributes:
        values: by name, (batch, size) or (batch, rows, size), and which rows are valid, (batch, rows).
        ragged: the names of the sizes that count rows of which only some are valid.
        check: the checks of the call, which know its sizes.
        sizes: all sizes.
    """

    values: dict[str, Tensor]
    ragged: tuple[str, ...]
    check: Incoming
    sizes: dict[str, int]


def fixed_inputs(check: Incoming, sizes: dict[str, int], given: Mapping[str, object]) -> Fixed:
    """Check the fixed inputs among those given.

    Raises:
        InputError: one of them does not fit.
    """
    recurrence, values, lengths = check.circuit.recurrence, dict[str, Tensor](), dict[str, Tensor]()
    for n in (n for n in recurrence.fixed if n in given):
        value = given[n]
        if isinstance(value, Ragged) and len(recurrence.inputs[n].type.dims) == 2:
            lengths[n], value = value.lengths, _repeated(n, value)
        values[n] = _checked(check, n, value)
    if not values:
        return Fixed({}, (), check, sizes)
    check, sizes = _sized(check, sizes, values)
    there = dict[str, Tensor]()
    for n, counts in lengths.items():
        name = _row_size(check, n)
        rows = torch.arange(sizes[name]) < counts[:, None]
        if name in there and not torch.equal(there[name], rows):
            raise InputError(f"the memories that share the rows of '{n}' must have the same lengths")
        there[name] = rows
    _all_or_none(check, there, lengths, values)
    like = check.like
    return Fixed(
        values | {valid(n): rows.to(like.device, like.dtype) for n, rows in there.items()}, tuple(there), check, sizes
    )


def _repeated(name: str, memory: Ragged) -> Tensor:
    """The memories with as many rows as the longest has: (batch, rows, size). The others repeat their last row, so that
    an operation on rows that are not there gives no number that a real row would not give."""
    if not len(memory) or int(memory.lengths.min()) == 0:
        empty = (memory.lengths == 0).nonzero().flatten().tolist()
        raise InputError(f"input '{name}' has no rows in sequence {listed(*empty)}: there is nothing to look at")
    last = memory.lengths[:, None] - 1
    index = memory.offsets[:-1, None] + torch.minimum(torch.arange(int(memory.lengths.max())), last)
    return memory.values[index.to(memory.values.device)]


def _checked(check: Incoming, name: str, value: object) -> Tensor:
    """Check a fixed input: a vector (batch, size), a token (batch,), or a matrix (batch, rows, size)."""
    what, node = f"input '{name}'", check.circuit.recurrence.inputs[name]
    dims, size = node.type.dims, check.sizes[name]
    expected = f"({listed('batch', *['rows'] * (len(dims) - 1), size)})"
    kind = "vector" if len(dims) == 1 else "matrix"
    rule = f"{what} is fixed in time: it takes one {kind} per sequence, {expected}"
    if not isinstance(value, Tensor):
        raise InputError(f"{rule}, got a {type(value).__name__}")
    value = readable(what, value)
    check.check_device(what, value)
    whole = not value.is_floating_point() and not value.is_complex() and value.dtype != torch.bool
    if node.type.kind == TOKEN or (whole and value.ndim == len(dims) == 1):
        return check.tokens(name, value, 1)
    shape = shape_of(value)
    if value.ndim != 1 + len(dims) or shape[-1] != size:
        series = ". A series, with a value at each step, cannot be given for it" * (value.ndim == 2 + len(dims))
        raise InputError(f"{rule}, got {shape}{series}")
    if not shape[1]:
        raise InputError(f"{what} has no rows, {shape}: there is nothing to look at. Give at least one row")
    check.check_dtype(what, value)
    return value


def _sized(check: Incoming, sizes: dict[str, int], fixed: Mapping[str, Tensor]) -> tuple[Incoming, dict[str, int]]:
    """The checks of a call and all sizes, with those that are read from the data."""
    recurrence, found = check.circuit.recurrence, dict(sizes)
    for n, value in fixed.items():
        for size, number in zip(recurrence.inputs[n].type.dims, shape_of(value)[1:], strict=False):
            solver = Solver()
            try:
                solver.equal(size.replace({k: Size.of(v) for k, v in found.items()}), Size.of(number))
            except Conflict as conflict:
                raise InputError(f"input '{n}' must have {conflict.left} rows, got {shape_of(value)}") from None
            found |= {k: int(v.constant) for k, v in solver.known.items() if not v.terms}
    if found == sizes:
        return check, sizes
    known = nameable(recurrence).items()
    return replace(check, sizes={n: s.value(found) for n, s in known if found.keys() >= set(s.names)}), found


def _row_size(check: Incoming, name: str) -> str:
    """The name of the size that counts the rows of a memory."""
    size = check.circuit.recurrence.inputs[name].type.dims[0]
    if len(size.terms) != 1 or size != Size.of(size.names[0]):
        raise InputError(
            f"input '{name}' cannot be Ragged: the equations say that it has {size} rows. Give a tensor (batch, rows, "
            "size)"
        )
    return size.names[0]


def _all_or_none(
    check: Incoming, ragged: Mapping[str, Tensor], lengths: Mapping[str, Tensor], values: Mapping[str, Tensor]
) -> None:
    """Memories that share their rows are all Ragged, or none is."""
    for n in values:
        dims = check.circuit.recurrence.inputs[n].type.dims
        if n not in lengths and len(dims) == 2 and not set(dims[0].names).isdisjoint(ragged):
            raise InputError(f"'{next(iter(lengths))}' is Ragged, and '{n}' has the same rows; give both as Ragged")
