"""The shapes of the results of an operator (``operator.py``), which ``torch.compile`` asks for before it runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from ..engines.kept import Extent, kept_shapes
from ..engines.registry import choose
from ..graph.node import TOKEN
from .description import STEP, Description
from .memory import Store


def shapes(
    tensors: Sequence[Tensor], lengths: Sequence[Tensor], reset: Tensor | None, steps: Any, text: str, keep: bool
) -> list[Tensor]:
    """Empty tensors with the shapes of the results of ``run``, whose arguments these are. Shapes may be symbols."""
    about = Description.of(text)
    check, _, inputs, given, state = about.parted(tensors)
    series = [*inputs.values(), *given.values()]
    first = next(iter([*series, *state.values()]), None)
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
    returned = [(*lead, *_size(node.type.dims, about)) for node in step.returns.values()]
    states = about.circuit.recurrence.states.values() if about.kind != STEP else ()
    returned += [(batch, *_size(node.type.dims, about)) for node in states]
    made = [like.new_empty(shape) for shape in returned]
    if keep and isinstance(about.memory, Store):
        engine, _ = choose(about.engine, about.circuit.recurrence, like.device.type, like.dtype)
        extent = Extent(about.bound, like.dtype, rows, batch)
        made += [like.new_empty(shape, dtype=dtype) for shape, dtype in kept_shapes(engine, step, extent)]
    return made


def _size(dims: Sequence[Any], about: Description) -> tuple[int, ...]:
    return tuple(d.value(about.bound) for d in dims)
