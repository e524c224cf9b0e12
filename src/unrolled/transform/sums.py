"""What a sum over time is made of, as the gradient of a parameter is.

Σ u vᵀ is one matrix product, whatever the number of steps. What does not move is taken out of the sum:
Σ S ∘ (u vᵀ) = S ∘ Σ u vᵀ. So no matrix has to be computed at every step.
"""

from __future__ import annotations

from functools import lru_cache

from ..graph.node import TOKEN, Node, order

LINEAR = ("mul", "neg", "matmul", "transpose")


def terms(node: Node) -> list[Node]:
    """What is added up: a + b is summed as a and as b."""
    return [t for a in node.args for t in terms(a)] if node.op == "add" else [node]


def parts(node: Node) -> list[Node]:
    """What has to be computed for one term: of an outer product only its factors, of a one-hot factor its token."""
    if inner(node):
        return [part for a in node.args for t in (terms(a) if moves(a) else []) for part in parts(t)] + [
            a for a in node.args if not moves(a)
        ]
    if node.op != "outer":
        return [node]
    return [a.args[0] if a.op == "onehot" and a.args[0].type.kind == TOKEN else a for a in node.args]


def inner(node: Node) -> Node | None:
    """Of a matrix that is linear in one moving matrix: that one, which is summed in its place."""
    moving = [a for a in node.args if moves(a)]
    linear = node.op in LINEAR and len(node.type.dims) == 2 and len(moving) == 1
    return moving[0] if linear and len(moving[0].type.dims) == 2 else None


@lru_cache(maxsize=4096)
def moves(node: Node) -> bool:
    """Whether a value may differ from step to step."""
    return any(n.op in ("input", "state") for n in order([node]))
