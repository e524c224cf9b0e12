"""What is kept for the backward pass: everything, or snapshots from which the rest is computed again; both exact."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from ..engines.call import Call, Engine
from ..engines.snapshots import Snapshotting
from ..errors import InputError
from ..graph.node import Node
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
    (Griewank and Walther 2000; Chen et al. 2016). Exact. Time: one more forward pass. Memory: the states of all borders
    and all values of one segment, beside what the network is given and gives.

    >>> net = unrolled.Recurrent(cells.gru, x=3, h=4, memory=unrolled.Snapshots(memory="500 MB"))

    Args:
        every: steps from one border to the next; or
        memory: bytes, or text such as '500 MB', from which this is chosen.

    Raises:
        InputError: neither or both; what is no number of steps or bytes; on a call, a memory too small for it.
    """

    every: int | None = None
    memory: str | int | None = None

    def __post_init__(self) -> None:
        if (self.every is None) == (self.memory is None):
            raise InputError("Snapshots takes either every= (steps) or memory= (bytes, or text such as '500 MB')")
        if self.every is not None and (not isinstance(self.every, int) or self.every < 1):
            raise InputError(f"every must be a whole number of steps from 1, got {self.every!r}")
        if self.memory is not None:
            bytes_of(self.memory)

    def around(self, engine: Engine, call: Call) -> Engine:
        """The engine with this policy."""
        if call.layout.longest < 2:
            return engine
        if self.every is not None:
            return Snapshotting(engine, self.every)
        return Snapshotting(engine, self._steps(call, bytes_of(self.memory)))  # type: ignore[arg-type]

    def _steps(self, call: Call, budget: int) -> int:
        """The longest segments that the budget allows: their values, and the states of all borders."""
        plan = make_plan(call.recurrence)

        def width(nodes: list[Node]) -> int:
            sizes = [n.type.dims[0].value(call.sizes) if n.type.dims else 1 for n in nodes]
            return sum(sizes) * call.like.element_size() * max(call.layout.count, 1)

        step = width([*plan.kept, *call.recurrence.returns.values()])
        state = width(list(call.recurrence.states.values()))
        length = max(call.layout.longest, 1)
        if length * step <= budget:
            return length
        # every * step + length / every * state <= budget: between the roots of a quadratic
        square = budget * budget - 4 * step * state * length
        every = (budget + math.isqrt(square)) // (2 * step) if square >= 0 else 0
        if every < 1 or every * step + -(-length // every) * state > budget:
            least = 2 * math.isqrt(step * state * length) + step + state
            raise InputError(
                f"memory {self.memory!r} is too small for {call.layout.count} sequences of up to {length:,} steps: "
                f"Snapshots need about {least / 1e6:,.1f} MB. Give that, or fewer sequences at a time"
            )
        return every


Memory = Store | Snapshots


def bytes_of(text: str | int) -> int:
    """A number of bytes: ``bytes_of("500 MB") == 500_000_000``."""
    if isinstance(text, int) and not isinstance(text, bool) and text > 0:
        return text
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text) if isinstance(text, str) else None
    if not match or match[2] not in UNITS or float(match[1]) <= 0:
        raise InputError(f"memory must be bytes, or text such as '500 MB' ({', '.join(UNITS)}), got {text!r}")
    return int(float(match[1]) * UNITS[match[2]])
