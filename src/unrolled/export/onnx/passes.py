"""A step of a circuit as a part of an ONNX graph: alone, or in a loop over a sequence.

What does not depend on states is computed for all steps at once, and only the rest is in loops: one of ONNX's own
operators where a loop is exactly that, and the operator Scan elsewhere.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy
import torch
from numpy.typing import NDArray
from onnx import ValueInfoProto, helper

from ...graph.bind import of_data
from ...graph.node import TOKEN, Node, order
from ...graph.recurrence import Recurrence
from ...graph.size import Size
from ...plan.loop import Loop
from ...plan.plan import make_plan
from ...transform.evaluate import evaluate
from ..network import Step
from .graph import Graph, info
from .known_cells import Known, known_cell
from .loops import loops, runs
from .operators import compute
from .values import ALL, LEAD, NONE, ROW, Place, Value, as_number


class Part:
    """A step whose operations are added to a graph.

    Args:
        step: the circuit and its weights.
        graph: gets the operations.
        inputs: the name in the graph of each input.
        all_steps: whether the inputs are whole sequences.
    """

    def __init__(self, step: Step, graph: Graph, inputs: Mapping[str, str], all_steps: bool) -> None:
        plan = make_plan(step.recurrence)
        self.step: Recurrence = plan.step
        self.stages = plan.forward(keep=False).stages
        self.graph, self.inputs, self.all_steps = graph, inputs, all_steps
        known = {node: Value("", NONE, number) for node, number in self.numbers(step).items()}
        fixed = {self.step.inputs[n]: Value(inputs[n], ROW) for n in self.step.fixed}
        self.rows = self.row_counts()
        self.once = Place(graph, known | fixed, False, self.rows)
        compute(self.once, tuple(n for n in (*self.stages.once, *self.stages.each) if n not in known))

    def numbers(self, step: Step) -> dict[Node, NDArray[Any]]:
        """The parameters, and what is computed from them alone, in float64 before it is rounded."""
        exact = {node: step.weights[n].detach().double() for n, node in self.step.parameters.items()}
        open_sizes = of_data(self.step)
        closed = dict.fromkeys(exact, True)
        for node in self.stages.once:
            sizes = {name for size in _sizes_of(node) for name in size.names}
            closed[node] = not sizes & open_sizes and all(closed[a] for a in node.args)
        found = evaluate([n for n in self.stages.once if closed[n]], exact, {}, torch.zeros(1, dtype=torch.float64))
        return {node: as_number(value, node.type.kind) for node, value in found.items()}

    def row_counts(self) -> dict[str, str]:
        """The numbers of rows that are known when the file runs."""
        found: dict[str, str] = {}
        for n in self.step.fixed:
            for axis, size in enumerate(self.step.inputs[n].type.dims):
                if size.terms:
                    found[size.names[0]] = self.graph.add("Shape", self.inputs[n], start=1 + axis, end=2 + axis)
        return found

    def alone(self, states: Mapping[str, str]) -> dict[str, str]:
        """One step: the names of the returned values, from those of the states."""
        series = {x: Value(self.inputs[n], ROW) for n, x in self.step.series.items()}
        given = {x: Value(states[n], ROW) for n, x in self.step.states.items()}
        place = Place(self.graph, {**self.once.values, **series, **given}, False, self.rows)
        compute(place, (*self.stages.before, *self.stages.loop, *self.stages.after))
        lead = self.graph.add("Shape", self.some(states), start=0, end=1)
        return {n: _full(place, node, ROW, lead) for n, node in self.step.returns.items()}

    def over(
        self, states: Mapping[str, str], backward: bool, steps: str | None, wanted: Collection[str]
    ) -> tuple[dict[str, str], dict[str, str]]:
        """All steps: the names of the series of returned values, and of the last states.

        Args:
            states: the names of the states before the first step.
            backward: read from the end.
            steps: the name of the number of steps, for a circuit that reads no series.
            wanted: the returned values whose series are needed.
        """
        series = {x: Value(self.inputs[n], ALL) for n, x in self.step.series.items()}
        place = Place(self.graph, {**self.once.values, **series}, True, self.rows)
        if series:
            lead = self.graph.add("Shape", self.inputs[next(iter(self.step.series))], start=0, end=2)
        else:
            assert steps is not None
            rows = self.graph.add("Shape", self.some(states), start=0, end=1)
            lead = self.graph.add("Concat", rows, steps, axis=0)
        results = {n: self.step.returns[n] for n in wanted}
        ends: dict[str, str] = {}
        for names, loop in loops(self.step, results.values()):
            starts = [states[n] for n in names]
            compute(place, tuple(order(loop.moving, known=place.values)))
            if not runs(loop):
                found = self.shifted(place, loop, starts, backward, lead)
            elif known := known_cell(loop, self.numbers_of(place)):
                found = self.known(place, loop, known, starts, backward, lead)
            else:
                found = self.scan(place, loop, starts, backward, lead)
            ends |= zip(names, found, strict=True)
        compute(place, tuple(order(results.values(), known=place.values)))
        return {n: _full(place, node, ALL, lead) for n, node in results.items()}, ends

    def numbers_of(self, place: Place) -> dict[Node, NDArray[Any]]:
        """The values of the parameters."""
        values = {node: place.values[node].number for node in self.step.parameters.values()}
        return {node: number for node, number in values.items() if number is not None}

    def some(self, states: Mapping[str, str]) -> str:
        """A value of which the first dimension is the batch."""
        return next(iter([*self.inputs.values(), *states.values()]))

    def scan(self, place: Place, loop: Loop, starts: Sequence[str], backward: bool, lead: str) -> list[str]:
        """Add a loop: the values that it keeps become series, and the names of the last states are returned."""
        add = self.graph.add
        moving = [place.read(node).name for node in loop.moving]
        if not moving:  # the operator needs a series, which tells it how many steps there are
            moving = [add("ConstantOfShape", lead)]
        body, reads, writes = self.body(loop, len(moving))
        ends, kept = [self.graph.name() for _ in loop.states], [self.graph.name() for _ in loop.keep]
        axes: dict[str, Any] = {"num_scan_inputs": len(moving)}
        for side, count in (("input", len(moving)), ("output", len(kept))):
            if count:  # an empty list has no type
                axes |= {f"scan_{side}_axes": [1] * count, f"scan_{side}_directions": [int(backward)] * count}
        step = body.proto("step", reads, writes)
        self.graph.nodes.append(helper.make_node("Scan", [*starts, *moving], [*ends, *kept], body=step, **axes))
        place.values |= {node: Value(name, ALL) for node, name in zip(loop.keep, kept, strict=True)}
        return ends

    def known(
        self, place: Place, loop: Loop, known: Known, starts: Sequence[str], backward: bool, lead: str
    ) -> list[str]:
        """Add a loop that is one of ONNX's own operators; returns the names of the last states."""
        x = _full(place, known.x, ALL, lead)
        if known.x.type.kind == TOKEN:
            marks = self.graph.constant(numpy.array([0, 1], numpy.float32))
            x = self.graph.add("OneHot", x, place.size(known.x.type.dims[0]), marks, axis=-1)
        series, ends = known.add(self.graph, x, starts, backward)
        h = loop.new[loop.states.index(known.h)]
        place.values[h] = Value(series, ALL)
        if known.h in loop.keep:
            self.earlier(place, known.h, series, starts[loop.states.index(known.h)], backward)
        return ends

    def shifted(self, place: Place, loop: Loop, starts: Sequence[str], backward: bool, lead: str) -> list[str]:
        """A state that does not depend on itself needs no loop; returns the name of the last one."""
        compute(place, tuple(order(loop.new, known=place.values)))
        both = self.earlier(place, loop.states[0], _full(place, loop.new[0], ALL, lead), starts[0], backward)
        index = self.graph.constant(numpy.array(0 if backward else -1, numpy.int64))
        return [self.graph.add("Gather", both, index, axis=1)]

    def earlier(self, place: Place, state: Node, new: str, start: str, backward: bool) -> str:
        """Add the series that the steps read of a state: its start, and its new values one step later. Returns the name
        of a series with one more step, which ends with the last state."""
        begin = self.graph.add("Unsqueeze", start, self.graph.integers(1))
        both = self.graph.add("Concat", *((new, begin) if backward else (begin, new)), axis=1)
        first, end = (1, numpy.iinfo(numpy.int64).max) if backward else (0, -1)
        axis = self.graph.integers(1)
        read = self.graph.add("Slice", both, self.graph.integers(first), self.graph.integers(int(end)), axis)
        place.values[state] = Value(read, ALL)
        return both

    def body(self, loop: Loop, count: int) -> tuple[Graph, list[ValueInfoProto], list[ValueInfoProto]]:
        """The graph of one step in the loop, and what it reads and writes: states and then values."""
        body = Graph(self.graph)
        moving = list(loop.moving)
        reads = {node: Value(body.name(), ROW) for node in (*loop.states, *moving)}
        place = Place(body, {**self.once.values, **reads}, False, self.rows)
        compute(place, loop.nodes)
        infos = [info(value.name, node.type.kind, _dims(node)) for node, value in reads.items()]
        if not moving:
            assert count == 1
            infos.append(info(body.name(), "real", [None]))
        lead = body.add("Shape", reads[loop.states[0]].name, start=0, end=1)
        writes = []
        for node in (*loop.new, *loop.keep):
            result = body.add("Identity", _full(place, node, ROW, lead))
            writes.append(info(result, node.type.kind, _dims(node)))
        return body, infos, writes


def _sizes_of(node: Node) -> list[Size]:
    """The sizes of a node and of its attributes."""
    found = [*node.type.dims]
    for _, value in node.attrs:
        found += value if isinstance(value, tuple) else [value]
    return [size for size in found if isinstance(size, Size)]


def _dims(node: Node) -> list[int | str | None]:
    """The shape of a value in a step, with the batch."""
    return [None, *shape_of(node)]


def shape_of(node: Node) -> list[int | str | None]:
    """The own dimensions of a value: numbers, or the names of sizes that may change."""
    if node.type.kind == TOKEN:
        return []
    if not node.type.dims:
        return [1]
    return [str(size) if size.terms else size.value({}) for size in node.type.dims]


def _full(place: Place, node: Node, form: int, lead: str) -> str:
    """The name of a value with all leading dimensions."""
    value = place.read(node)
    if value.form == form:
        return value.name
    add, name = place.graph.add, value.name
    own = add("Shape", name, start=LEAD[value.form])
    return add("Expand", name, add("Concat", lead, own, axis=0))
