"""Infers from its use whether each argument of a circuit is a scalar, a vector or a matrix.

Inputs are vectors or tokens. A parameter on the left of '@', or used as a table, is a matrix. For the others, these
rules apply in order:

- An operand of an operation over features (softmax, sum, split, the right of '@') is a vector.
- A parameter that combines entry by entry with a vector is a vector. A bias is an example.
- A state is a vector if and only if its new value is one.
- Anything else that combines with a scalar, or is stacked, is a scalar: s in ``s = 0.9 * s + sum(w * x)``.
- Anything that is still undecided, as in ``s = a * s``, is a vector.

If a state could be a scalar or a vector, it becomes a vector when the user gives it a size (``Circuit.sized``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..graph.ops import POINTWISE, REDUCING
from .trace import Symbol

TOKEN_ARGUMENT = {"take": 1, "pick": 1, "onehot": 0}
UNKNOWN = -1  # may still become a scalar or a vector


def order(roots: Iterable[Symbol]) -> list[Symbol]:
    """All symbols that the roots depend on, arguments first. (Symbols redefine ==, so they are compared by id.)"""
    seen: set[int] = set()
    result: list[Symbol] = []
    stack: list[tuple[Symbol, bool]] = [(r, False) for r in reversed(list(roots))]
    while stack:
        symbol, done = stack.pop()
        if done:
            result.append(symbol)
        elif id(symbol) not in seen:
            seen.add(id(symbol))
            stack.append((symbol, True))
            stack.extend((a, False) for a in reversed(symbol._args))
    return result


def tokens(symbols: list[Symbol]) -> set[int]:
    """The ids of the symbols that are used as tokens."""
    return {id(s._args[TOKEN_ARGUMENT[s._op]]) for s in symbols if s._op in TOKEN_ARGUMENT}


def ranks(
    symbols: list[Symbol], states: Mapping[str, Symbol], returned: Mapping[str, Symbol], vectors: Iterable[str] = ()
) -> dict[int, int]:
    """The rank of every symbol, by its id. The states in ``vectors`` are vectors even if they could be scalars."""
    found = _Ranks([*states.values(), *(s for s in symbols if s._op != "state")], states, returned)
    found.settle([states[n] for n in vectors], 1)
    while found.vectors() or found.scalars() or found.rest():
        pass
    return found.rank


class _Ranks:
    def __init__(self, symbols: list[Symbol], states: Mapping[str, Symbol], returned: Mapping[str, Symbol]) -> None:
        self.symbols = symbols
        self.loops = [(states[n], returned[n]) for n in states]
        self.fixed = dict.fromkeys(_matrices(symbols), 2)
        self.fixed |= {id(s): 1 for s in symbols if s._op == "input"}
        self.update()

    def update(self) -> None:
        """Derive all ranks from those of the leaves, and for each symbol of unknown rank collect its leaves of unknown
        rank."""
        self.rank: dict[int, int] = {}
        self.leaves: dict[int, dict[int, Symbol]] = {}
        for s in self.symbols:
            self.rank[id(s)] = self.fixed.get(id(s), self.derived(s))
            below = {i: leaf for a in s._args for i, leaf in self.leaves[id(a)].items()} if s._args else {id(s): s}
            self.leaves[id(s)] = below if self.rank[id(s)] == UNKNOWN else {}

    def derived(self, s: Symbol) -> int:
        """The rank of a symbol that follows from its operation and the ranks of its arguments."""
        if s._op in ("state", "parameter"):
            return UNKNOWN
        if s._op in ("constant", *REDUCING):
            return 0
        if s._op == "matmul":
            return self.rank[id(s._args[1])] if self.rank[id(s._args[1])] == 2 else 1
        if s._op == "transpose":
            return 2
        if s._op not in POINTWISE:
            return 1
        args = [self.rank[id(a)] for a in s._args if a._op != "constant"]
        return max(args, default=0) if max(args, default=0) > 0 else min(args, default=0)

    def settle(self, leaves: Iterable[Symbol], rank: int) -> bool:
        """Fix the rank of those leaves that have none yet; false if there are none."""
        new = {id(leaf): rank for leaf in leaves if id(leaf) not in self.fixed}
        self.fixed |= new
        if new:
            self.update()
        return bool(new)

    def vectors(self) -> bool:
        """Settle the leaves that must be vectors; false if there are none."""
        found: list[Symbol] = []
        for s in self.symbols:
            unknown = [self.leaves[id(a)].values() for a in s._args]
            if s._op not in (*POINTWISE, "stack", "transpose"):  # with several states, any of them may be the vector
                found += [leaf for part in unknown for leaf in part if len(part) == 1 or leaf._op == "parameter"]
            elif s._op in POINTWISE and self.rank[id(s)] > 0:
                found += [leaf for part in unknown for leaf in part if leaf._op == "parameter"]
        for state, new in self.loops:
            if self.rank[id(state)] > 0 or self.rank[id(new)] > 0:
                found += [*self.leaves[id(state)].values(), *self.leaves[id(new)].values()]
        return self.settle(found, 1)

    def scalars(self) -> bool:
        """Settle the leaves that combine with a scalar as scalars; false if there are none."""
        found: list[Symbol] = []
        for s in self.symbols:
            meets = s._op in POINTWISE and any(self.rank[id(a)] == 0 and a._op != "constant" for a in s._args)
            if meets or s._op == "stack":
                found += [leaf for a in s._args for leaf in self.leaves[id(a)].values()]
        for state, new in self.loops:
            if self.rank[id(new)] == 0 and new._op != "constant":
                found += self.leaves[id(state)].values()
        return self.settle(found, 0)

    def rest(self) -> bool:
        """Settle all other leaves as vectors; false if there are none."""
        return self.settle([s for s in self.symbols if self.rank[id(s)] == UNKNOWN and not s._args], 1)


def _matrices(symbols: list[Symbol]) -> set[int]:
    """The ids of the symbols that must be matrices: left operands of '@', tables, and the operands that make them
    up."""
    asked: set[int] = set()
    for s in reversed(symbols):
        if s._op in ("matmul", "take", "transpose"):
            asked.add(id(s._args[0]))
        if id(s) in asked:
            if s._op == "matmul":
                asked.add(id(s._args[1]))
            elif s._op in POINTWISE:
                asked.update(id(a) for a in s._args)
    return asked
