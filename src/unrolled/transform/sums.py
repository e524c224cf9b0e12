"""What a sum over time is made of, as the gradient of a parameter is."""

from __future__ import annotations

from ..graph.node import TOKEN, Node


def terms(node: Node) -> list[Node]:
    """What is added up: a + b is summed as a and as b."""
    return [t for a in node.args for t in terms(a)] if node.op == "add" else [node]


def parts(node: Node) -> list[Node]:
    """What has to be computed for one term: of an outer product only its factors, of a one-hot factor its token."""
    if node.op != "outer":
        return [node]
    return [a.args[0] if a.op == "onehot" and a.args[0].type.kind == TOKEN else a for a in node.args]
