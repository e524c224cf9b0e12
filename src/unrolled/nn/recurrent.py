"""Recurrent: a circuit with parameters of its own, run over batches of sequences. A torch.nn.Module."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..engines.border import FLOATS, Guards, as_given, guards, ordinary, shape_of, traced, unwrapped, watched
from ..engines.call import Call, Engine
from ..engines.ends import last
from ..engines.function import run, run_sequences
from ..engines.plain import PLAIN
from ..engines.registry import choose
from ..errors import CircuitError, InputError
from ..graph.bind import bind, nameable, shapes
from ..graph.node import TOKEN
from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from ..sequence.ragged import Ragged
from ..sequence.state import State
from ..transform.restrict import as_tokens, fed, only_states, without
from .incoming import Incoming, Series, checked_parameters, columns, flat, shifted, short
from .memory import Memory, Snapshots, Store, Truncated
from .result import Result, Step

MOST_KNOWN = 256  # kinds of calls that are remembered


class Recurrent(nn.Module):
    """A recurrent network: any circuit, with sizes by name.

    >>> net = unrolled.Recurrent(unrolled.cells.elman, x=65, h=256, o=65)
    >>> out = net(torch.randn(8, 100, 65))
    >>> out.o.shape, out.last.o.shape, out.state.h.shape
    (torch.Size([8, 100, 65]), torch.Size([8, 65]), torch.Size([8, 256]))

    Layout is (batch, time, feature) everywhere. State goes in and comes out; the module keeps none. Parameters have
    the names of the equations: ``net.W``. The circuit's constants are buffers: saved and moved, but not trained.

    Args:
        circuit: the equations.
        engine: 'auto', or the name of an engine, which is then used or refused. Only where torch itself traces
            operations (``torch.jit.trace``, ``make_fx``, ``FakeTensorMode``), or a tensor is a subclass that stands for
            others, torch sees every operation of the equations instead.
        memory: what is kept for the backward pass: ``Store()``, everything; ``Snapshots(...)``, which bounds it; or
            ``Truncated(...)``, which is not exact.
        device, dtype: where and in what precision parameters are made, as for torch's modules.
        sizes: those of inputs, states and outputs, by name; what follows from the equations need not be given.

    Raises:
        CircuitError: sizes that are missing, unknown, or contradict the equations.
        EngineError: an engine that is not available here.
    """

    def __init__(
        self,
        circuit: Circuit,
        *,
        engine: str = "auto",
        memory: Memory | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **sizes: int,
    ) -> None:
        super().__init__()
        if not isinstance(circuit, Circuit):
            raise CircuitError(
                f"Recurrent takes a circuit (a function decorated with @circuit), got a {type(circuit).__name__}"
            )
        self.circuit = circuit = circuit.sized(sizes)
        self._asked = engine
        if not isinstance(memory, Store | Snapshots | Truncated | None):
            raise InputError(f"memory must be Store(), Snapshots(...) or Truncated(...), got {memory!r}")
        self.memory: Memory = memory or Store()
        self._sizes = bind(circuit.recurrence, sizes)
        self.sizes = {n: size.value(self._sizes) for n, size in nameable(circuit.recurrence).items()}
        self._tokens = {n for n, node in circuit.recurrence.inputs.items() if node.type.kind == TOKEN}
        if dtype is not None and dtype not in FLOATS:
            raise InputError(f"parameters are {', '.join(map(short, FLOATS))}, got dtype={dtype}")
        self._shapes = shapes(circuit.recurrence, self._sizes)
        for name, shape in self._shapes.items():
            if hasattr(self, name):
                raise CircuitError(f"parameter '{name}' would hide torch.nn.Module.{name}; call it something else")
            value = torch.empty(shape, device=device, dtype=dtype)
            if name in circuit.constants:
                self.register_buffer(name, value)
            else:
                self.register_parameter(name, nn.Parameter(value))
        self._known: dict[object, _Known] = {}  # calls of some kind (see _mark)
        if not self._shapes:  # nothing else says which dtype and device .to() has chosen
            self.register_buffer("_anchor", torch.empty(0, device=device, dtype=dtype), persistent=False)
        self.reset_parameters()
        self._choice()  # refuse a named engine now rather than later

    def reset_parameters(self) -> None:
        """Set starting values, constants included, as the circuit's ``init`` says."""
        for name in self._shapes:
            value = self._buffers.get(name) if name in self.circuit.constants else self._parameters.get(name)
            if value is None:
                raise InputError(f"parameter '{name}' is computed from others, which have starting values of their own")
            self.circuit.initialise(name, value)

    def _choice(self) -> tuple[Engine, str]:
        like = self._like()
        return choose(self._asked, self.circuit.recurrence, like.device.type, like.dtype)

    @property
    def engine(self) -> str:
        """The name of the engine that runs this network where its parameters are now."""
        return self._choice()[0].name

    def use(self, engine: str) -> Self:
        """Run on another engine from now on: 'auto', or a name, which is then used or refused. Returns the network."""
        like = self._like()
        choose(engine, self.circuit.recurrence, like.device.type, like.dtype)
        self._asked = engine
        self._known.clear()
        return self

    def explain(self) -> str:
        """Which engine runs, and why."""
        return f"{self.circuit.name} runs on engine '{self.engine}': {self._choice()[1]}"

    def forward(
        self,
        *inputs: Series | State | None,
        state: State | None = None,
        given: Mapping[str, Series] | None = None,
        reset: Series | None = None,
        steps: int | None = None,
        **named: Series,
    ) -> Result:
        """Run over a batch of sequences.

        Args:
            inputs, named: one series per input of the circuit, in its order or by name: (batch, time, size), or whole
                numbers (batch, time) for tokens; whole numbers for a vector input mean one-hot vectors; or Ragged, and
                then all results are. An input that only outputs need, such as the target of a loss, may be left out;
                those outputs are then absent.
            state: where to start, from ``out.state``; zero for what is not given.
            given: teacher forcing. ``given={"o": targets}`` with targets (batch, time, size) feeds the target of step
                t-1 back at step t in the place of the network's own o.
            reset: booleans (batch, time), or a Ragged of them: true where a sequence begins anew, with a state of
                zeros, as at the start of a document in a stream.
            steps: how many steps to run a circuit that has no inputs.

        Returns:
            Result: every returned value by name, ``last``, and ``state``.

        Raises:
            InputError: what does not fit, with the shape that was expected.
        """
        series_given, state = _parted(inputs, state)
        plain = not given and reset is None and steps is None
        mark = self._mark(2, series_given, named, state) if plain else None
        if again := self._again(mark, 2, series_given, named, state):
            return self._results(*again, again[1].state)
        series = self._incoming().by_name(series_given, named)
        _variant(self.circuit.recurrence, self._absent(series), (), ())  # refuses what a state cannot do without
        call, start, forced = self._checked(series, state, given or {}, reset, steps)
        tensors = *series_given, *named.values(), *(state or {}).values()
        return self._results(*self._remembered(mark, call, tensors), start, forced)

    def step(self, *inputs: Tensor | State | None, state: State | None = None, **named: Tensor) -> Step:
        """One step, for streams: inputs (batch, size), tokens (batch,).

        >>> out = net.step(x_t, state)
        >>> out.o.shape, out.state
        (torch.Size([8, 65]), State(h=(8, 256)))
        """
        given, state = _parted(inputs, state)
        mark = self._mark(1, given, named, state)
        known = self._again(mark, 1, given, named, state)
        if known is None:
            tensors = *given, *named.values(), *(state or {}).values()
            known = self._remembered(mark, self._checked_step(given, named, state), tensors)
        results = run(*known)
        return Step(results, State.of({n: results[n] for n in self.circuit.states}))

    def _checked_step(self, given: tuple[object, ...], named: Mapping[str, object], state: State | None) -> Call:
        """The call of a step."""
        weights = checked_parameters(self._weights(), self._shapes)
        check = self._incoming()
        rows = {n: check.one_step(n, x) for n, x in check.by_name(given, named).items()}
        batches = {shape_of(x)[0] for x in rows.values()} or {len(next(iter(state.values()))) if state else 1}
        if len(batches) > 1:
            raise InputError(f"all inputs of a step have the same batch, got {sorted(batches)}")
        if self.circuit.inputs and not rows:
            raise InputError(f"'{self.circuit.name}' needs {', '.join(self.circuit.inputs)}")
        layout = Layout.dense(batches.pop(), 1)
        return self._of_rows(weights, rows, check.start(state, layout.count), layout)

    def read(self, *inputs: Series | State | None, state: State | None = None, **named: Series) -> Step:
        """Read whole sequences and answer once, at the last step of each; what only outputs need is computed there
        alone. Takes what a call takes.

        >>> answer = net.read(torch.randn(8, 100, 65))
        >>> answer.o.shape
        torch.Size([8, 65])

        Raises:
            InputError: a sequence without steps, which has no last one; what does not fit.
        """
        series_given, state = _parted(inputs, state)
        series = self._incoming().by_name(series_given, named)
        front = {n: _front(n, x) for n, x in series.items()}
        call, start, forced = self._checked(front, state, {}, None, None, states_only=True)
        before = self._results(*self._remembered(None, call), start, forced)
        return self.step(state=before.state, **{n: _last(x) for n, x in series.items()})

    def initial_state(self, batch: int = 1) -> State:
        """The state of zeros."""
        start = self._incoming().start(None, batch)
        return State(**{n: s if n in self.sizes else s[:, 0] for n, s in start.items()})

    def extra_repr(self) -> str:
        sizes = self.sizes
        shown = [n for n in (*self.circuit.inputs, *self.circuit.states, *self.circuit.outputs) if n in sizes]
        return ", ".join([self.circuit.name, *(f"{n}={sizes[n]}" for n in shown), f"engine={self.engine}"])

    def _checked(
        self,
        series: Mapping[str, object],
        state: State | None,
        given: Mapping[str, object],
        reset: object,
        steps: int | None,
        states_only: bool = False,
    ) -> tuple[Call, dict[str, Tensor], dict[str, Tensor]]:
        """The call of sequences; where all states start; and those that are fed from outside, as rows."""
        weights = checked_parameters(self._weights(), self._shapes)
        check = self._incoming()
        everything = {**series, **given}
        leading = 1 if check.ragged(everything) else 2
        values = {n: check.series(n, _rows(series[n]), leading) for n in self.circuit.inputs if n in series}
        forced = {n: check.given(n, _rows(x), leading) for n, x in given.items()}
        layout = check.layout(everything, state, steps, reset)
        start = check.start(state, layout.count)
        forced = {n: flat(x, layout) for n, x in forced.items()}
        if states_only:
            values = {n: x for n, x in values.items() if n in only_states(self.circuit.recurrence).inputs}
        rows = {n: flat(x, layout) for n, x in values.items()}
        rows |= {n: shifted(x, start[n], layout) for n, x in forced.items()}
        return self._of_rows(weights, rows, start, layout, tuple(sorted(forced)), states_only), start, forced

    def _of_rows(
        self,
        weights: dict[str, Tensor],
        rows: dict[str, Tensor],
        start: dict[str, Tensor],
        layout: Layout,
        forced: tuple[str, ...] = (),
        states_only: bool = False,
    ) -> Call:
        """The call of series of rows."""
        circuit = self.circuit
        absent = self._absent(rows)
        spoken = tuple(n for n in circuit.inputs if n in rows and n not in self._tokens and rows[n].ndim == 1)
        recurrence = only_states(circuit.recurrence) if states_only else circuit.recurrence
        absent = tuple(n for n in absent if n in recurrence.inputs)
        step = _variant(recurrence, absent, spoken, forced)
        begin = {n: start[n] for n in step.states}
        return Call(step, self._sizes, weights, rows, begin, layout, self._like(weights))

    def _results(
        self, engine: Engine, call: Call, start: Mapping[str, Tensor], forced: Mapping[str, Tensor] | None = None
    ) -> Result:
        """Run, and give the results in the layout of the inputs."""
        layout, (found, ends) = call.layout, run_sequences(engine, call)
        if forced:
            of_given = {n: last(x, start[n], layout) for n, x in forced.items()}
            ends |= {n: x if n in self.sizes else x[:, 0] for n, x in of_given.items()}
        values: Mapping[str, Series] = found
        if layout.steps is None:
            lengths = torch.tensor(layout.lengths, dtype=torch.int64, device="cpu")
            values = {n: Ragged(values=x, lengths=lengths) for n, x in found.items()}
        return Result(values, State.of({n: ends[n] for n in self.circuit.states}))

    # what was checked once is not checked again, which is a good part of a call of few steps

    def _mark(
        self, leading: int, given: tuple[Any, ...], named: Mapping[str, Any], state: State | None
    ) -> tuple[object, ...] | None:
        """What tells kinds of calls apart: how the inputs are given, their names and shapes; None where the checks look
        at more."""
        if watched() or not (given or named):
            return None
        if state is not None and not (isinstance(state, State) and len(state) == len(self.circuit.states)):
            return None
        try:
            shapes = [t.shape for t in (*given, *named.values())]
        except (AttributeError, RuntimeError):  # no tensor, or one without a shape
            return None
        names = *named, *(() if state is None else state)
        return leading, len(given), torch.is_grad_enabled(), torch.is_inference_mode_enabled(), *names, *shapes

    def _remembered(
        self, mark: tuple[object, ...] | None, call: Call, given: Sequence[Any] = ()
    ) -> tuple[Engine, Call]:
        """A call that was checked, and what runs it; under a mark (None: under none), for calls like it, with the kinds
        of all tensors that were given."""
        if traced() or not all(ordinary(unwrapped(t)) for t in call.leaves.values()):
            return self.memory.around(PLAIN, call), call
        engine = self._choice()[0]
        if mark is not None:
            tensors = *(self._weights() or self._buffers).values(), *given
            if all(as_given(t) for t in tensors):
                if len(self._known) >= MOST_KNOWN:
                    self._known.clear()
                self._known[mark] = _Known(engine, call.recurrence, call.layout, guards(tensors))
        return self.memory.around(engine, call), call

    def _again(
        self,
        mark: tuple[object, ...] | None,
        leading: int,
        inputs: tuple[Any, ...],
        named: Mapping[str, Any],
        state: State | None,
    ) -> tuple[Engine, Call] | None:
        """A call like one before, but for the values."""
        if mark is None or not (known := self._known.get(mark)):
            return None
        weights, begun = self._weights(), () if state is None else state.values()
        if not known.guards.check(*(weights or self._buffers).values(), *inputs, *named.values(), *begun):
            return None
        layout, like = known.layout, self._like(weights)
        series: dict[str, Any] = dict(zip(self.circuit.inputs, inputs, strict=False), **named)
        for n, x in series.items():
            rows = x if x.is_floating_point() else self._incoming(like).series(n, x, leading)
            series[n] = flat(rows, layout) if leading == 2 else rows
        if state is None:
            start = self._incoming(like).start(None, layout.count)
        else:
            start = {n: columns(s) for n, s in state.items()}
        call = Call(known.step, self._sizes, weights, series, start, layout, like)
        return self.memory.around(known.engine, call), call

    def _weights(self) -> dict[str, Tensor]:
        """The parameters of the circuit: trained, constant, or computed from others (parametrizations, pruning)."""
        own = self._parameters
        return {n: own[n] if n in own else getattr(self, n) for n in self.circuit.parameters}  # type: ignore[misc]

    def _absent(self, series: Mapping[str, object]) -> tuple[str, ...]:
        return tuple(n for n in self.circuit.inputs if n not in series)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": {}}

    def _incoming(self, like: Tensor | None = None) -> Incoming:
        return Incoming(self.circuit, self.sizes, self._like() if like is None else like)

    def _like(self, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """A tensor with the dtype and device of the parameters, also where there are none."""
        for weight in (weights or self._weights()).values():
            if weight is not None:
                return weight
        anchor: Tensor = self._buffers["_anchor"]  # type: ignore[assignment]
        return anchor


class _Known(NamedTuple):
    """A call that was checked: what runs it, and what tells that parameters and what is given are of the same kinds."""

    engine: Engine
    step: Recurrence
    layout: Layout
    guards: Guards


def _parted(inputs: tuple[object, ...], state: State | None) -> tuple[tuple[object, ...], State | None]:
    """Inputs, and the state if it is the last of them."""
    if not inputs or not (inputs[-1] is None or isinstance(inputs[-1], State)):
        return inputs, state
    if state is not None:
        raise InputError("the state is given twice")
    return inputs[:-1], inputs[-1]


def _front(name: str, series: object) -> object:
    """All steps but the last of each sequence."""
    if isinstance(series, Ragged):
        if len(empty := (series.lengths == 0).nonzero()):
            raise InputError(
                f"sequence {int(empty[0])} of '{name}' has no steps, so that there is no last one to answer at"
            )
        keep = torch.ones(len(series.values), dtype=torch.bool, device="cpu")
        keep[series.offsets[1:] - 1] = False
        return Ragged(values=series.values[keep.to(series.device)], lengths=series.lengths - 1)
    if isinstance(series, Tensor) and series.ndim > 1:
        if not shape_of(series)[1]:
            raise InputError(f"'{name}' {shape_of(series)} has no steps, so that there is no last one to answer at")
        return series[:, :-1]
    return series


def _last(series: object) -> Tensor:
    result: Tensor = series.last if isinstance(series, Ragged) else series[:, -1]  # type: ignore[index]
    return result


def _rows(value: object) -> object:
    return value.values if isinstance(value, Ragged) else value


@lru_cache(maxsize=256)
def _variant(
    recurrence: Recurrence, absent: tuple[str, ...], spoken: tuple[str, ...], given: tuple[str, ...]
) -> Recurrence:
    """The recurrence as it runs with some inputs absent, some as tokens, and some states fed from outside."""
    if absent:
        recurrence = without(recurrence, absent)
    if spoken:
        recurrence = as_tokens(recurrence, spoken)
    known = tuple(n for n in given if n in recurrence.states)
    return fed(recurrence, known) if known else recurrence
