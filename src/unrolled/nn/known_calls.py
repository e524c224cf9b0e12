"""Calls of a network that are like an earlier one except for the values: they skip the checks, which take a large part
of a short call.

Each function takes the network, and the arguments of a call: its inputs by position and by name, and its state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from ..engines.border import Guards, as_given, guards, ordinary, traced, unwrapped, watched
from ..engines.call import Call, Engine
from ..engines.plain import PLAIN
from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from ..sequence.state import State
from .bound_calls import BoundCall
from .incoming import columns
from .memory import Store
from .narrow_weights import addresses, narrow_weights
from .rows import flat

if TYPE_CHECKING:
    from .recurrent import Recurrent

MOST = 256  # kinds of calls that a network caches

Mark = tuple[object, ...]
Positional = tuple[Any, ...]
Named = Mapping[str, Any]


class KnownCall(NamedTuple):
    """A checked call in the cache: its engine, step, layout and sizes, the shapes of its states, guards on the kinds of
    its tensors, and what runs it with little Python, if that is possible."""

    engine: Engine
    step: Recurrence
    layout: Layout
    sizes: dict[str, int]
    states: dict[str, tuple[int, ...]]
    guards: Guards
    bound: BoundCall | None


def mark_of(
    net: Recurrent, leading: int, inputs: Positional, named: Named, state: State | None, steps: int | None = None
) -> Mark | None:
    """The key of a call in the cache: how its inputs are given, their names and shapes. None if it cannot be cached.

    Args:
        leading: the number of leading dimensions: 2 for sequences, 1 for one step.
        steps: the number of steps of a network that reads no series; its state tells the number of sequences.
    """
    if watched() or not (inputs or named or (steps is not None and state)):
        return None
    if state is not None and not (isinstance(state, State) and len(state) == len(net.circuit.states)):
        return None
    try:
        shapes = [t.shape for t in (*inputs, *named.values(), *((state or {}).values() if steps is not None else ()))]
    except (AttributeError, RuntimeError):  # no tensor, or one without a shape
        return None
    names = *named, *(() if state is None else state.keys())
    modes = torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.get_num_threads()
    places = addresses(net) if net._narrow else ()
    return leading, len(inputs), steps, *modes, *names, *shapes, *places


def remembered(net: Recurrent, mark: Mark | None, call: Call, given: Sequence[Any] = ()) -> tuple[Engine, Call]:
    """A checked call with its engine. Caches it under its mark, unless that is None, with guards on the kinds of the
    tensors that were given."""
    call = call._replace(narrow=narrow_weights(net)) if net._narrow else call
    if traced() or not all(ordinary(unwrapped(t)) for t in call.leaves.values()):
        return net.memory.around(PLAIN, call), call
    engine = net._choice()[0]
    if mark is not None:
        weights: list[Any] = list(_guarded(net).values())
        like = call.like.dtype  # autocast converts other dtypes, but calls in the cache do not
        if all(as_given(t) and (t.dtype == like or not t.is_floating_point()) for t in (*given, *weights)):
            if len(net._known) >= MOST:
                net._known.clear()
            dense = all(w.is_contiguous() for w in weights)
            by_bound = dense and engine.name == "c" and isinstance(net.memory, Store) and not call.recurrence.fixed
            ready = BoundCall.of(call, mark[0] == 2) if by_bound else None
            states = {n: tuple(s.shape) for n, s in call.state.items()}
            how = call.recurrence, call.layout, call.sizes, states
            net._known[mark] = KnownCall(engine, *how, guards(given, weights), ready)
    return net.memory.around(engine, call), call


def _guarded(net: Recurrent) -> dict[str, Any]:
    """The tensors whose kinds a call depends on: the parameters, or what stands for them if there are none."""
    return net._weights() or {"": net._buffers["_anchor"]}


def _fits(known: KnownCall, weights: Named, inputs: Positional, named: Named, state: State | None) -> bool:
    """Whether the tensors of a call are of the same kinds as those that were checked."""
    begun = () if state is None else state.values()
    return known.guards.check(*inputs, *named.values(), *begun, *weights.values())


def bound(
    net: Recurrent, mark: Mark | None, inputs: Positional, named: Named, state: State | None
) -> tuple[dict[str, Tensor], State] | None:
    """The results by name and the state after them, if a call like this one is in the cache and bound."""
    known = net._known.get(mark) if mark else None
    if known is None or known.bound is None or not isinstance(net.memory, Store):
        return None
    weights = net._weights()
    if not _fits(known, weights or _guarded(net), inputs, named, state):
        return None
    return known.bound.run({**dict(zip(net.circuit.inputs, inputs, strict=False)), **named}, state, weights.values())


def again(
    net: Recurrent, mark: Mark | None, leading: int, inputs: Positional, named: Named, state: State | None
) -> tuple[Engine, Call] | None:
    """The call and its engine, if a call like this one is in the cache."""
    if mark is None or not (known := net._known.get(mark)):
        return None
    weights = net._weights()
    if not _fits(known, weights or _guarded(net), inputs, named, state):
        return None
    layout, like = known.layout, net._like(weights)
    series: dict[str, Any] = dict(zip(net.circuit.inputs, inputs, strict=False), **named)
    for n, x in series.items():
        fixed = n in net.circuit.recurrence.fixed
        rows = x if x.is_floating_point() else net._incoming(like).series(n, x, 1 if fixed else leading)
        series[n] = flat(rows, layout) if leading == 2 and not fixed else rows
    tokens = net.circuit.recurrence.tokens
    if state is None:
        of_token = dict.fromkeys(tokens, torch.int64)
        start = {n: like.new_zeros(shape, dtype=of_token.get(n)) for n, shape in known.states.items()}
    else:
        check = net._incoming(like) if tokens else None
        start = {
            n: check.tokens(n, s, 1, f"state '{n}'") if check and n in tokens else columns(s) for n, s in state.items()
        }
    call = Call(known.step, known.sizes, weights, series, start, layout, like, narrow_weights(net))
    return net.memory.around(known.engine, call), call
