"""What stays in the loop over time. Every engine builds its loop from this value."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..graph.node import Node
from ..graph.recurrence import Recurrence
from .stages import EACH, ONCE, Kinds, Stages


@dataclass(frozen=True, eq=False)
class Loop:
    """One step of the loop, and what it reads and stores.

    Attributes:
        nodes: the nodes to compute, arguments first.
        states: the leaves that hold the states.
        new: the next values of the states.
        moving: the series that the loop reads step by step.
        fixed: the values that are the same at every step.
        each: the values that are the same at every step of a sequence.
        totals: how many states, the last ones, are sums over the steps: they are never reset.
        kinds: when each value changes.
        keep: the nodes and state leaves whose series the loop stores.
        reverse: the loop runs from the last step to the first.
    """

    nodes: tuple[Node, ...]
    states: tuple[Node, ...]
    new: tuple[Node, ...]
    moving: tuple[Node, ...]
    fixed: tuple[Node, ...]
    each: tuple[Node, ...]
    keep: tuple[Node, ...]
    reverse: bool
    totals: int
    kinds: Kinds


def make_loop(step: Recurrence, cut: Stages, wanted: Iterable[Node], totals: int = 0) -> Loop:
    """The loop of a recurrence that was divided into stages. It stores the ``wanted`` values and those that the stage
    after it reads."""
    kinds = Kinds(step)
    states = tuple(step.states.values())
    new = tuple(step.returns[n] for n in step.states)
    inside = {*cut.loop, *states}
    read = dict.fromkeys(a for n in cut.loop for a in n.args if a not in inside)
    read |= dict.fromkeys(n for n in new if n not in inside)
    later = set(wanted).union(*(n.args for n in cut.after))
    return Loop(
        cut.loop,
        states,
        new,
        moving=tuple(n for n in read if kinds[n] > EACH),
        fixed=tuple(n for n in read if kinds[n] == ONCE),
        each=tuple(n for n in read if kinds[n] == EACH),
        keep=tuple(n for n in (*cut.loop, *states) if n in later),
        reverse=step.reverse,
        totals=totals,
        kinds=kinds,
    )
