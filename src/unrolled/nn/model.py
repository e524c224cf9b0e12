"""A complete model: layers of any circuit that map tokens or vectors to scores, per step or per sequence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..circuits.regularise import regularised
from ..errors import CircuitError, UsageError
from ..graph.bind import nameable, of_data
from ..graph.node import TOKEN, order
from ..graph.recurrence import Recurrence
from ..graph.size import Conflict, Size, Solver
from ..sequence.ragged import Ragged
from ..sequence.series import Series, each, flipped, last, mean, values_of
from ..sequence.state import State
from .memory import Memory
from .recurrent import Recurrent
from .weight_drop import run_dropped

States = tuple[State, ...]  # one per layer
Answer = Literal["every", "last", "mean"]
HIDDEN = 128


class SequenceModel(nn.Module):
    """A stack of recurrent layers with an optional embedding and read-out.

    >>> model = SequenceModel(cells.gru, inputs=40, outputs=10, hidden=[64, 128], answer="last")
    >>> scores, states = model(unrolled.Ragged([torch.randn(7, 40), torch.randn(500, 40)]))
    >>> scores.shape, states[1].h.shape
    (torch.Size([2, 10]), torch.Size([2, 128]))

    The scores are the last layer's output o if the circuit returns one, the model answers at every step, and it is
    neither bidirectional nor tied nor residual. Otherwise a linear read-out computes them. Integers given for vectors
    are tokens. Sequences of different lengths are a Ragged.

    Args:
        circuit: has exactly one input, apart from those that only a loss needs and those that are fixed in time.
        inputs: the size of the input vectors, or the number of tokens.
        outputs: the number of scores; None for the values of the last layer as they are, without a read-out.
        hidden: the sizes that the circuit leaves open (default: 128): one number, or one per layer.
        layers: the number of layers. Each reads the output o of the layer below, or its first state.
        residual: add the input of a layer to its output if both have the same size (He et al. 2016).
        bidirectional: add to each layer one that reads backward (Schuster and Paliwal 1997). States are then not
            carried over.
        embedding: the size of token embeddings; 0 for one-hot vectors.
        tied: use the transposed embedding as the read-out (Press and Wolf 2017), after a linear layer if sizes differ.
        dropout: the share of values set to zero in training, before each layer except the first and before the
            read-out.
        weight_dropout: the share of recurrent weights set to zero in training, see ``weight_drop``.
        zoneout: the probability that an entry of a state keeps its value in training, see ``zoneout``: one for all
            states, or one per state, in their order.
        variational: the share of the entries of each layer's input, and of the states that are multiplied by a matrix,
            dropped at all steps of a sequence in training, see ``variational``.
        answer: compute scores at 'every' step, from the 'last' state, or from the 'mean' over steps. The last state of
            a backward layer is the one at the first step, as in torch's ``h_n``.
        fixed: the sizes of the inputs that are fixed in time, by name. Every layer gets the same ones.
        memory: what each layer stores for the backward pass, see ``Recurrent``.

    Raises:
        CircuitError: the circuit has no input or several.
        UsageError: a size is not at least 1, or the circuit leaves no hidden size to choose.
    """

    def __init__(
        self,
        circuit: Circuit,
        inputs: int,
        outputs: int | None,
        hidden: int | Sequence[int] | None = None,
        layers: int = 1,
        *,
        residual: bool = False,
        bidirectional: bool = False,
        embedding: int = 0,
        tied: bool = False,
        dropout: float = 0.0,
        weight_dropout: float = 0.0,
        zoneout: float | Sequence[float] = 0.0,
        variational: float = 0.0,
        answer: Answer = "every",
        fixed: Mapping[str, int] | None = None,
        memory: Memory | None = None,
    ) -> None:
        super().__init__()
        widths = _widths(hidden, layers)
        for name, share in (("dropout", dropout), ("weight_dropout", weight_dropout), ("variational", variational)):
            if not 0 <= share < 1:
                raise UsageError(f"{name} must be at least 0 and less than 1, got {share}")
        if tied and not (embedding and outputs):
            raise UsageError("tied=True shares the weights of the embedding: set its size, such as embedding=128")
        self.circuit, self.input = circuit, only_input(circuit, fixed or ())
        plain = outputs is not None and answer == "every" and not (bidirectional or tied or residual)
        scoring = returns_scores(circuit.recurrence)
        self.output = "o" if scoring else _passed_on(circuit.recurrence)
        if (len(widths) > 1 or embedding) and circuit.recurrence.inputs[self.input].type.kind == TOKEN:
            raise CircuitError(
                f"circuit '{circuit.name}' reads tokens, but only the first of layers={len(widths)} gets tokens; the "
                f"others get vectors. Use one layer, or write U @ {self.input}"
            )
        self.embedding = nn.Embedding(inputs, embedding) if embedding else None
        self.residual, self.answer, self.weight_dropout = residual, answer, weight_dropout
        self.dropout = nn.Dropout(dropout)
        self.layers, self.backward_layers = nn.ModuleList(), nn.ModuleList()
        regular = regularised(circuit, self.input, zoneout, variational)
        width = embedding or inputs
        for number, size in enumerate(widths, 1):
            scores = outputs if plain and outputs and number == len(widths) else size or HIDDEN
            sizes = _sizes(circuit, {self.input: width, **(fixed or {})}, scores, size)
            for direction in (self.layers, self.backward_layers)[: 1 + bidirectional]:
                try:
                    direction.append(Recurrent(regular, memory=memory, **sizes))
                except RuntimeError as problem:  # torch raises it when memory is exhausted
                    raise UsageError(f"a model with hidden={size} cannot be created: {str(problem)[:200]}") from None
            width = _recurrent(direction[-1]).sizes[self.output] * (1 + bidirectional)
        self.width = width  # of the values of the last layer
        chosen = [size or (HIDDEN if set(sizes) - {self.input, "o", *(fixed or {})} else None) for size in widths]
        self.hidden = chosen[0] if len(set(chosen)) == 1 else chosen
        self.bridge = nn.Linear(width, embedding) if tied and width != embedding else nn.Identity()
        reads_out = outputs is not None and not (plain and scoring)
        self.read_out = nn.Linear(embedding if tied else width, outputs or 0) if reads_out else nn.Identity()
        if tied and self.embedding is not None and isinstance(self.read_out, nn.Linear):
            if inputs != outputs:
                raise UsageError(f"tied weights need as many outputs as inputs, got {outputs} and {inputs}")
            self.read_out.weight = self.embedding.weight

    @property
    def first(self) -> Recurrent:
        """The first layer, which reads the input."""
        return _recurrent(self.layers[0])

    def forward(
        self,
        x: Series,
        states: States | None = None,
        reset: Series | None = None,
        after: int | None = None,
        fixed: Mapping[str, Series] | None = None,
    ) -> tuple[Any, States]:
        """Compute scores, and the states after the last step.

        >>> scores, states = SequenceModel(cells.gru, inputs=40, outputs=10)(torch.randn(8, 100, 40))
        >>> scores.shape
        torch.Size([8, 100, 10])

        Args:
            x: vectors (batch, time, inputs) or tokens (batch, time), or a Ragged of either.
            states: the initial state of each layer; zero by default.
            reset: booleans (batch, time), or a Ragged of them: true where a sequence restarts, in every layer.
            after: return the states after this many steps instead of the last ones; x must be a tensor.
            fixed: the inputs that are fixed in time, by name: see ``Recurrent``.

        Returns:
            scores: (batch, time, outputs), or a Ragged; (batch, outputs) with one answer per sequence.
            states: one per layer, after the last step of each sequence.

        Raises:
            InputError: the model gives one answer per sequence, and a sequence has no steps.
        """
        values = x if self.embedding is None else each(self.embedding, x)
        reached: list[State] = []
        for number, layer in enumerate(self.layers):
            read = values if number == 0 else each(self.dropout, values)
            out = self._run(layer, read, states[number] if states else None, reset, fixed)
            given = out[self.output]
            if self.backward_layers:
                back = self._run(self.backward_layers[number], flipped(read), None, _ends(reset), fixed)[self.output]
                given = each(_side_by_side, given, flipped(back))
            else:
                reached.append(out.state if after is None else State(**{n: out[n][:, after - 1] for n in out.state}))
            same = values_of(values).shape == values_of(given).shape
            values = each(torch.add, values, given) if self.residual and same else given
        if self.answer == "last":
            values = self.summary(values, reset)
        elif self.answer == "mean":
            values = mean(values)
        if not isinstance(self.read_out, nn.Identity):
            values = each(self.bridge, each(self.dropout, values))
        return each(self.read_out, values), tuple(reached)

    def summary(self, values: Series, reset: Series | None = None) -> Tensor:
        """The final state of each direction: (batch, size).

        >>> model = SequenceModel(unrolled.cells.gru, inputs=3, outputs=2, hidden=40)
        >>> model.summary(unrolled.Ragged([torch.randn(5, 40), torch.randn(3, 40)])).shape
        torch.Size([2, 40])

        Args:
            values: of the last layer at every step, (batch, time, size), or a Ragged.
            reset: where sequences restart, as for a call.

        Raises:
            InputError: a sequence has no steps.
        """
        return _last_of_both(values, reset) if self.backward_layers else last(values)

    def _run(
        self,
        layer: nn.Module,
        x: Series,
        state: State | None,
        reset: Series | None,
        fixed: Mapping[str, Series] | None = None,
    ) -> Any:
        given = {self.input: x, "state": state, "reset": reset, **(fixed or {})}
        if self.training and self.weight_dropout:
            assert isinstance(layer, Recurrent)
            return run_dropped(layer, self.weight_dropout, **given)
        return layer(**given)


def _recurrent(layer: nn.Module) -> Recurrent:
    assert isinstance(layer, Recurrent)
    return layer


def _side_by_side(forward: Tensor, backward: Tensor) -> Tensor:
    return torch.cat([forward, backward], -1)


def _ends(reset: Series | None) -> Series | None:
    """Where a sequence restarts when it is read backward: at the step before one that restarts forward."""
    if reset is None:
        return None
    time = 0 if isinstance(reset, Ragged) else 1
    return flipped(each(lambda mask: mask.roll(-1, time), reset))  # what comes round meets a state of zeros


def _last_of_both(series: Series, reset: Series | None) -> Tensor:
    """The final state of each direction: (batch, forward features + backward features).

    The forward direction ends at the last step; the backward direction ends at the first, or at the last restart.
    """
    ends = last(series)
    if not isinstance(series, Ragged):
        rows, steps = series.shape[:2]
        series = Ragged(values=series.flatten(0, 1), lengths=[steps] * rows)
    first = series.offsets[:-1]
    if reset is not None:
        begins = values_of(reset).flatten().nonzero().flatten().cpu()
        rows_of = torch.searchsorted(series.offsets, begins, right=True) - 1
        first = first.scatter_reduce(0, rows_of, begins, "amax")
    forward, backward = ends.shape[-1] // 2, series.values[first.to(series.device)]
    return _side_by_side(ends[:, :forward], backward[:, forward:])


def _widths(hidden: int | Sequence[int] | None, layers: int) -> list[int | None]:
    """The hidden size of each layer."""
    numbers: list[int | None] = list(hidden) if isinstance(hidden, Sequence) else [hidden]
    for name, number in (*(("hidden", n) for n in numbers), ("layers", layers)):
        if number is not None and number < 1:
            raise UsageError(f"{name} must be at least 1, got {number}")
    if isinstance(hidden, Sequence):
        if not numbers or layers not in (1, len(numbers)):
            raise UsageError(f"hidden={numbers} is for {len(numbers)} layers, but layers={layers}. Leave layers out")
        return numbers
    return [hidden] * layers


def only_input(circuit: Circuit, fixed: Collection[str] = ()) -> str:
    """The name of the only input, beside those of ``fixed``, that states or scores depend on; others, needed by a loss
    only, are ignored.

    Raises:
        CircuitError: there is no such input, or several.
    """
    recurrence = circuit.recurrence
    roots = [recurrence.returns[n] for n in recurrence.states]
    roots += [recurrence.returns["o"]] if returns_scores(recurrence) else []
    reached = set(order(roots))
    own = recurrence.inputs.keys() - {*recurrence.drawn, *fixed}
    needed = [n for n, node in recurrence.inputs.items() if node in reached and n in own]
    if len(needed) != 1:
        has = f"has the inputs {', '.join(needed)}" if needed else "has no input that its states depend on"
        raise CircuitError(f"the circuit of a model needs exactly one input; '{circuit.name}' {has}")
    return needed[0]


def takes_any_size(circuit: Circuit) -> bool:
    """Whether a circuit reads vectors of any size, with any number of hidden units.

    >>> takes_any_size(cells.gru)
    True
    """
    try:
        source = only_input(circuit)
        _sizes(circuit, {source: 3}, scores=5, hidden=7)
    except (CircuitError, UsageError):
        return False
    return circuit.recurrence.inputs[source].type.kind != TOKEN


def returns_scores(recurrence: Recurrence) -> bool:
    """Whether a circuit returns scores: a vector o."""
    return "o" in recurrence.returns and len(recurrence.returns["o"].type.dims) == 1


def _passed_on(recurrence: Recurrence) -> str:
    """The value that the layer above reads: the first state, or if that is a matrix, the vector h or another one."""
    states = [n for n, state in recurrence.states.items() if state.type.dims][:1]
    vectors = [n for n in (*states, "h", *recurrence.returns) if n in recurrence.returns]
    for n in vectors:
        if len(recurrence.returns[n].type.dims) == 1:
            return n
    raise CircuitError(f"circuit '{recurrence.name}' returns no vector; return a vector 'o' for the layer above")


def _sizes(circuit: Circuit, inputs: Mapping[str, int], scores: int, hidden: int | None) -> dict[str, Any]:
    """Sizes by name: of the inputs, of the scores, and the hidden size for all that the equations leave open."""
    known = {
        n: size for n, size in nameable(circuit.recurrence).items() if not of_data(circuit.recurrence) & {*size.names}
    }
    sizes = dict(inputs) | ({"o": scores} if returns_scores(circuit.recurrence) else {})
    solver = Solver()
    try:
        for name, number in sizes.items():
            solver.equal(known[name], Size.of(number))
        free = []
        for name in [n for n in (*circuit.states, *known) if n in known]:  # a scalar has no size
            if solver.resolve(known[name]).terms:
                free.append(name)
                solver.equal(known[name], Size.of(hidden or HIDDEN))
    except Conflict:
        return sizes | dict.fromkeys(
            (n for n in circuit.states if n in known), hidden or HIDDEN
        )  # Recurrent reports the contradiction
    if hidden and not free:
        given = ", ".join(f"{n}={size}" for n, size in inputs.items())
        fixed = ", ".join(f"{n}={solver.resolve(known[n])}" for n in circuit.states if n in known)
        raise UsageError(
            f"the equations of '{circuit.name}' leave no hidden size to choose: with {given} "
            f"they give {fixed}. Leave hidden out"
        )
    return sizes | dict.fromkeys(free, hidden or HIDDEN)
