"""The tangent of a recurrence: its step, extended by the derivative of each value in one direction.

For each input x, the tangent has an input ẋ, the given direction. For each state h it has a state ḣ, which is carried
to the next step like h, and for each parameter W a parameter Ẇ. The result is again a recurrence. An engine that runs
it computes a Jacobian-vector product in one forward pass (forward-mode differentiation: Wengert 1964; Griewank and
Walther 2008, section 3.1).

This file contains no derivatives. A linear op is applied to the tangents themselves. The Jacobians of entrywise ops and
of softmax are symmetric, so the row of such an op in ``differentiate.py`` maps tangents forward in the same way as it
maps gradients backward.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from ..graph.node import REAL, Node, leaf, order
from ..graph.notation import MARKS
from ..graph.ops import make
from ..graph.recurrence import Recurrence
from .differentiate import VJP, mul, one, reduced, zeros
from .simplify import simplify

LINEAR = frozenset(  # jointly linear in all real arguments
    (
        "neg",
        "add",
        "sub",
        "where",
        "transpose",
        "sum",
        "mean",
        "cumsum",
        "broadcast",
        "repeat",
        "concat",
        "slice",
        "pick",
        "take",
    )
)
BILINEAR = frozenset(("matvec", "matmul", "outer"))  # linear in each of the two arguments
REDUCING = frozenset(("max", "min", "logsumexp"))  # not linear


def dotted(name: str, direction: int = 1) -> str:
    """The name of a tangent: ḣ for h, Ẇ_x for W_x; in other directions h̊, ȟ, then with two marks, and so on."""
    times, which = divmod(direction - 1, len(MARKS))
    spread = unicodedata.normalize("NFD", name)
    rest = spread[1:].lstrip("".join(MARKS))
    marked = spread[: len(spread) - len(rest)] + list(MARKS)[which] * (times + 1)
    return unicodedata.normalize("NFC", marked + rest)


@lru_cache(maxsize=256)
def direction(recurrence: Recurrence) -> int:
    """The first direction whose names are not in use: 1, or 2 for the tangent of a tangent."""
    names = {*recurrence.leaves, *recurrence.returns, *recurrence.labels.values()}
    k = 1
    while not names.isdisjoint(dotted(n, k) for n in names):
        k += 1
    return k


def movable(recurrence: Recurrence) -> tuple[str, ...]:
    """The leaves that can have a tangent: neither tokens nor constants."""
    return tuple(n for n, x in recurrence.leaves.items() if x.type.kind == REAL and n not in recurrence.constants)


@lru_cache(maxsize=256)
def tangent(recurrence: Recurrence, of: tuple[str, ...] | None = None) -> Recurrence:
    """The recurrence of values and tangents.

    Args:
        recurrence: the step.
        of: the inputs and parameters that have a tangent (default: all that can); the tangents of the others are zero.
            All states except tokens have a tangent.

    Returns:
        The inputs, states, parameters and returned values of the step, then their tangents by ``dotted`` names.
    """
    k = direction(recurrence)
    moving = set(movable(recurrence) if of is None else of)

    def tangents(leaves: dict[str, Node]) -> dict[str, Node]:
        return {n: leaf(x.op, x.type, x.source, **{**dict(x.attrs), "name": dotted(n, k)}) for n, x in leaves.items()}

    inputs = tangents({n: x for n, x in recurrence.inputs.items() if n in moving})
    states = tangents({n: s for n, s in recurrence.states.items() if s.type.kind == REAL})
    parameters = tangents({n: p for n, p in recurrence.parameters.items() if n in moving})
    leaves, given = recurrence.leaves, {**inputs, **states, **parameters}
    found: dict[Node, Node | None] = {x: given.get(n) for n, x in leaves.items()}
    for node in order(recurrence.returns.values(), known=found):
        found[node] = _push(node, [found[a] for a in node.args])

    known = {node: t for node, t in found.items() if t is not None}
    short = simplify(known.values(), {node: node for node in recurrence.nodes})

    def of_value(node: Node) -> Node:
        return short[known[node]] if node in known else zeros(node)

    labels = dict(recurrence.labels)
    for node, name in recurrence.labels.items():
        if node in known and short[known[node]].args:
            labels.setdefault(short[known[node]], dotted(name, k))

    def doubled(values: dict[str, Node], more: dict[str, Node]) -> dict[str, Node]:
        return {**values, **{dotted(n, k): t for n, t in more.items()}}

    return Recurrence(
        name=f"{recurrence.name}_tangent",
        inputs=doubled(dict(recurrence.inputs), inputs),
        states=doubled(dict(recurrence.states), states),
        parameters=doubled(dict(recurrence.parameters), parameters),
        returns=doubled(
            dict(recurrence.returns), {n: of_value(v) for n, v in recurrence.returns.items() if v.type.kind == REAL}
        ),
        labels=labels,
    )


def _push(node: Node, dots: list[Node | None]) -> Node | None:
    """The tangent of an op's result, given those of its arguments. None means zero."""
    if all(dot is None for dot in dots):
        return None
    pairs = [(k, dot) for k, dot in enumerate(dots) if dot is not None]
    if node.op in LINEAR:
        args = [a if a.type.kind != REAL else dot or zeros(a) for a, dot in zip(node.args, dots, strict=True)]
        return make(node.op, *args, **dict(node.attrs))
    if node.op in BILINEAR:
        return _total(make(node.op, *node.args[:k], dot, *node.args[k + 1 :]) for k, dot in pairs)
    if node.op in REDUCING:
        ((_, dot),), (weights,) = pairs, VJP[node.op](one(node), node, *node.args)
        assert weights is not None
        return reduced("sum", mul(weights, dot), node)
    return _total(VJP[node.op](dot, node, *node.args)[k] for k, dot in pairs)


def _total(terms: Iterable[Node | None]) -> Node | None:
    total = None
    for term in terms:
        if term is not None:
            total = term if total is None else make("add", total, term)
    return total
