"""The four stages of a pass over a sequence.

- once: what depends on parameters alone;
- before: what depends on inputs but on no state, for all steps at once, as large matrix products;
- loop: what a state's next value needs, step by step;
- after: what depends on states but is needed by none of them, again for all steps at once.

The same cut serves both directions: to an adjoint, the values of the forward pass are inputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..graph.node import Node, order
from ..graph.recurrence import Recurrence

ONCE, BEFORE, MOVING = 0, 1, 2


class Kinds:
    """Whether a node stays the same over time, moves with the inputs, or moves with the states; found once."""

    def __init__(self, recurrence: Recurrence) -> None:
        self._kind: dict[Node, int] = {node: MOVING for node in recurrence.states.values()}

    def __getitem__(self, node: Node) -> int:
        if node not in self._kind:
            for n in order([node], known=self._kind):
                leaf = BEFORE if n.op in ("input", "state") else ONCE  # a state of the primal is a given series
                self._kind[n] = max((self._kind[a] for a in n.args), default=leaf)
        return self._kind[node]


@dataclass(frozen=True)
class Stages:
    """The nodes to compute in each stage, arguments first. Leaves and given values are in none."""

    once: tuple[Node, ...]
    before: tuple[Node, ...]
    loop: tuple[Node, ...]
    after: tuple[Node, ...]


def stages(recurrence: Recurrence, roots: Iterable[Node], given: Iterable[Node] = ()) -> Stages:
    """Where each node belongs that the new states and the roots need. ``given``: nodes whose series are known."""
    kinds = Kinds(recurrence)
    known = {*recurrence.leaves.values(), *given}
    states = [recurrence.returns[n] for n in recurrence.states]
    needed = set(order(states, known=known))
    cut: tuple[list[Node], ...] = ([], [], [], [])
    for node in order([*states, *roots], known=known):
        kind = kinds[node]
        cut[kind if kind < MOVING else 2 if node in needed else 3].append(node)
    return Stages(*map(tuple, cut))
