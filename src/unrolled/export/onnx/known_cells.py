"""ONNX's own operators LSTM, GRU and RNN, for loops that are exactly one of them.

A loop is recognised by its equations, which are those of a cell of this library. Gates and weights are put into the
order of https://onnx.ai/onnx/operators: i o f c for LSTM, z r h for GRU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import permutations
from typing import Any

import numpy
from numpy.typing import NDArray
from onnx import helper

from ... import cells
from ...circuits.circuit import Circuit
from ...graph.node import Node, leaf, token
from ...graph.ops import LEAVES, make
from ...graph.recurrence import Recurrence
from ...plan.loop import Loop
from ...plan.regroup import regroup
from ...transform.copied import copied
from .graph import Graph

Array = NDArray[Any]
Weights = Mapping[str, Array]


def _gates(weight: Array, *order: int) -> Array:
    """The gates of a weight in another order."""
    parts = numpy.split(weight, len(order))
    return numpy.concatenate([parts[k] for k in order])


def _biases(first: Array, second: Array | None = None) -> Array:
    """The biases of the products with x and with h."""
    return numpy.concatenate([first, numpy.zeros_like(first) if second is None else second])


def _lstm(p: Weights) -> dict[str, Array]:
    u, w, b = (_gates(p[n], 0, 3, 1, 2) for n in ("U", "W", "b"))
    return {"W": u, "R": w, "B": _biases(b)}


def _peephole(p: Weights) -> dict[str, Array]:
    return {**_lstm(p), "P": numpy.concatenate([p["p"], p["r"], p["q"]])}


def _gru(p: Weights) -> dict[str, Array]:
    u, w, b = (_gates(p[n], 1, 0, 2) for n in ("U", "W", "b"))
    return {"W": u, "R": w, "B": _biases(b, numpy.concatenate([0 * p["d"], 0 * p["d"], p["d"]]))}


def _gru_reset_before(p: Weights) -> dict[str, Array]:
    w = numpy.concatenate([_gates(p["W"], 1, 0), p["Wn"]])
    return {"W": _gates(p["U"], 1, 0, 2), "R": w, "B": _biases(_gates(p["b"], 1, 0, 2))}


def _rnn(p: Weights) -> dict[str, Array]:
    return {"W": p["U"], "R": p["W"], "B": _biases(p["b"])}


@dataclass(frozen=True)
class Operator:
    """An operator, the cell whose equations it computes, and how it stores the cell's weights."""

    name: str
    cell: Circuit
    stored: Callable[[Weights], dict[str, Array]]
    attributes: Mapping[str, Any] = field(default_factory=dict)


OPERATORS = (
    Operator("LSTM", cells.lstm, _lstm),
    Operator("LSTM", cells.peephole_lstm, _peephole),
    Operator("GRU", cells.gru, _gru, {"linear_before_reset": 1}),
    Operator("GRU", cells.gru_reset_before, _gru_reset_before),
    Operator("RNN", cells.rnn, _rnn),
    Operator("RNN", cells.irnn, _rnn, {"activations": ["Relu"]}),
)


@dataclass(frozen=True)
class Known:
    """A loop that is an operator.

    operator: the operator.
    weights: those of its cell, by their names there.
    x: what the loop reads: a vector, or a token that stands for a one-hot vector.
    h: the leaf of the state whose series the operator gives.
    places: for each state of the cell, its place among the states of the loop.
    """

    operator: Operator
    weights: Weights
    x: Node
    h: Node
    places: tuple[int, ...]

    def add(self, graph: Graph, x: str, starts: Sequence[str], backward: bool) -> tuple[str, list[str]]:
        """Add the operator, which reads (time, batch, size), and has an axis for directions.

        Args:
            graph: gets the operator.
            x: the name of a series (batch, time, size).
            starts: the names of the states before the first step.
            backward: read from the end.

        Returns:
            the names of the series of h (batch, time, size), and of the last states.
        """
        stored = {n: graph.constant(w[None]) for n, w in self.operator.stored(self.weights).items()}
        begin = [graph.add("Unsqueeze", starts[k], graph.integers(0)) for k in self.places]
        reads = [graph.add("Transpose", x, perm=[1, 0, 2]), *(stored[n] for n in "WRB"), "", *begin]
        reads += [stored["P"]] if "P" in stored else []
        series, *last = (graph.name() for _ in range(1 + len(begin)))
        size, direction = self.weights["W"].shape[1], "reverse" if backward else "forward"
        more = {"hidden_size": size, "direction": direction, **self.operator.attributes}
        graph.nodes.append(helper.make_node(self.operator.name, reads, [series, *last], **more))
        h = graph.add("Transpose", graph.add("Squeeze", series, graph.integers(1)), perm=[1, 0, 2])
        ends = [graph.add("Squeeze", name, graph.integers(0)) for name in last]
        return h, [ends[self.places.index(k)] for k in range(len(ends))]


def known_cell(loop: Loop, numbers: Mapping[Node, Array]) -> Known | None:
    """The operator that computes a loop, if there is one and nothing outside reads other values of the loop than h.

    Args:
        loop: the loop.
        numbers: the values of the parameters.
    """
    for operator in OPERATORS:
        for cell in _equations(operator.cell):
            for places in permutations(range(len(loop.states))):
                bound = _bound(cell, loop, places)
                if bound is None:
                    continue
                weights = {n: numbers[bound[x]] for n, x in cell.parameters.items()}
                return Known(operator, weights, bound[cell.inputs["x"]], loop.states[places[0]], places)
    return None


@lru_cache(maxsize=32)
def _equations(cell: Circuit) -> tuple[Recurrence, ...]:
    """The step of a cell, and that of the same cell which reads tokens."""
    whole = cell.recurrence
    x = leaf("input", token(whole.inputs["x"].type.dims[0]), name="x")
    part = copied(whole, {}, {"x": make("onehot", x)}, lambda n: n)
    return regroup(whole), regroup(Recurrence(whole.name, {"x": x}, part.states, part.parameters, part.returns))


def _bound(cell: Recurrence, loop: Loop, places: Sequence[int]) -> dict[Node, Node] | None:
    """The nodes of a loop for the nodes of a cell; None if the loop does not compute what the cell does."""
    if len(cell.states) != len(places):
        return None
    pairs = list(zip(cell.states, places, strict=True))
    bound = {cell.states[n]: loop.states[k] for n, k in pairs}
    if not all(_same(cell.returns[n], loop.new[k], bound) for n, k in pairs):
        return None
    own = {*loop.nodes, *loop.states}
    h = {loop.states[places[0]], loop.new[places[0]]}
    return bound if bound[cell.inputs["x"]] not in own and h.issuperset(loop.keep) else None


def _same(pattern: Node, node: Node, bound: dict[Node, Node]) -> bool:
    """Whether a node is computed as another one; binds the leaves of the latter."""
    if pattern in bound:
        return bound[pattern] is node
    if pattern.type.kind != node.type.kind or len(pattern.type.dims) != len(node.type.dims):
        return False
    bound[pattern] = node
    if pattern.op in LEAVES:
        return pattern.op in ("input", node.op)
    if pattern.op != node.op or len(pattern.args) != len(node.args) or _attributes(pattern) != _attributes(node):
        return False
    return all(_same(p, a, bound) for p, a in zip(pattern.args, node.args, strict=True))


def _attributes(node: Node) -> list[object]:
    """The attributes of a node, without sizes, which follow from those of the states."""
    return [len(value) if name == "sizes" else value for name, value in node.attrs if name != "dims"]
