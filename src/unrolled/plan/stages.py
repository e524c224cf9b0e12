"""The stages of a pass over a sequence.

- once: values that depend only on parameters;
- each: values that depend only on parameters and on inputs that are fixed in time, computed once per sequence;
- before: values that depend on inputs but not on states, computed for all steps at once as large matrix products;
- loop: values that the next states depend on, computed step by step;
- after: values that depend on states but that no state depends on, again computed for all steps at once.

Both directions use the same rule: for an adjoint, the values of the forward pass are inputs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..graph.node import Node, is_fixed, order
from ..graph.recurrence import Recurrence

ONCE, EACH, BEFORE, MOVING = 0, 1, 2, 3


class Kinds:
    """For each node: constant, constant for each sequence, depending on inputs, or depending on states. Results are
    cached."""

    def __init__(self, recurrence: Recurrence) -> None:
        self._kind: dict[Node, int] = {node: MOVING for node in recurrence.states.values()}

    def __getitem__(self, node: Node) -> int:
        if node not in self._kind:
            for n in order([node], known=self._kind):
                self._kind[n] = max((self._kind[a] for a in n.args), default=_kind_of_leaf(n))
        return self._kind[node]


def _kind_of_leaf(leaf: Node) -> int:
    if is_fixed(leaf):
        return EACH
    return BEFORE if leaf.op in ("input", "state") else ONCE  # a state of the primal is a known series


@dataclass(frozen=True)
class Stages:
    """The nodes to compute in each stage, arguments first. Leaves and given values are in no stage."""

    once: tuple[Node, ...]
    each: tuple[Node, ...]
    before: tuple[Node, ...]
    loop: tuple[Node, ...]
    after: tuple[Node, ...]


def stages(recurrence: Recurrence, roots: Iterable[Node], given: Iterable[Node] = ()) -> Stages:
    """The stage of every node that the new states and the roots depend on.

    Args:
        recurrence: the step.
        roots: the values to compute besides the new states.
        given: nodes whose series are already known.
    """
    kinds = Kinds(recurrence)
    known = {*recurrence.leaves.values(), *given}
    states = [recurrence.returns[n] for n in recurrence.states]
    needed = set(order(states, known=known))
    cut: tuple[list[Node], ...] = ([], [], [], [], [])
    for node in order([*states, *roots], known=known):
        kind = kinds[node]
        cut[kind + (kind == MOVING and node not in needed)].append(node)
    return Stages(*map(tuple, cut))
