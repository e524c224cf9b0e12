"""Gradients of parameters: sums over all steps of all sequences, most of them one large matrix product.

Rows are added up in their order, in float32 for some hundred rows, these in float64, whatever the number of threads.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from ...graph.node import TOKEN, Node
from ...transform.sums import inner, terms
from ..call import Call
from ..sums import accumulate, inner_total, outer_total
from .kernel import I64, P, matrices, parallel, scratch
from .lanes import pieces

ENOUGH = 2**22  # multiply-adds that are worth a thread
SHARE = 24  # rows of a matrix are shared in multiples of this: whole blocks on every processor


class Factor(ctypes.Structure):
    """A series that is summed over, or, with a start, the series one step earlier."""

    _fields_ = (("series", P), ("start", P), ("size", I64))


@dataclass(frozen=True)
class Sums:
    """Sums over the rows of some series. start: of the series that are read one step earlier, their starting states."""

    values: Mapping[Node, Tensor]
    start: Mapping[Node, Tensor]
    call: Call

    @property
    def table(self) -> tuple[int, int]:
        """The pieces, for C."""
        table = pieces(self.call.layout)
        return table.ctypes.data, len(table)

    @property
    def library(self) -> ctypes.CDLL:
        return matrices(self.call.like.dtype == torch.float64)

    def of(self, nodes: Iterable[Node], shape: torch.Size) -> Tensor:
        """The sum of some terms."""
        total = torch.zeros(shape, dtype=torch.float64)
        for node in nodes:
            self.add(total, node)
        return total.to(self.call.like.dtype)

    def add(self, total: Tensor, node: Node) -> None:
        if moving := inner(node):
            part = inner_total(total, node, moving, self.values)
            for term in terms(moving):
                self.add(part, term)
            total += outer_total(part, node, moving, self.values)
        elif node.op == "outer" and all(map(self.is_series, node.args)):
            self.add_outer(total, *node.args)
        elif node not in self.start and self.is_series(node):
            self.add_rows(total, self.values[node])
        else:
            known = {**self.values, **{n: self.earlier(n) for n in self.start if n in self.values}}
            part = self.call.like.new_zeros(total.shape)
            accumulate(part, node, known, (self.call.layout.rows,))
            total += part

    def is_series(self, node: Node) -> bool:
        """Whether a value has a row for each step."""
        if node.op == "onehot" and node.args[0].type.kind == TOKEN:
            return True
        return node in self.values and self.values[node].ndim == 2 and len(node.type.dims) < 2

    def add_outer(self, total: Tensor, u: Node, v: Node) -> None:
        if u.op == "onehot":
            self.add_scattered(total, u.args[0], v)
        elif v.op == "onehot":
            turned = total.new_zeros(total.shape[::-1])
            self.add_scattered(turned, v.args[0], u)
            total += turned.mT
        else:
            left, right = self.factor(u), self.factor(v)
            work = self.call.layout.rows * left.size * right.size
            threads = torch.get_num_threads() if work > ENOUGH else 1
            share = -(-left.size // threads // SHARE) * SHARE
            starts = range(0, left.size, share)
            parallel([partial(self.part, total, a, min(a + share, left.size), left, right) for a in starts])

    def part(self, total: Tensor, first: int, last: int, u: Factor, v: Factor) -> None:
        """Some rows of the sum of u vᵀ."""
        room = scratch(self.library.outer_scratch(last - first, v.size), self.call.like.dtype)
        factors = ctypes.byref(u), ctypes.byref(v)
        self.library.outer_sum(first, last, *self.table, *factors, total.data_ptr(), room)

    def add_scattered(self, total: Tensor, token: Node, v: Node) -> None:
        """Row token[i] of the total += row i of the series."""
        factor = self.factor(v)
        room = scratch(factor.size, self.call.like.dtype)
        tokens = self.values[token].data_ptr()
        self.library.scatter_sum(tokens, ctypes.byref(factor), *self.table, total.data_ptr(), room)

    def add_rows(self, total: Tensor, series: Tensor) -> None:
        rows, size = series.shape
        room = scratch(size, series.dtype)
        self.library.row_sum(series.data_ptr(), rows, size, total.data_ptr(), room)

    def factor(self, node: Node) -> Factor:
        series, start = self.values[node], self.start.get(node)
        return Factor(series.data_ptr(), None if start is None else start.data_ptr(), series.shape[-1])

    def earlier(self, node: Node) -> Tensor:
        """A series one step earlier."""
        first, _, start, _ = torch.from_numpy(pieces(self.call.layout)).unbind(1)
        result = self.values[node].roll(1, 0)
        result[first] = self.start[node][start.clamp(min=0)].masked_fill((start < 0)[:, None], 0)
        return result
