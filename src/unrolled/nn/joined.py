"""A decoder as one circuit that reads the symbol it wrote at the step before, so that it writes inside the compiled
loop; and an encoder of symbols as one circuit. The equations are those of the layers, and so are the parameters."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from ..circuits.circuit import Circuit
from ..graph.node import SCALAR, Node, leaf, order, rewrite, token
from ..graph.ops import make
from ..graph.recurrence import Recurrence
from ..graph.size import Size
from ..sequence.series import Series
from ..sequence.state import State
from ..transform.unfold import same_op
from .model import SequenceModel
from .narrow_weights import hold
from .recurrent import Recurrent
from .writer import NOISE, SYMBOL, Joined, read_size, states_of, symbol_of

TOTAL = "log_probability"  # of all symbols so far: a state
Purpose = Literal["best", "drawn", "scores"]


def joined(model: SequenceModel, purpose: Purpose) -> Recurrent:
    """One network that shares the parameters of a model and reads its own last symbol.

    >>> net = joined(SequenceModel(cells.gru, 42, 42, hidden=64), "best")
    >>> begin = State(symbol=torch.zeros(8, dtype=torch.long))
    >>> net(state=begin, steps=20, until={"symbol": 0}).symbol.lengths.shape
    torch.Size([8])

    Args:
        model: reads symbols in one direction, and answers at every step with as many scores.
        purpose: 'best', the most probable symbol is next; 'drawn', that of the scores plus an input ``noise``. Both
            have a state log_probability, of all symbols so far. 'scores' is as 'best', but returns the scores o
            instead.

    Returns:
        a network whose inputs are those of the layers that are fixed in time, and the noise.
    """
    made = Joined(model, symbol_of(model))
    scores = made.scores()
    noise = leaf("input", scores.type, name=NOISE)
    symbol = make("argmax", make("add", scores, noise) if purpose == "drawn" else scores)
    states, returns = {SYMBOL: made.read, **made.states}, {SYMBOL: symbol, **made.new}
    if purpose == "scores":
        returns["o"] = scores
    else:
        states[TOTAL] = leaf("state", SCALAR, name=TOTAL)
        scored = make("sub", make("pick", scores, symbol), make("logsumexp", scores))
        returns[TOTAL] = make("add", states[TOTAL], scored)
    inputs = made.fixed | ({NOISE: noise} if purpose == "drawn" else {})
    return _network("writer", made, inputs, states, returns)


def reader(model: SequenceModel) -> Recurrent:
    """One network that shares the parameters of a model with an embedding, and returns the states of its layers.

    >>> net = reader(SequenceModel(cells.gru, 30, None, hidden=64, embedding=16))
    >>> net(symbol=torch.randint(30, (8, 20))).state.h_layer1.shape
    torch.Size([8, 64])

    Args:
        model: reads symbols in one direction.
    """
    symbol = leaf("input", token(Size.of(read_size(model))), name=SYMBOL)
    made = Joined(model, symbol)
    made.values()
    return _network("reader", made, {SYMBOL: symbol}, made.states, made.new)


def has_reader(model: SequenceModel) -> bool:
    """Whether a model reads symbols by an embedding, in one direction, with layers that one circuit can join."""
    layers = [layer.circuit.recurrence for layer in model.layers if isinstance(layer, Recurrent)]
    return (
        model.embedding is not None
        and not model.backward_layers
        and len(layers) == len(model.layers)
        and not any(r.tokens for r in layers)
    )


def read_with(net: Recurrent, model: SequenceModel, source: Series) -> tuple[State, ...]:
    """The last states of each layer of a model, computed by its reader."""
    reached = net(source).state
    return states_of(reached, [layer.circuit.states for layer in model.layers if isinstance(layer, Recurrent)])


def _network(
    what: str, made: Joined, inputs: dict[str, Node], states: dict[str, Node], returns: dict[str, Node]
) -> Recurrent:
    """The network of a joined circuit, whose parameters are those of the model."""
    model = made.model
    folded = _folded([*inputs.values(), *states.values()], list(returns.values()))
    used = set(order(folded))
    parameters = {n: node for n, node in made.parameters.items() if node in used}
    returned = dict(zip(returns, folded, strict=True))
    recurrence = Recurrence(f"{model.circuit.name}_{what}", inputs, states, parameters, returned)
    return _with(recurrence, made, model.first)


def _folded(leaves: Iterable[Node], returns: Sequence[Node]) -> list[Node]:
    """The same values, in which the product of a matrix and a row of a table, U @ E[w], is a row of another table,
    (E Uᵀ)[w], which is computed once."""

    def build(node: Node, args: tuple[Node, ...]) -> Node:
        if node.op == "matvec" and args[1].op == "take" and args[0].op == "parameter":
            table, row = args[1].args
            return make("take", make("matmul", table, make("transpose", args[0])), row)
        return same_op(node, args)

    done = rewrite(returns, {x: x for x in leaves}, build)
    return [done[node] for node in returns]


def _with(recurrence: Recurrence, made: Joined, like: Recurrent) -> Recurrent:
    """A network that shares the tensors of others."""
    net = Recurrent(Circuit.stored(recurrence), engine=like._asked, device="meta")
    for n in net.circuit.parameters:
        if n in made.weights:
            values = net._buffers if n in net.circuit.constants else net._parameters
            values[n] = made.weights[n]  # type: ignore[assignment]
    hold(net, made.narrow, like._kind)
    return net
