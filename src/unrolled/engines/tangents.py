"""The call that computes the tangents of another call: its values and their derivatives in one direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch
from torch import Tensor

from ..errors import EngineError
from ..graph.node import REAL, Node
from ..graph.recurrence import Recurrence
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


def tangents_of(call: Call, values: Sequence[Value], sequences: bool) -> list[Value | None]:
    """The tangents among the results of the tangent's call, in the order of those of ``call``; None for tokens."""
    found, rest = list[Value | None](), iter(values)
    for group in (call.recurrence.returns, call.recurrence.states) if sequences else (call.recurrence.returns,):
        for _ in group:
            next(rest)
        found += [next(rest) if moves else None for moves in _real(group)]
    return found


def arriving_at_tangents(step: Recurrence, arriving: Sequence[Value | None]) -> list[Value | None]:
    """What arrives at the results of the tangent's call, from what arrives at the tangents of the results of a call."""
    found, rest, given = list[Value | None](), len(step.returns), iter(arriving)
    for group in (step.returns, step.states) if len(arriving) > rest else (step.returns,):
        of_tangents = [(moves, next(given)) for moves in _real(group)]
        found += [None] * len(group) + [g for moves, g in of_tangents if moves]
    return found


def _real(nodes: Mapping[str, Node]) -> list[bool]:
    """Which values have a tangent: all except tokens."""
    return [node.type.kind == REAL for node in nodes.values()]
