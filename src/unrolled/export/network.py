"""What every form of export starts from: a network as steps, each a recurrence whose sizes are numbers, and weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from ..errors import UsageError
from ..graph.node import SCALAR, Node, Type, leaf, order, token, vector
from ..graph.ops import constant, make
from ..graph.recurrence import Recurrence
from ..graph.size import Size
from ..nn.model import Answer, SequenceModel
from ..nn.narrow_weights import narrow_weights
from ..nn.recurrent import Recurrent
from ..nn.writer import Joined, read_size
from ..transform.copied import copied
from ..transform.restrict import expected, without

READ, ANSWER = "x", "o"  # what the steps of a model read and return
TOTAL, COUNT = "total", "count"  # states of a model that answers with a mean


@dataclass(frozen=True)
class Step:
    """One step.

    recurrence: all its sizes are numbers, except the numbers of rows of memories.
    weights: the values of its parameters.
    """

    recurrence: Recurrence
    weights: Mapping[str, Tensor]


@dataclass(frozen=True)
class Network:
    """A network to export.

    Most networks are one step, with embedding, layers and read-out. A model that reads in both directions needs the
    whole sequence at once: each of its layers is two steps, the second of which reads from the end; their results stand
    side by side, and ``head`` reads those of the last layer.

    name: of the circuit.
    layers: each reads the results o of the one before as its x.
    head: what reads the results of layers of two directions.
    answer: 'every' step, or the 'last' one. With two directions, the 'last' is the last that each direction computes.
    """

    name: str
    layers: tuple[tuple[Step, ...], ...]
    head: Step | None = None
    answer: Answer = "every"


def network_of(net: Recurrent | SequenceModel, tokens: bool = False) -> Network:
    """A network as what is exported.

    >>> [step] = network_of(SequenceModel(cells.gru, inputs=40, outputs=10, hidden=[64, 128])).layers[0]
    >>> list(step.recurrence.inputs), list(step.recurrence.states), list(step.recurrence.outputs)
    (['x'], ['h_layer1', 'h_layer2'], ['o'])

    Args:
        net: a network, or a model.
        tokens: whether a model without an embedding reads tokens instead of vectors.

    Raises:
        UsageError: it is neither of the two.
    """
    if isinstance(net, Recurrent):
        return Network(net.circuit.name, ((_step_of(net),),))
    if not isinstance(net, SequenceModel):
        raise UsageError(
            f"only a Recurrent or a SequenceModel can be exported, got a {type(net).__name__}. Export the networks "
            "that it is made of one by one"
        )
    first = token(Size.of(read_size(net))) if tokens or net.embedding is not None else _vector(read_size(net))
    if not net.backward_layers:
        made = Joined(net, leaf("input", first, name=READ))
        return Network(net.circuit.name, ((_joined(made, made.values()),),), answer=_answer(net))
    layers, width = [], first
    for number in range(len(net.layers)):
        layers.append((_direction(net, number, 0, width), _direction(net, number, 1, width)))
        width = _vector(sum(step.recurrence.returns[ANSWER].type.dims[0].value({}) for step in layers[-1]))
    made = Joined(net, leaf("input", width, name=READ))
    return Network(net.circuit.name, tuple(layers), _joined(made, made.read), _answer(net))


def _answer(model: SequenceModel) -> Answer:
    return "every" if model.answer == "every" else "last"


def _vector(size: int) -> Type:
    return vector(Size.of(size))


def _step_of(net: Recurrent) -> Step:
    """A network alone, without what only a loss needs."""
    whole = net.circuit.recurrence
    whole = expected(whole, list(whole.drawn)) if whole.drawn else whole
    if ANSWER in whole.returns:
        used = set(order([whole.returns[ANSWER], *(whole.returns[n] for n in whole.states)]))
        whole = without(whole, [n for n, x in whole.inputs.items() if x not in used])
    known = {n: Size.of(size) for n, size in net._sizes.items()}
    inputs = {
        n: leaf(
            "input", Type(x.type.kind, tuple(size.replace(known) for size in x.type.dims)), x.source, **dict(x.attrs)
        )
        for n, x in whole.inputs.items()
    }
    part = copied(whole, net._sizes, inputs, lambda n: n)
    labels = {part.returns[n]: n for n in part.returns}
    recurrence = Recurrence(whole.name, inputs, part.states, part.parameters, part.returns, labels=labels)
    narrow = {n: weight.wide() for n, weight in narrow_weights(net).items()}
    return Step(recurrence, {n: weight.detach() for n, weight in {**net._weights(), **narrow}.items()})


def _direction(model: SequenceModel, number: int, backward: int, reads: Type) -> Step:
    """One direction of a layer."""
    made = Joined(model, leaf("input", reads, name=READ))
    value = made.read
    if number == 0 and made.table is not None:
        value = make("take", made.table, made.read)
    layer = (model.layers, model.backward_layers)[backward][number]
    assert isinstance(layer, Recurrent)
    given = made.layer(layer, number, value)
    if model.residual and value.type == vector(given.type.dims[0] * 2):
        halves = (given.type.dims[0], given.type.dims[0])
        given = make("add", make("slice", value, sizes=halves, index=backward), given)
    return _step(made, given)


def _joined(made: Joined, value: Node) -> Step:
    """A step whose result are the scores."""
    if made.model.answer == "mean":
        value = _mean(made, value)
    return _step(made, made.read_out(value))


def _mean(made: Joined, value: Node) -> Node:
    """The mean of a value over the steps so far, from two more states."""
    states = {TOTAL: leaf("state", value.type, name=TOTAL), COUNT: leaf("state", SCALAR, name=COUNT)}
    new = {TOTAL: make("add", states[TOTAL], value), COUNT: make("add", states[COUNT], constant(1.0))}
    made.states |= states
    made.new |= new
    return make("div", new[TOTAL], make("broadcast", new[COUNT], dims=value.type.dims))


def _step(made: Joined, result: Node) -> Step:
    returns = {ANSWER: result, **made.new}
    used = set(order(returns.values()))
    inputs = {READ: made.read, **made.fixed}
    parameters = {n: p for n, p in made.parameters.items() if p in used}
    recurrence = Recurrence(made.model.circuit.name, inputs, made.states, parameters, returns)
    weights = {**made.weights, **{n: weight.wide() for n, weight in made.narrow.items()}}
    return Step(recurrence, {n: weights[n].detach() for n in parameters})
