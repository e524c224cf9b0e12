"""The two models of a network: one for whole sequences, and one for a single step."""

from __future__ import annotations

from collections.abc import Mapping

import numpy
from onnx import ModelProto, ValueInfoProto

from ...graph.node import TOKEN, Node
from ...graph.recurrence import Recurrence
from ..network import ANSWER, READ, Network, Step
from .graph import Graph, info
from .passes import Part, shape_of

BATCH, TIME, STEPS = "batch", "time", "steps"


def before(state: str) -> str:
    """The name of the input that is the value of a state before the first step."""
    return f"{state}_in"


def after(state: str) -> str:
    """The name of the output that is the value of a state after the last step."""
    return f"{state}_out"


def outputs_of(step: Recurrence) -> tuple[str, ...]:
    """The returned values that a model writes at every step: the outputs, or without any the first state."""
    return tuple(step.outputs) or tuple(step.states)[:1]


def one_step(network: Network, doc: str) -> ModelProto:
    """One step of a network of one direction: inputs (batch, ...), states in and out."""
    step, graph = network.layers[0][0], Graph()
    whole = step.recurrence
    part = Part(step, graph, {n: n for n in whole.inputs}, all_steps=False)
    found = part.alone({n: before(n) for n in whole.states})
    inputs = [_value(n, x, [BATCH]) for n, x in whole.inputs.items()]
    inputs += [_value(before(n), x, [BATCH]) for n, x in whole.states.items()]
    outputs = []
    for n in whole.outputs:
        graph.named(found[n], n)
        outputs.append(_value(n, whole.returns[n], [BATCH]))
    for n, x in whole.states.items():
        graph.named(found[n], after(n))
        outputs.append(_value(after(n), x, [BATCH]))
    return graph.model(f"{network.name}_step", inputs, outputs, doc)


def sequence(network: Network, doc: str) -> ModelProto:
    """Whole sequences: inputs (batch, time, ...), and the states before the first step and after the last."""
    return _both_directions(network, doc) if network.head else _one_direction(network, doc)


def _one_direction(network: Network, doc: str) -> ModelProto:
    step, graph = network.layers[0][0], Graph()
    whole = step.recurrence
    part = Part(step, graph, {n: n for n in whole.inputs}, all_steps=True)
    found, ends = part.over({n: before(n) for n in whole.states}, False, STEPS, outputs_of(whole))
    inputs = [_value(n, x, [BATCH] if n in whole.fixed else [BATCH, TIME]) for n, x in whole.inputs.items()]
    inputs += [_value(before(n), x, [BATCH]) for n, x in whole.states.items()]
    if not whole.series:
        inputs.append(info(STEPS, TOKEN, [1]))
    outputs = [_answer(graph, network, n, found[n], whole.returns[n]) for n in outputs_of(whole)]
    for n, x in whole.states.items():
        graph.named(ends[n], after(n))
        outputs.append(_value(after(n), x, [BATCH]))
    return graph.model(network.name, inputs, outputs, doc)


def _both_directions(network: Network, doc: str) -> ModelProto:
    graph, read, sides = Graph(), READ, list[str]()
    first, head = network.layers[0][0].recurrence, network.head
    assert head is not None
    for layer in network.layers:
        sides = [_side(graph, step, read, bool(k)) for k, step in enumerate(layer)]
        read = graph.add("Concat", *sides, axis=-1)
    x = _value(READ, first.inputs[READ], [BATCH, TIME])
    node = head.recurrence.returns[ANSWER]
    if network.answer == "last" and not head.recurrence.states:
        ends = [_at(graph, side, 0 if k else -1) for k, side in enumerate(sides)]
        found = Part(head, graph, {READ: graph.add("Concat", *ends, axis=-1)}, False).alone({})
        graph.named(found[ANSWER], ANSWER)
        return graph.model(network.name, [x], [_value(ANSWER, node, [BATCH])], doc)
    part = Part(head, graph, {READ: read}, all_steps=True)
    series, _ = part.over(_zeros(graph, head, read), False, None, [ANSWER])
    return graph.model(network.name, [x], [_answer(graph, network, ANSWER, series[ANSWER], node)], doc)


def _side(graph: Graph, step: Step, read: str, backward: bool) -> str:
    """The series that one direction of a layer passes on."""
    part = Part(step, graph, {READ: read}, all_steps=True)
    return part.over(_zeros(graph, step, read), backward, None, [ANSWER])[0][ANSWER]


def _zeros(graph: Graph, step: Step, read: str) -> Mapping[str, str]:
    """Initial states of zeros, for the batch of a series."""
    rows, found = graph.add("Shape", read, start=0, end=1), {}
    for n, state in step.recurrence.states.items():
        own = graph.integers(*state.type.shape({}))
        found[n] = graph.add("ConstantOfShape", graph.add("Concat", rows, own, axis=0))
    return found


def _answer(graph: Graph, network: Network, name: str, series: str, node: Node) -> ValueInfoProto:
    """Name a series of answers, or the last one, if the network answers once."""
    if network.answer == "every":
        graph.named(series, name)
        return _value(name, node, [BATCH, TIME])
    graph.named(_at(graph, series, -1), name)
    return _value(name, node, [BATCH])


def _at(graph: Graph, series: str, step: int) -> str:
    return graph.add("Gather", series, graph.constant(numpy.array(step, numpy.int64)), axis=1)


def _value(name: str, node: Node, lead: list[str]) -> ValueInfoProto:
    return info(name, node.type.kind, [*lead, *shape_of(node)])
