"""A model that predicts the next token, as one circuit that reads its own symbol: embedding, layers, read-out and the
choice of the symbol run inside the engine's loop over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..graph.node import TOKEN, Node, Type, leaf, matrix, order, token, vector
from ..graph.ops import constant, make
from ..graph.recurrence import Recurrence
from ..graph.size import Size
from ..plan.regroup import regroup
from ..sequence.rounding import Narrow
from ..sequence.state import State
from ..transform.copied import copied
from ..transform.restrict import expected, without
from .model import SequenceModel
from .narrow_linear import NarrowLinear
from .narrow_weights import hold, narrow_weights
from .recurrent import Recurrent

SYMBOL, NOISE = "symbol", "noise"


def writer(model: SequenceModel, border: int | None = None) -> Recurrent | None:
    """A network that continues a sequence of tokens with the model: each symbol is argmax(scores + noise).

    >>> net = writer(SequenceModel(cells.gru, inputs=65, outputs=65, hidden=256))
    >>> net(noise=gumbel(8, 200, 65)).symbol.shape
    torch.Size([8, 200])

    With Gumbel noise, symbols are drawn with the probabilities softmax(scores); with T times this noise, at temperature
    T; with zeros, each symbol is the most likely one. The network reads the model's parameters where they are.

    Args:
        model: predicts the next of its tokens.
        border: the symbol that ends a document: all states are zero before it is read.

    Returns:
        the network, whose states are those of ``state_of``; None if the model reads backward or does not answer at
        every step, or if a layer has states or other inputs that no joined circuit has.
    """
    recurrences = [layer.circuit.recurrence for layer in model.layers if isinstance(layer, Recurrent)]
    plain = all(not set(r.fixed) - set(r.drawn) and not r.tokens for r in recurrences)
    if model.backward_layers or model.answer != "every" or not plain:
        return None
    made = Joined(model, symbol_of(model), border)
    net = Recurrent(Circuit.stored(_recurrence(made)), device="meta", dtype=model.first._like().dtype)
    for n in net.circuit.parameters:
        if n in made.weights:
            setattr(net, n, nn.Parameter(made.weights[n].detach(), requires_grad=False))
    hold(net, made.narrow, model.first._kind)
    return net


def state_of(symbol: Tensor, states: Sequence[State]) -> State:
    """The state of a writer that has read all before a symbol (batch,), from the states of the model's layers."""
    return State(**{SYMBOL: symbol}, **{_name(n, k): x for k, s in enumerate(states) for n, x in s.items()})


def states_of(state: State, names: Iterable[Iterable[str]]) -> tuple[State, ...]:
    """The states of each layer, which have these names, from the state of a joined circuit."""
    return tuple(State.of({n: state[_name(n, k)] for n in each}) for k, each in enumerate(names))


def symbol_of(model: SequenceModel) -> Node:
    """The state that is the last symbol, which the model reads."""
    return leaf("state", token(Size.of(read_size(model))), name=SYMBOL)


def read_size(model: SequenceModel) -> int:
    """The size of the vectors that a model reads, or the number of its tokens."""
    return model.first.sizes[model.input] if model.embedding is None else model.embedding.num_embeddings


def _recurrence(made: Joined) -> Recurrence:
    """The joined circuit, which adds noise to the scores."""
    scores = made.scores()
    noise = leaf("input", scores.type, name=NOISE)
    returns = {SYMBOL: make("argmax", make("add", scores, noise)), **made.new}
    used, states = set(order(returns.values())), {SYMBOL: made.read, **made.states}
    parameters = {n: p for n, p in made.parameters.items() if p in used}
    return Recurrence("writer", {NOISE: noise}, states, parameters, returns)


def _name(name: str, layer: int) -> str:
    """The name of a state or parameter of a layer in the joined circuit."""
    return f"{name}_layer{layer + 1}"


