"""The one border to torch's autograd: a whole sequence is a single node of its graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..errors import EngineError
from ..graph.node import Node
from ..graph.ops import LEAVES
from ..graph.recurrence import Recurrence
from .border import ordinary, readable_gradient, unwatched, watched
from .call import Call, Engine
from .ends import last, of_empty, with_last
from .plain import PLAIN

Tensors = dict[str, Tensor]
_hooks = torch._C._autograd._top_saved_tensors_default_hooks


def run(engine: Engine, call: Call) -> Tensors:
    """Every returned value, (rows, size), for scalars (rows,); differentiable with respect to all floating-point leaves
    of the call."""
    return dict(zip(call.recurrence.returns, _run(engine, call, False), strict=True))


def run_sequences(engine: Engine, call: Call) -> tuple[Tensors, Tensors]:
    """The same as (batch, time, size), where all sequences are equally long, and the states after the last steps:
    (batch, size), scalar states (batch,)."""
    found = iter(_run(engine, call, True))
    return {n: next(found) for n in call.recurrence.returns}, {n: next(found) for n in call.state}


def _run(engine: Engine, call: Call, sequences: bool) -> tuple[Tensor, ...]:
    if engine is PLAIN:
        return _given(engine.forward(call, keep=False)[0], call, sequences, in_place=False)
    if not torch.is_grad_enabled():
        return _given(engine.forward(call, keep=False)[0], call, sequences)
    leaves = call.leaves
    if not any(t.requires_grad for t in leaves.values()):
        with torch.no_grad():
            return _run(engine, call, sequences)
    outputs: tuple[Tensor, ...] = _Sequence.apply(engine, call, sequences, *leaves.values())
    return outputs


class _Sequence(torch.autograd.Function):
    """What an engine keeps is saved as torch saves tensors: it is freed by the backward pass, seen by
    ``saved_tensors_hooks``, and computed again by ``torch.utils.checkpoint``."""

    @staticmethod
    def forward(ctx: Any, engine: Engine, call: Call, sequences: bool, *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        found, kept = engine.forward(call, keep=True)
        tensors = [t for values in kept for t in values.values()]
        ctx.shapes = [t.shape for t in tensors]
        ctx.kinds = [_kind(t) for t in (*leaves, *tensors)] if _hooks(False) else None
        given = _given(found, call, sequences)
        ctx.save_for_backward(*leaves, *tensors)
        ctx.engine, ctx.call = engine, call._replace(inputs={}, state={}, parameters={})
        ctx.names = [tuple(values) for values in (call.inputs, call.state, call.parameters, *kept)]
        return given

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            raise EngineError(
                "second derivatives of a recurrent network are not available: its backward pass is derived once. "
                "Take the gradient without create_graph=True"
            )
        if watched():
            with unwatched():
                return _backward(ctx, grads)
        return _backward(ctx, grads)


def _given(found: Tensors, call: Call, sequences: bool, in_place: bool = True) -> tuple[Tensor, ...]:
    """What an engine found, in the shapes that are given to others, and the states after the last steps."""
    layout = call.layout
    for n in _shared(call.recurrence):
        found[n] = found[n].clone()
    ends: Sequence[Tensor] = ()
    if sequences:
        states = call.recurrence.states
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


def _as_rows(gradient: Tensor, of: Node) -> Tensor:
    return gradient.flatten(0, -2) if of.type.dims else gradient.reshape(-1, 1)


def _backward(ctx: Any, grads: tuple[Tensor | None, ...]) -> tuple[Tensor | None, ...]:
    needed, layout = ctx.needs_input_grad[3:], ctx.call.layout
    leaves, kept_tensors = (saved := _saved(ctx))[: len(needed)], saved[len(needed) :]
    # of these, outputs have the shape that was given to others
    rows = (t if t.shape == shape else t.view(shape) for t, shape in zip(kept_tensors, ctx.shapes, strict=True))
    tensors = iter((*leaves, *rows))
    inputs, state, parameters, *kept = [{n: next(tensors) for n in names} for names in ctx.names]
    call = ctx.call._replace(inputs=inputs, state=state, parameters=parameters)
    wanted = {n for n, wants in zip(call.leaves, needed, strict=True) if wants}
    returns, arrived = call.recurrence.returns, iter(grads)
    given = {
        n: _as_rows(readable_gradient(n, g), node) for n, node in returns.items() if (g := next(arrived)) is not None
    }
    of_ends = {n: readable_gradient(n, g) for n, g in zip(state, arrived, strict=False) if g is not None}
    of_ends = {n: g if g.ndim == 2 else g[:, None] for n, g in of_ends.items()}
    given |= {n: with_last(given.get(n), g, layout) for n, g in of_ends.items()}
    found = ctx.engine.backward(call, kept, given, wanted) if given else {}
    if layout.empty:
        found |= {n: found[n] + of_empty(g, layout) for n, g in of_ends.items() if n in wanted}
    return None, None, None, *(found.get(n) for n in call.leaves)


def _saved(ctx: Any) -> tuple[Tensor, ...]:
    try:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        if ctx.kinds is None:
            return saved
        if [_kind(t) for t in saved] != ctx.kinds:
            raise EngineError(
                "saved_tensors_hooks gave back a tensor of another shape, dtype or device than was saved. The backward "
                "pass needs the same"
            )
        return tuple(t.contiguous() for t in saved)
    except RuntimeError as problem:
        if "modified by an inplace operation" not in str(problem):
            raise
        outputs = list(ctx.call.recurrence.returns)
        raise EngineError(
            "an output, an input or a parameter of the network was changed in place before the backward pass, which "
            f"needs it as it was. Of an output, change a copy: out.{outputs[0]}.clone(); change a parameter after the "
            "backward pass"
        ) from problem


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tensor.numel(), tensor.dtype, tensor.device, ordinary(tensor)
