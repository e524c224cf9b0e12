"""A compiled pass has fixed sizes, but how many rows a memory has is known only in a call. So that not every number of
rows is compiled, memories get a few more rows, which the step does not see (``transform/masked.py``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ..errors import InputError
from ..graph.bind import of_data
from ..graph.node import TOKEN, Node
from ..graph.size import Size
from ..transform.masked import masked, valid
from .call import Call

Run = Callable[[Call], Sequence[Tensor]]


def rounded(rows: int) -> int:
    """The number of rows that are compiled: the next multiple of an eighth of the next power of two, so that few
    rows are added, and at most four numbers are compiled between one power of two and the next."""
    unit = max((1 << max(rows - 1, 0).bit_length()) // 8, 1)
    return -(-rows // unit) * unit


def run_rounded(call: Call, run: Run) -> tuple[Tensor, ...]:
    """Run a call with rounded numbers of rows.

    Args:
        call: the call.
        run: runs a call: the series, then the states after the last steps.
    """
    counts = {n: call.sizes[n] for n in of_data(call.recurrence) if n in call.sizes}
    more = {n: rounded(rows) for n, rows in counts.items() if rounded(rows) > rows}
    try:
        step = masked(call.recurrence, tuple(n for n in sorted(more) if valid(n) not in call.inputs))
    except InputError:  # rows are concatenated, so they are compiled as they are
        return tuple(run(call))
    if not more:
        return tuple(run(call))
    longer = {Size.of(n): rows for n, rows in more.items()}
    ones = call.like.new_ones(call.layout.count, 1)
    inputs = {**{valid(n): ones.expand(-1, rows) for n, rows in counts.items() if n in more}, **call.inputs}
    repeat = {n: n not in map(valid, more) for n in inputs}
    found = run(
        call._replace(
            recurrence=step,
            sizes={**call.sizes, **more},
            inputs={n: _longer(x, step.inputs[n], longer, repeat[n]) for n, x in inputs.items() if n in step.inputs},
            state={n: _longer(s, step.states[n], longer, False) for n, s in call.state.items()},
        )
    )
    nodes = [*call.recurrence.returns.values(), *call.recurrence.states.values()]
    exact = {Size.of(n): rows for n, rows in counts.items() if n in more}
    return tuple(_shorter(x, node, exact) for x, node in zip(found, nodes, strict=False))


def _longer(value: Tensor, node: Node, rows: dict[Size, int], repeat: bool) -> Tensor:
    """A value with one row per sequence, with more entries along some axes: the last one again, or zeros."""
    for axis, size in enumerate(_dims(node), 1):
        if size in rows:
            count = value.shape[axis]
            missing = value.narrow(axis, count - 1, 1)
            shape = [-1] * value.ndim
            shape[axis] = rows[size] - count
            missing = missing if repeat else torch.zeros_like(missing)
            value = torch.cat([value, missing.expand(shape)], axis)
    return value


def _shorter(value: Tensor, node: Node, rows: dict[Size, int]) -> Tensor:
    """A result without the rows that were added."""
    rank = len(node.type.dims)
    for axis, size in enumerate(_dims(node)):
        if size in rows:
            value = value.narrow(axis - rank, 0, rows[size])
    return value


def _dims(node: Node) -> tuple[Size, ...]:
    """The sizes of a value; a token is an index, however many there are."""
    return () if node.type.kind == TOKEN else node.type.dims
