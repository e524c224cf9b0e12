"""The one border to torch's autograd: a whole sequence is a single node of its graph."""

from __future__ import annotations

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
    outputs = _Sequence.apply(engine, call, tuple(leaves), *leaves.values())
    return dict(zip(call.recurrence.returns, outputs, strict=True))


class _Sequence(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, engine: Engine, call: Call, names: tuple[str, ...], *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        outputs, ctx.kept = engine.forward(call, keep=True)
        ctx.engine, ctx.call, ctx.names = engine, call, names
        ctx.save_for_backward(*leaves)  # so that torch notices a leaf that is changed before the backward pass
        ctx.outputs = [(n, o.detach(), o._version) for n, o in outputs.items()]
        return tuple(outputs.values())

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():  # create_graph=True
            raise EngineError(
                "second derivatives of a recurrent network are not available: its backward pass is derived once. "
                "Take the gradient without create_graph=True"
            )
        ctx.saved_tensors  # noqa: B018  raises if a leaf was changed in place
        for name, output, version in ctx.outputs:
            if output._version != version:
                raise EngineError(
                    f"output '{name}' was changed in place after the network gave it, so that the gradient would be "
                    f"wrong. Write out.{name}.clone() before, or an operation that is not in place"
                )
        wanted = {n for n, needed in zip(ctx.names, ctx.needs_input_grad[3:], strict=True) if needed}
        given = {n: g for n, g in zip(ctx.call.recurrence.returns, grads, strict=True) if g is not None}
        found = ctx.engine.backward(ctx.call, ctx.kept, given, wanted) if given else {}
        return None, None, None, *(found.get(n) for n in ctx.names)
