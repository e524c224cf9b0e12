"""Sums over time and batch, as the gradients of parameters are: u vᵀ summed over everything is one matrix product."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..graph.node import Node
from ..transform.evaluate import rules
from ..transform.sums import inner, terms


def accumulate(total: Tensor, node: Node, values: Mapping[Node, Tensor], lead: tuple[int, ...]) -> None:
    """Add one term to the total, summed over the leading dimensions ``lead`` (the batch, or batch and time)."""
    if node.op == "constant":
        return  # only the zero of a gradient that does not flow
    if moving := inner(node):
        part = inner_total(total, node, moving, values)
        for term in terms(moving):
            accumulate(part, term, values, lead)
        total.add_(outer_total(part, node, moving, values))
        return
    if node.op == "outer":
        u, v = node.args
        if u.op == "onehot":
            total.index_add_(0, values[u.args[0]].flatten(), _rows(values[v], lead))
        elif v.op == "onehot":
            total.mT.index_add_(0, values[v.args[0]].flatten(), _rows(values[u], lead))
        else:
            total.addmm_(_rows(values[u], lead).mT, _rows(values[v], lead))
        return
    value = values[node]
    if value.ndim > total.ndim:
        total.add_(value.sum(tuple(range(value.ndim - total.ndim))))
    else:
        for size in lead:
            value = value * size
        total.add_(value)


def inner_total(total: Tensor, node: Node, moving: Node, values: Mapping[Node, Tensor]) -> Tensor:
    """A zero for the sum of what moves in a term that is linear in it."""
    rows, columns = total.shape
    if node.op == "transpose":
        rows, columns = columns, rows
    if node.op == "matmul":
        a, b = node.args
        rows, columns = (rows, values[b].shape[0]) if a is moving else (values[a].shape[1], columns)
    return total.new_zeros(rows, columns)


def outer_total(part: Tensor, node: Node, moving: Node, values: Mapping[Node, Tensor]) -> Tensor:
    """The sum of the term, from the sum of what moves in it."""
    result: Tensor = rules()[node.op](*(part if a is moving else values[a].to(part.dtype) for a in node.args))
    return result


def _rows(value: Tensor, lead: tuple[int, ...]) -> Tensor:
    """(..., n) as (rows, n); a value that does not move is repeated."""
    return value.expand(*lead, value.shape[-1]).reshape(-1, value.shape[-1])
