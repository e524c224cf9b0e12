"""Infers from its use whether each argument of a circuit is a scalar, a vector or a matrix.

What stands on the left of '@', is transposed, reduced along an axis or used as a table is a matrix; so is an input that
combines with a matrix, and a state whose new value is one. Other inputs are vectors or tokens. For the other arguments,
these rules apply in order:

- An operand of an operation over features (softmax, sum, split, the right of '@') is a vector.
- A parameter that combines entry by entry with a vector is a vector. A bias is an example.
- A state is a vector if and only if its new value is one.
- Anything else that combines with a scalar, or is stacked, is a scalar: s in ``s = 0.9 * s + sum(w * x)``.
- A parameter that combines entry by entry with a matrix is a matrix.
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


def tokens(
    symbols: list[Symbol], states: Mapping[str, Symbol], returned: Mapping[str, Symbol], rank: Mapping[int, int]
) -> set[int]:
    """The ids of the symbols that are tokens: those used as tokens, what ``argmax`` gives, a choice between tokens, and
    both values of a state of which one is a token."""
    found, known = {id(s._args[TOKEN_ARGUMENT[s._op]]) for s in symbols if s._op in TOKEN_ARGUMENT}, -1
    found |= {id(s) for s in symbols if s._op == "argmax"}
    while len(found) > known:
        known = len(found)
        for s in symbols:
            if s._op == "where" and not rank[id(s._args[0])] and found.issuperset(map(id, s._args[1:])):
                found.add(id(s))
        for pair in ((states[n], returned[n]) for n in states):
            if not found.isdisjoint(map(id, pair)):
                found |= {id(s) for s in pair if s._op in ("state", "input")}
    return found


def ranks(
    symbols: list[Symbol], states: Mapping[str, Symbol], returned: Mapping[str, Symbol], vectors: Iterable[str] = ()
) -> dict[int, int]:
    """The rank of every symbol, by its id. The states in ``vectors`` are vectors even if they could be scalars."""
    found = _Ranks([*states.values(), *(s for s in symbols if s._op != "state")], states, returned)
    found.settle([states[n] for n in vectors], 1)
    while found.vectors() or found.scalars() or found.matrices() or found.rest():
        pass
    return found.rank


class _Ranks:
    def __init__(self, symbols: list[Symbol], states: Mapping[str, Symbol], returned: Mapping[str, Symbol]) -> None:
        self.symbols = symbols
        self.loops = [(states[n], returned[n]) for n in states]
        self.fixed = dict.fromkeys(_matrices(symbols, self.loops), 2)
        self.fixed |= {id(s): 1 for s in symbols if s._op == "input" and id(s) not in self.fixed}
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
            return 1 if "axis" in s._attrs else 0
        if s._op == "matmul":
            return self.rank[id(s._args[1])] if self.rank[id(s._args[1])] == 2 else 1
        if s._op in ("transpose", "outer", "repeat") or "axis" in s._attrs:
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
            elif s._op in POINTWISE and self.rank[id(s)] == 1:
                found += [leaf for part in unknown for leaf in part if leaf._op == "parameter"]
        for state, new in self.loops:
            if 1 in (self.rank[id(state)], self.rank[id(new)]):
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

    def matrices(self) -> bool:
        """Settle the parameters that combine with a matrix as matrices; false if there are none."""
        pairs = [(s, a) for s in self.symbols if s._op in POINTWISE and self.rank[id(s)] == 2 for a in s._args]
        leaves = [leaf for _, a in pairs for leaf in self.leaves[id(a)].values() if leaf._op == "parameter"]
        return self.settle(leaves, 2)

    def rest(self) -> bool:
        """Settle all other leaves as vectors; false if there are none."""
        return self.settle([s for s in self.symbols if self.rank[id(s)] == UNKNOWN and not s._args], 1)


def _matrices(symbols: list[Symbol], loops: list[tuple[Symbol, Symbol]]) -> set[int]:
    """The ids of the symbols that must be matrices: left operands of '@', tables, what is reduced along an axis, and
    the operands that make them up. A state is a matrix if and only if its new value is one."""
    asked, known = set[int](), -1
    while len(asked) > known:
        known = len(asked)
        moving = _moving(symbols, asked)
        for s in reversed(symbols):
            if s._op in ("matmul", "take", "transpose") or ("axis" in s._attrs and s._op != "repeat"):
                asked.add(id(s._args[0]))
            if id(s) in asked or id(s) in moving:
                asked.update(id(a) for a in _operands(s, moving, id(s) in asked))
        for state, new in loops:
            if not asked.isdisjoint((id(state), id(new))) or id(new) in moving:
                asked |= {id(state), id(new)}
    return asked


def _moving(symbols: list[Symbol], asked: set[int]) -> set[int]:
    """The ids of the symbols that are certainly matrices and not made from parameters alone."""
    found: set[int] = set()
    for s in symbols:
        inside = [id(a) in found for a in s._args]
        if s._op == "matmul":
            right = s._args[1]
            certain = inside[1] or (inside[0] and (right._op == "transpose" or id(right) in asked))
        elif s._op in ("input", "state"):
            certain = id(s) in asked
        else:
            own = s._op in ("outer", "repeat") or (s._op == "softmax" and "axis" in s._attrs)
            certain = own or (s._op in (*POINTWISE, "transpose") and any(inside))
        if certain:
            found.add(id(s))
    return found


def _no_scalar(s: Symbol) -> bool:
    """Whether a symbol is certainly a vector or a matrix: an input, a product, or made from these entry by entry."""
    others = [a for a in s._args if a._op != "constant"]
    return s._op in ("input", "matmul") or (s._op in POINTWISE and bool(others) and all(map(_no_scalar, others)))


def _operands(s: Symbol, moving: set[int], asked: bool) -> list[Symbol]:
    """The operands that must be matrices, because a symbol is one. Among those of an entry-by-entry operation, some may
    be scalars; inputs cannot."""
    if s._op == "matmul":  # on the right of '@', an input or a state is a vector unless something else says otherwise
        return [a for a in s._args[1:] if asked and a._op not in ("input", "state")]
    if s._op not in POINTWISE:
        return []
    if any(id(a) in moving for a in s._args):
        return [a for a in s._args if _no_scalar(a)]
    flowing = [a for a in s._args if a._op in ("input", "state")]
    constant = [a for a in s._args if a._op == "parameter"]
    if not flowing:
        return list(s._args)
    return constant or (flowing if len(flowing) == 1 else [])  # (h + x) @ a is more often a mistake than two matrices
