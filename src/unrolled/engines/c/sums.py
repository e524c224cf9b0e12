"""Gradients of parameters: sums over all steps of all sequences, most of them one large matrix product.

Rows are added up in their order, in float32 for some hundred rows, these in float64, whatever the number of threads.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ...graph.node import TOKEN, Node
from ...plan.plan import Backward
from ...plan.stages import ONCE, Kinds
from ...transform.sums import inner, terms
from ..call import Call
from ..sums import accumulate, inner_total, outer_total
from .blocks import in_lines, scratch
from .crew import crew
from .lanes import pieces
from .libraries import I64, sums

ENOUGH = 2**22  # multiply-adds that are worth a thread
WHOLE = torch.contiguous_format

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


@lru_cache(maxsize=512)
def _terms(way: Backward) -> tuple[tuple[str, Term], ...]:
    """All of these, each with the name of its sum."""
    return tuple((n, term) for n, terms in _plain(way).items() for term in terms)


@dataclass(frozen=True)
class _Table:
    """Terms of u and v, those of the same u one after the other: u and its size, v and its size, where the sum goes,
    whether it is added to what is there. work: multiply-adds of a row."""

    rows: list[tuple[Node, int, Node | None, int, str, bool]]
    work: int


@lru_cache(maxsize=512)
def _table(terms: tuple[tuple[str, Term], ...], sizes: tuple[tuple[str, int], ...]) -> _Table:
    named, rows, begun = dict(sizes), list[tuple[Node, int, Node | None, int, str, bool]](), set[str]()

    def size(n: Node | None) -> int:
        return n.type.entries(named) if n else 0

    number = {u: i + 1 for i, u in enumerate(dict.fromkeys(u for _, (u, _) in terms))}
    for name, (u, v) in sorted(terms, key=lambda term: number[term[1][0]]):
        rows.append((u, size(u), v, size(v), name, name in begun))
        begun.add(name)
    return _Table(rows, sum(us * (vs or 1) for _, us, _, vs, _, _ in rows))


@dataclass(frozen=True)
class Sums:
    """Sums over the rows of some series, which stand ``at`` addresses. start: of the series that are read one step
    earlier, their starting states. everything: makes tensors of all values, which few sums need."""

    way: Backward
    at: Mapping[Node, int]
    start: Mapping[Node, Tensor]
    call: Call
    everything: Callable[[], Mapping[Node, Tensor]]

    def all(self) -> dict[str, Tensor]:
        """The gradients of the parameters."""
        plain, found = _plain(self.way), dict[str, Tensor]()
        for name, nodes in self.way.sums.items():
            p = self.call.parameters[name]
            found[name] = torch.empty_like(p, memory_format=WHOLE) if name in plain else self.mixed(nodes, p.shape)
        self.add_plain(_terms(self.way), found)
        return found

    def add_plain(self, terms: tuple[tuple[str, Term], ...], to: Mapping[str, Tensor]) -> None:
        """Terms of u and v, all of them at once."""
        if not terms:
            return
        at, kind = self.at, self.call.like.dtype
        table, library = _table(terms, tuple(self.call.sizes.items())), sums(kind == torch.float64)
        first, goal = {n: s.data_ptr() for n, s in self.start.items()}, {n: t.data_ptr() for n, t in to.items()}
        numbers = array("q")
        for u, us, v, vs, name, add in table.rows:
            right = (at[v], first.get(v, 0), vs) if v else (0, 0, 0)
            numbers.extend((at[u], first.get(u, 0), us, *right, goal[name], add))
        threads = torch.get_num_threads() if self.call.layout.rows * table.work > ENOUGH else 1
        all_terms = numbers.buffer_info()[0], len(table.rows)
        size = in_lines(library.outer_scratch(*all_terms, threads) * kind.itemsize)
        rows, room = pieces(self.call.layout), scratch(size * threads)  # held until C returns: caches may drop them
        library.outer_sums(crew(threads), threads, rows.at, len(rows), *all_terms, room.at, size)

    def factor(self, node: Node) -> tuple[int, int, int]:
        """A series that is summed over, or, with a start, the series one step earlier."""
        start = self.start.get(node)
        size = node.type.entries(self.call.sizes)
        return self.at[node], 0 if start is None else start.data_ptr(), size

    # sums of other kinds

    def mixed(self, nodes: list[Node], shape: torch.Size) -> Tensor:
        """The sum of terms of any kind."""
        total = torch.zeros(shape, dtype=torch.float64, device="cpu")
        for node in nodes:
            self.add(total, node)
        return total.to(self.call.like.dtype)

    def add(self, total: Tensor, node: Node) -> None:
        if moving := inner(node):
            part = inner_total(total, node, moving, self.everything())
            for term in terms(moving):
                self.add(part, term)
            total += outer_total(part, node, moving, self.everything())
        elif node.op == "outer" and all(map(self.is_series, node.args)):
            part = self.call.like.new_empty(total.shape)
            self.add_plain((("sum", (node.args[0], node.args[1])),), {"sum": part})
            total += part
        elif node.op == "outer" and self.is_scattered(*node.args):
            self.add_scattered(total, node.args[0].args[0], node.args[1])
        elif node.op == "outer" and self.is_scattered(*node.args[::-1]):
            turned = total.new_zeros(total.shape[::-1])
            self.add_scattered(turned, node.args[1].args[0], node.args[0])
            total += turned.mT
        else:
            known = {**self.everything(), **{n: self.earlier(n) for n in self.start if n in self.everything()}}
            part = self.call.like.new_zeros(total.shape)
            accumulate(part, node, known, (self.call.layout.rows,))
            total += part

    def is_series(self, node: Node) -> bool:
        """Whether a value has a row for each step."""
        return node in self.at and node.op != "onehot" and node.type.kind != TOKEN and len(node.type.dims) < 2

    def is_scattered(self, u: Node, v: Node) -> bool:
        """Whether u vᵀ is v in the row of a token."""
        return u.op == "onehot" and u.args[0].type.kind == TOKEN and self.is_series(v)

    def add_scattered(self, total: Tensor, token: Node, v: Node) -> None:
        """Row token[i] of the total += row i of the series."""
        series, start, size = self.factor(v)
        factor, kind = (I64 * 3)(series, start, size), self.call.like.dtype
        rows, room = pieces(self.call.layout), scratch(size * kind.itemsize)
        library = sums(kind == torch.float64)
        library.scatter_sum(self.at[token], factor, rows.at, len(rows), total.data_ptr(), room.at)

    def earlier(self, node: Node) -> Tensor:
        """A series one step earlier."""
        first, _, start, _ = torch.from_numpy(pieces(self.call.layout).table).unbind(1)
        result = self.everything()[node].roll(1, 0)
        result[first] = self.start[node][start.clamp(min=0)].masked_fill((start < 0)[:, None], 0)
        return result
