"""Back-propagation through time as equations, in the form of Goodfellow, Bengio and Courville (2016), section 10.2.2:
the gradients at a step, the gradients at the last step τ, which no later step contributes to, and the sums over
time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..graph.equations import SHORT, length, named_once, readable, speller
from ..graph.node import Node, order
from ..graph.notation import NOTATIONS, Format, Text
from ..graph.ops import constant, is_constant
from ..graph.printer import HADAMARD, Printer
from ..graph.recurrence import Recurrence
from .simplify import simplify, zero


def gradient_equations(
    adjoint: Recurrence,
    format: Format = "text",
    summed: bool = True,
    last_only: bool = False,
    inputs: bool = False,
) -> str:
    """The equations, one per line.

    Args:
        adjoint: the adjoint of a recurrence.
        format: 'text' or 'latex'.
        summed: scalar outputs are losses, and the total loss is their sum over steps, so their gradient is 1.
        last_only: the loss depends only on the last step (structure 3).
        inputs: print the gradients of the inputs, too.
    """
    assert adjoint.primal is not None
    names = _worth_a_line(adjoint)
    ones = {x: constant(1.0) for x in adjoint.inputs.values() if summed and not x.type.dims}
    silent = {x: zero(x.type) for x in adjoint.inputs.values()}
    done = {carry: zero(carry.type) for carry in adjoint.states.values()}
    at = _Moment.of(adjoint, names, ones)
    last = _Moment.of(adjoint, names, {**ones, **done})
    before = _Moment.of(adjoint, names, silent) if last_only else at
    write = _Writer(NOTATIONS[format], adjoint)

    tau, until = write.notation.tau, write.notation.before_last
    lines = []
    for name in at.names:
        if at.waits(name) or (last_only and is_constant(before.named[name], 0)):
            lines.append(write.line(name, last, tau))
            lines.append(write.line(name, before, "t", until))
        else:
            lines.append(write.line(name, at, "t"))
    if inputs:
        given = (f"∇{name}" for name in adjoint.primal.inputs)
        lines += [write.line(name, at, "t") for name in given if name in adjoint.returns and name not in at.names]
    for name in sorted(reversed(list(_sums(adjoint))), key=lambda n: len(adjoint.sums[n].type.dims)):
        once = last_only and is_constant(before.named[name], 0)
        lines.append(write.sum(name, last if once else at, tau if once else "t", over_time=not once))
    return write.notation.lines(lines)


@dataclass(frozen=True)
class _Moment:
    """The adjoint at one kind of step, simplified with the known values of some leaves."""

    named: dict[str, Node]  # the gradients to print
    labels: dict[Node, str]  # the names of values where other equations use them
    carries: dict[Node, Node]  # the value of each state leaf, computed one step later
    names: list[str]  # the gradients with a line of their own, in order of computation

    @staticmethod
    def of(adjoint: Recurrence, names: Mapping[Node, str], known: Mapping[Node, Node]) -> _Moment:
        """The adjoint with the ``known`` leaves replaced, simplified; ``names`` are the gradients with a line of their
        own."""
        assert adjoint.primal is not None
        printed = {name: node for node, name in names.items()}
        printed |= {n: g for n, g in {**adjoint.returns, **adjoint.sums}.items() if n not in printed}
        same = {node: node for node in adjoint.primal.nodes}
        short = simplify(printed.values(), {**same, **known})
        labels = readable(adjoint.primal)
        for node, name in names.items():
            if short[node].op != "constant":
                labels.setdefault(short[node], name)
        carries = {leaf: short[adjoint.returns[name]] for name, leaf in adjoint.states.items()}
        position = {node: i for i, node in enumerate(order(names))}
        lines = sorted(names, key=lambda n: position[n])
        return _Moment({n: short[g] for n, g in printed.items()}, labels, carries, [names[n] for n in lines])

    def waits(self, name: str) -> bool:
        """Whether this gradient depends on the next step, except through gradients with a line of their own."""
        node = self.named[name]
        stop = [n for n in self.labels if n is not node]
        return any(n in self.carries for n in order([node], known=stop))


@dataclass(frozen=True)
class _Writer:
    notation: Text
    adjoint: Recurrence

    def printer(self, moment: _Moment, base: str, roots: Iterable[Node]) -> Printer:
        """A printer that sees values from time ``base``."""
        assert self.adjoint.primal is not None
        forward = set(self.adjoint.primal.nodes)
        carrying = {n for n in moment.labels if n not in forward} | {
            *moment.carries,
            *self.adjoint.inputs.values(),
        }
        for node in order([*roots, *moment.carries.values()]):
            if node not in forward and not carrying.isdisjoint(node.args):
                carrying.add(node)
        spell = speller(self.adjoint.primal, self.notation, base, moment.labels)
        return Printer(self.notation, spell, moment.carries, carrying)

    def line(self, name: str, moment: _Moment, base: str, condition: str = "") -> str:
        """The equation of a gradient."""
        node = moment.named[name]
        own = moment.labels.get(node) in (None, name)
        if node.op == "input":  # given by the loss
            body = self.notation.name(node["name"], base)
        else:
            body = self.printer(moment, base, [node]).expression(node, named=not own)
        return self.notation.line(self.notation.name(name, base), body, condition)

    def sum(self, name: str, moment: _Moment, base: str, over_time: bool) -> str:
        """The equation of a parameter's gradient, which is a sum over time or a single term."""
        node = moment.named[name]
        if is_constant(node, 0):
            return self.notation.line(self.notation.name(name, None), "0")
        body = self.printer(moment, base, [node]).expression(node, HADAMARD if over_time else 0)
        return self.notation.line(self.notation.name(name, None), self.notation.over_time(body) if over_time else body)


def _sums(adjoint: Recurrence) -> dict[str, Node]:
    """The gradients of the parameters that are trained."""
    assert adjoint.primal is not None
    without = {f"∇{name}" for name in adjoint.primal.constants}
    return {name: node for name, node in adjoint.sums.items() if name not in without}


def _worth_a_line(adjoint: Recurrence) -> dict[Node, str]:
    """The gradients with a line of their own: those of returned values, and other long ones."""
    primal = adjoint.primal
    assert primal is not None
    returned = {f"∇{name}" for name in primal.returns}
    names = {
        n: name
        for n, name in adjoint.labels.items()
        if name in returned and n.op != "constant" and (n.op != "input" or n.type.dims)
    }
    stop = {**readable(primal), **adjoint.labels}
    for node, name in adjoint.labels.items():
        if node not in names and node.op not in ("constant", "input") and length(node, stop) > SHORT:
            names[node] = name
    roots = [*_sums(adjoint).values(), *adjoint.returns.values()]
    everything = named_once(roots, {**readable(primal), **names}, "g", known=primal.nodes)
    return {node: name for node, name in everything.items() if node not in readable(primal)}
