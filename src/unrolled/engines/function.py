"""The one border to torch's autograd: a whole sequence is a single node of its graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..errors import EngineError
from .call import Call, Engine


def run(engine: Engine, call: Call) -> dict[str, Tensor]:
    """Every returned value over the sequence, differentiable with respect to all floating-point leaves of the call."""
    if not torch.is_grad_enabled():
        return engine.forward(call, keep=False)[0]
    leaves = call.leaves
    if not any(t.requires_grad for t in leaves.values()):
        with torch.no_grad():
            return engine.forward(call, keep=False)[0]
    outputs = _Sequence.apply(engine, call, *leaves.values())
    return dict(zip(call.recurrence.returns, outputs, strict=True))


class _Sequence(torch.autograd.Function):
    """What an engine keeps is saved as torch saves tensors: it is freed by the backward pass, seen by
    ``saved_tensors_hooks``, and computed again by ``torch.utils.checkpoint``."""

    @staticmethod
    def forward(ctx: Any, engine: Engine, call: Call, *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        outputs, kept = engine.forward(call, keep=True)
        ctx.save_for_backward(*leaves, *(t for values in kept for t in values.values()))
        ctx.engine, ctx.call = engine, replace(call, inputs={}, state={}, parameters={})
        ctx.names = [tuple(values) for values in (call.inputs, call.state, call.parameters, *kept)]
        return tuple(outputs.values())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            raise EngineError(
                "second derivatives of a recurrent network are not available: its backward pass is derived once. "
                "Take the gradient without create_graph=True"
            )
        saved = iter(_saved(ctx))
        inputs, state, parameters, *kept = [dict(zip(names, saved, strict=False)) for names in ctx.names]
        call = replace(ctx.call, inputs=inputs, state=state, parameters=parameters)
        leaves = tuple(call.leaves)
        wanted = {n for n, needed in zip(leaves, ctx.needs_input_grad[2:], strict=True) if needed}
        given = {n: g for n, g in zip(call.recurrence.returns, grads, strict=True) if g is not None}
        found = ctx.engine.backward(call, kept, given, wanted) if given else {}
        return None, None, *(found.get(n) for n in leaves)


def _saved(ctx: Any) -> tuple[Tensor, ...]:
    try:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        return saved
    except RuntimeError as problem:
        if "modified by an inplace operation" not in str(problem):
            raise
        outputs = list(ctx.call.recurrence.returns)
        raise EngineError(
            "an output, an input or a parameter of the network was changed in place before the backward pass, which "
            f"needs it as it was. Of an output, change a copy: out.{outputs[0]}.clone(); change a parameter after the "
            "backward pass"
        ) from problem
