"""Which operations share a loop over entries, and which are inlined: computed again wherever they are used."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from ...graph.node import Node
from .schedule import ENTRYWISE, SPREAD, Schedule, in_place

# operations that are faster than storing the result and loading it
CHEAP = frozenset(("add", "sub", "mul", "neg", "relu", "abs", "maximum", "minimum", "stop_gradient"))
# long chains of dependent instructions
SLOW = frozenset(("tanh", "sigmoid", "exp", "log", "sin", "cos", "softplus", "erf"))
ADDING = ("sum", "mean")  # added up in the loop that computes their argument
OF_VECTORS = ("repeat", "outer")  # of vectors to a matrix


@dataclass(frozen=True, eq=False)
class Fusion:
    """What is computed together.

    groups: for each stage, the operations of each statement, in order. inlined: values that are computed wherever they
    are used, and never stored. computed: all values of the pass.
    """

    groups: tuple[list[list[Node]], ...]
    inlined: frozenset[Node]
    computed: frozenset[Node]

    def needs(self, n: Node) -> list[Node]:
        """The stored values that an operation reads: its arguments, or the values that these are parts of."""
        return [b for a in n.args for b in self.wholes(a)]

    def wholes(self, n: Node) -> list[Node]:
        """The stored values from which a value is read: itself, unless it is a part of others or inlined."""
        inside = n in self.inlined or (n in self.computed and in_place(n))
        return self.needs(n) if inside else [n]


def fuse(schedule: Schedule) -> Fusion:
    """Put entry-by-entry operations of one size into one loop, as many as their order allows."""
    users: dict[Node, list[Node]] = {}
    for n in schedule.nodes:
        for a in n.args:
            users.setdefault(a, []).append(n)
    start = Fusion((), _inlined(schedule, users), frozenset(schedule.nodes))
    return replace(start, groups=tuple(_grouped(stage, start) for stage in schedule.stages))


def _inlined(schedule: Schedule, users: dict[Node, list[Node]]) -> frozenset[Node]:
    """Cheap values of which only parts are read, scalars that are read as vectors, and cheap matrices: storing a matrix
    and loading it again takes longer than to compute it."""
    stored, found = {*schedule.keep, *schedule.new}, set[Node]()

    def is_part(n: Node) -> bool:
        of_entries = n in users and all(u.op in ENTRYWISE and u.op not in OF_VECTORS for u in users[n])
        return n.op == "slice" and n not in stored and of_entries

    for n in reversed(schedule.nodes):
        if n in stored or n not in users:
            continue
        if n.op in SPREAD or (len(n.type.dims) == 2 and n.op in (*CHEAP, "outer")):
            fits = all(u.op in ENTRYWISE for u in users[n])
        else:
            inside = all(is_part(u) or (u in found and u.op not in OF_VECTORS) for u in users[n])
            fits = n.op in CHEAP and stored.isdisjoint(users[n]) and inside
        if fits:
            found.add(n)
    return frozenset(found)


def _grouped(stage: Iterable[Node], fusion: Fusion) -> list[list[Node]]:
    """The operations of a stage, those of one statement together."""
    waiting = [n for n in stage if not in_place(n) and n not in fusion.inlined]
    missing, groups = set(waiting), list[list[Node]]()
    while waiting:
        able = [n for n in waiting if missing.isdisjoint(fusion.needs(n))]
        first = next((n for n in able if n.op not in ENTRYWISE), able[0])
        group = _loop(first, waiting, missing, fusion) if first.op in ENTRYWISE else [first]
        missing -= set(group)
        waiting = [n for n in waiting if n in missing]
        groups.append(group)
    return groups


def _loop(first: Node, waiting: list[Node], missing: set[Node], fusion: Fusion) -> list[Node]:
    """The operations that share the loop of the first one, and the sums of their results.

    Two slow functions are never fused if one needs the other: out-of-order execution hides the latency of one per
    entry, not of two.
    """
    group, slow = dict[Node, None](), set[Node]()
    for n in waiting:
        needs = fusion.needs(n)
        behind_slow = not slow.isdisjoint(needs)
        wholes = [b for a in n.args if in_place(a) for b in fusion.needs(a)]  # n reads parts of these
        same = n.op in ENTRYWISE and n.type.dims == first.type.dims
        ready = missing.isdisjoint(wholes) and all(a in group or a not in missing for a in needs)
        if same and ready and not (behind_slow and n.op in SLOW):
            group[n] = None
            slow.update([n] if behind_slow or n.op in SLOW else [])
    return [*group, *(n for n in waiting if n.op in ADDING and n.args[0] in group)]
