"""The equations of an unfolded graph: as applications of the step f, one per step or nested, or in full."""

from __future__ import annotations

from typing import Literal

from ..graph.equations import is_scalar
from ..graph.node import Node, is_fixed, order
from ..graph.notation import NOTATIONS, Format, Text
from ..graph.printer import Printer
from .unfold import Unfolded

Form = Literal["steps", "nested", "full", "all"]


def unfolded_equations(graph: Unfolded, format: Format = "text", form: Form = "all") -> str:
    """The equations, one per line.

    Args:
        graph: the unfolded graph.
        format: 'text' or 'latex'.
        form: 'steps' for s(2) = f(s(1); θ), ...; 'nested' for s(3) = f(f(s(1); θ); θ); 'all' for both; 'full' for the
            circuit's own equations at every step.
    """
    notation = NOTATIONS[format]
    if form == "full":
        return notation.lines(_full(graph, notation))
    lines = []
    if form in ("steps", "all"):
        lines += [_step(graph, notation, t) for t in graph.times]
    if form == "nested" or (form == "all" and len(graph.times) > 1):
        lines.append(_nested(graph, notation))
    return notation.lines(lines)


def _apply(graph: Unfolded, notation: Text, t: int, previous: list[str]) -> str:
    """f(previous states, inputs at t; θ)."""
    inputs = [
        notation.name(n, None if n in graph.fixed else str(t), None, is_scalar(x))
        for n, x in graph.recurrence.inputs.items()
    ]
    args = ", ".join([*previous, *inputs])
    theta = f"; {notation.name('theta', None)}" if graph.recurrence.parameters else ""
    return "f" + notation.group(args + theta)


def _states(graph: Unfolded, notation: Text, t: int) -> list[str]:
    return [notation.name(n, str(t)) for n in graph.recurrence.states]


def _left(graph: Unfolded, notation: Text, t: int) -> str:
    names = _states(graph, notation, t)
    return names[0] if len(names) == 1 else notation.group(", ".join(names))


def _step(graph: Unfolded, notation: Text, t: int) -> str:
    return notation.line(_left(graph, notation, t), _apply(graph, notation, t, _states(graph, notation, t - 1)))


def _nested(graph: Unfolded, notation: Text) -> str:
    """The last state, with every earlier state substituted. A step with several states is one application of f."""
    inner = _states(graph, notation, graph.start_time)
    for t in graph.times:
        inner = [_apply(graph, notation, t, inner)]
    return notation.line(_left(graph, notation, graph.times[-1]), *inner)


def _full(graph: Unfolded, notation: Text) -> list[str]:
    def spell(node: Node, shift: int, piece: int | None) -> str | None:
        if node in graph.labels:
            name, t = graph.labels[node]
            return notation.name(name, str(t), piece, is_scalar(node))
        return notation.name(node["name"], None, piece) if node.op == "parameter" or is_fixed(node) else None

    printer = Printer(notation, spell)
    nodes = order(graph.values.values())
    return [
        notation.line(printer.expression(n), printer.expression(n, named=False))
        for n in nodes
        if n in graph.labels and n.args
    ]
