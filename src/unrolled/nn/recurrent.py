"""Recurrent: the torch.nn.Module that runs a circuit with its own parameters over batches of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.compiler import disable, is_compiling

from ..circuits.circuit import Circuit
from ..engines.border import FLOATS, dynamo_is_active, for_onnx, under_autocast
from ..engines.call import Call, Engine
from ..engines.function import run, run_sequences
from ..engines.registry import choose, choose_for_narrow
from ..errors import CircuitError, EngineError, InputError
from ..graph.bind import bind, nameable, shapes
from ..sequence.ragged import Ragged
from ..sequence.state import State
from . import compiled
from .calls import call_of_sequences, call_of_step, front, last_step, parted
from .description import stored
from .drawn import with_drawn
from .forced import Forced
from .incoming import Incoming, Series, checked_parameters, short
from .known_calls import KnownCall, again, bound, mark_of, remembered
from .memory import Memory, Snapshots, Store, Truncated
from .narrow_weights import FLOAT32, check_weights, make_narrow, round_loaded
from .result import Result, Step
from .torch_arguments import check_no_torch_arguments
from .writing import write


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
        weights: 'float32', or 'bf16' or 'int8' for inference on engine ``c``: the matrices that vectors are multiplied
            by are stored in 16 or 8 bits per number, and widened while a product reads them (see ``narrow``).
        device: the device of the parameters, as for torch's modules.
        dtype: the dtype of the parameters, as for torch's modules.
        sizes: the sizes of inputs, states and outputs by name: a number for a vector, (rows, columns) for a matrix.
            Sizes that follow from the equations can be left out.

    Raises:
        CircuitError: a size is missing, unknown, or contradicts the equations.
        InputError: the dtype or the memory policy is not supported.
        EngineError: the engine is not available.
    """

    _narrow: tuple[str, ...] = ()  # the names of narrow parameters, and of the others
    _others: tuple[str, ...] = ()
    _kind = FLOAT32
    _draws = False  # whether it draws inputs in training; of networks that were pickled before there were any

    def __init__(
        self,
        circuit: Circuit,
        *,
        engine: str = "auto",
        memory: Memory | None = None,
        weights: Any = FLOAT32,
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **sizes: int | tuple[int, int],
    ) -> None:
        super().__init__()
        if not isinstance(circuit, Circuit):
            raise CircuitError(
                f"Recurrent takes a circuit (a function decorated with @circuit), got a {type(circuit).__name__}"
            )
        if isinstance(weights, int) and "weights" in nameable(circuit.recurrence):
            sizes, weights = {**sizes, "weights": weights}, FLOAT32  # the size of a value of this name
        narrow = check_weights(weights)
        self.circuit = circuit = circuit.sized(sizes)
        self._asked = engine
        if not isinstance(memory, Store | Snapshots | Truncated | None):
            raise InputError(f"memory must be Store(), Snapshots(...) or Truncated(...), got {memory!r}")
        self.memory: Memory = memory or Store()
        check_no_torch_arguments(circuit.recurrence, sizes)
        self._sizes = bind(circuit.recurrence, sizes)
        known = nameable(circuit.recurrence).items()  # without those that are read from the data
        self.sizes = {n: size.value(self._sizes) for n, size in known if self._sizes.keys() >= set(size.names)}
        if dtype is not None and dtype not in FLOATS:
            raise InputError(f"dtype must be {', '.join(map(short, FLOATS))}, got {dtype}")
        self._draws = bool(circuit.recurrence.drawn)
        self._known: dict[object, KnownCall] = {}  # kinds of calls, by their marks
        self._shapes = shapes(circuit.recurrence, self._sizes)
        self._stored = stored(circuit.recurrence, tuple(self.sizes.items()))  # for torch.compile
        for name, shape in self._shapes.items():
            if hasattr(self, name):
                source = circuit.recurrence.parameters[name].source
                raise CircuitError(f"parameter '{name}' would hide the network's own {name}; rename it", source)
            value = torch.empty(shape, device=device, dtype=dtype)
            if name in circuit.constants:
                self.register_buffer(name, value)
            else:
                self.register_parameter(name, nn.Parameter(value))
        if not self._shapes:  # without parameters, this buffer records the dtype and device that .to() sets
            self.register_buffer("_anchor", torch.empty(0, device=device, dtype=dtype), persistent=False)
        self.reset_parameters()
        if narrow != FLOAT32:
            make_narrow(self, narrow)
        self._choice()  # fail now if the named engine is not available

    def reset_parameters(self) -> None:
        """Set the initial values of parameters and constants, by the circuit's ``init``.

        Raises:
            InputError: a parameter is computed from others (parametrizations, pruning).
        """
        if self._narrow:
            raise InputError(f"{self._kind} weights are not initialised. Load others: net.load_state_dict(...)")
        for name in self._shapes:
            value = self._buffers.get(name) if name in self.circuit.constants else self._parameters.get(name)
            if value is None:
                raise InputError(f"parameter '{name}' is computed from other parameters; initialise those instead")
            self.circuit.initialise(name, value)

    def _choice(self) -> tuple[Engine, str]:
        like = self._like()
        if self._narrow:
            return choose_for_narrow(self._asked, self._kind, self.circuit.recurrence, like)
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
        before, self._asked = self._asked, engine
        try:
            self._choice()
        except EngineError:
            self._asked = before
            raise
        self._known.clear()
        return self

    def explain(self) -> str:
        """Which engine runs this network, and why; what it draws in training; and under ``torch.autocast`` the dtype in
        which it computes."""
        like = self._like()
        cast = f". torch.autocast is on, but it computes in {short(like.dtype)}" if under_autocast(like) else ""
        drawn = ", ".join(f"{n} ({each})" for n, each in self.circuit.recurrence.drawn.items())
        drawn = f". In training it draws {drawn}" if drawn else ""
        small = f". Its matrices {', '.join(self._narrow)} have {self._kind} weights" if self._narrow else ""
        return f"{self.circuit.name} runs on engine '{self.engine}': {self._choice()[1]}{small}{cast}{drawn}"

    def forward(
        self,
        *inputs: Series | State | None,
        state: State | None = None,
        given: Mapping[str, Series | tuple[Series, Series]] | None = None,
        reset: Series | None = None,
        steps: int | None = None,
        until: Mapping[str, int] | None = None,
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
                Masks and noise of a regularised circuit may be left out: they are drawn in training mode, and
                replaced with their means in evaluation mode.
            state: the initial state, such as ``out.state`` of an earlier call. Missing states are zero.
            given: teacher forcing. ``given={"o": targets}`` with targets (batch, time, size) feeds back the target of
                step t-1 at step t instead of the network's own o. ``given={"o": (targets, mask)}`` with booleans
                (batch, time) does so where the mask is true, and feeds back the network's own o elsewhere: scheduled
                sampling (Bengio et al. 2015).
            reset: booleans (batch, time), or a Ragged of them: true where a sequence restarts with a state of zeros, as
                at the start of a document in a stream.
            steps: the number of steps, for a circuit without inputs that have a value at each step.
            until: ends each sequence at a stop symbol: ``until={"w": 0}`` for a token w that the circuit returns. All
                results are then Ragged, with the stop symbol as the last step, and the state is that after it.
                ``steps``, or the length of the inputs, is the largest number of steps.
            named: inputs by name. An input that only outputs need, such as the target of a loss, can be left out; those
                outputs are then missing.

        Returns:
            every returned value by name, (batch, time, size), with ``last`` and ``state``.

        Raises:
            InputError: an input or a state does not fit; the message names the expected shape.
        """
        if self._draws and self.training:
            inputs, state = parted(inputs, state)
            named = with_drawn(self, 2, inputs, named, state, given, steps)
        if is_compiling() and not for_onnx():
            return compiled.forward(Recurrent.forward, self, inputs, state, given, reset, steps, until, named)
        if dynamo_is_active():  # torch.compile has refused a function that calls this one
            return disable(Recurrent.forward)(
                self, *inputs, state=state, given=given, reset=reset, steps=steps, until=until, **named
            )
        series, state = parted(inputs, state)
        if until is not None:
            if given or reset is not None:
                raise InputError("until= ends what the network writes by itself. Leave out given= and reset=")
            return write(self, self._incoming().by_name(series, named), state, steps, until)
        plain = not given and reset is None
        mark = mark_of(self, 2, series, named, state, steps) if plain else None
        if found := bound(self, mark, series, named, state):
            return Result(*found)
        if call := again(self, mark, 2, series, named, state):
            return self._results(*call)
        by_name = self._incoming().by_name(series, named)
        new, forced = call_of_sequences(*self._prepared(), by_name, state, given or {}, reset, steps)
        call = remembered(self, mark, new, (*series, *named.values(), *(state or {}).values()))
        return self._results(*call, forced)

    def step(self, *inputs: Tensor | State | None, state: State | None = None, **named: Series) -> Step:
        """Run one step, for streams.

        >>> out = net.step(x_t, state)
        >>> out.o.shape, out.state
        (torch.Size([8, 65]), State(h=(8, 256)))

        Args:
            inputs: one per input of the circuit: vectors (batch, size) or tokens (batch,); fixed inputs as for a call.
            state: the state before the step, by name or after the inputs; zero by default.
            named: inputs by name.

        Returns:
            every returned value by name, (batch, size), and ``state``.

        Raises:
            InputError: an input or the state does not fit.
        """
        if self._draws and self.training:
            inputs, state = parted(inputs, state)
            named = with_drawn(self, 1, inputs, named, state)
        if is_compiling() and not for_onnx():
            return compiled.step(Recurrent.step, self, inputs, state, named)
        if dynamo_is_active():
            return disable(Recurrent.step)(self, *inputs, state=state, **named)
        given, state = parted(inputs, state)
        mark = mark_of(self, 1, given, named, state)
        if found := bound(self, mark, given, named, state):
            return Step(*found)
        call = again(self, mark, 1, given, named, state)
        if call is None:
            new = call_of_step(*self._prepared(), self._incoming().by_name(given, named), state)
            call = remembered(self, mark, new, (*given, *named.values(), *(state or {}).values()))
        results = run(*call)
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
        if self._draws and self.training:
            inputs, state = parted(inputs, state)
            named = with_drawn(self, 2, inputs, named, state)
        if is_compiling() and not for_onnx():
            return compiled.read(Recurrent.read, self, inputs, state, named)
        if dynamo_is_active():
            return disable(Recurrent.read)(self, *inputs, state=state, **named)
        positional, state = parted(inputs, state)
        series = self._incoming().by_name(positional, named)
        fixed = {n: series.pop(n) for n in self.circuit.recurrence.fixed if n in series}
        fronts = {n: front(n, x) for n, x in series.items()} | fixed
        call, _ = call_of_sequences(*self._prepared(), fronts, state, {}, None, None, states_only=True)
        before = self._results(*remembered(self, None, call))
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
        named = *self.circuit.inputs, *self.circuit.states, *self.circuit.outputs
        shown = [n for n in named if n in sizes and n not in self.circuit.recurrence.drawn]
        weights = [f"weights={self._kind}"] if self._narrow else []
        return ", ".join([self.circuit.name, *(f"{n}={sizes[n]}" for n in shown), f"engine={self.engine}", *weights])

    def _prepared(self) -> tuple[Incoming, dict[str, int], dict[str, Tensor]]:
        """What a new call needs: the checks of its arguments, all sizes, and the checked parameters."""
        return self._incoming(), self._sizes, checked_parameters(self._weights(), self._shapes)

    def _results(self, engine: Engine, call: Call, forced: Forced | None = None) -> Result:
        """Run a call; returns the results in the layout of the inputs. forced: what replaces states."""
        layout, (found, ends) = call.layout, run_sequences(engine, call)
        if forced and forced.targets:
            ends |= forced.ends(self.circuit.recurrence, ends)
        values: Mapping[str, Series] = found
        if layout.steps is None:
            lengths = torch.tensor(layout.lengths, dtype=torch.int64, device="cpu")
            values = {n: Ragged(values=x, lengths=lengths) for n, x in found.items()}
        return Result(values, State.of({n: ends[n] for n in self.circuit.states}))

    def _weights(self) -> dict[str, Tensor]:
        """The parameters that are not narrow: trained, constant, or computed from others (by parametrizations)."""
        own, names = self._parameters, self._others if self._narrow else self.circuit.parameters
        return {n: own[n] if n in own else getattr(self, n) for n in names}  # type: ignore[misc]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        if self._narrow:
            round_loaded(self, state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)

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
