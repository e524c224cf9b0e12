"""Gradients of parameters: sums over all steps of all sequences, most of them one large matrix product.

Rows are added up in their order, in float32 for some hundred rows, these in float64, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from ...graph.node import TOKEN, Node
from ...plan.plan import Backward
from ...plan.stages import ONCE, Kinds
from ...transform.sums import inner, terms
from ..call import Call
from ..sums import accumulate, inner_total, outer_total
from .kernel import I64, matrices, parallel, scratch
from .lanes import pieces

ENOUGH = 2**22  # multiply-adds that are worth a thread
FIELDS = 8  # of a term (see matrices.c): series, start and size of u and of v, where it goes, whether it is added there


Term = tuple[Node, Node | None]  # u and v of u vᵀ, or u alone


@lru_cache(maxsize=512)
def _plain(way: Backward) -> dict[str, list[Term]]:
    """The parameters whose gradients are sums of u vᵀ and u over series alone, and these terms."""
    kinds, given = Kinds(way.recurrence), {*way.recurrence.primal.states.values()} if way.recurrence.primal else set()

    def series(node: Node) -> bool:
        return len(node.type.dims) < 2 and node.op != "onehot" and kinds[node] != ONCE

    def plain(node: Node) -> Term | None:
        if node.op == "outer":
            u, v = node.args
            return (u, v) if series(u) and series(v) else None
        return (node, None) if series(node) and node not in given else None

    found = {n: [term for node in nodes if (term := plain(node))] for n, nodes in way.sums.items()}
    return {n: terms for n, terms in found.items() if len(terms) == len(way.sums[n])}


@dataclass(frozen=True)
class Sums:
    """Sums over the rows of some series. start: of the series that are read one step earlier, their starting states."""

    way: Backward
    values: Mapping[Node, Tensor]
    start: Mapping[Node, Tensor]
    call: Call

    def all(self) -> dict[str, Tensor]:
        """The gradients of the parameters."""
        plain, like, found = _plain(self.way), self.call.like, dict[str, Tensor]()
        terms = list[tuple[Term, Tensor, bool]]()
        for name, nodes in self.way.sums.items():
            shape = self.call.parameters[name].shape
            if name not in plain:
                found[name] = self.mixed(nodes, shape)
                continue
            several = len(nodes) > 1
            found[name] = like.new_zeros(shape) if several else like.new_empty(shape)
            terms += [(term, found[name], several) for term in plain[name]]
        self.add_plain(terms)
        return found

    def add_plain(self, terms: list[tuple[Term, Tensor, bool]]) -> None:
        """Terms of u and v, all of them at once; those of the same u one after the other."""
        table: dict[Node, list[int]] = {}
        work = 0
        for (u, v), to, add in terms:
            left, right = self.factor(u), self.factor(v) if v else (0, 0, 0)
            table.setdefault(u, []).extend((*left, *right, to.data_ptr(), add))
            work += left[2] * (right[2] or 1)
        if not table:
            return
        library = matrices(self.call.like.dtype == torch.float64)
        numbers = [number for rows in table.values() for number in rows]
        fields, count = (I64 * len(numbers))(*numbers), len(numbers) // FIELDS
        threads = torch.get_num_threads() if self.call.layout.rows * work > ENOUGH else 1
        room = library.outer_scratch(fields, count)

        def some(part: int) -> None:
            library.outer_sums(part, threads, *self.pieces, fields, count, scratch(room, self.call.like.dtype))

        parallel([partial(some, part) for part in range(threads)], threads)

    @property
    def pieces(self) -> tuple[int, int]:
        """The pieces, for C."""
        table = pieces(self.call.layout)
        return table.ctypes.data, len(table)

    def factor(self, node: Node) -> tuple[int, int, int]:
        """A series that is summed over, or, with a start, the series one step earlier."""
        series, start = self.values[node], self.start.get(node)
        return series.data_ptr(), 0 if start is None else start.data_ptr(), series.shape[-1]

    # sums of other kinds

    def mixed(self, nodes: list[Node], shape: torch.Size) -> Tensor:
        """The sum of terms of any kind."""
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
            part = self.call.like.new_empty(total.shape)
            self.add_plain([((node.args[0], node.args[1]), part, False)])
            total += part
        elif node.op == "outer" and self.is_scattered(*node.args):
            self.add_scattered(total, node.args[0].args[0], node.args[1])
        elif node.op == "outer" and self.is_scattered(*node.args[::-1]):
            turned = total.new_zeros(total.shape[::-1])
            self.add_scattered(turned, node.args[1].args[0], node.args[0])
            total += turned.mT
        else:
            known = {**self.values, **{n: self.earlier(n) for n in self.start if n in self.values}}
            part = self.call.like.new_zeros(total.shape)
            accumulate(part, node, known, (self.call.layout.rows,))
            total += part

    def is_series(self, node: Node) -> bool:
        """Whether a value has a row for each step."""
        return node.op != "onehot" and node in self.values and self.values[node].ndim == 2 and len(node.type.dims) < 2

    def is_scattered(self, u: Node, v: Node) -> bool:
        """Whether u vᵀ is v in the row of a token."""
        return u.op == "onehot" and u.args[0].type.kind == TOKEN and self.is_series(v)

    def add_scattered(self, total: Tensor, token: Node, v: Node) -> None:
        """Row token[i] of the total += row i of the series."""
        series, start, size = self.factor(v)
        factor = (I64 * 3)(series, start, size)
        room = scratch(size, self.call.like.dtype)
        library = matrices(self.call.like.dtype == torch.float64)
        library.scatter_sum(self.values[token].data_ptr(), factor, *self.pieces, total.data_ptr(), room)

    def earlier(self, node: Node) -> Tensor:
        """A series one step earlier."""
        first, _, start, _ = torch.from_numpy(pieces(self.call.layout)).unbind(1)
        result = self.values[node].roll(1, 0)
        result[first] = self.start[node][start.clamp(min=0)].masked_fill((start < 0)[:, None], 0)
        return result
