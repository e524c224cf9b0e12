"""The exact gradient over a sequence that does not fit in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..plan.segments import Move, Segments, least_budget, least_work
from ..sequence.state import State
from ..sources import Source, Verified
from .drawn import draw, with_drawn
from .fixed import fixed_inputs
from .memory import Memory, Snapshots, Store, Truncated, bytes_of, bytes_of_step, width
from .recurrent import Recurrent
from .result import Result

LEAST, MOST = 64, 4096  # steps of a segment; longer ones exceed the cache, and the backward pass takes twice as long


Loss = Callable[[Result, int, int], Tensor]
Told = Callable[[str, int, int], None]


def backpropagate(
    net: Recurrent,
    source: Source,
    loss: Loss,
    memory: str | int | Memory = "500 MB",
    state: State | None = None,
    told: Told = lambda stage, done, length: None,
    fixed: Mapping[str, Tensor] | None = None,
) -> float:
    """Add the exact gradient of a total loss to ``.grad``, for a sequence of any length, in bounded memory.

    >>> total = unrolled.backpropagate(net, source, lambda out, start, stop: out.L.sum())

    First reads the sequence forward and stores the states at the borders of segments. Then recomputes each segment with
    its gradient, from the last to the first. If memory is scarce, parts are read more often; for the cost see
    ``Snapshots``. The gradients of all segments are summed in float64. A checksum verifies that every reading of a
    segment gives the same values.

    In training mode, the masks and the noise of a regularised circuit are the same at every reading of a segment.

    Args:
        net: a network with one input, apart from those that are fixed in time.
        source: has ``length``, the number of steps, and ``read(start, stop)``, which returns vectors (steps, size) or
            tokens (steps,).
        loss: called as loss(out, start, stop) with the results of a segment, each (1, steps, size). Returns one number;
            the total loss is the sum over segments. Its own parameters, such as a linear layer's, get gradients too.
        memory: bytes, or text such as '500 MB', for the states and one segment; or a policy: ``Snapshots``; ``Store``
            for a single segment; or ``Truncated``, which is not exact, with a stride equal to its window.
        state: the initial state; its tensors get gradients if they require them.
        told: called after each segment with 'forward' or 'backward', the number of steps done, and the length.
        fixed: the inputs that are fixed in time, by name: (1, size) or (1, rows, size). They get gradients, too.

    Returns:
        the total loss.

    Raises:
        InputError: an object that is not a source; a loss that is not one number; a memory that is too small.
        DataError: a source that gives something else at the second reading.
    """
    length, others = _length(source), _Others(net, fixed or {})
    segments = _segments(net, length, memory, others)
    begun = State(**{**net.initial_state(1), **(state or {})})
    kept, stack = _Kept(begun, segments.states), [0]  # stored states, and the segments that start from them
    arriving = {n: torch.zeros_like(s) for n, s in begun.items()}
    total, gradients, pieces = 0.0, _Gradients(net, others.fixed), _Pieces(source, length, segments.every)
    cut = isinstance(memory, Truncated)
    try:
        for keep, number in (Move(False, k) for k in range(segments.count)) if cut else segments.moves():
            at, entering = stack[-1], kept[len(stack) - 1]
            for k in range(at, number):
                with torch.no_grad():
                    x = pieces.read(k)[None]
                    entering = net(x, state=entering, **others.of(k, x)).state
                told("forward", pieces.stop(k), length)
            if keep:
                kept[len(stack)] = entering
                stack.append(number)
                continue
            value, found, after = _segment(net, pieces, number, entering, arriving, loss, gradients, others)
            total += value
            if number == 0:
                begin = found
            if cut:
                stack, kept[0] = [number + 1], after
            else:
                arriving = found
                stack = stack[: len(stack) - (at == number)]
            gradients.collect()
            told("backward", pieces.stop(number) if cut else length - pieces.start(number), length)
    finally:
        gradients.restore()
    gradients.finish()
    for n, s in (state or {}).items():
        if s.requires_grad:
            s.backward(begin[n])
    for n, x in (fixed or {}).items():
        if x.requires_grad:
            x.backward(others.fixed[n].grad)
    return total


def _segment(
    net: Recurrent,
    pieces: _Pieces,
    number: int,
    state: State,
    arriving: dict[str, Tensor],
    loss: Loss,
    gradients: _Gradients,
    others: _Others,
) -> tuple[float, dict[str, Tensor], State]:
    """Run a segment with its gradient, which is added to ``.grad`` of the parameters.

    Returns:
        its loss, the gradient with respect to the state before it, and the state after it.
    """
    entering = State(**{n: s.detach().requires_grad_() for n, s in state.items()})
    with torch.enable_grad():
        x = pieces.read(number)[None]
        out = net(x, state=entering, **others.of(number, x))
        value = loss(out, pieces.start(number), pieces.stop(number))
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise InputError(f"the loss of a segment must be one number, got {shape}. Sum it over steps")
        gradients.watch(value, entering)
        roots = [value.sum()] if value.requires_grad else []
        torch.autograd.backward([*roots, *out.state.values()], [*(None for _ in roots), *arriving.values()])
    before = {n: torch.zeros_like(s) if s.grad is None else s.grad for n, s in entering.items()}
    return float(value.detach()), before, out.state


class _Others:
    """The inputs of every segment besides the source: those that are fixed in time, and in training those that are
    drawn, which are the same whenever a segment is read."""

    def __init__(self, net: Recurrent, fixed: Mapping[str, Tensor]) -> None:
        self.net = net
        self.fixed = {n: x.detach().requires_grad_(x.requires_grad) for n, x in fixed.items()}
        self.sizes = fixed_inputs(net._incoming(), net._sizes, fixed).sizes
        self.draws = net.training and bool(net.circuit.recurrence.drawn)
        self.drawn, self.seed = dict[str, Tensor](), 0
        if self.draws:
            for n, each in net.circuit.recurrence.drawn.items():
                if n in net.circuit.recurrence.fixed and n not in fixed:
                    self.drawn[n] = draw(each, net._like(), (1, *net._incoming().dims(n)))
            self.seed = int(torch.randint(2**62, ()))

    def of(self, number: int, x: Tensor) -> dict[str, Any]:
        """The inputs of a segment, by name."""
        known = {**self.fixed, **self.drawn}
        if not self.draws:
            return known
        generator = torch.Generator(self.net._like().device).manual_seed(self.seed + number)
        return with_drawn(self.net, 2, (x,), known, None, generator=generator)


class _Pieces:
    """The segments of a source, each the same whenever it is read."""

    def __init__(self, source: Source, length: int, every: int) -> None:
        self.source = source if isinstance(source, Verified) else Verified(source)
        self.length, self.every = length, every

    def start(self, number: int) -> int:
        return number * self.every

    def stop(self, number: int) -> int:
        return min(self.start(number) + self.every, self.length)

    def read(self, number: int) -> Tensor:
        return self.source.read(self.start(number), self.stop(number))


class _Kept:
    """Stored states in one block of memory, since many small ones between large temporary series would fragment it."""

    def __init__(self, first: State, count: int) -> None:
        self.values = {n: s.new_empty(count, *s.shape[1:]) for n, s in first.items()}
        self[0] = first

    def __setitem__(self, place: int, state: State) -> None:
        for n, rows in self.values.items():
            rows[place] = state[n][0].detach()

    def __getitem__(self, place: int) -> State:
        return State(**{n: rows[place : place + 1] for n, rows in self.values.items()})


class _Gradients:
    """The sum over segments of the gradients of the network and of all other leaves of the loss, in float64."""

    def __init__(self, net: nn.Module, fixed: Mapping[str, Tensor]) -> None:
        self.before: dict[Tensor, Tensor | None] = {}
        self.total: dict[Tensor, Tensor] = {}
        for p in (*net.parameters(), *(x for x in fixed.values() if x.requires_grad)):
            self._add(p)

    def watch(self, value: Tensor, states: State) -> None:
        """Find every leaf that a loss depends on, except the initial states of its segment."""
        todo, seen = [value.grad_fn], set()
        while todo:
            node = todo.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            leaf = getattr(node, "variable", None)
            if leaf is not None and leaf not in self.total and all(leaf is not s for s in states.values()):
                self._add(leaf)
            todo += [n for n, _ in node.next_functions]

    def _add(self, leaf: Tensor) -> None:
        self.before[leaf], self.total[leaf] = leaf.grad, torch.zeros_like(leaf, dtype=torch.float64)
        leaf.grad = None

    def _clear(self) -> None:
        for p in self.total:
            p.grad = None

    def collect(self) -> None:
        for p, total in self.total.items():
            if p.grad is not None:
                total += p.grad
        self._clear()

    def restore(self) -> None:
        """Restore the gradients from before the call, so that an error leaves no partial result."""
        for p, gradient in self.before.items():
            p.grad = gradient

    def finish(self) -> None:
        for p, total in self.total.items():
            gradient = total.to(p.dtype)
            p.grad = gradient if p.grad is None else p.grad + gradient


def _length(source: Any) -> int:
    length = getattr(source, "length", None)
    if not isinstance(length, int) or not callable(getattr(source, "read", None)):
        raise InputError(f"a source needs an integer 'length' and read(start, stop), got a {type(source).__name__}")
    if length < 1:
        raise InputError(f"the source has {length} steps; it needs at least 1")
    return length


def _segments(net: Recurrent, length: int, memory: str | int | Memory, others: _Others) -> Segments:
    """The segments of a sequence under a memory policy."""
    if isinstance(memory, Store):
        return Segments(length, length, 1)
    if isinstance(memory, Truncated):
        if memory.stride not in (None, memory.window):
            raise InputError(
                f"backpropagate cuts a sequence into windows: stride must be window ({memory.window}), got "
                f"{memory.stride}. Other strides are for networks: Recurrent(..., memory=Truncated(...))"
            )
        every = min(memory.window, length)
        return Segments(length, every, -(-length // every))
    if isinstance(memory, Snapshots) and memory.every is not None:
        every = min(memory.every, length)
        return Segments(length, every, -(-length // every))
    given = memory.memory or 0 if isinstance(memory, Snapshots) else memory
    recurrence, sizes, one = net.circuit.recurrence, others.sizes, net._like().element_size()
    read = width(recurrence.series.values(), sizes) * one
    step = 3 * (bytes_of_step(recurrence, sizes, one) + read)  # values, gradients, and the loss's own values
    state = width(recurrence.states.values(), sizes) * one
    found = least_work(length, step, state, bytes_of(given), LEAST, MOST)
    if found is None:
        least = least_budget(length, step, state, LEAST, MOST)
        raise InputError(f"memory {given!r} is too small for {length:,} steps: give at least {least:,} bytes")
    return found
