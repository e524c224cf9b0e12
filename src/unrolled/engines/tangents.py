"""The call that computes the tangents of another call: its values and their derivatives in one direction."""

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
    """The call of the tangent.

    Args:
        engine: the engine.
        call: the original call.
        moves: the directions by name of the leaf, each in the shape of its leaf.

    Raises:
        EngineError: the engine cannot run the tangent, or truncates gradients.
    """
    if isinstance(engine, Truncating):
        raise EngineError(
            "memory=Truncated(...) leaves out part of the gradient, so it supports neither forward-mode nor second "
            "derivatives. Use memory=Store()"
        )
    step = call.recurrence
    made, k = tangent(step, tuple(n for n in moves if n not in step.states)), direction(step)
    try:
        choose(engine.name, made, call.like.device.type, call.like.dtype)
    except EngineError as problem:
        raise EngineError(
            f"forward-mode or second derivatives of '{step.name}': {problem}. Run the network on another engine: "
            'net.use("torch")'
        ) from None

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
    """The tangents among the results of the tangent's call, in the order of the results of ``call``."""
    returns, states = len(call.recurrence.returns), len(call.recurrence.states) * sequences
    return [*values[returns : 2 * returns], *values[2 * returns + states : 2 * (returns + states)]]
