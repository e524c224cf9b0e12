"""The inputs that a network draws in training: masks and noise of regularised circuits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from ..engines.border import shape_of
from ..graph.drawn import Distribution
from ..sequence.ragged import Ragged

if TYPE_CHECKING:
    from .recurrent import Recurrent


def with_drawn(
    net: Recurrent,
    leading: int,
    inputs: tuple[Any, ...],
    named: Mapping[str, Any],
    state: Any,
    given: Mapping[str, Any] | None = None,
    steps: int | None = None,
    generator: torch.Generator | None = None,
) -> dict[str, Any]:
    """The inputs by name of a call, and those that are to be drawn, unless the call contains them.

    They are drawn in the order of the circuit's inputs, each for all steps of all sequences.

    Args:
        net: the network.
        leading: the number of leading dimensions: 2 for sequences, 1 for one step.
        inputs, named, state, given, steps: the arguments of the call.
        generator: torch's own by default.
    """
    recurrence, named = net.circuit.recurrence, dict(named)
    known = {**dict(zip(recurrence.inputs, inputs, strict=False)), **named}
    series = [x for n, x in known.items() if n not in recurrence.fixed]
    series += [x[0] if isinstance(x, tuple) else x for x in (given or {}).values()]  # with a mask
    like = net._like()
    for n, each in recurrence.drawn.items():
        if n not in known:
            lead = _lead(series, leading, state, steps)
            if lead is None:  # the checks of the call will say what is wrong
                return named
            first, lengths = lead
            if n in recurrence.fixed:
                first = (first[0] if lengths is None else len(lengths),)
            shape = (*first, *net._incoming(like).dims(n))
            value = draw(each, like, shape, generator)
            ragged = lengths is not None and n not in recurrence.fixed
            named[n] = Ragged(values=value, lengths=lengths) if ragged else value
    return named


def draw(each: Distribution, like: Tensor, shape: tuple[int, ...], generator: torch.Generator | None = None) -> Tensor:
    """A tensor with entries of a distribution.

    >>> draw(Distribution("dropout", 0.5), torch.zeros(()), (2, 3)).shape
    torch.Size([2, 3])

    Args:
        each: the distribution.
        like: a tensor of the same dtype and device.
        shape: of the result.
        generator: torch's own by default.
    """
    empty = like.new_empty(shape)
    if each.kind == "noise":
        return empty.normal_(0.0, each.share, generator=generator)
    if each.kind == "zoneout":
        return empty.bernoulli_(each.share, generator=generator)
    return empty.bernoulli_(1 - each.share, generator=generator).div_(1 - each.share)


def _lead(
    series: list[Any], leading: int, state: Any, steps: int | None
) -> tuple[tuple[int, ...], Tensor | None] | None:
    """The leading dimensions of the series of a call, and the lengths of a Ragged; None if the call is not valid."""
    for x in series:
        if isinstance(x, Ragged):
            return (len(x.values),), x.lengths
        if isinstance(x, Tensor) and x.ndim >= leading:
            return shape_of(x)[:leading], None
    if series or (leading == 2 and not isinstance(steps, int)):
        return None
    states = [s for s in state.values() if isinstance(s, Tensor)] if isinstance(state, Mapping) else []
    batch = len(states[0]) if states else 1
    return ((batch, steps) if leading == 2 and steps is not None else (batch,)), None
