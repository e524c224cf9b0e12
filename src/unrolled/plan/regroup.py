"""Rewrites a recurrence so that as little as possible stays in the loop.

Python adds b + W h(t-1) + U x(t) from the left, which would leave all of it in the loop. (b + U x(t)) + W h(t-1) leaves
only one product there. A matrix times a one-hot vector becomes a column of the matrix, also if the vector is masked.
"""

from __future__ import annotations

from dataclasses import replace

from ..graph.node import Node, rewrite
from ..graph.ops import make
from ..graph.recurrence import Recurrence
from .stages import Kinds

Term = tuple[int, Node]  # sign and value


def regroup(recurrence: Recurrence) -> Recurrence:
    """The same recurrence regrouped; its values are equal up to rounding."""
    kinds = Kinds(recurrence)
    users: dict[Node, int] = {}
    for node in recurrence.nodes:
        for arg in node.args:
            users[arg] = users.get(arg, 0) + 1
    inner = {node for node, count in users.items() if count == 1 and node.op in ("add", "sub")}
    inner -= {*recurrence.returns.values(), *recurrence.sums.values()}
    copies: set[Node] = set()  # the rebuilt inner nodes, whose terms may be regrouped

    def build(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op in ("add", "sub"):
            new = _sum(_terms(node.op, args, copies), kinds)
        elif node.op == "matvec" and args[1].op == "onehot":
            new = make("take", make("transpose", args[0]), args[1].args[0], source=node.source)
        elif node.op == "matvec" and (masked := _masked_onehot(args[1])):
            token, mask = masked
            column = make("take", make("transpose", args[0]), token, source=node.source)
            new = make("mul", column, make("broadcast", make("pick", mask, token), dims=node.type.dims))
        else:
            new = make(node.op, *args, source=node.source, **dict(node.attrs))
        if node in inner:
            copies.add(new)
        return new

    given = set(recurrence.primal.nodes) if recurrence.primal else set()
    same = {node: node for node in {*recurrence.leaves.values(), *given}}
    roots = [*recurrence.returns.values(), *recurrence.sums.values()]
    done = rewrite(roots, same, build)
    return replace(
        recurrence,
        returns={n: done[node] for n, node in recurrence.returns.items()},
        sums={n: done[node] for n, node in recurrence.sums.items()},
        labels={done[node]: n for node, n in recurrence.labels.items() if node in done},
    )


def _masked_onehot(node: Node) -> tuple[Node, Node] | None:
    """The token and the mask, if a vector is the product of a one-hot vector and a mask."""
    if node.op == "mul":
        for hot, mask in (node.args, node.args[::-1]):
            if hot.op == "onehot":
                return hot.args[0], mask
    return None


def _terms(op: str, args: tuple[Node, ...], apart: set[Node]) -> list[Term]:
    """The terms of a sum with their signs. A part that is also used elsewhere stays one term."""
    a, b = ([(1, x)] if x not in apart or x.op not in ("add", "sub") else _terms(x.op, x.args, apart) for x in args)
    return [*a, *((sign if op == "add" else -sign, x) for sign, x in b)]


def _sum(terms: list[Term], kinds: Kinds) -> Node:
    """The sum of the terms, in this order: constant over time, depending on inputs, depending on states."""
    result: Node | None = None
    for sign, node in sorted(terms, key=lambda term: (kinds[term[1]], -term[0])):
        if result is None:
            result = node if sign > 0 else make("neg", node)
        else:
            result = make("add" if sign > 0 else "sub", result, node)
    assert result is not None
    return result
