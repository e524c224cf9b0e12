"""One pass of an engine over a batch, forward or backward, in the shapes that users see. Nothing here is recorded for
a gradient."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from torch import Tensor

from ..graph.node import Node
from ..graph.ops import LEAVES
from ..graph.recurrence import Recurrence
from .border import readable_gradient
from .call import Call, Engine, Kept
from .ends import last, of_empty, with_last

Tensors = dict[str, Tensor]


def shaped(found: Tensors, call: Call, sequences: bool, in_place: bool = True) -> tuple[Tensor, ...]:
    """What an engine found, in the shapes that are given to others.

    Args:
        found: each returned value as rows (rows, size).
        sequences: give series as (batch, time, size) where all sequences are equally long, and then the states after
            the last steps; otherwise rows.
        in_place: whether nothing else has the memory of ``found``.
    """
    layout, states = call.layout, call.recurrence.states
    for n in _shared(call.recurrence):
        found[n] = found[n].clone()
    ends: Sequence[Tensor] = ()
    if sequences:
        ends = [last(found[n], start, layout) for n, start in call.state.items()]
        ends = [e if states[n].type.dims else e[:, 0] for n, e in zip(call.state, ends, strict=True)]
    first = (layout.rows,) if not sequences or layout.steps is None else (layout.count, layout.steps)
    for n, node in call.recurrence.returns.items():
        if len(first) > 1 or not node.type.dims:
            shape = (*first, *found[n].shape[-1:]) if node.type.dims else first
            found[n] = _reshaped(found[n], shape) if in_place else found[n].reshape(shape)
    return *found.values(), *ends


@lru_cache(maxsize=256)
def _shared(recurrence: Recurrence) -> tuple[str, ...]:
    """The returned values that are a leaf, or returned under an earlier name too: each is given memory of its own."""
    seen: set[Node] = set()
    names = []
    for n, node in recurrence.returns.items():
        if node in seen or node.op in LEAVES:
            names.append(n)
        seen.add(node)
    return tuple(names)


def _reshaped(rows: Tensor, shape: Sequence[int]) -> Tensor:
    """In place, where nothing else has this memory: torch would not let others change a view."""
    return rows.resize_(shape) if rows._base is None and rows.is_contiguous() else rows.reshape(shape)


def gradients(
    engine: Engine, call: Call, kept: Kept, grads: Sequence[Tensor | None], wanted: Collection[str]
) -> tuple[Tensor | None, ...]:
    """The gradient of each leaf of a call, None where it is not wanted or nothing reaches it.

    Args:
        kept: what the pass forward has kept.
        grads: what arrives at each value in the order of ``shaped``, None for nothing.
        wanted: names of leaves.
    """
    layout, returns, arrived = call.layout, call.recurrence.returns, iter(grads)
    given = {
        n: _as_rows(readable_gradient(n, g), node) for n, node in returns.items() if (g := next(arrived)) is not None
    }
    of_ends = {n: readable_gradient(n, g) for n, g in zip(call.state, arrived, strict=False) if g is not None}
    of_ends = {n: g if g.ndim == 2 else g[:, None] for n, g in of_ends.items()}
    given |= {n: with_last(given.get(n), g, layout) for n, g in of_ends.items()}
    found = engine.backward(call, kept, given, set(wanted)) if given else {}
    if layout.empty:
        found |= {n: found[n] + of_empty(g, layout) for n, g in of_ends.items() if n in wanted}
    return tuple(found.get(n) for n in call.leaves)


def _as_rows(gradient: Tensor, of: Node) -> Tensor:
    return gradient.flatten(0, -2) if of.type.dims else gradient.reshape(-1, 1)