class Joined:
    """The layers of a model as one circuit, as it is made: its parameters with their values, its fixed inputs, its
    states and what they become. Narrow parameters are apart.

    Args:
        model: reads in one direction.
        read: what the first layer reads: a token or a vector.
        border: the token before which all states are zero.
    """

    def __init__(self, model: SequenceModel, read: Node, border: int | None = None) -> None:
        self.model, self.read = model, read
        self.weights, self.parameters = dict[str, Tensor](), dict[str, Node]()
        self.narrow = dict[str, Narrow]()
        self.states, self.new = dict[str, Node](), dict[str, Node]()
        self.fixed = dict[str, Node]()
        embedding = model.embedding
        self.table = None if embedding is None else self.parameter("embedding", embedding.weight)
        self.restarts: Node | None = None
        if border is not None:
            marks = torch.nn.functional.one_hot(torch.tensor(border), read_size(model)).to(model.first._like())
            self.restarts = make("pick", self.parameter("border", marks), read)

    def values(self) -> Node:
        """What the last layer passes on."""
        value = self.read if self.table is None else make("take", self.table, self.read)
        for number, layer in enumerate(self.model.layers):
            assert isinstance(layer, Recurrent)
            given = self.layer(layer, number, value)
            residual = self.model.residual and value.type == given.type
            value = make("add", value, given) if residual else given
        return value

    def scores(self) -> Node:
        """The scores of the next symbol."""
        return self.read_out(self.values())

    def read_out(self, value: Node) -> Node:
        """The scores, from what the last layer passes on."""
        return self.linear("read_out", self.model.read_out, self.linear("bridge", self.model.bridge, value))

    def layer(self, layer: Recurrent, number: int, value: Node) -> Node:
        """Add a layer that reads a value; returns what the layer above reads."""
        whole, reads = layer.circuit.recurrence, self.model.input
        whole = expected(whole, list(whole.drawn)) if whole.drawn else whole
        unread = [n for n in whole.series if n != reads]
        step = regroup(without(whole, unread))  # in the order of the layer's own plan
        if value.type.kind == TOKEN and step.inputs[reads].type.kind != TOKEN:
            value = make("onehot", value)
        known = {n: Size.of(size) for n, size in layer._sizes.items()}
        for n in step.fixed:
            x = step.inputs[n]
            dims = tuple(size.replace(known) for size in x.type.dims)
            self.fixed.setdefault(n, leaf(x.op, Type(x.type.kind, dims), x.source, **dict(x.attrs)))
        inputs = {n: self.fixed[n] for n in step.fixed} | {reads: value}
        part = copied(step, layer._sizes, inputs, lambda n: _name(n, number), self.before)
        self.states |= part.states
        self.parameters |= part.parameters
        self.weights |= {_name(n, number): weight for n, weight in layer._weights().items()}
        self.narrow |= {_name(n, number): weight for n, weight in narrow_weights(layer).items()}
        self.new |= {_name(n, number): part.returns[n] for n in step.states}
        return part.returns[self.model.output]

    def before(self, state: Node) -> Node:
        """What a layer reads in place of a state: zero where a document begins."""
        if self.restarts is None:
            return state
        dims = state.type.dims
        restarts = make("broadcast", self.restarts, dims=dims) if dims else self.restarts
        return make("where", make("less", constant(0.5, dims), restarts), constant(0.0, dims), state)

    def linear(self, name: str, layer: nn.Module, value: Node) -> Node:
        """Add a linear layer, whose weights may be those of the embedding; an identity adds nothing."""
        if isinstance(layer, NarrowLinear):
            weight = self.parameter(f"{name}_weight", narrow_weights(layer.net)["weight"])
            bias = self.parameter(f"{name}_bias", layer.net._weights()["bias"])
            return make("add", make("matvec", weight, value), bias)
        if not isinstance(layer, nn.Linear):
            return value
        embedding = self.model.embedding
        tied = embedding is not None and layer.weight is embedding.weight
        weight = self.table if tied and self.table else self.parameter(f"{name}_weight", layer.weight)
        return make("add", make("matvec", weight, value), self.parameter(f"{name}_bias", layer.bias))

    def parameter(self, name: str, weight: Tensor | Narrow) -> Node:
        """Add a parameter with this value."""
        if isinstance(weight, Narrow):
            self.narrow[name], shape = weight, weight.values.shape
        else:
            self.weights[name], shape = weight, weight.shape
        dims = tuple(map(Size.of, shape))
        self.parameters[name] = leaf("parameter", vector(*dims) if len(dims) == 1 else matrix(*dims), name=name)
        return self.parameters[name]
