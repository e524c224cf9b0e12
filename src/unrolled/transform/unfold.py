"""Unfolding: a recurrence as one acyclic graph over a number of steps, all of which share the parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ..graph.node import Node, leaf, rewrite
from ..graph.ops import make
from ..graph.recurrence import Recurrence

At = tuple[str, int]  # a name and a time


@dataclass(frozen=True, eq=False)
class Unfolded:
    """A graph without recurrence: one copy of each value per step, and each parameter once.

    Attributes:
        recurrence: the recurrence that was unfolded.
        start_time: the time of the initial states.
        times: the steps that are computed.
        start: the initial states, by name.
        inputs: the input leaves, by name and time.
        fixed: the leaves of inputs that are fixed in time, by name.
        values: the returned values, by name and time.
        labels: the name and time of every named node.
    """

    recurrence: Recurrence
    start_time: int
    times: range
    start: Mapping[str, Node]
    inputs: Mapping[At, Node]
    values: Mapping[At, Node]
    labels: Mapping[Node, At]
    fixed: Mapping[str, Node] = field(default_factory=dict)


def first_time(recurrence: Recurrence) -> int:
    """The time of the initial state: 0, or 1 for an autonomous recurrence."""
    return 0 if recurrence.series else 1


def unfold(recurrence: Recurrence, steps: int) -> Unfolded:
    """Apply the recurrence repeatedly. Like parameters, inputs that are fixed in time appear once.

    A recurrence with inputs runs over t = 1 ... steps, from its initial state at time 0. An autonomous recurrence
    starts from the state at time 1, so it has ``steps`` states and is applied steps - 1 times (Goodfellow, Bengio and
    Courville 2016, section 10.1).
    """
    start_time = first_time(recurrence)
    times = range(start_time + 1, steps + 1)
    start = {n: leaf("state", s.type, s.source, name=n, time=start_time) for n, s in recurrence.states.items()}
    labels: dict[Node, At] = {node: (n, start_time) for n, node in start.items()}
    inputs: dict[At, Node] = {}
    values: dict[At, Node] = {}
    now = dict(start)
    fixed = {n: recurrence.inputs[n] for n in recurrence.fixed}
    for t in times:
        fresh = {n: leaf("input", x.type, x.source, name=n, time=t) for n, x in recurrence.series.items()}
        replace = {recurrence.states[n]: node for n, node in now.items()} | {node: node for node in fixed.values()}
        replace |= {recurrence.inputs[n]: node for n, node in fresh.items()}
        copy = rewrite(recurrence.returns.values(), replace, same_op)
        now = {n: copy[recurrence.returns[n]] for n in recurrence.states}
        inputs |= {(n, t): node for n, node in fresh.items()}
        values |= {(n, t): copy[node] for n, node in recurrence.returns.items()}
        for node, name in recurrence.labels.items():
            if node in copy:
                labels.setdefault(copy[node], (name, t))
        for name, node in fresh.items():
            labels[node] = (name, t)
    return Unfolded(recurrence, start_time, times, start, inputs, values, labels, fixed)


def same_op(node: Node, args: tuple[Node, ...]) -> Node:
    """The same operation on other arguments."""
    return make(node.op, *args, source=node.source, **dict(node.attrs))
