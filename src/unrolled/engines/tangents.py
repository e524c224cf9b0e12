"""Which call computes the tangents of another call: its values, and their derivatives in one direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ..errors import EngineError
from ..transform.tangent import direction, dotted, tangent
from .call import Call, Engine
from .registry import choose
from .truncated import Truncating

Value = TypeVar("Value")


def moved(engine: Engine, call: Call, moves: Mapping[str, Tensor]) -> Call:
    """The call of the tangent, in which the leaves move in the directions ``moves`` (by name, shaped like the leaves).

    Raises:
        EngineError: an engine that cannot run the tangent; truncated gradients, which are those of no function.
    """
    if isinstance(engine, Truncating):
        raise EngineError(
            "memory=Truncated(...) leaves part of the gradient out, so it has neither forward-mode nor second "
            "derivatives. Use memory=Store()"
        )
    step = call.recurrence
    made, k = tangent(step, tuple(n for n in moves if n not in step.states)), direction(step)
    try:
        choose(engine.name, made, call.like.device.type, call.like.dtype)
    except EngineError as problem:
        raise EngineError(f"forward-mode or second derivatives of '{step.name}': {problem}") from None

    def doubled(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {**values, **{dotted(n, k): moves[n] for n in values if n in moves}}

    still = {dotted(n, k): torch.zeros_like(s) for n, s in call.state.items() if n not in moves}
    state = {**doubled(call.state), **still}
    return call._replace(
        recurrence=made,
        inputs=doubled(call.inputs),
        state={n: state[n] for n in made.states},
        parameters=doubled(call.parameters),
    )


def tangents_of(call: Call, values: Sequence[Value], sequences: bool) -> list[Value]:
    """Of what the call of the tangent returns, the tangents, in the order of what ``call`` returns."""
    returns, states = len(call.recurrence.returns), len(call.recurrence.states) * sequences
    return [*values[returns : 2 * returns], *values[2 * returns + states : 2 * (returns + states)]]
