"""Memory policies: what a network stores for the backward pass. ``Store`` and ``Snapshots`` give the exact gradient;
``Truncated`` does not."""

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
    """Store every value that the backward pass needs. Exact. Memory grows with the number of steps; nothing is
    recomputed."""

    def around(self, engine: Engine, call: Call) -> Engine:
        """The engine with this policy."""
        return engine


@dataclass(frozen=True)
class Snapshots:
    """Store the states at the borders of segments, and recompute each segment during the backward pass. Exact.

    >>> net = unrolled.Recurrent(cells.gru, x=3, h=4, memory=unrolled.Snapshots(memory="500 MB"))

    Cost in a network: every step is computed once more. Memory holds the values of one segment, beside the inputs and
    outputs of the network, which include the states at the borders.

    Cost in ``backpropagate``, which stores only states: the steps before the last segment are computed once more, as
    long as the states of all borders fit into memory. The memory for that grows with the square root of the length.
    With less memory, states are stored on several levels: with room for s states, C(s + r, s) segments need at most r
    additional passes (see ``plan.segments``), with r up to 10.

    Args:
        every: steps per segment; or
        memory: bytes, or text such as '500 MB', from which the length of segments follows.

    Raises:
        InputError: neither or both are given, or not a number of steps or bytes. A call raises it if the memory is too
            small, and names the least that works.

    Reference: Griewank and Walther (2000), Algorithm 799: revolve, ACM Transactions on Mathematical Software 26(1);
    Chen et al. (2016), Training deep nets with sublinear memory cost.
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
        if engine is PLAIN or call.layout.longest < 2:  # under PLAIN, torch itself stores what it needs
            return engine
        return Snapshotting(engine, self.every or self._steps(call, bytes_of(self.memory or 0)))

    def _steps(self, call: Call, budget: int) -> int:
        """The length of the longest segments whose values fit into the budget."""
        step = bytes_of_step(call.recurrence, call.sizes, call.like.element_size()) * call.layout.count
        if budget < step:
            raise InputError(
                f"memory {self.memory!r} is too small for {call.layout.count} sequences: one step of all of them needs "
                f"{step:,} bytes. Give at least that, or fewer sequences"
            )
        return min(budget // step, call.layout.longest)


@dataclass(frozen=True)
class Truncated:
    """Truncated back-propagation through time, BPTT(h; h') of Williams and Peng (1990). **Not exact.**

    After every ``stride`` steps (h', k1), the errors of these steps go back over the last ``window`` steps (h, k2) and
    no further. The influence of steps further back is left out of the gradient. Values are unchanged.

    >>> net = unrolled.Recurrent(cells.gru, x=3, h=4, memory=unrolled.Truncated(window=100, stride=20))

    The error of a step goes back over at least ``window - stride + 1`` steps. With ``window == stride``, sequences are
    cut into pieces; with a stride of 1, every error goes back equally far. Cost: window / stride forward and backward
    passes. Memory holds the values of one window, beside the inputs and outputs of the network.

    Args:
        window: the largest number of steps that errors go back.
        stride: steps between two backward passes; by default ``window``.

    Raises:
        InputError: not a number of steps, or a stride longer than the window, which would skip errors.

    Reference: Williams and Peng (1990), An efficient gradient-based algorithm for on-line training of recurrent network
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
                    f"{self.stride - self.window} in {self.stride} steps would be lost"
                )

    def around(self, engine: Engine, call: Call) -> Engine:
        """The engine with this policy."""
        if engine is PLAIN:
            if torch.is_grad_enabled() and any(t.requires_grad for t in call.leaves.values()):
                raise EngineError(
                    "memory=Truncated(...) has no effect where torch traces operations (torch.jit.trace, "
                    "FakeTensorMode): torch would compute the exact gradient. Use memory=Store(), or torch.no_grad()"
                )
            return engine
        return Truncating(engine, self.window, self.stride or self.window)


Memory = Store | Snapshots | Truncated


def check_steps(name: str, value: object) -> None:
    """Refuse a value that is not a number of steps."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} must be a number of steps, at least 1, got {value!r}")


def bytes_of_step(recurrence: Recurrence, sizes: Mapping[str, int], one: int) -> int:
    """Bytes per step for the values that the backward pass needs and those that the step returns; ``one`` is the size
    of a number in bytes."""
    return one * width([*make_plan(recurrence).kept, *recurrence.returns.values()], sizes)


def width(nodes: Iterable[Node], sizes: Mapping[str, int]) -> int:
    """The total number of entries of some values."""
    return sum(n.type.entries(sizes) for n in nodes)


def bytes_of(text: str | int) -> int:
    """A number of bytes: ``bytes_of("500 MB") == 500_000_000``."""
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text) if isinstance(text, str) else None
    if not match or match[2] not in UNITS or float(match[1]) <= 0:
        raise InputError(f"memory must be bytes, or text such as '500 MB' ({', '.join(UNITS)}), got {text!r}")
    return int(float(match[1]) * UNITS[match[2]])
