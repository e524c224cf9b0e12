"""Sums over time and batch, as the gradients of parameters are: u vᵀ summed over everything is one matrix product."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..graph.node import Node


def accumulate(total: Tensor, node: Node, values: Mapping[Node, Tensor], lead: tuple[int, ...]) -> None:
    """Add one term to the total, summed over the leading dimensions ``lead`` (the batch, or batch and time)."""
    if node.op == "constant":
        return  # only the zero of a gradient that does not flow
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


def _rows(value: Tensor, lead: tuple[int, ...]) -> Tensor:
    """(..., n) as (rows, n); a value that does not move is repeated."""
    return value.expand(*lead, value.shape[-1]).reshape(-1, value.shape[-1])
