"""What is kept for the backward pass: everything, or states from which the rest is computed again, both exact; or only
what errors that go back some steps read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from ..engines.call import Call, Engine
from ..engines.plain import PLAIN
from ..engines.snapshots import Snapshotting
from ..engines.truncated import Truncating
from ..errors import EngineError, InputError
from ..graph.node import Node
from ..graph.recurrence import Recurrence
from ..plan.plan import make_plan

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Store:
    """Keep every value that the backward pass reads. Memory grows with the steps; nothing is computed twice."""

    def around(self, engine: Engine, call: Call) -> Engine:
        return engine


@dataclass(frozen=True)
class Snapshots:
    """Keep the states at the borders of segments, and compute a segment again when the backward pass comes to it
    (Griewank and Walther 2000; Chen et al. 2016). Exact.

    >>> net = unrolled.Recurrent(cells.gru, x=3, h=4, memory=unrolled.Snapshots(memory="500 MB"))

    Cost of a network's own backward pass: every step is computed once more; in memory are the values of one segment,
    beside what the network is given and gives, where the states at the borders are.

    Cost of ``backpropagate``, which keeps nothing but states: the steps before the last segment are computed once more
    as long as there is room for the states of all borders, the least memory for that growing with the square root of
    the length. With less they are kept on several levels: with room for s states, C(s + r, s) segments take r passes
    more at most (``plan.segments``); r goes up to 10.

    Args:
        every: steps from one border to the next; or
        memory: bytes, or text such as '500 MB', from which this is chosen.

    Raises:
        InputError: neither or both; what is no number of steps or bytes; on a call, a memory too small for it, with
            the least that works.
    """

    every: int | None = None
    memory: str | int | None = None

    def __post_init__(self) -> None:
        if (self.every is None) == (self.memory is None):
            raise InputError("Snapshots takes either every= (steps) or memory= (bytes, or text such as '500 MB')")
        if self.every is not None:
            check_steps("every", self.every)
        if self.memory is not None:
            bytes_of(self.memory)

    def around(self, engine: Engine, call: Call) -> Engine:
        """The engine with this policy."""
        if engine is PLAIN or call.layout.longest < 2:  # torch keeps what its own gradient needs
            return engine
        return Snapshotting(engine, self.every or self._steps(call, bytes_of(self.memory or 0)))

    def _steps(self, call: Call, budget: int) -> int:
        """The longest segments whose values the budget allows."""
        step = bytes_of_step(call.recurrence, call.sizes, call.like.element_size()) * call.layout.count
        if budget < step:
            raise InputError(
                f"memory {self.memory!r} is too small for {call.layout.count} sequences: the values of one step "
                f"of each take {step:,} bytes. Give that at least, or fewer sequences"
            )
        return min(budget // step, call.layout.longest)


@dataclass(frozen=True)
class Truncated:
    """Truncated back-propagation through time, BPTT(h; h') of Williams and Peng (1990): after every ``stride`` steps
    (h', k1) the errors of these go back over the last ``window`` steps (h, k2), and no further. **Not exact**: what a
    step owes to others more than ``window`` steps before it is left out. Values are not changed, only gradients.

    >>> net = unrolled.Recurrent(cells.gru, x=3, h=4, memory=unrolled.Truncated(window=100, stride=20))

    The error of a step goes back over at least ``window - stride + 1`` steps. With ``window == stride`` a sequence is
    cut into pieces; with a stride of 1 every error goes back equally far. Cost: window / stride forward and backward
    passes; in memory are the values of one window, beside what the network is given and gives.

    Args:
        window: steps that errors go back at most.
        stride: steps between two passes back; as many as ``window`` unless given.

    Raises:
        InputError: what is no number of steps; a stride longer than the window, which would leave errors out.

    Reference: Williams and Peng 1990, An efficient gradient-based algorithm for on-line training of recurrent network
    trajectories, Neural Computation 2(4).
    """

    window: int
    stride: int | None = None

    def __post_init__(self) -> None:
        check_steps("window", self.window)
        if self.stride is not None:
            check_steps("stride", self.stride)
            if self.stride > self.window:
                raise InputError(
                    f"stride ({self.stride}) must not be longer than window ({self.window}): the errors of "
                    f"{self.stride - self.window} steps in {self.stride} would teach nothing"
                )

    def around(self, engine: Engine, call: Call) -> Engine:
        """The engine with this policy."""
        if engine is PLAIN:
            if torch.is_grad_enabled() and any(t.requires_grad for t in call.leaves.values()):
                raise EngineError(
                    "memory=Truncated(...) changes the gradient, but where torch traces or transforms operations "
                    "(torch.jit.trace, torch.func, FakeTensorMode) it takes the whole one. Use memory=Store(), or "
                    "torch.no_grad()"
                )
            return engine
        return Truncating(engine, self.window, self.stride or self.window)


Memory = Store | Snapshots | Truncated


def check_steps(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} must be a whole number of steps from 1, got {value!r}")


def bytes_of_step(recurrence: Recurrence, sizes: Mapping[str, int], one: int) -> int:
    """What the backward pass reads of a step, and what a step returns; ``one``: bytes of a number."""
    return one * width([*make_plan(recurrence).kept, *recurrence.returns.values()], sizes)


def width(nodes: Iterable[Node], sizes: Mapping[str, int]) -> int:
    """Numbers in all."""
    return sum(n.type.entries(sizes) for n in nodes)


def bytes_of(text: str | int) -> int:
    """A number of bytes: ``bytes_of("500 MB") == 500_000_000``."""
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text) if isinstance(text, str) else None
    if not match or match[2] not in UNITS or float(match[1]) <= 0:
        raise InputError(f"memory must be bytes, or text such as '500 MB' ({', '.join(UNITS)}), got {text!r}")
    return int(float(match[1]) * UNITS[match[2]])
