"""The gradient of a gradient, and so on to any order (``create_graph=True``).

Let J be the Jacobian of a pass over its leaves θ (inputs, starting states, parameters), and g what arrives at the
values it returns. The backward pass computes Jᵀg. For directions u,

    ⟨u, Jᵀg⟩ = ⟨Ju, g⟩,

and Ju is what the tangent of the recurrence computes (``transform/tangent.py``). So the gradient of the left side with
respect to g is Ju, and that with respect to θ is the gradient of the tangent's pass: both are passes of a recurrence,
on the same engine. That pass can be differentiated in the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import EngineError
from ..transform.tangent import direction, dotted, tangent
from .call import Call, Engine
from .registry import choose
from .truncated import Truncating

Maybe = Tensor | None
Run = Callable[[Engine, Call, bool], tuple[Tensor, ...]]


class Gradient(torch.autograd.Function):
    """Jᵀg as a function of g and of the leaves.

    backward: computes the gradients of the leaves of a pass from what has arrived; ``run``: runs a call on an engine,
    differentiable.
    """

    @staticmethod
    def forward(
        ctx: Any, backward: Callable[..., Any], run: Run, of: Any, arrived: Sequence[bool], *tensors: Tensor
    ) -> tuple[Maybe, ...]:
        ctx.set_materialize_grads(False)
        given = iter(tensors)
        grads = [next(given) if there else None for there in arrived]
        ctx.run, ctx.of, ctx.arrived = run, of, arrived
        ctx.save_for_backward(*tensors)
        result: tuple[Maybe, ...] = backward(of, grads)
        return result

    @staticmethod
    def backward(ctx: Any, *directions: Maybe) -> tuple[Maybe, ...]:
        again, count = torch.is_grad_enabled(), sum(ctx.arrived)
        grads, leaves = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        needed = ctx.needs_input_grad[4:]
        with torch.enable_grad():
            if again:  # other names for the same tensors: the gradient goes no further back than to these
                leaves = [t.view_as(t) for t in leaves]
            else:
                grads, directions = [g.detach() for g in grads], tuple(u if u is None else u.detach() for u in directions)
                leaves = [t.detach().requires_grad_(n) for t, n in zip(leaves, needed[count:], strict=True)]
            dots = [d for d, there in zip(_tangents(ctx, leaves, directions), ctx.arrived, strict=True) if there]
            wanted = [k for k, n in enumerate(needed[count:]) if n]
            found: dict[int, Maybe] = {}
            moved = [(d, g) for d, g in zip(dots, grads, strict=True) if d.requires_grad]
            if wanted and moved:
                ends, weights = zip(*moved, strict=True)
                of = [leaves[k] for k in wanted]
                gradients = torch.autograd.grad(ends, of, weights, create_graph=again, allow_unused=True)
                found = dict(zip(wanted, gradients, strict=True))
        return None, None, None, None, *dots, *(found.get(k) for k in range(len(leaves)))


def _tangents(ctx: Any, leaves: Sequence[Tensor], directions: Sequence[Maybe]) -> list[Tensor]:
    """Ju: a tangent for each value that the pass has returned."""
    call, sequences = ctx.of.call, ctx.of.sequences
    names = [n for group in ctx.of.names[:3] for n in group]
    values = dict(zip(names, leaves, strict=True))
    moves = {n: u for n, u in zip(names, directions, strict=True) if u is not None}
    return tangents(ctx.run, ctx.of.engine, call, values, moves, sequences)


def tangents(
    run: Run, engine: Engine, call: Call, values: dict[str, Tensor], moves: dict[str, Tensor], sequences: bool
) -> list[Tensor]:
    """The tangents of what a call returns, when its leaves move in the directions ``moves``, by name.

    Raises:
        EngineError: an engine that cannot run the tangent; truncated gradients, which are those of no function.
    """
    if isinstance(engine, Truncating):
        raise EngineError(
            "memory=Truncated(...) leaves part of the gradient out, so that it has no derivative of its own. "
            "Use memory=Store() for second derivatives"
        )
    step = call.recurrence
    made = tangent(step, tuple(n for n in moves if n not in step.states))
    try:
        choose(engine.name, made, call.like.device.type, call.like.dtype)
    except EngineError as problem:
        raise EngineError(f"second derivatives of '{step.name}': {problem}") from None
    k = direction(step)

    def doubled(names: Sequence[str]) -> dict[str, Tensor]:
        return {n: values[n] for n in names} | {dotted(n, k): moves[n] for n in names if n in moves}

    state = doubled(tuple(step.states))
    state |= {dotted(n, k): torch.zeros_like(values[n]) for n in step.states if n not in moves}
    twice = call._replace(
        recurrence=made,
        inputs=doubled(tuple(step.inputs)),
        state={n: state[n] for n in made.states},
        parameters=doubled(tuple(step.parameters)),
    )
    found = iter(run(engine, twice, sequences))
    series = {n: next(found) for n in made.returns}
    ends = {n: next(found) for n in made.states} if sequences else {}
    return [series[dotted(n, k)] for n in step.returns] + [ends[dotted(n, k)] for n in step.states if sequences]
