"""Calls of a network while ``torch.compile`` or ``torch.export`` traces them: each becomes one operator
(``operator.py``).

torch.compile reads this code instead of running it, so it is plain. What it cannot trace runs between two graphs, by
the method ``eager`` of the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor
from torch.compiler import disable, is_exporting

from ..engines.border import in_dtype_of, transformed
from ..errors import EngineError
from ..sequence.ragged import Ragged
from ..sequence.state import State
from .calls import front, last_step, parted
from .description import SEQUENCES, STATES, STEP, described, returned_names, unfit
from .operator import run
from .result import Result, Step

if TYPE_CHECKING:
    from .recurrent import Recurrent


def forward(
    eager: Any,
    net: Recurrent,
    inputs: Any,
    state: Any,
    given: Any,
    reset: Any,
    steps: Any,
    until: Any,
    named: Mapping[str, Any],
) -> Result:
    """A call of the network: see ``Recurrent.forward``."""
    positional, begun = parted(inputs, state)
    forced = given or {}
    everything = (*positional, *named.values(), *forced.values(), reset)
    reason = "until= depends on what the network writes" if until else _no_series(everything)
    if reason := _obstacle(net, SEQUENCES, positional, named, begun, forced, steps) or reason:
        options = {"given": given, "reset": reset, "steps": steps, "until": until}
        return outside(eager, reason, net, *inputs, state=state, **options, **named)
    series = _by_name(net, positional, named)
    returned, ends = _run(net, SEQUENCES, series, begun, forced, reset, steps)
    lengths = [x.lengths for x in (*series.values(), *forced.values()) if isinstance(x, Ragged)]
    if lengths:
        return Result({n: Ragged(values=v, lengths=lengths[0]) for n, v in returned.items()}, State.of(ends))
    return Result(returned, State.of(ends))


def step(eager: Any, net: Recurrent, inputs: Any, state: Any, named: Mapping[str, Any]) -> Step:
    """One step: see ``Recurrent.step``."""
    positional, begun = parted(inputs, state)
    if reason := _obstacle(net, STEP, positional, named, begun) or _no_tensors((*positional, *named.values())):
        return outside(eager, reason, net, *inputs, state=state, **named)
    returned, ends = _run(net, STEP, _by_name(net, positional, named), begun, {})
    return Step(returned, State.of(ends))


def read(eager: Any, net: Recurrent, inputs: Any, state: Any, named: Mapping[str, Any]) -> Step:
    """The answer at the last step: see ``Recurrent.read``."""
    positional, begun = parted(inputs, state)
    if reason := _obstacle(net, SEQUENCES, positional, named, begun) or _no_tensors((*positional, *named.values())):
        return outside(eager, reason, net, *inputs, state=state, **named)
    series, fixed = _by_name(net, positional, named), net.circuit.recurrence.fixed
    _, ends = _run(net, STATES, {n: x if n in fixed else front(n, x) for n, x in series.items()}, begun, {})
    last = {n: x if n in fixed else last_step(x) for n, x in series.items()}
    returned, ends = _run(net, STEP, last, State.of(ends), {})
    return Step(returned, State.of(ends))


def _by_name(net: Recurrent, positional: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    return {**dict(zip(net.circuit.recurrence.inputs, positional, strict=False)), **named}


def _run(
    net: Recurrent,
    kind: str,
    series: Mapping[str, Any],
    state: Any,
    given: Mapping[str, Any],
    reset: Any = None,
    steps: int | None = None,
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The returned values and the last states by name."""
    start = state or {}
    text = described(net._stored, kind, net._asked, net.memory, list(series), list(given), list(start))
    weights = net._weights()
    tensors, lengths = [*weights.values()] or [net._like()], []
    for x in (*series.values(), *given.values()):
        tensors.append(in_dtype_of(net._like(), x.values if isinstance(x, Ragged) else x))
        if isinstance(x, Ragged):
            lengths.append(x.lengths)
    if isinstance(reset, Ragged):
        lengths.append(reset.lengths)
        reset = reset.values
    tensors += [in_dtype_of(net._like(), s) for s in start.values()]
    keep = torch.is_grad_enabled() and not is_exporting() and any([t.requires_grad for t in tensors])
    found = run(tensors, lengths, reset, steps, text, keep)
    names = returned_names(text)
    states = list(net.circuit.recurrence.states)
    returned = {n: found[k] for k, n in enumerate(names)}
    if kind == STEP:
        return returned, {n: returned[n] for n in states}
    return returned, {n: found[len(names) + k] for k, n in enumerate(states)}


def _obstacle(
    net: Recurrent,
    kind: str,
    positional: Any,
    named: Mapping[str, Any],
    state: Any,
    given: Mapping[str, Any] | None = None,
    steps: Any = None,
) -> str:
    """Why a call cannot be an operator; empty if it can."""
    if net._narrow:
        return f"{net._kind} weights cannot be compiled"
    if not net._stored:
        return f"circuit '{net.circuit.name}' is too large to be stored"
    fixed = net.circuit.recurrence.fixed
    if fixed and any([n in fixed and isinstance(x, Ragged) for n, x in _by_name(net, positional, named).items()]):
        return "memories of different length depend on their lengths, which are data. Give a tensor (batch, rows, size)"
    if not isinstance(state, State | dict | None):
        return "the state must be a State"
    names = tuple(named), tuple(given or ()), tuple(state or ())
    return unfit(net._stored, kind, len(positional), *names, steps is not None) or untraceable()


def _no_series(given: Iterable[Any]) -> str:
    fits = all([isinstance(x, Tensor | Ragged | None) for x in given])
    return "" if fits else "series must be tensors or Ragged"


def _no_tensors(given: Iterable[Any]) -> str:
    fits = all([isinstance(x, Tensor) for x in given])
    return (
        "" if fits else "the last step of a Ragged depends on its lengths, which are data; other inputs must be tensors"
    )


def untraceable() -> str:
    """Why no operator can be traced now; empty if it can."""
    if forward_ad._current_level >= 0 or transformed():  # torch.compile checks the first before each call
        return "torch.func and forward-mode derivatives are not available inside torch.compile"
    return ""


def outside(eager: Any, reason: str, *args: Any, **kwargs: Any) -> Any:
    """Call a method between two graphs of torch.compile.

    Raises:
        EngineError: torch.export traces, which allows only one graph.
    """
    if is_exporting():
        raise EngineError(f"torch.export cannot trace this call: {reason}")
    torch._dynamo.graph_break(msg=reason)  # with fullgraph=True, an error with the reason
    return disable(eager)(*args, **kwargs)
