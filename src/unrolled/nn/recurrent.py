"""Recurrent: a circuit with parameters of its own, run over batches of sequences. A torch.nn.Module."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import torch
from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..engines.call import Call, Engine, Layout
from ..engines.function import run
from ..engines.registry import choose
from ..errors import CircuitError, InputError, did_you_mean
from ..graph.bind import bind, nameable, shapes
from ..graph.node import TOKEN, Node
from ..graph.recurrence import Recurrence
from ..sequence.state import State
from ..transform.restrict import fed, without
from .result import Result, Step


class Recurrent(nn.Module):
    """A recurrent network: any circuit, with sizes by name.

    >>> net = unrolled.Recurrent(unrolled.cells.elman, x=65, h=256, o=65)
    >>> out = net(torch.randn(8, 100, 65))
    >>> out.o.shape, out.last.o.shape, out.state.h.shape
    (torch.Size([8, 100, 65]), torch.Size([8, 65]), torch.Size([8, 256]))

    Layout is (batch, time, feature) everywhere. State goes in and comes out; the module keeps none. Parameters have
    the names of the equations: ``net.W``.

    Args:
        circuit: the equations.
        engine: 'auto', or the name of an engine, which is then used or refused.
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
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **sizes: int,
    ) -> None:
        super().__init__()
        if not isinstance(circuit, Circuit):
            raise CircuitError(
                f"Recurrent takes a circuit (a function decorated with @circuit), got a {type(circuit).__name__}"
            )
        self.circuit = circuit
        self._asked = engine
        self._sizes = bind(circuit.recurrence, sizes)
        self.sizes = {n: size.value(self._sizes) for n, size in nameable(circuit.recurrence).items()}
        for name, shape in shapes(circuit.recurrence, self._sizes).items():
            if hasattr(self, name):
                raise CircuitError(f"parameter '{name}' would hide torch.nn.Module.{name}; call it something else")
            self.register_parameter(name, nn.Parameter(torch.empty(shape, device=device, dtype=dtype)))
        self.register_buffer("_anchor", torch.empty(0, device=device, dtype=dtype), persistent=False)
        self.reset_parameters()
        self._choice()  # refuse a named engine now rather than later

    def reset_parameters(self) -> None:
        """Draw new starting values, as the circuit's ``init`` says."""
        for name, parameter in self.named_parameters(recurse=False):
            self.circuit.initialise(name, parameter)

    def _choice(self) -> tuple[Engine, str]:
        like = self._like()
        return choose(self._asked, self.circuit.recurrence, like.device.type, like.dtype)

    @property
    def engine(self) -> str:
        """The name of the engine that runs this network where its parameters are now."""
        return self._choice()[0].name

    def explain(self) -> str:
        """Which engine runs, and why."""
        return f"{self.circuit.name} runs on engine '{self.engine}': {self._choice()[1]}"

    def forward(
        self,
        *inputs: Tensor | State,
        state: State | None = None,
        given: Mapping[str, Tensor] | None = None,
        steps: int | None = None,
        **named: Tensor,
    ) -> Result:
        """Run over a batch of sequences.

        Args:
            inputs, named: one tensor per input of the circuit, in its order or by name: (batch, time, size), or whole
                numbers (batch, time) for tokens; whole numbers for a vector input mean one-hot vectors. An input that
                only outputs need, such as the target of a loss, may be left out; those outputs are then absent.
            state: where to start, from ``out.state``; zero for what is not given.
            given: teacher forcing. ``given={"o": targets}`` with targets (batch, time, size) feeds the target of step
                t-1 back at step t in the place of the network's own o.
            steps: how many steps to run a circuit that has no inputs.

        Returns:
            Result: every returned value by name, ``last``, and ``state``.

        Raises:
            InputError: what does not fit, with the shape that was expected.
        """
        if inputs and isinstance(last := inputs[-1], State):
            if state is not None:
                raise InputError("the state is given twice")
            inputs, state = inputs[:-1], last
        named = self._by_name(inputs, named)
        step = _variant(self.circuit.recurrence, tuple(sorted(self._absent(named))), tuple(sorted(given or ())))
        values = {n: self._input(n, step.inputs[n], named[n]) for n in self.circuit.inputs if n in named}
        given = {n: self._given(n, v) for n, v in (given or {}).items()}
        batch, length = self._extent({**values, **given}, state, steps)
        start = self._start(state, batch)
        for n, series in given.items():
            values[n] = torch.cat([start[n][:, None], series[:, :-1]], 1) if length else series
        weights = {n: getattr(self, n) for n in self.circuit.parameters}
        like = self._like()
        begin = {n: start[n] for n in step.states}
        results = run(
            self._choice()[0], Call(step, self._sizes, weights, values, begin, Layout.dense(batch, length), like)
        )
        fed_back = {**results, **given}
        end = {n: fed_back[n][:, -1] if length else start[n] for n in self.circuit.states}
        scalars = {n for n, node in step.returns.items() if not node.type.dims}
        return Result({n: v[..., 0] if n in scalars else v for n, v in results.items()}, State(**end))

    def step(self, *inputs: Tensor | State, state: State | None = None, **named: Tensor) -> Step:
        """One step, for streams: inputs (batch, size), tokens (batch,).

        >>> out = net.step(x_t, state)
        >>> out.o.shape, out.state
        (torch.Size([8, 65]), State(h=(8, 256)))
        """
        *tensors, last = inputs or (None,)
        if not isinstance(last, State):
            tensors, last = list(inputs), state
        one = {n: self._one_step(n, v) for n, v in self._by_name(tuple(tensors), named).items()}
        out = self(state=last, steps=None if self.circuit.inputs else 1, **one)
        return Step({n: out[n][:, 0] for n in out}, out.state)

    def initial_state(self, batch: int = 1) -> State:
        """The state of zeros."""
        like = self._like()
        return State(**{n: like.new_zeros(batch, self.sizes[n]) for n in self.circuit.states})

    def extra_repr(self) -> str:
        sizes = self.sizes
        shown = [n for n in (*self.circuit.inputs, *self.circuit.states, *self.circuit.outputs) if n in sizes]
        return ", ".join([self.circuit.name, *(f"{n}={sizes[n]}" for n in shown), f"engine={self.engine}"])

    # what comes in

    def _one_step(self, name: str, value: object) -> Tensor:
        """An input of one step as a series of length 1."""
        if not isinstance(value, Tensor):
            raise InputError(f"input '{name}' must be a tensor, got {type(value).__name__}")
        expected = f"(batch, {self.sizes[name]}), or whole numbers (batch,)"
        if value.ndim != 2 and (value.ndim != 1 or value.is_floating_point()):
            raise InputError(f"at one step, input '{name}' must be {expected}, got {tuple(value.shape)}")
        return value[:, None]

    def _like(self) -> Tensor:
        """A tensor with the dtype and device of the parameters, also where there are none."""
        anchor: Tensor = self._buffers["_anchor"]  # type: ignore[assignment]
        return anchor

    def _by_name(self, inputs: tuple[Tensor | State, ...], named: dict[str, Tensor]) -> dict[str, Tensor]:
        known = self.circuit.inputs
        if len(inputs) > len(known):
            raise InputError(f"'{self.circuit.name}' takes {len(known)} inputs ({', '.join(known)}), got {len(inputs)}")
        result = dict(zip(known, inputs, strict=False))
        for name, value in named.items():
            if name not in known:
                hint = did_you_mean(name, known) or f". It takes {', '.join(known) or 'none'}"
                raise InputError(f"'{self.circuit.name}' has no input '{name}'{hint}")
            if name in result:
                raise InputError(f"input '{name}' is given twice")
            result[name] = value
        return result  # type: ignore[return-value]

    def _absent(self, named: Mapping[str, Tensor]) -> set[str]:
        return set(self.circuit.inputs) - set(named)

    def _input(self, name: str, node: Node, value: Tensor) -> Tensor:
        if not isinstance(value, Tensor):
            raise InputError(f"input '{name}' must be a tensor, got {type(value).__name__}")
        size = node.type.dims[0].value(self._sizes)
        self._check_device(f"input '{name}'", value)
        whole = not value.is_floating_point() and not value.is_complex() and value.dtype != torch.bool
        if node.type.kind == TOKEN or (whole and value.ndim == 2):
            return self._tokens(name, value, size, as_vector=node.type.kind != TOKEN)
        self._check_series(f"input '{name}'", value, size)
        return value

    def _tokens(self, name: str, value: Tensor, size: int, as_vector: bool) -> Tensor:
        if value.ndim != 2 or value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
            raise InputError(
                f"input '{name}' holds tokens: whole numbers (batch, time), got {value.dtype} {tuple(value.shape)}"
            )
        if value.numel():
            low, high = (int(v) for v in value.aminmax())
            if low < 0 or high >= size:
                raise InputError(
                    f"tokens of input '{name}' must be from 0 to {size - 1}, got {low if low < 0 else high}"
                )
        value = value.long()
        return nn.functional.one_hot(value, size).to(self._like().dtype) if as_vector else value

    def _given(self, name: str, value: Tensor) -> Tensor:
        states = self.circuit.states
        if name not in states:
            hint = did_you_mean(name, states) or f". Its states are {', '.join(states)}"
            raise InputError(f"given= names '{name}', which is no state of '{self.circuit.name}'{hint}")
        if not isinstance(value, Tensor):
            raise InputError(f"given['{name}'] must be a tensor, got {type(value).__name__}")
        self._check_series(f"given['{name}']", value, self.sizes[name])
        self._check_device(f"given['{name}']", value)
        return value

    def _check_series(self, what: str, value: Tensor, size: int) -> None:
        if value.ndim != 3 or value.shape[2] != size:
            hint = ""
            if value.ndim == 2 and value.shape[1] == size:
                hint = ". For one sequence write x[None]"
            elif value.ndim == 3 and value.shape[1] == size and value.shape[2] != size:
                hint = ". For (batch, feature, time) write x.mT"
            raise InputError(f"{what} must be (batch, time, {size}), got {tuple(value.shape)}{hint}")
        dtype = self._like().dtype
        if value.dtype != dtype:
            either = f"one of them: x.to({dtype}) or net.to({value.dtype})"
            remedy = either if value.is_floating_point() else f"it: x.to({dtype})"
            raise InputError(
                f"{what} is {_short(value.dtype)}, but the parameters are {_short(dtype)}. Convert {remedy}"
            )

    def _check_device(self, what: str, value: Tensor) -> None:
        device = self._like().device
        if value.device != device:
            raise InputError(f"{what} is on {value.device}, but the parameters are on {device}. Move one with .to(...)")

    def _extent(self, series: Mapping[str, Tensor], state: State | None, steps: int | None) -> tuple[int, int]:
        """(batch, steps), which all that comes in must agree on."""
        if not series:
            if self.circuit.inputs:
                raise InputError(f"'{self.circuit.name}' needs {', '.join(self.circuit.inputs)}")
            if not isinstance(steps, int) or isinstance(steps, bool) or steps < 0:
                raise InputError(
                    f"'{self.circuit.name}' has no inputs; say how long it runs: net(steps=100), got {steps!r}"
                )
            return (next(iter(state.values())).shape[0] if state else 1), steps
        extents = {n: (v.shape[0], v.shape[1]) for n, v in series.items()}
        if len(set(extents.values())) > 1:
            raise InputError(f"all series of a call have the same batch and time, got {extents}")
        batch, length = next(iter(extents.values()))
        if steps is not None and steps != length:
            raise InputError(f"steps={steps}, but the inputs have {length} steps. Leave steps out")
        return batch, length

    def _start(self, state: State | None, batch: int) -> dict[str, Tensor]:
        states = self.circuit.states
        if state is not None:
            self._check_state(state, batch)
        like, given = self._like(), state or {}
        return {n: given[n] if n in given else like.new_zeros(batch, self.sizes[n]) for n in states}

    def _check_state(self, state: State, batch: int) -> None:
        states, like = self.circuit.states, self._like()
        if not isinstance(state, Mapping):
            raise InputError(f"the state must be a State, such as State({states[0]}=...), got a {type(state).__name__}")
        for name, value in state.items():
            if name not in states:
                hint = did_you_mean(name, states) or f". Its states are {', '.join(states)}"
                raise InputError(f"'{self.circuit.name}' has no state '{name}'{hint}")
            if value.shape != (batch, self.sizes[name]):
                raise InputError(f"state '{name}' must be {(batch, self.sizes[name])}, got {tuple(value.shape)}")
            if value.dtype != like.dtype:
                raise InputError(f"state '{name}' is {_short(value.dtype)}, the parameters {_short(like.dtype)}")
            self._check_device(f"state '{name}'", value)


def _short(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


@lru_cache(maxsize=256)
def _variant(recurrence: Recurrence, absent: tuple[str, ...], given: tuple[str, ...]) -> Recurrence:
    """The recurrence as it runs with some inputs absent and some states fed from outside."""
    if absent:
        recurrence = without(recurrence, absent)
    known = tuple(n for n in given if n in recurrence.states)
    return fed(recurrence, known) if known else recurrence
