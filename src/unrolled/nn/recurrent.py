"""Recurrent: the torch.nn.Module that runs a circuit with its own parameters over batches of sequences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.compiler import disable, is_dynamo_compiling

from ..circuits.circuit import Circuit
from ..engines.border import FLOATS, Guards, as_given, guards, ordinary, traced, unwrapped, watched
from ..engines.call import Call, Engine
from ..engines.function import run, run_sequences
from ..engines.last_rows import last_rows
from ..engines.plain import PLAIN
from ..engines.registry import choose
from ..errors import CircuitError, InputError
from ..graph.bind import bind, nameable, shapes
from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from ..sequence.ragged import Ragged
from ..sequence.state import State
from .calls import call_of_sequences, call_of_step, front, last_step, parted
from .incoming import Incoming, Series, checked_parameters, columns, flat, short
from .memory import Memory, Snapshots, Store, Truncated
from .result import Result, Step

MOST_KNOWN = 256  # kinds of calls in the cache


class Recurrent(nn.Module):
    """A recurrent network: any circuit, with sizes by name.

    >>> net = unrolled.Recurrent(unrolled.cells.elman, x=65, h=256, o=65)
    >>> out = net(torch.randn(8, 100, 65))
    >>> out.o.shape, out.last.o.shape, out.state.h.shape
    (torch.Size([8, 100, 65]), torch.Size([8, 65]), torch.Size([8, 256]))

    The layout is (batch, time, feature) everywhere. The state is passed in and returned; the module stores none.
    Parameters have the names of the equations, such as ``net.W``. The circuit's constants are buffers: they are saved
    and moved, but not trained.

    Args:
        circuit: the equations.
        engine: 'auto', or the name of an engine. A named engine never falls back silently. The only exception: where
            torch traces operations (``torch.jit.trace``, ``make_fx``, ``FakeTensorMode``), or a tensor is a subclass
            that represents others, torch sees every operation of the equations instead.
        memory: what is stored for the backward pass: ``Store()`` stores everything, ``Snapshots(...)`` bounds it, and
            ``Truncated(...)`` is not exact.
        device: the device of the parameters, as for torch's modules.
        dtype: the dtype of the parameters, as for torch's modules.
        sizes: the sizes of inputs, states and outputs by name: a number for a vector, (rows, columns) for a matrix.
            Sizes that follow from the equations can be left out.

    Raises:
        CircuitError: a size is missing, unknown, or contradicts the equations.
        InputError: the dtype or the memory policy is not supported.
        EngineError: the engine is not available.
    """

    def __init__(
        self,
        circuit: Circuit,
        *,
        engine: str = "auto",
        memory: Memory | None = None,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **sizes: int | tuple[int, int],
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
        known = nameable(circuit.recurrence).items()  # without those that are read from the data
        self.sizes = {n: size.value(self._sizes) for n, size in known if self._sizes.keys() >= set(size.names)}
        if dtype is not None and dtype not in FLOATS:
            raise InputError(f"dtype must be {', '.join(map(short, FLOATS))}, got {dtype}")
        self._shapes = shapes(circuit.recurrence, self._sizes)
        for name, shape in self._shapes.items():
            if hasattr(self, name):
                raise CircuitError(f"parameter '{name}' would hide torch.nn.Module.{name}; rename it")
            value = torch.empty(shape, device=device, dtype=dtype)
            if name in circuit.constants:
                self.register_buffer(name, value)
            else:
                self.register_parameter(name, nn.Parameter(value))
        self._known: dict[object, _Known] = {}  # calls of some kind (see _mark)
        if not self._shapes:  # without parameters, this buffer records the dtype and device that .to() sets
            self.register_buffer("_anchor", torch.empty(0, device=device, dtype=dtype), persistent=False)
        self.reset_parameters()
        self._choice()  # fail now if the named engine is not available

    def reset_parameters(self) -> None:
        """Set the initial values of parameters and constants, by the circuit's ``init``.

        Raises:
            InputError: a parameter is computed from others (parametrizations, pruning).
        """
        for name in self._shapes:
            value = self._buffers.get(name) if name in self.circuit.constants else self._parameters.get(name)
            if value is None:
                raise InputError(f"parameter '{name}' is computed from other parameters; initialise those instead")
            self.circuit.initialise(name, value)

    def _choice(self) -> tuple[Engine, str]:
        like = self._like()
        return choose(self._asked, self.circuit.recurrence, like.device.type, like.dtype)

    @property
    def engine(self) -> str:
        """The name of the engine that runs this network, given the device and dtype of its parameters."""
        return self._choice()[0].name

    def use(self, engine: str) -> Self:
        """Switch to another engine.

        Args:
            engine: 'auto', or the name of an engine, which never falls back silently.

        Returns:
            the network itself.

        Raises:
            EngineError: the engine is not available.
        """
        like = self._like()
        choose(engine, self.circuit.recurrence, like.device.type, like.dtype)
        self._asked = engine
        self._known.clear()
        return self

    def explain(self) -> str:
        """Which engine runs this network, and why."""
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

        >>> out = net(torch.randn(8, 100, 65))
        >>> out.h.shape, out.last.o.shape
        (torch.Size([8, 100, 256]), torch.Size([8, 65]))

        Args:
            inputs: one series per input of the circuit, in its order: vectors (batch, time, size), tokens (batch, time)
                or a Ragged of either. Tokens given for a vector input are one-hot vectors. If the inputs are Ragged,
                all results are. An input that is fixed in time has one value per sequence: (batch, size), or (batch,
                rows, size) if it is a matrix, or a Ragged of matrices (rows_i, size) with different numbers of rows.
            state: the initial state, such as ``out.state`` of an earlier call. Missing states are zero.
            given: teacher forcing. ``given={"o": targets}`` with targets (batch, time, size) feeds back the target of
                step t-1 at step t instead of the network's own o.
            reset: booleans (batch, time), or a Ragged of them: true where a sequence restarts with a state of zeros, as
                at the start of a document in a stream.
            steps: the number of steps, for a circuit without inputs.
            named: inputs by name. An input that only outputs need, such as the target of a loss, can be left out; those
                outputs are then missing.

        Returns:
            every returned value by name, (batch, time, size), with ``last`` and ``state``.

        Raises:
            InputError: an input or a state does not fit; the message names the expected shape.
        """
        if is_dynamo_compiling():  # torch.compile calls the network as it is, between two graphs
            return disable(Recurrent.forward)(
                self, *inputs, state=state, given=given, reset=reset, steps=steps, **named
            )
        series_given, state = parted(inputs, state)
        plain = not given and reset is None and steps is None
        mark = self._mark(2, series_given, named, state) if plain else None
        if again := self._again(mark, 2, series_given, named, state):
            return self._results(*again, again[1].state)
        series = self._incoming().by_name(series_given, named)
        call, start, forced = call_of_sequences(*self._prepared(), series, state, given or {}, reset, steps)
        tensors = *series_given, *named.values(), *(state or {}).values()
        return self._results(*self._remembered(mark, call, tensors), start, forced)

    def step(self, *inputs: Tensor | State | None, state: State | None = None, **named: Tensor) -> Step:
        """Run one step, for streams.

        >>> out = net.step(x_t, state)
        >>> out.o.shape, out.state
        (torch.Size([8, 65]), State(h=(8, 256)))

        Args:
            inputs: one per input of the circuit: vectors (batch, size) or tokens (batch,); fixed inputs as for a call.
            state: the state before the step; zero by default.
            named: inputs by name.

        Returns:
            every returned value by name, (batch, size), and ``state``.

        Raises:
            InputError: an input or the state does not fit.
        """
        if is_dynamo_compiling():
            return disable(Recurrent.step)(self, *inputs, state=state, **named)
        given, state = parted(inputs, state)
        mark = self._mark(1, given, named, state)
        known = self._again(mark, 1, given, named, state)
        if known is None:
            tensors = *given, *named.values(), *(state or {}).values()
            call = call_of_step(*self._prepared(), self._incoming().by_name(given, named), state)
            known = self._remembered(mark, call, tensors)
        results = run(*known)
        return Step(results, State.of({n: results[n] for n in self.circuit.states}))

    def read(self, *inputs: Series | State | None, state: State | None = None, **named: Series) -> Step:
        """Read whole sequences and compute outputs only at the last step of each.

        >>> answer = net.read(torch.randn(8, 100, 65))
        >>> answer.o.shape
        torch.Size([8, 65])

        Args:
            inputs: as for a call: vectors (batch, time, size), tokens (batch, time), or Ragged.
            state: as for a call.
            named: as for a call.

        Returns:
            the values of the last step by name, (batch, size), and ``state``.

        Raises:
            InputError: a sequence has no steps, or an input or the state does not fit.
        """
        if is_dynamo_compiling():
            return disable(Recurrent.read)(self, *inputs, state=state, **named)
        series_given, state = parted(inputs, state)
        series = self._incoming().by_name(series_given, named)
        fixed = {n: series.pop(n) for n in self.circuit.recurrence.fixed if n in series}
        fronts = {n: front(n, x) for n, x in series.items()} | fixed
        call, start, forced = call_of_sequences(*self._prepared(), fronts, state, {}, None, None, states_only=True)
        before = self._results(*self._remembered(None, call), start, forced)
        last: dict[str, Any] = {n: last_step(x) for n, x in series.items()} | fixed
        return self.step(state=before.state, **last)

    def initial_state(self, batch: int = 1) -> State:
        """A state of zeros: (batch, size) by name, (batch,) for scalars, (batch, rows, columns) for matrices.

        Raises:
            InputError: the size of a state is the number of rows of a fixed input.
        """
        start = self._incoming().start(None, batch)
        return State(**{n: s if self.circuit.recurrence.states[n].type.dims else s[:, 0] for n, s in start.items()})

    def extra_repr(self) -> str:
        """Circuit, sizes and engine, for ``print(net)``."""
        sizes = self.sizes
        shown = [n for n in (*self.circuit.inputs, *self.circuit.states, *self.circuit.outputs) if n in sizes]
        return ", ".join([self.circuit.name, *(f"{n}={sizes[n]}" for n in shown), f"engine={self.engine}"])

    def _prepared(self) -> tuple[Incoming, dict[str, int], dict[str, Tensor]]:
        """What a new call needs: the checks of its arguments, all sizes, and the checked parameters."""
        return self._incoming(), self._sizes, checked_parameters(self._weights(), self._shapes)

    def _results(
        self, engine: Engine, call: Call, start: Mapping[str, Tensor], forced: Mapping[str, Tensor] | None = None
    ) -> Result:
        """Run a call; returns the results in the layout of the inputs."""
        layout, (found, ends) = call.layout, run_sequences(engine, call)
        if forced:
            of_given = {n: last_rows(x, start[n], layout) for n, x in forced.items()}
            states = self.circuit.recurrence.states
            ends |= {n: x if states[n].type.dims else x[:, 0] for n, x in of_given.items()}
        values: Mapping[str, Series] = found
        if layout.steps is None:
            lengths = torch.tensor(layout.lengths, dtype=torch.int64, device="cpu")
            values = {n: Ragged(values=x, lengths=lengths) for n, x in found.items()}
        return Result(values, State.of({n: ends[n] for n in self.circuit.states}))

    # Calls that passed the checks once skip them later: the checks take a large part of a short call.

    def _mark(
        self, leading: int, given: tuple[Any, ...], named: Mapping[str, Any], state: State | None
    ) -> tuple[object, ...] | None:
        """The key of a call in the cache: how its inputs are given, their names and shapes. None if it cannot be
        cached."""
        if watched() or not (given or named) or self.circuit.recurrence.fixed:
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
        """A checked call with its engine. Caches it under its mark, unless that is None, with guards on the kinds of
        its tensors."""
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
        """The call, if one like it (except for the values) is in the cache."""
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

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_known": {}}

    def _incoming(self, like: Tensor | None = None) -> Incoming:
        return Incoming(self.circuit, self.sizes, self._like() if like is None else like)

    def _like(self, weights: Mapping[str, Tensor] | None = None) -> Tensor:
        """A tensor with the dtype and device of the parameters, even if there are none."""
        for weight in (weights or self._weights()).values():
            if weight is not None:
                return weight
        anchor: Tensor = self._buffers["_anchor"]  # type: ignore[assignment]
        return anchor


class _Known(NamedTuple):
    """A checked call in the cache: its engine, step and layout, and guards on the kinds of its tensors."""

    engine: Engine
    step: Recurrence
    layout: Layout
    guards: Guards
