"""The exact gradient over a sequence that never fits in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..graph.node import Node
from ..plan.plan import make_plan
from ..sequence.state import State
from .memory import bytes_of
from .recurrent import Recurrent
from .result import Result

LEAST, MOST = 64, 65_536  # steps of a segment


class Source(Protocol):
    """A sequence that is read piece by piece, the same whenever it is asked."""

    @property
    def length(self) -> int: ...
    def read(self, start: int, stop: int) -> Tensor:
        """Steps start ... stop - 1: (steps, size), or tokens (steps,)."""
        ...


Loss = Callable[[Result, int, int], Tensor]
Told = Callable[[str, int, int], None]


def backpropagate(
    net: Recurrent,
    source: Source,
    loss: Loss,
    memory: str | int = "500 MB",
    state: State | None = None,
    told: Told = lambda stage, done, length: None,
) -> float:
    """Add the exact gradient of a total loss to ``.grad``, whatever the length of the sequence; returns the loss.

    >>> total = unrolled.backpropagate(net, source, lambda out, start, stop: out.L.sum())

    The sequence is read twice: once forward, keeping the states at the borders of segments, and once from the last
    segment to the first, each of which is run again with its gradient (Griewank and Walther 2000; Chen et al. 2016).
    Gradients of all segments are added up in float64.

    Args:
        net: with one input.
        source: has ``length`` and ``read(start, stop)``: (steps, size), or tokens (steps,).
        loss: of a segment: gets its results, each (1, steps, size), and its first step and the one behind its last;
            gives one number. The total is the sum. Its own parameters, such as those of a linear layer, get gradients.
        memory: bytes, or text such as '500 MB', for the states and one segment.
        state: where to start; its gradient goes to the tensors that it holds.
        told: called after each segment with 'forward' or 'backward', the steps that are done, and the length.

    Raises:
        InputError: a source that is none, or that gives something else at the second reading; a loss that is not one
            number; a memory that is too small.
    """
    length = _length(source)
    every = _segment(net, length, bytes_of(memory))
    borders, sums = [state or net.initial_state(1)], []
    starts = range(0, length, every)
    with torch.no_grad():
        for start in starts:
            x = _read(source, start, min(start + every, length))
            sums.append(_fingerprint(x))
            borders.append(net(x[None], borders[-1]).state)
            told("forward", start + len(x), length)
    arriving = {n: torch.zeros_like(s) for n, s in borders[-1].items()}
    total, gradients = 0.0, _Gradients(net)
    try:
        for k in reversed(range(len(starts))):
            x = _read(source, starts[k], min(starts[k] + every, length))
            if _fingerprint(x) != sums[k]:
                raise InputError(
                    f"the source gave something else when steps {starts[k]:,} to {starts[k] + len(x):,} were read "
                    "again: the gradient would be wrong. It must give the same whenever it is asked"
                )
            entering = State(**{n: s.detach().requires_grad_() for n, s in borders[k].items()})
            with torch.enable_grad():
                out = net(x[None], entering)
                value = loss(out, starts[k], starts[k] + len(x))
                if not isinstance(value, Tensor) or value.numel() != 1:
                    shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                    raise InputError(f"the loss of a segment must be one number, got {shape}. Sum over its steps")
                roots = [value.sum()] if value.requires_grad else []
                torch.autograd.backward([*roots, *out.state.values()], [*(None for _ in roots), *arriving.values()])
            total += float(value.detach())
            arriving = {n: torch.zeros_like(s) if s.grad is None else s.grad for n, s in entering.items()}
            borders.pop()
            gradients.collect()
            told("backward", length - starts[k], length)
    finally:
        gradients.restore()
    gradients.finish()
    for n, s in (state or {}).items():
        if s.requires_grad:
            s.backward(arriving[n])
    return total


class _Gradients:
    """Gradients of many segments, added up in float64: of the network, and of whatever else a loss has touched."""

    def __init__(self, net: nn.Module) -> None:
        self.before = {p: p.grad for p in net.parameters()}
        self.total = {p: torch.zeros_like(p, dtype=torch.float64) for p in net.parameters()}
        self._clear()

    def _clear(self) -> None:
        for p in self.total:
            p.grad = None

    def collect(self) -> None:
        for p, total in self.total.items():
            if p.grad is not None:
                total += p.grad
        self._clear()

    def restore(self) -> None:
        """As it was before: nothing that is not finished stays."""
        for p, gradient in self.before.items():
            p.grad = gradient

    def finish(self) -> None:
        for p, total in self.total.items():
            gradient = total.to(p.dtype)
            p.grad = gradient if p.grad is None else p.grad + gradient


def _length(source: Any) -> int:
    length = getattr(source, "length", None)
    if not isinstance(length, int) or not callable(getattr(source, "read", None)):
        raise InputError(f"a source has a whole number 'length' and read(start, stop), got a {type(source).__name__}")
    if length < 1:
        raise InputError(f"the source has {length} steps: there is nothing to learn from")
    return length


def _read(source: Source, start: int, stop: int) -> Tensor:
    x = source.read(start, stop)
    if not isinstance(x, Tensor) or x.ndim not in (1, 2) or len(x) != stop - start:
        given = tuple(x.shape) if isinstance(x, Tensor) else type(x).__name__
        raise InputError(
            f"read({start}, {stop}) must give {stop - start} steps, (steps, size) or (steps,), got {given}"
        )
    return x


def _fingerprint(x: Tensor) -> int:
    return hash(x.contiguous().numpy(force=True).tobytes())


def _segment(net: Recurrent, length: int, budget: int) -> int:
    """Steps of a segment: as many as the budget allows beside the states of all borders, within reason."""
    plan = make_plan(net.circuit.recurrence)
    one = next(net.parameters()).element_size() if list(net.parameters()) else 4

    def width(nodes: list[Node]) -> int:
        return sum(n.type.dims[0].value(net._sizes) if n.type.dims else 1 for n in nodes) * one

    leaves = [*net.circuit.recurrence.inputs.values()]
    step = 3 * width(
        [*plan.kept, *net.circuit.recurrence.returns.values(), *leaves]
    )  # values, gradients, the loss's own
    state = width([*net.circuit.recurrence.states.values()])
    every = min(MOST, max(LEAST, budget // 2 // step), length)
    need = every * step + -(-length // every) * state
    if need > budget:
        raise InputError(
            f"memory {budget / 1e6:,.1f} MB is too small for {length:,} steps: "
            f"give at least {1.05 * need / 1e6:,.1f} MB"
        )
    return every
