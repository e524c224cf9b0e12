"""What a sum over time is made of, as the gradient of a parameter is.

Σ u vᵀ is one matrix product, whatever the number of steps. A factor that does not move is taken out of the sum:
Σ S ∘ (u vᵀ) = S ∘ Σ u vᵀ. So no matrix has to be computed at every step.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ..graph.node import Node, order
from ..graph.ops import is_constant, make


@dataclass(frozen=True)
class Outer:
    """Σ u vᵀ; one of the two may be the same at every step."""

    u: Node
    v: Node


@dataclass(frozen=True)
class Rows:
    """Σ 1[token] vᵀ: v is added to the row that a token names; to the column, if transposed."""

    token: Node
    v: Node
    transposed: bool


@dataclass(frozen=True)
class Linear:
    """A matrix that is linear in one moving matrix: that one is summed, then the operation is applied to its sum."""

    node: Node
    moving: Node


@dataclass(frozen=True)
class Series:
    """The sum of a value itself."""

    value: Node


Term = Outer | Rows | Linear | Series


def terms(node: Node) -> list[Node]:
    """The terms of a gradient, each summed by itself: a + b is summed as a and as b. What does not move is zero, since
    gradients are linear in the gradients that arrive, and is left out."""
    if node.op == "add":
        return [t for a in node.args for t in terms(a)]
    if node.op == "sub" and len(node.type.dims) == 2:
        a, b = node.args
        return [*terms(a), *(make("neg", t) for t in terms(b))]
    return [node] if moves(node) else []


@lru_cache(maxsize=4096)
def classify(term: Node) -> Term:
    """How a term is summed."""
    if (moving := _linear(term)) is not None:
        return Linear(term, moving)
    if term.op != "outer":
        return Series(term)
    u, v = term.args
    if u.op == "onehot" and moves(u):
        return Rows(u.args[0], v, transposed=False)
    return Rows(v.args[0], u, transposed=True) if v.op == "onehot" and moves(v) else Outer(u, v)


def parts(term: Node) -> Iterator[Node]:
    """The values that the sum of a term is computed from."""
    kind = classify(term)
    if isinstance(kind, Linear):
        for inner in terms(kind.moving):
            yield from parts(inner)
        yield from (a for a in term.args if not moves(a))
    elif isinstance(kind, Outer):
        yield from (kind.u, kind.v)
    else:
        yield from (kind.token, kind.v) if isinstance(kind, Rows) else (kind.value,)


def _linear(term: Node) -> Node | None:
    """The moving matrix in which a matrix is linear."""
    moving = [a for a in term.args if moves(a)]
    if len(moving) != 1 or len(term.type.dims) != 2 or len(moving[0].type.dims) != 2:
        return None
    (matrix,) = moving
    if term.op == "div":
        return matrix if matrix is term.args[0] else None
    if term.op == "where":
        return matrix if all(is_constant(a, 0) for a in term.args[1:] if a is not matrix) else None
    return matrix if term.op in ("mul", "neg", "matmul", "transpose") else None


@lru_cache(maxsize=4096)
def moves(node: Node) -> bool:
    """Whether a value may differ from step to step."""
    return any(n.op in ("input", "state") for n in order([node]))
