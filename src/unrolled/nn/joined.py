"""The layers of a model as one circuit that reads the symbol it wrote at the step before, so that it writes inside the
compiled loop. The equations are those of the layers, and so are the parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..graph.node import SCALAR, TOKEN, Node, Type, leaf, matrix, order, token, vector
from ..graph.ops import make
from ..graph.recurrence import Recurrence
from ..graph.size import Size
from ..sequence.state import State
from ..transform.restrict import expected
from .model import SequenceModel, States
from .recurrent import Recurrent

SYMBOL, TOTAL = "w", "p"  # the states that are the last symbol, and the log-probability of all symbols so far
Purpose = Literal["best", "drawn", "scores"]


def joined(model: SequenceModel, purpose: Purpose) -> Recurrent:
    """One network that shares the parameters of a model and reads its own last symbol w.

    >>> net = joined(SequenceModel(cells.gru, 42, 42, hidden=64), "best")
    >>> net(state=State(w=torch.zeros(8, dtype=torch.long)), steps=20, until={"w": 0}).w.lengths.shape
    torch.Size([8])

    Args:
        model: reads symbols in one direction, and answers at every step with as many scores.
        purpose: 'best', the most probable symbol is next; 'drawn', that of the scores plus an input ``noise``. Both
            have a state p, the log-probability of all symbols so far. 'scores' is as 'best', but returns the scores o
            instead.

    Returns:
        a network without inputs per step, apart from the noise. Fixed inputs are those of the layers; the states of
        layer k end in _lk.
    """
    inputs, states, returns = dict[str, Node](), dict[str, Node](), dict[str, Node]()
    values: dict[str, tuple[Node, Tensor]] = {}

    def parameter(name: str, type: Type, value: Tensor, constant: bool = False) -> Node:
        node = leaf("parameter", type, name=name, constant=True) if constant else leaf("parameter", type, name=name)
        values[name] = node, value
        return node

    outputs = _outputs(model)
    symbols, number = Size.of(outputs), vector(Size.of(outputs))
    states[SYMBOL] = leaf("state", token(symbols), name=SYMBOL)
    x = states[SYMBOL]
    if model.embedding is not None:
        size = Size.of(model.embedding.embedding_dim)
        x = make("take", parameter("embedding", matrix(symbols, size), model.embedding.weight), x)
    for k, layer in enumerate(_layers(model)):
        x = _placed(layer, model.input, x, f"_l{k}", inputs, states, returns, parameter)[model.output]
    if isinstance(model.read_out, nn.Linear):
        weight = parameter("weight", matrix(symbols, x.type.dims[0]), model.read_out.weight)
        x = make("add", make("matvec", weight, x), parameter("bias", number, model.read_out.bias))
    noise = leaf("input", number, name="noise")
    inputs |= {"noise": noise} if purpose == "drawn" else {}
    returns[SYMBOL] = make("argmax", make("add", x, noise) if purpose == "drawn" else x)
    if purpose == "scores":
        returns["o"] = x
    else:
        states[TOTAL] = leaf("state", SCALAR, name=TOTAL)
        scored = make("sub", make("pick", x, returns[SYMBOL]), make("logsumexp", x))
        returns[TOTAL] = make("add", states[TOTAL], scored)
    parameters = {name: node for name, (node, _) in values.items()}
    recurrence = Recurrence(f"{model.circuit.name} that reads its own symbol", inputs, states, parameters, returns)
    return _with(recurrence, {name: value for name, (_, value) in values.items()}, model.first)


def start_of(begin: Tensor, states: States) -> State:
    """The state before the first step: the first symbol of each sequence (batch,), and the states of the layers."""
    layers = {f"{n}_l{k}": x for k, state in enumerate(states) for n, x in state.items()}
    return State(**{SYMBOL: begin, **layers})


def _placed(
    layer: Recurrent,
    source: str,
    x: Node,
    end: str,
    inputs: dict[str, Node],
    states: dict[str, Node],
    returns: dict[str, Node],
    parameter: Callable[..., Node],
) -> dict[str, Node]:
    """What a layer returns when it reads x. Its own states and parameters get names that end in ``end``; fixed inputs
    are shared by all layers."""
    known = {n: Size.of(size) for n, size in layer._sizes.items()}
    recurrence = layer.circuit.recurrence
    recurrence = expected(recurrence, list(recurrence.drawn)) if recurrence.drawn else recurrence
    done: dict[Node, Node] = {}
    for n, node in recurrence.inputs.items():
        if n in recurrence.fixed:
            done[node] = inputs.setdefault(n, leaf("input", _sized(node.type, known), **dict(node.attrs)))
        elif n == source:
            done[node] = make("onehot", x) if x.type.kind == TOKEN and node.type.kind != TOKEN else x
    for n, node in recurrence.states.items():
        done[node] = states[n + end] = leaf("state", _sized(node.type, known), name=n + end)
    for n, value in layer._weights().items():
        node = recurrence.parameters[n]
        done[node] = parameter(n + end, _sized(node.type, known), value, n in recurrence.constants)
    wanted = {n: node for n, node in recurrence.returns.items() if not _needs(node, recurrence, source, done)}
    for node in order(wanted.values(), known=done):
        attrs = {key: _sized_value(value, known) for key, value in node.attrs}
        done[node] = _made(node, [done[a] for a in node.args], attrs)
    found = {n: done[node] for n, node in wanted.items()}
    returns |= {n + end: found[n] for n in recurrence.states}
    return found


def _made(node: Node, args: Sequence[Node], attrs: dict[str, Any]) -> Node:
    """The same operation on other arguments. Of a matrix and a row of a table, U @ E[w], it is a row of another table,
    (E Uᵀ)[w], which is computed once."""
    if node.op == "matvec" and args[1].op == "take" and args[0].op == "parameter":
        table, row = args[1].args
        return make("take", make("matmul", table, make("transpose", args[0])), row)
    return make(node.op, *args, source=node.source, **attrs)


def _needs(node: Node, recurrence: Recurrence, source: str, done: dict[Node, Node]) -> bool:
    """Whether a value depends on an input that only a loss needs."""
    absent = {x for n, x in recurrence.inputs.items() if x not in done}
    return not absent.isdisjoint(order([node]))


def _sized(type: Type, known: dict[str, Size]) -> Type:
    return Type(type.kind, tuple(size.replace(known) for size in type.dims))


def _sized_value(value: Any, known: dict[str, Size]) -> Any:
    if isinstance(value, tuple):
        return tuple(_sized_value(v, known) for v in value)
    return value.replace(known) if isinstance(value, Size) else value


def _with(recurrence: Recurrence, values: dict[str, Tensor], like: Recurrent) -> Recurrent:
    """A network that shares the tensors of others."""
    net = Recurrent(Circuit.stored(recurrence), engine=like._asked, device="meta")
    for name, value in values.items():
        (net._buffers if name in net.circuit.constants else net._parameters)[name] = value  # type: ignore[assignment]
    return net


def _layers(model: SequenceModel) -> Iterator[Recurrent]:
    for layer in model.layers:
        assert isinstance(layer, Recurrent)
        yield layer


def _outputs(model: SequenceModel) -> int:
    """The number of scores."""
    if isinstance(model.read_out, nn.Linear):
        return model.read_out.out_features
    *_, top = _layers(model)
    return top.sizes[model.output]


__all__ = ["joined", "start_of"]
