"""Values of a circuit as values of an ONNX graph, and the leading dimensions that they have there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy
from numpy.typing import NDArray

from ...graph.node import Node
from ...graph.size import Size
from .graph import Graph

# The leading dimensions of a value: none for what depends on parameters alone; (batch,) in a step;
# (batch, 1) and (batch, time) where all steps are computed at once. A later one contains those before it.
NONE, ROW, SPREAD, ALL = 0, 1, 2, 3
LEAD = (0, 1, 2, 2)  # their numbers


class Value(NamedTuple):
    """A value of an ONNX graph.

    name: in the graph; '' for a number that the graph does not contain yet.
    form: its leading dimensions.
    number: what it is, if that is known when the graph is made.
    """

    name: str
    form: int
    number: NDArray[Any] | None = None


@dataclass
class Place:
    """Where operations are added: a step (batch,), or all steps at once (batch, time).

    graph: gets the operations.
    values: of the nodes of the circuit.
    all_steps: whether all steps are computed at once.
    rows: the numbers of rows of memories, by the names of sizes: integers (1,).
    """

    graph: Graph
    values: dict[Node, Value]
    all_steps: bool
    rows: Mapping[str, str]

    def read(self, node: Node) -> Value:
        """A value as it is read here."""
        value = self.values[node]
        if value.number is not None and not value.name:
            name = node["name"] if node.op == "parameter" else None
            value = Value(self.graph.constant(value.number, name), value.form, value.number)
            self.values[node] = value
        if self.all_steps and value.form == ROW:
            value = Value(self.graph.add("Unsqueeze", value.name, self.graph.integers(1)), SPREAD)
        return value

    def size(self, size: Size) -> str:
        """A size as integers (1,)."""
        add = self.graph.add
        if not size.terms:
            return self.graph.integers(size.value({}))
        found = self.graph.integers(0)
        for name, factor in size.terms:
            scaled = add("Mul", self.rows[name], self.graph.integers(factor.numerator))
            found = add("Add", found, add("Div", scaled, self.graph.integers(factor.denominator)))
        return add("Add", found, self.graph.integers(int(size.constant))) if size.constant else found

    def sizes(self, sizes: Iterable[Size]) -> str:
        """Sizes as integers (n,)."""
        sizes = tuple(sizes)
        if all(not size.terms for size in sizes):
            return self.graph.integers(*(size.value({}) for size in sizes))
        return self.graph.add("Concat", *map(self.size, sizes), axis=0)

    def alike(self, values: list[Value], own: list[int]) -> list[str]:
        """The names of values with the same leading dimensions, those of the value that has most.

        Args:
            values: the values.
            own: how many dimensions each has of its own.
        """
        most = max(value.form for value in values)
        model = next(k for k, value in enumerate(values) if value.form == most)
        if all(value.form == most for value in values) or most == NONE:
            return [value.name for value in values]
        add, names = self.graph.add, []
        lead = add("Shape", values[model].name, start=0, end=LEAD[most])
        for value, dims in zip(values, own, strict=True):
            if value.form == most:
                names.append(value.name)
                continue
            shape = [lead, add("Shape", value.name, start=LEAD[value.form])] if dims else [lead]
            name = value.name
            if missing := LEAD[most] - LEAD[value.form]:
                name = add("Unsqueeze", name, self.graph.integers(*range(missing)))
            names.append(add("Expand", name, add("Concat", *shape, axis=0)))
        return names


def as_number(value: Any, kind: str) -> NDArray[Any]:
    """A tensor of torch as numbers of the graph."""
    types = {"token": numpy.int64, "mask": numpy.bool_}
    array: NDArray[Any] = value.detach().cpu().numpy().astype(types.get(kind, numpy.float32))
    return array
