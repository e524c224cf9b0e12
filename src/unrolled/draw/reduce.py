"""From nodes to the diagram that a person would draw: a circle per named value, arrows between circles, and letters on
the arrows.

Values without a name become part of the arrows: ``h = tanh(b + W @ h + U @ x)`` is one circle with two incoming arrows,
labelled W and U. A bias is on no arrow, because it is not applied to any of the values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from ..graph.equations import is_scalar
from ..graph.node import REAL, Node, order
from ..graph.recurrence import Recurrence
from ..transform.differentiate import loss_on

Role = Literal["input", "fixed", "state", "output", "loss", "named"]
Ways = tuple[tuple[str, ...], ...]  # every path from one value to another: the parameters on it, the outermost first
Origin = tuple[str, bool]  # the name of a value, and whether it is the value of the previous step

APPLYING = {
    "matvec",
    "matmul",
    "outer",
    "mul",
    "div",
    "take",
    "pick",
}  # a parameter here acts on the other argument
INPUTS = ("input", "fixed")
FLAT = ("sign", "floor", "stop_gradient", "argmax")  # no derivative passes through these
MOST_WAYS = 3


@dataclass(frozen=True, slots=True)
class Value:
    """A circle: a named value of a step. Scalars are set in light type, vectors in bold."""

    name: str
    role: Role
    scalar: bool


@dataclass(frozen=True, slots=True)
class Arrow:
    """``target`` is computed from ``source``, of the same step or of the previous one (``delayed``)."""

    source: str
    target: str
    delayed: bool
    ways: Ways
    smooth: bool = True  # a gradient can flow; it cannot flow through comparisons and step functions, or to tokens

    @property
    def letters(self) -> Ways:
        """The paths that have parameters, which label the arrow."""
        return tuple(way for way in self.ways if way)


@dataclass(frozen=True)
class Diagram:
    """One step of a recurrence as circles and arrows."""

    name: str
    values: Mapping[str, Value]
    arrows: tuple[Arrow, ...]
    loss_on: tuple[str, ...] = ()  # the values on which the loss depends directly

    @cached_property
    def carrying(self) -> frozenset[str]:
        """The values that the gradient of the loss reaches, except inputs."""
        reached = set(self.loss_on)
        while True:
            more = {a.source for a in self.arrows if a.smooth and a.target in reached} - reached
            if not more:
                return frozenset(n for n in reached if n in self.values and self.values[n].role not in INPUTS)
            reached |= more

    @property
    def inner(self) -> tuple[Arrow, ...]:
        """The arrows within a step."""
        return tuple(a for a in self.arrows if not a.delayed)

    @property
    def delayed(self) -> tuple[Arrow, ...]:
        """The arrows into the next step, which pass a black square."""
        return tuple(a for a in self.arrows if a.delayed)


def reduce(recurrence: Recurrence, gates: bool = True) -> Diagram:
    """The circles and arrows of a recurrence. Without ``gates``, only inputs and returned values are circles."""
    fixed = _fixed(recurrence)
    named = dict(recurrence.returns)
    reached = set(order(recurrence.returns.values()))
    for node, name in recurrence.labels.items() if gates else ():
        if node in reached and node not in fixed:
            named.setdefault(name, node)
    arrows = _absorbed(_arrows(recurrence, named, fixed), set(recurrence.returns))
    used = {a.target for a in arrows} | set(recurrence.returns)
    roles: dict[str, Role] = {n: "fixed" if n in recurrence.fixed else "input" for n in recurrence.inputs}
    values = {n: Value(n, roles[n], is_scalar(node)) for n, node in recurrence.inputs.items()}
    for name in sorted(named, key=_listed(recurrence)):
        if name in used:
            values[name] = Value(name, _role(recurrence, name), is_scalar(named[name]))
    drawn = tuple(a for a in arrows if a.target in values)
    return Diagram(recurrence.name, values, drawn, loss_on(recurrence))


def _listed(recurrence: Recurrence) -> Callable[[str], int]:
    """A sort key: the position of a name in the circuit, so that the picture has the order of the equations."""
    names = dict.fromkeys([*recurrence.labels.values(), *recurrence.returns])
    return list(names).index


def _role(recurrence: Recurrence, name: str) -> Role:
    if name in recurrence.states:
        return "state"
    if name in recurrence.returns:
        return "output" if recurrence.returns[name].type.dims else "loss"
    return "named"


def _fixed(recurrence: Recurrence) -> dict[Node, tuple[str, ...]]:
    """Every node that depends only on parameters, with the letters that represent it."""
    result: dict[Node, tuple[str, ...]] = {}
    for node in recurrence.nodes:
        if node.op == "parameter":
            result[node] = (node["name"],)
        elif node.op not in ("input", "state") and all(a in result for a in node.args):
            inside = tuple(dict.fromkeys(letter for a in node.args for letter in result[a]))
            result[node] = (recurrence.labels[node],) if node in recurrence.labels else inside
    return result


def _arrows(recurrence: Recurrence, named: Mapping[str, Node], fixed: Mapping[Node, tuple[str, ...]]) -> list[Arrow]:
    origins: dict[Node, Origin] = {node: (n, False) for n, node in recurrence.inputs.items()}
    origins |= {node: (n, True) for n, node in recurrence.states.items()}
    for name, node in named.items():
        origins.setdefault(node, (name, False))
    ways: dict[Node, dict[Origin, Ways]] = {}
    smooth: dict[Node, set[Origin]] = {}
    for node in recurrence.nodes:
        found: dict[Origin, Ways] = {}
        letters = tuple(x for a in node.args for x in fixed.get(a, ())) if node.op in APPLYING else ()
        for arg in node.args:
            inside = {origins[arg]: ((),)} if arg in origins else ways[arg]
            for origin, paths in inside.items():
                longer = tuple(letters + path for path in paths)
                found[origin] = tuple(dict.fromkeys(found.get(origin, ()) + longer))[:MOST_WAYS]
        ways[node] = found
        real = [a for a in node.args if a.type.kind == REAL and node.op not in FLAT]
        smooth[node] = {o for a in real for o in ({origins[a]} if a in origins else smooth[a])}
    arrows = []
    for name, node in named.items():
        alias = origins.get(node, (name, False)) != (name, False)
        into: dict[Origin, Ways] = {origins[node]: ((),)} if alias else ways[node]
        passing = smooth[node] | {origins[node]} if alias else smooth[node]
        arrows += [Arrow(o[0], name, o[1], paths, o in passing) for o, paths in into.items()]
    return arrows


def _absorbed(arrows: list[Arrow], kept: set[str]) -> list[Arrow]:
    """The arrows without values that are only passed on: ``a = b + W @ h; h = tanh(a)`` is drawn as h alone."""
    while True:
        for arrow in arrows:
            into = [a for a in arrows if a.target == arrow.target]
            out = [a for a in arrows if a.source == arrow.source]
            inside = [a for a in arrows if a.target == arrow.source]
            if arrow.source not in kept and into == out == [arrow] and inside and not arrow.letters:
                arrows = [
                    Arrow(a.source, arrow.target, a.delayed, a.ways, a.smooth and arrow.smooth) if a in inside else a
                    for a in arrows
                ]
                arrows.remove(arrow)
                break
        else:
            return arrows
