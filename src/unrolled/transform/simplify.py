"""Algebra that makes derived graphs as short as a person would write them: x + 0, 1 * x, -(-x), and pieces that are
split and concatenated again. For finite arguments, every rule keeps the value, up to rounding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from ..graph.node import Node, Type, rewrite
from ..graph.ops import constant, is_constant, make


def simplify(roots: Iterable[Node], replace: Mapping[Node, Node]) -> dict[Node, Node]:
    """Map every node that the roots depend on to its simplified form; nodes in ``replace`` as given there."""
    return rewrite(roots, replace, rebuild)


def rebuild(node: Node, args: tuple[Node, ...]) -> Node:
    """The node with new arguments, simplified by the rule of its op."""
    rule = RULES.get(node.op)
    shorter = rule(node, *args) if rule else None
    if shorter is not None:
        return shorter
    return make(node.op, *args, source=node.source, **dict(node.attrs))


def zero(type: Type) -> Node:
    """A constant 0 of this type."""
    return constant(0.0, type.dims)


def _add(node: Node, a: Node, b: Node) -> Node | None:
    if is_constant(a, 0):
        return b
    if is_constant(b, 0):
        return a
    if b.op == "neg":
        return rebuild(make("sub", a, b.args[0]), (a, b.args[0]))
    if a.op == "neg":
        return make("sub", b, a.args[0], source=node.source)
    if a.op == b.op == "concat" and [p.type for p in a.args] == [p.type for p in b.args]:
        pieces = [rebuild(make("add", p, q), (p, q)) for p, q in zip(a.args, b.args, strict=True)]
        return make("concat", *pieces, source=node.source)
    return None


def _sub(node: Node, a: Node, b: Node) -> Node | None:
    if is_constant(b, 0):
        return a
    if is_constant(a, 0):
        return rebuild(make("neg", b), (b,))
    if a.op == b.op == "constant":
        return constant(a["value"] - b["value"], node.type.dims)
    if b.op == "neg":
        return make("add", a, b.args[0], source=node.source)
    return None


def _mul(node: Node, a: Node, b: Node) -> Node | None:
    for one, other in ((a, b), (b, a)):
        if is_constant(one, 1):
            return other
        if is_constant(one, 0):
            return one
        if is_constant(one, -1):
            return rebuild(make("neg", other), (other,))
    for one, other in ((a, b), (b, a)):
        if one.op == "neg":
            left, right = (one.args[0], other) if one is a else (other, one.args[0])
            return make("neg", rebuild(make("mul", left, right), (left, right)), source=node.source)
    return None


def _div(node: Node, a: Node, b: Node) -> Node | None:
    return a if is_constant(a, 0) or is_constant(b, 1) else None


def _neg(node: Node, a: Node) -> Node | None:
    if a.op == "neg":
        return a.args[0]
    if is_constant(a, 0):
        return a
    return constant(-a["value"], a.type.dims) if a.op == "constant" else None


def _transpose(node: Node, a: Node) -> Node | None:
    if a.op == "transpose":
        return a.args[0]
    if a.op == "outer":
        return make("outer", a.args[1], a.args[0], source=node.source)
    if a.op == "repeat":
        return make("repeat", a.args[0], axis=1 - a["axis"], dims=node.type.dims, source=node.source)
    return constant(a["value"], node.type.dims) if a.op == "constant" else None


def _bilinear(node: Node, a: Node, b: Node) -> Node | None:
    return zero(node.type) if is_constant(a, 0) or is_constant(b, 0) else None


def _sum(node: Node, a: Node) -> Node | None:
    if a.op == "neg":
        inner = make("sum", a.args[0], **dict(node.attrs))
        return make("neg", rebuild(inner, (a.args[0],)), source=node.source)
    if not node.type.dims and a.op in ("mul", "div") and a.args[1].op == "broadcast":  # every entry has the same factor
        each, factor = a.args[0], a.args[1].args[0]
        return make(a.op, rebuild(make("sum", each), (each,)), factor, source=node.source)
    return zero(node.type) if is_constant(a, 0) else None


def _broadcast(node: Node, a: Node) -> Node | None:
    return constant(a["value"], node.type.dims) if a.op == "constant" else None


def _concat(node: Node, *pieces: Node) -> Node | None:
    return zero(node.type) if all(is_constant(p, 0) for p in pieces) else None


def _slice(node: Node, a: Node) -> Node | None:
    if a.op == "concat" and tuple(p.type.dims[0] for p in a.args) == node["sizes"]:
        return a.args[node["index"]]
    return constant(a["value"], node.type.dims) if a.op == "constant" else None


def _where(node: Node, condition: Node, a: Node, b: Node) -> Node | None:
    return a if a is b else None


RULES: dict[str, Callable[..., Node | None]] = {
    "add": _add,
    "sub": _sub,
    "mul": _mul,
    "div": _div,
    "neg": _neg,
    "transpose": _transpose,
    "matvec": _bilinear,
    "matmul": _bilinear,
    "outer": _bilinear,
    "sum": _sum,
    "broadcast": _broadcast,
    "repeat": _broadcast,
    "concat": _concat,
    "slice": _slice,
    "where": _where,
}
