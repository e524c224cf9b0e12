"""Sums over the rows of a batch, as the gradients of parameters are."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..graph.node import Node
from ..transform.evaluate import rules
from ..transform.terms import Linear, Outer, Rows, classify, terms


def accumulate(total: Tensor, term: Node, values: Mapping[Node, Tensor]) -> None:
    """Add a term, summed over all rows, to a total.

    Args:
        total: the sum so far, with the shape of the parameter.
        term: one of ``transform.terms.terms``.
        values: series (rows, size), tokens (rows,), fixed values (size,) or (size, size).
    """
    kind = classify(term)
    if isinstance(kind, Linear):
        part = empty_sum(total, kind, values)
        for inner in terms(kind.moving):
            accumulate(part, inner, values)
        total.add_(applied(kind, part, values))
    elif isinstance(kind, Rows):
        token, goal = values[kind.token], total.mT if kind.transposed else total
        goal.index_add_(0, token, values[kind.v].expand(len(token), -1))
    elif isinstance(kind, Outer):
        u, v = values[kind.u], values[kind.v]
        rows = len(u) if u.ndim == 2 else len(v)
        total.addmm_(u.expand(rows, -1).mT, v.expand(rows, -1))
    else:
        total.add_(values[kind.value].sum(0))


def empty_sum(total: Tensor, kind: Linear, values: Mapping[Node, Tensor]) -> Tensor:
    """A zero for the sum of the moving matrix."""
    rows, columns = total.shape
    if kind.node.op == "transpose":
        rows, columns = columns, rows
    if kind.node.op == "matmul":
        a, b = kind.node.args
        rows, columns = (rows, values[b].shape[0]) if a is kind.moving else (values[a].shape[1], columns)
    return total.new_zeros(rows, columns)


def applied(kind: Linear, part: Tensor, values: Mapping[Node, Tensor]) -> Tensor:
    """The operation applied to the sum of the moving matrix."""

    def argument(a: Node) -> Tensor:
        if a is kind.moving:
            return part
        return values[a].to(part.dtype) if values[a].is_floating_point() else values[a]

    result: Tensor = rules()[kind.node.op](*map(argument, kind.node.args))
    return result
