"""A recurrence in two parts: what depends on parameters and fixed inputs alone, once per sequence; and the step.

For attention, the first part computes the keys of a memory. Its results are fixed inputs of the step, so the step's
gradient with respect to them is summed over time first, and goes through the first part once per sequence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache

from ..graph.node import REAL, Node, is_fixed, leaf, order, rewrite
from ..graph.recurrence import Recurrence
from .unfold import same_op

VIEWS = ("transpose", "repeat", "broadcast", "slice")  # cost nothing in a step


@lru_cache(maxsize=256)
def hoisted(recurrence: Recurrence) -> tuple[Recurrence, Recurrence] | None:
    """The two parts; None if nothing is worth computing first.

    Returns:
        the first part, for which each sequence has a single step and no input is fixed in time; and the step, whose
        fixed inputs include the values that the first part returns, under the same names.
    """
    found = list(dict.fromkeys(_frontier(recurrence)))
    if not found:
        return None
    names = {node: f"once {k}" for k, node in enumerate(found)}
    leaves = {node: leaf("input", node.type, node.source, name=name, fixed=True) for node, name in names.items()}
    series = {x: leaf("input", x.type, name=n) for n, x in recurrence.inputs.items() if n in recurrence.fixed}
    first = _computed(recurrence, series, {name: node for node, name in names.items()}, {})
    return first, _computed(recurrence, leaves, recurrence.returns, recurrence.states)


def _computed(
    recurrence: Recurrence, replace: Mapping[Node, Node], returns: Mapping[str, Node], states: Mapping[str, Node]
) -> Recurrence:
    """Some values of a recurrence, computed from other inputs instead of some nodes, with the leaves that they
    need."""
    done = rewrite(returns.values(), {**{x: x for x in recurrence.leaves.values()}, **replace}, same_op)
    used = set(order(done[node] for node in returns.values()))
    inputs = {**recurrence.inputs, **{x["name"]: x for x in replace.values()}}
    return Recurrence(
        recurrence.name,
        {n: x for n, x in inputs.items() if x in used or (states and n in recurrence.series)},
        states,
        {n: p for n, p in recurrence.parameters.items() if p in used},
        {n: done[node] for n, node in returns.items()},
        labels={done[node]: n for node, n in recurrence.labels.items() if done.get(node) in used},
    )


def _frontier(recurrence: Recurrence) -> Iterator[Node]:
    """The values of the first part that the step reads."""
    each = _of_each_sequence(recurrence)
    for node in order(recurrence.returns.values()):
        if node not in each:
            yield from (x for a in node.args for x in _behind_views(a, each))
    for node in recurrence.returns.values():
        yield from _behind_views(node, each)


def _behind_views(node: Node, each: set[Node]) -> Iterator[Node]:
    if node not in each or not node.args:
        return
    if node.op in VIEWS or node.type.kind != REAL:
        yield from (x for a in node.args for x in _behind_views(a, each))
    else:
        yield node


def _of_each_sequence(recurrence: Recurrence) -> set[Node]:
    """The values that depend on fixed inputs, and otherwise on parameters alone."""
    once, each = set[Node](), set[Node]()
    for node in order(recurrence.returns.values()):
        if is_fixed(node) or (not each.isdisjoint(node.args) and all(a in once or a in each for a in node.args)):
            each.add(node)
        elif node.op not in ("input", "state") and all(a in once for a in node.args):
            once.add(node)
    return each
