"""Gradients of parameters: sums over all steps of all sequences, most of them one large matrix product.

Rows are added up in their order: in float32 for up to 256 rows, these sums in float64. The number of threads makes no
difference.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ...graph.node import Node
from ...plan.plan import Backward
from ...transform.terms import Linear, Outer, Rows, Series, classify, moves, terms
from ..accumulate import accumulate, applied, empty_sum
from ..call import Call
from .blocks import in_lines, scratch
from .crew import crew
from .lanes import pieces
from .libraries import I64, sums

ENOUGH = 2**22  # multiply-adds that are worth a thread
WHOLE = torch.contiguous_format

Factors = tuple[Node, Node | None]  # u and v of Σ u vᵀ, or u of Σ u; both are series


def _factors(term: Node) -> Factors | None:
    """The factors of a term that C sums by itself; none for any other term."""
    kind = classify(term)
    if isinstance(kind, Outer) and moves(kind.u) and moves(kind.v):
        return kind.u, kind.v
    return (kind.value, None) if isinstance(kind, Series) and len(kind.value.type.dims) < 2 else None


@lru_cache(maxsize=512)
def plain_terms(way: Backward) -> dict[str, list[Factors]]:
    """The parameters all of whose terms C sums by itself, and these terms."""
    found = {n: [_factors(term) for term in nodes] for n, nodes in way.sums.items()}
    return {n: [f for f in factors if f] for n, factors in found.items() if factors and None not in factors}


@lru_cache(maxsize=512)
def all_plain(way: Backward) -> tuple[tuple[str, Factors], ...]:
    """All of these terms, each with the name of its sum."""
    return tuple((n, factors) for n, found in plain_terms(way).items() for factors in found)


@dataclass(frozen=True)
class _Table:
    """Terms as C takes them, grouped by u.

    rows: u, its size, v, its size, the name of the sum, and whether the term is added to earlier ones. work:
    multiply-adds for one row of the series.
    """

    rows: list[tuple[Node, int, Node | None, int, str, bool]]
    work: int


@lru_cache(maxsize=512)
def table_of(terms: tuple[tuple[str, Factors], ...], sizes: tuple[tuple[str, int], ...]) -> _Table:
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
    """Sums over the rows of series.

    at: the addresses of the series. start: the starting states of the series that are read one step earlier.
    everything: returns tensors of all values, which few sums need. members: the number of equal parts of the batch that
    have their own sums, if that is wanted; all terms must be plain.
    """

    way: Backward
    at: Mapping[Node, int]
    start: Mapping[Node, Tensor]
    call: Call
    everything: Callable[[], Mapping[Node, Tensor]]
    members: int | None = None

    def all(self) -> dict[str, Tensor]:
        """The gradients of the parameters; (members, *shape) if there are members."""
        plain, found = plain_terms(self.way), dict[str, Tensor]()
        for name, nodes in self.way.sums.items():
            p = self.call.parameters[name]
            if self.members is not None:
                found[name] = p.new_empty(self.members, *p.shape)
            else:
                found[name] = torch.empty_like(p, memory_format=WHOLE) if name in plain else self.mixed(nodes, p.shape)
        self.add_plain(all_plain(self.way), found)
        return found

    def add_plain(self, terms: tuple[tuple[str, Factors], ...], to: Mapping[str, Tensor]) -> None:
        """Compute all of these terms in one call of C; ``to`` has the tensor of each sum, by name."""
        if not terms:
            return
        at, kind = self.at, self.call.like.dtype
        table, library = table_of(terms, tuple(self.call.sizes.items())), sums(kind == torch.float64)
        first, goal = {n: s.data_ptr() for n, s in self.start.items()}, {n: t.data_ptr() for n, t in to.items()}
        numbers = array("q")
        for u, us, v, vs, name, add in table.rows:
            right = (at[v], first.get(v, 0), vs) if v else (0, 0, 0)
            numbers.extend((at[u], first.get(u, 0), us, *right, goal[name], add))
        threads = torch.get_num_threads() if self.call.layout.rows * table.work > ENOUGH else 1
        all_terms = numbers.buffer_info()[0], len(table.rows)
        size = in_lines(library.outer_scratch(*all_terms, threads) * kind.itemsize)
        # kept until C returns: another thread may clear the caches
        rows, room, helpers = pieces(self.call.layout), scratch(size * threads), crew(threads)
        if self.members is None:
            library.outer_sums(helpers, threads, rows.at, len(rows), *all_terms, room.at, size)
            return
        for at_piece, count in rows.parts(self.members, self.call.layout.rows):
            library.outer_sums(helpers, threads, at_piece, count, *all_terms, room.at, size)
            for i, (_, us, _, vs, _, _) in enumerate(table.rows):
                numbers[8 * i + 6] += us * (vs or 1) * kind.itemsize

    def factor(self, node: Node) -> tuple[int, int, int]:
        """A series as C takes it: address, address of the starting states (0 if it is read as it is), size."""
        start = self.start.get(node)
        size = node.type.entries(self.call.sizes)
        return self.at[node], 0 if start is None else start.data_ptr(), size

    # terms of other kinds

    def mixed(self, nodes: list[Node], shape: torch.Size) -> Tensor:
        """The sum of terms of any kind."""
        total = torch.zeros(shape, dtype=torch.float64, device="cpu")
        for node in nodes:
            self.add(total, node)
        return total.to(self.call.like.dtype)

    def add(self, total: Tensor, term: Node) -> None:
        """Add a term, summed over all rows, to a float64 total of its shape."""
        kind = classify(term)
        if isinstance(kind, Linear):
            part = empty_sum(total, kind, self.everything())
            for inner in terms(kind.moving):
                self.add(part, inner)
            total += applied(kind, part, self.everything())
        elif factors := _factors(term):
            part = self.call.like.new_empty(total.shape)
            self.add_plain((("sum", factors),), {"sum": part})
            total += part
        elif isinstance(kind, Rows):
            part = total.new_zeros(total.shape[::-1] if kind.transposed else total.shape)
            self.add_rows(part, kind)
            total += part.mT if kind.transposed else part
        else:  # one factor is the same at every step
            part = self.call.like.new_zeros(total.shape)
            accumulate(part, term, self.everything())
            total += part

    def add_rows(self, total: Tensor, kind: Rows) -> None:
        """Row token[i] of the total += row i of the series."""
        series, start, size = self.factor(kind.v)
        before = self.start.get(kind.token)
        tokens = (I64 * 2)(self.at[kind.token], 0 if before is None else before.data_ptr())
        factor, number = (I64 * 3)(series, start, size), self.call.like.dtype
        rows, room = pieces(self.call.layout), scratch(size * number.itemsize)
        library = sums(number == torch.float64)
        library.scatter_sum(tokens, factor, rows.at, len(rows), total.data_ptr(), room.at)
