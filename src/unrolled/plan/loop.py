"""What stays in the loop over time: the value from which every engine makes its loop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..graph.node import Node
from ..graph.recurrence import Recurrence
from .stages import ONCE, Kinds, Stages


@dataclass(frozen=True, eq=False)
class Loop:
    """One step of the loop, and how it is tied to what is around it.

    nodes: what is computed, arguments first. states, new: the leaves that hold the states, and their next values.
    moving: series that are read step by step. fixed: values that are the same at every step.
    keep: nodes (and state leaves) whose series are wanted after the loop. reverse: from the last step to the first.
    """

    nodes: tuple[Node, ...]
    states: tuple[Node, ...]
    new: tuple[Node, ...]
    moving: tuple[Node, ...]
    fixed: tuple[Node, ...]
    keep: tuple[Node, ...]
    reverse: bool


def make_loop(step: Recurrence, cut: Stages, wanted: Iterable[Node]) -> Loop:
    """The loop of a recurrence that was cut into stages, keeping what is wanted and what the stage after it reads."""
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
        moving=tuple(n for n in read if kinds[n] != ONCE),
        fixed=tuple(n for n in read if kinds[n] == ONCE),
        keep=tuple(n for n in (*cut.loop, *states) if n in later),
        reverse=step.reverse,
    )
