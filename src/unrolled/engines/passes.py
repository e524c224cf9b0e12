"""One pass of an engine over a batch, forward or backward, in the shapes that users see. Autograd records nothing
here."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from torch import Tensor

from ..graph.node import Node
from ..graph.ops import LEAVES
from ..graph.recurrence import Recurrence
from .border import readable_gradient
from .call import Call, Engine, Kept
from .last_rows import gradient_without_steps, last_rows, with_last_rows

Tensors = dict[str, Tensor]


def shaped(found: Tensors, call: Call, sequences: bool, in_place: bool = True) -> tuple[Tensor, ...]:
    """An engine's results in the shapes that are returned to users.

    Args:
        found: every returned value by name, (rows, size).
        call: the call.
        sequences: whether to return series as (batch, time, size) if all sequences are equally long, followed by the
            states after the last steps; otherwise series stay rows.
        in_place: whether nothing else uses the memory of ``found``.
    """
    layout, states = call.layout, call.recurrence.states
    for n in _shared(call.recurrence):
        found[n] = found[n].clone()
    ends: Sequence[Tensor] = ()
    if sequences:
        ends = [last_rows(found[n], start, layout) for n, start in call.state.items()]
        ends = [e if states[n].type.dims else e[:, 0] for n, e in zip(call.state, ends, strict=True)]
    first = (layout.rows,) if not sequences or layout.steps is None else (layout.count, layout.steps)
    for n, node in call.recurrence.returns.items():
        if len(first) > 1 or not node.type.dims:
            shape = (*first, *found[n].shape[1:]) if node.type.dims else first
            found[n] = _reshaped(found[n], shape) if in_place else found[n].reshape(shape)
    return *found.values(), *ends


@lru_cache(maxsize=256)
def _shared(recurrence: Recurrence) -> tuple[str, ...]:
    """The returned values that are leaves, or were already returned under another name. They need their own memory."""
    seen: set[Node] = set()
    names = []
    for n, node in recurrence.returns.items():
        if node in seen or node.op in LEAVES:
            names.append(n)
        seen.add(node)
    return tuple(names)


def _reshaped(rows: Tensor, shape: Sequence[int]) -> Tensor:
    """Reshape in place if nothing else uses the memory, since torch forbids changes to views."""
    return rows.resize_(shape) if rows._base is None and rows.is_contiguous() else rows.reshape(shape)


def gradients(
    engine: Engine, call: Call, kept: Kept, grads: Sequence[Tensor | None], wanted: Collection[str]
) -> tuple[Tensor | None, ...]:
    """The gradient of each leaf of a call in its own shape, or None if it is not requested or zero everywhere.

    Args:
        engine: the engine.
        call: the call.
        kept: the values that the forward pass stored.
        grads: the gradients of the returned values in the order of ``shaped``, (batch, time, size) or rows; None for
            zero.
        wanted: the names of the requested leaves.
    """
    layout, returns, arrived = call.layout, call.recurrence.returns, iter(grads)
    given = {
        n: _as_rows(readable_gradient(n, g), node) for n, node in returns.items() if (g := next(arrived)) is not None
    }
    of_ends = {n: readable_gradient(n, g) for n, g in zip(call.state, arrived, strict=False) if g is not None}
    of_ends = {n: g if g.ndim > 1 else g[:, None] for n, g in of_ends.items()}
    given |= {n: with_last_rows(given.get(n), g, layout) for n, g in of_ends.items()}
    found = engine.backward(call, kept, given, set(wanted)) if given else {}
    if layout.empty:
        found |= {n: found[n] + gradient_without_steps(g, layout) for n, g in of_ends.items() if n in wanted}
    return tuple(found.get(n) for n in call.leaves)


def _as_rows(gradient: Tensor, of: Node) -> Tensor:
    rank = len(of.type.dims)
    return gradient.flatten(0, -rank - 1) if rank else gradient.reshape(-1, 1)
