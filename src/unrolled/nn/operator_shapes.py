"""The shapes of the results of an operator (``operator.py``), which ``torch.compile`` asks for before it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..engines.kept import Extent, kept_shapes
from ..engines.registry import choose
from ..graph.bind import of_data
from ..graph.node import TOKEN, Node
from .description import STEP, Description
from .memory import Store


def shapes(
    tensors: Sequence[Tensor], lengths: Sequence[Tensor], reset: Tensor | None, steps: Any, text: str, keep: bool
) -> list[Tensor]:
    """Empty tensors with the shapes of the results of ``run``, whose arguments these are. Shapes may be symbols."""
    about = Description.of(text)
    check, _, inputs, given, state = about.parted(tensors)
    fixed = {n: x for n, x in inputs.items() if n in about.circuit.recurrence.fixed}
    series = [*(x for n, x in inputs.items() if n not in fixed), *given.values()]
    first = next(iter([*series, *fixed.values(), *state.values()]), None)
    sizes = about.bound | _rows_of(fixed, about)
    batch: Any = 1 if first is None else first.shape[0]
    lead: tuple[Any, ...] = (batch,)
    rows = batch
    if lengths:
        batch = lengths[0].shape[0]
    elif about.kind != STEP:
        lead = batch, series[0].shape[1] if series and series[0].ndim > 1 else steps or 0
        rows = batch * lead[1]
    known = about.circuit.recurrence.inputs
    step = about.step([n for n, x in inputs.items() if known[n].type.kind != TOKEN and not x.is_floating_point()])
    like = check.like
    returned = [_empty(like, lead, node, sizes) for node in step.returns.values()]
    states = about.circuit.recurrence.states.values() if about.kind != STEP else ()
    made = [*returned, *(_empty(like, (batch,), node, sizes) for node in states)]
    if keep and about.plain and isinstance(about.memory, Store):
        engine, _ = choose(about.engine, about.circuit.recurrence, like.device.type, like.dtype)
        extent = Extent(about.bound, like.dtype, rows, batch)
        made += [like.new_empty(shape, dtype=dtype) for shape, dtype in kept_shapes(engine, step, extent)]
    return made


def _empty(like: Tensor, lead: tuple[Any, ...], node: Node, sizes: Mapping[str, Any]) -> Tensor:
    """An empty tensor for values of a node."""
    if node.type.kind == TOKEN:
        return like.new_empty(lead, dtype=torch.int64)
    return like.new_empty((*lead, *(d.value(sizes) for d in node.type.dims)))


def _rows_of(fixed: Mapping[str, Tensor], about: Description) -> dict[str, Any]:
    """The sizes that are read from the data: how many rows fixed inputs have."""
    rows, inputs = of_data(about.circuit.recurrence), about.circuit.recurrence.inputs
    sizes = (
        (size, number) for n, x in fixed.items() for size, number in zip(inputs[n].type.dims, x.shape[1:], strict=False)
    )
    return {size.names[0]: number for size, number in sizes if size.names and size.names[0] in rows}
