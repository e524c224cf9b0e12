"""The gradient of a gradient, and so on to any order (``create_graph=True``).

Let J be the Jacobian of a pass with respect to its leaves θ (inputs, initial states, parameters), and g the gradient
with respect to the returned values. The backward pass computes Jᵀg. For directions u,

    ⟨u, Jᵀg⟩ = ⟨Ju, g⟩,

and Ju is what the tangent of the recurrence computes (``transform/tangent.py``). So the gradient of the left side with
respect to g is Ju, and that with respect to θ is the gradient of the tangent's pass: both are passes of a recurrence,
on the same engine, and can be differentiated in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from .border import untraced
from .tangents import moved, tangents_of

Maybe = Tensor | None
Callback = Callable[..., Any]


class Gradient(torch.autograd.Function):
    """Jᵀg as a function of g and θ.

    Args:
        backward: computes Jᵀg from the context of the pass and from g.
        run: runs a call on an engine and records it for the gradient.
        of: the context of the pass.
        arrived: whether there is a gradient for each returned value.
        tensors: what arrives, then the leaves.
    """

    @staticmethod
    def forward(
        ctx: Any,
        backward: Callback,
        run: Callback,
        of: Any,
        arrived: Sequence[bool],
        *tensors: Tensor,
    ) -> tuple[Maybe, ...]:
        ctx.set_materialize_grads(False)
        given = iter(tensors)
        grads = [next(given) if there else None for there in arrived]
        ctx.run, ctx.of, ctx.arrived = run, of, arrived
        ctx.save_for_backward(*tensors)
        result: tuple[Maybe, ...] = backward(of, grads)
        return result

    @staticmethod
    @untraced
    def backward(ctx: Any, *directions: Maybe) -> tuple[Maybe, ...]:
        again, count = torch.is_grad_enabled(), sum(ctx.arrived)
        grads, leaves = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        needed = ctx.needs_input_grad[4 + count :]
        with torch.enable_grad():
            if again:  # under new names, at which the gradient stops
                leaves = [t.view_as(t) for t in leaves]
            else:
                grads = [g.detach() for g in grads]
                directions = tuple(u if u is None else u.detach() for u in directions)
                leaves = [t.detach().requires_grad_(n) for t, n in zip(leaves, needed, strict=True)]
            tangents = _tangents(ctx, leaves, directions)
            moving = [t for t, there in zip(tangents, ctx.arrived, strict=True) if t is not None and there]
            of = [leaf for leaf, n in zip(leaves, needed, strict=True) if n]
            ends = [(t, g) for t, g in zip(moving, grads, strict=True) if t.requires_grad]
            found: Sequence[Maybe] = [None] * len(of)
            if of and ends:
                values, weights = zip(*ends, strict=True)
                found = torch.autograd.grad(values, of, weights, create_graph=again, allow_unused=True)
        gradients = iter(found)
        return None, None, None, None, *moving, *(next(gradients) if n else None for n in needed)


def _tangents(ctx: Any, leaves: Sequence[Tensor], directions: Sequence[Maybe]) -> list[Maybe]:
    """Ju: the tangents of all returned values."""
    names = iter(leaves)
    inputs, state, parameters = ({n: next(names) for n in group} for group in ctx.of.names[:3])
    call = ctx.of.call._replace(inputs=inputs, state=state, parameters=parameters)
    moves = {n: u for n, u in zip(call.leaves, directions, strict=True) if u is not None}
    twice = moved(ctx.of.engine, call, moves)
    return tangents_of(call, ctx.run(ctx.of.engine, twice, ctx.of.sequences), ctx.of.sequences)
