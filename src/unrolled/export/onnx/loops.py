"""The loops of a step: one per group of states that depend on each other, such as a layer of a model.

What a loop reads is computed for all steps at once before it, and what reads a loop after it. Matrices are the
exception: a series of them can be too large to store.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter

from ...graph.node import REAL, Node, order
from ...graph.recurrence import Recurrence
from ...plan.loop import Loop
from ...plan.stages import EACH, ONCE, Kinds

Group = tuple[str, ...]  # names of states


def loops(step: Recurrence, wanted: Collection[Node]) -> Iterator[tuple[Group, Loop]]:
    """The loops of a step, each after those that it reads.

    >>> [states for states, loop in loops(two_layers_of_lstm, [o])]
    [('h_layer1', 'c_layer1'), ('h_layer2', 'c_layer2')]

    Args:
        step: one step.
        wanted: the values that are needed at all steps.

    Returns:
        for each loop the names of its states, and what it computes: nothing for a state that depends on no state of its
        own group.
    """
    kinds, needed = Kinds(step), order([*wanted, *step.returns.values()])
    groups = _groups(step)
    moved = {group: _moved(step, group, groups[groups.index(group) + 1 :], needed) for group in groups}
    for group in groups:
        others = {n for other in groups if other != group for n in moved[other]}
        inside = _with_matrices(moved[group], others, kinds, needed) if moved[group] else moved[group]
        yield group, _loop(step, group, wanted, inside, kinds, needed)


def _groups(step: Recurrence) -> list[Group]:
    """The states that depend on each other, in an order in which no group depends on a later one."""
    names = {leaf: n for n, leaf in step.states.items()}
    direct = {n: [names[x] for x in order([step.returns[n]]) if x in names] for n in step.states}
    reached: dict[str, set[str]] = {}
    for n in direct:
        found, waiting = set[str](), [*direct[n]]
        while waiting:
            if (other := waiting.pop()) not in found:
                found.add(other)
                waiting += direct[other]
        reached[n] = found
    group_of = {n: tuple(m for m in direct if m == n or (m in reached[n] and n in reached[m])) for n in direct}
    before = {g: [group_of[m] for n in g for m in direct[n] if group_of[m] != g] for g in group_of.values()}
    return list(TopologicalSorter(before).static_order())


def _loop(
    step: Recurrence, group: Group, wanted: Collection[Node], inside: set[Node], kinds: Kinds, needed: list[Node]
) -> Loop:
    leaves, new = tuple(step.states[n] for n in group), tuple(step.returns[n] for n in group)
    nodes = tuple(n for n in needed if n in inside)
    own = {*nodes, *leaves}
    read = dict.fromkeys(a for n in nodes for a in n.args if a not in own)
    others = [step.returns[n] for n in step.states if n not in group]
    asked = {*wanted, *others, *(a for n in needed if n not in own for a in n.args)}
    return Loop(
        nodes,
        leaves,
        new,
        moving=tuple(n for n in read if kinds[n] > EACH),
        fixed=tuple(n for n in read if kinds[n] == ONCE),
        each=tuple(n for n in read if kinds[n] == EACH),
        keep=tuple(n for n in (*leaves, *nodes) if n in asked),
        reverse=step.reverse,
        totals=0,
        kinds=kinds,
    )


def runs(loop: Loop) -> bool:
    """Whether the states depend on themselves. A state that does not is a series that is read one step later."""
    return any(n in loop.nodes or n in loop.states for n in loop.new)


def _moved(step: Recurrence, group: Group, later: list[Group], needed: list[Node]) -> set[Node]:
    """What has to be in the loop of a group: its new states, as far as they depend on its states, and what reads its
    matrices."""
    own, new = {step.states[n] for n in group}, [step.returns[n] for n in group]
    first, after = {*order(new)}, {step.states[n] for other in later for n in other}
    for node in needed:
        if node in first:
            enters = not own.isdisjoint(node.args)
        else:
            enters = any(a in own and _is_matrix(a) for a in node.args) and after.isdisjoint(node.args)
        if enters:
            own.add(node)
        elif not own.isdisjoint(node.args) or not after.isdisjoint(node.args):
            after.add(node)
    return set() if own.isdisjoint(new) else {n for n in own if n.args}


def _with_matrices(moved: set[Node], others: set[Node], kinds: Kinds, needed: list[Node]) -> set[Node]:
    """With the matrices that a loop reads and no other loop computes: it computes them from vectors, step by step."""
    inside, read = set(moved), set[Node]()
    for node in reversed(needed):
        if node in read and node.args and node not in others and _is_matrix(node) and kinds[node] > EACH:
            inside.add(node)
        if node in inside:
            read.update(node.args)
    return inside


def _is_matrix(node: Node) -> bool:
    return node.type.kind == REAL and len(node.type.dims) == 2
