"""What a forward pass keeps for its backward pass, as tensors whose number and shapes are known before it runs.

``torch.compile`` plans with these shapes. They exclude what the backward pass has anyway: the leaves of the call, and
what it returned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..graph.node import MASK, Node, order
from ..graph.recurrence import Recurrence
from ..plan.plan import make_plan
from ..transform.terms import moves
from .c.engine import Compiled, forward_of
from .c.launch import launch_for
from .c.series import Block, size_of
from .call import Call, Engine, Kept
from .planned import Planned
from .reference import Reference, residuals
from .steps import steps_of

Tensors = dict[str, Tensor]


class Extent(NamedTuple):
    """What the shapes depend on: all sizes by name, the dtype of values, the number of rows, and that of sequences."""

    sizes: Mapping[str, int]
    dtype: torch.dtype
    rows: Any  # an integer, or a symbol for one while torch traces
    count: Any

    @staticmethod
    def of(call: Call) -> Extent:
        return Extent(call.sizes, call.like.dtype, call.layout.rows, call.layout.count)


Shape = tuple[tuple[Any, ...], torch.dtype]


def kept_shapes(engine: Engine, step: Recurrence, extent: Extent) -> list[Shape]:
    """The shapes and dtypes of the tensors that ``packed`` returns."""
    if isinstance(engine, Compiled):
        size = _block_size(step, extent)
        return [((size,), torch.uint8)] if size is not None else []
    return [(_shape(n, extent), torch.bool if n.type.kind == MASK else extent.dtype) for n in _nodes(engine, step)]


def packed(engine: Engine, call: Call, kept: Kept) -> list[Tensor]:
    """The values that an engine has kept, without leaves and returned values."""
    if isinstance(engine, Compiled):
        return whole(call, [t for n, t in kept[0].items() if isinstance(n, Block)])
    extent, found = Extent.of(call), []
    for node in _nodes(engine, call.recurrence):
        shape = _shape(node, extent)
        if isinstance(engine, Reference):
            values = [step[node] for step in kept]
            found.append(torch.cat(values) if values else call.like.new_empty(shape))
        else:
            found.append(kept[0][node].expand(shape).contiguous())
    return found


def opened(engine: Engine, call: Call, returned: Tensors, tensors: Iterable[Tensor]) -> Kept:
    """The inverse of ``packed``: what the backward pass of an engine takes.

    Args:
        returned: the returned values by name, (rows, size).
        tensors: the result of ``packed``.
    """
    plan, given = make_plan(call.recurrence), list(tensors)
    if isinstance(engine, Reference):
        return _by_step(call, dict(zip(_nodes(engine, call.recurrence), given, strict=True)))
    if isinstance(engine, Planned):
        values: dict[Any, Tensor] = {n: returned[name] for name, n in plan.step.returns.items() if n in plan.kept}
        return [values | dict(zip(_nodes(engine, call.recurrence), given, strict=True))]
    if isinstance(engine, Compiled):
        step, lowered, nodes, kept = forward_of(call.recurrence, True)
        launch = launch_for(lowered, nodes, call)
        values = {leaf: returned[n] for n, leaf in step.states.items()}
        values |= {n: returned[name] for name, n in step.returns.items() if n in kept and n in launch.given}
        return [values | ({launch.block: given[0]} if launch.block.size else {})]
    return [dict(returned)]


def _nodes(engine: Engine, step: Recurrence) -> list[Node]:
    """The values that the engines in torch operations keep."""
    if isinstance(engine, Planned):
        plan = make_plan(step)
        returned = set(plan.step.returns.values())
        return [n for n in plan.kept if n not in returned or not moves(n)]
    if isinstance(engine, Reference):
        computed = set(order(step.returns.values()))
        return [n for n in residuals(step) if n in computed and moves(n) and n.op != "input"]
    return []


def _shape(node: Node, extent: Extent) -> tuple[Any, ...]:
    own = tuple(d.value(extent.sizes) for d in node.type.dims) or (1,)
    return (extent.rows, *own) if moves(node) else own


def _block_size(step: Recurrence, extent: Extent) -> Any:
    """The size in bytes of the block of engine 'c', also if a short call needs less; None for no block."""
    series, ends = _in_block(step, tuple(extent.sizes.items()))
    numbers = [extent.rows * n for n in series] + [extent.count * n for n in ends]
    return size_of(numbers, extent.dtype.itemsize) if numbers else None


@lru_cache(maxsize=256)
def _in_block(step: Recurrence, named: tuple[tuple[str, int], ...]) -> tuple[list[int], list[int]]:
    """The sizes of the series and of the last states in the block of engine 'c'."""
    (plan, lowered, returned, _), sizes = forward_of(step, True), dict(named)
    series = [n.type.entries(sizes) for n in lowered.schedule.keep if n not in returned]
    return series, [n.type.entries(sizes) for n in plan.states.values()]


def whole(call: Call, blocks: list[Tensor]) -> list[Tensor]:
    """The block of engine 'c', if there is one, in the size that ``kept_shapes`` gives."""
    size = _block_size(call.recurrence, Extent.of(call))
    if size is None:
        return []
    given = [block.view(torch.uint8) for block in blocks]
    if given and len(given[0]) >= size:
        return [given[0][:size]]
    longer = torch.empty(size, dtype=torch.uint8, device="cpu")
    for block in given:  # of a call that returns its last states in memory of their own, which needs less
        longer[: len(block)] = block
    return [longer]


def _by_step(call: Call, values: dict[Node, Tensor]) -> Kept:
    steps = steps_of(call.layout, call.like.device)
    counts = [steps.alive(t) for t in range(call.layout.longest)]
    series = {n: v.split(counts) for n, v in values.items()}
    series |= {node: tuple(steps.read(call.inputs[n])) for n, node in call.recurrence.inputs.items()}
    return [{n: s[t] for n, s in series.items()} for t in range(call.layout.longest)]
