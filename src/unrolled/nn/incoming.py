"""Checks of a network's inputs, and their conversion to one form: series of rows, whatever the layout of the batch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import is_fake

from ..circuits.circuit import Circuit
from ..engines.border import (
    FLOATS,
    OWN,
    in_dtype_of,
    ordinary,
    readable,
    recorded,
    shape_of,
    unwrapped,
    watched,
)
from ..errors import InputError, did_you_mean
from ..graph.bind import names_of_matrix
from ..graph.node import TOKEN
from ..sequence.layout import Layout
from ..sequence.layouts import some
from ..sequence.ragged import Ragged
from ..sequence.series import Series as Series
from ..sequence.state import State


@dataclass(frozen=True)
class Incoming:
    """The checks for one circuit.

    Attributes:
        circuit: the circuit.
        sizes: its sizes by name.
        like: a tensor with the dtype and device of its parameters.
    """

    circuit: Circuit
    sizes: Mapping[str, int]
    like: Tensor

    def by_name(self, inputs: tuple[object, ...], named: Mapping[str, object]) -> dict[str, object]:
        """All inputs by name, from those given in the circuit's order and those given by name."""
        known = tuple(self.circuit.recurrence.inputs)  # not a cached property, since torch.compile traces this
        if len(inputs) > len(known):
            takes = f"{len(known)} input{'s' * (len(known) > 1)} ({', '.join(known)})" if known else "no inputs"
            call = ", ".join(f"{n}=..." for n in (*known, "state"))
            raise InputError(
                f"'{self.circuit.name}' takes {takes}, got {len(inputs)} positional arguments. Pass inputs and the "
                f"state by name: net({call})"
            )
        result = dict(zip(known, inputs, strict=False))
        for name, value in named.items():
            if name not in known:
                hint = did_you_mean(name, known) or f". It takes {', '.join(known) or 'none'}"
                raise InputError(f"'{self.circuit.name}' has no input '{name}'{hint}")
            if name in result:
                raise InputError(f"input '{name}' is given twice")
            result[name] = value
        return result

    # one input

    def series(self, name: str, value: object, leading: int = 2) -> Tensor:
        """Check the values of an input.

        Args:
            name: the input.
            value: vectors (batch, time, size) or tokens (batch, time).
            leading: the number of leading dimensions: 2, or 1 for the rows of a Ragged or of one step.
        """
        if not isinstance(value, Tensor):
            hint = ". Pass a state by name: state=State(...)" if isinstance(value, tuple | Mapping) else ""
            raise InputError(f"input '{name}' must be a tensor, got a {type(value).__name__}{hint}")
        value = in_dtype_of(self.like, readable(f"input '{name}'", value))
        self.check_device(f"input '{name}'", value)
        whole = not value.is_floating_point() and not value.is_complex() and value.dtype != torch.bool
        one_hot = whole and value.ndim == leading and name in self.sizes
        if self.circuit.recurrence.inputs[name].type.kind == TOKEN or one_hot:
            return self.tokens(name, value, leading)
        self.check_values(f"input '{name}'", value, self.dims(name), leading)
        return value

    def dims(self, name: str) -> tuple[int, ...]:
        """The sizes of an input or a state: (size,) of a vector, (rows, columns) of a matrix, () of a scalar."""
        if name in self.sizes:
            return (self.sizes[name],)
        recurrence = self.circuit.recurrence
        rank = len((recurrence.states.get(name) or recurrence.inputs[name]).type.dims)
        found = tuple(self.sizes[n] for n in names_of_matrix(name) if n in self.sizes)
        if len(found) < rank:
            raise InputError(
                f"the size of state '{name}' is the number of rows of {', '.join(recurrence.fixed)}, which is known "
                "only in a call. Leave the state out: it starts at zero"
            )
        return found

    def tokens(self, name: str, value: Tensor, leading: int, what: str = "") -> Tensor:
        """Check tokens: integers (batch, time), or (rows,) with one leading dimension."""
        size, what = self.sizes[name], what or f"input '{name}'"
        if value.ndim != leading or value.is_floating_point() or value.is_complex() or value.dtype == torch.bool:
            expected = "(batch, time)" if leading == 2 else "(rows,)"
            raise InputError(f"{what} takes tokens, integers {expected}, got {value.dtype} {tuple(value.shape)}")
        if not ordinary(value) or value.is_meta or watched():
            known = torch.arange(size, device=value.device)  # torch checks the range, since values are not visible here
            return known.index_select(0, value.long().flatten()).view_as(value)
        value = value.to(torch.int64, copy=True)  # the caller may overwrite its tensor before the backward pass
        if value.numel():
            low, high = (int(v) for v in value.aminmax())
            if low < 0 or high >= size:
                raise InputError(f"tokens of {what} must be from 0 to {size - 1}, got {low if low < 0 else high}")
        return value

    def one_step(self, name: str, value: object) -> Tensor:
        """Check an input of one step: vectors (batch, size), matrices (batch, rows, columns) or tokens (batch,)."""
        rank = len(self.dims(name))
        one_hot = rank == 1 and isinstance(value, Tensor) and value.ndim == 1 and not value.is_floating_point()
        if isinstance(value, Tensor) and value.ndim != 1 + rank and not one_hot:
            expected = f"({listed('batch', *self.dims(name))})" + ", or integers (batch,)" * (rank == 1)
            raise InputError(f"for one step, input '{name}' must be {expected}, got {shape_of(value)}")
        return self.series(name, value, leading=1)

    def given(self, name: str, value: object, leading: int) -> Tensor:
        """Check a series that replaces a state (teacher forcing): (batch, time, size), (batch, time) for scalars and
        tokens, or (batch, time, rows, columns) for matrices."""
        states = self.circuit.states
        if name not in states:
            hint = did_you_mean(name, states) or f". Its states are {', '.join(states)}"
            raise InputError(f"given= contains '{name}', which is not a state of '{self.circuit.name}'{hint}")
        if not isinstance(value, Tensor):
            raise InputError(f"given['{name}'] must be a tensor, got {type(value).__name__}")
        value, scalar = in_dtype_of(self.like, readable(f"given['{name}']", value)), not self.dims(name)
        if name in self.circuit.recurrence.tokens:
            self.check_device(f"given['{name}']", value)
            return self.tokens(name, value, leading, f"given['{name}']")
        if scalar:
            self.check_scalars(f"given['{name}']", value, leading)
        else:
            self.check_values(f"given['{name}']", value, self.dims(name), leading)
        self.check_device(f"given['{name}']", value)
        return value[..., None] if scalar else value

    def check_values(self, what: str, value: Tensor, dims: tuple[int, ...], leading: int) -> None:
        """Refuse anything but vectors or matrices of these sizes: (batch, time, *dims), or (rows, *dims) with one
        leading dimension."""
        shape = shape_of(value)
        if value.ndim != leading + len(dims) or shape[leading:] != dims:
            hint = ""
            if leading == 2 and shape[1:] == dims:
                hint = ". For one sequence write x[None]"
                if fixed := self.circuit.recurrence.fixed:
                    hint += f". Only {', '.join(fixed)} {'is' if len(fixed) == 1 else 'are'} fixed in time"
            elif len(dims) == 1 and value.ndim == 3 and shape[1:2] == dims != shape[2:]:
                hint = ". For (batch, feature, time) write x.mT"
            expected = listed(*(("batch", "time") if leading == 2 else ("rows",)), *dims)
            raise InputError(f"{what} must be ({expected}), got {shape}{hint}")
        self.check_dtype(what, value)

    def check_scalars(self, what: str, value: Tensor, leading: int) -> None:
        """Refuse anything but scalars: (batch, time), or (rows,) with one leading dimension."""
        if value.ndim != leading:
            expected = "(batch, time)" if leading == 2 else "(rows,)"
            raise InputError(f"{what} takes scalars, {expected}, got {shape_of(value)}")
        self.check_dtype(what, value)

    def check_dtype(self, what: str, value: Tensor) -> None:
        """Refuse another dtype than that of the parameters."""
        dtype = self.like.dtype
        if value.dtype != dtype:
            either = f"one of them: x.to({dtype}) or net.to({value.dtype})"
            remedy = either if value.is_floating_point() else f"it: x.to({dtype})"
            if value.is_complex():
                remedy = f"it to real numbers: x.real or torch.view_as_real(x), then .to({dtype})"
            raise InputError(f"{what} is {short(value.dtype)}, but the parameters are {short(dtype)}. Convert {remedy}")

    def check_device(self, what: str, value: Tensor) -> None:
        """Refuse another device than that of the parameters."""
        device = self.like.device
        if value.device != device:
            raise InputError(f"{what} is on {value.device}, but the parameters are on {device}. Move one with .to(...)")
        if _fake(value) != _fake(self.like) and not _mixed():
            fake, real = (what, "the parameters are") if _fake(value) else ("the parameters", f"{what} is")
            verb = "is a FakeTensor" if fake == what else "are FakeTensors"
            raise InputError(
                f"{fake} {verb}, but {real} not. Create both under the same FakeTensorMode, or use "
                "FakeTensorMode(allow_non_fake_inputs=True)"
            )

    # the batch

    def ragged(self, series: Mapping[str, object]) -> bool:
        """Whether the series are Ragged; either all are or none."""
        ragged = [n for n, x in series.items() if isinstance(x, Ragged)]
        plain = [n for n in series if n not in ragged]
        if ragged and plain:
            raise InputError(f"'{ragged[0]}' is Ragged, but '{plain[0]}' is not. Either all series must be, or none")
        return bool(ragged)

    def layout(
        self,
        series: Mapping[str, object],
        state: State | None,
        steps: int | None,
        reset: object,
        fixed: Mapping[str, Tensor] | None = None,
    ) -> Layout:
        """The lengths and resets of the batch, on which all inputs must agree."""
        ragged = {n: x for n, x in series.items() if isinstance(x, Ragged)}
        if (ragged or reset is not None) and recorded():
            what = "the lengths of a Ragged" if ragged else "reset"
            raise InputError(
                f"torch cannot trace {what}: every call of the traced model would use the same values. Leave it out"
            )
        again = reset.values if isinstance(reset, Ragged) else reset
        if isinstance(again, Tensor) and (again.is_meta or _fake(again)):
            raise InputError("reset must have values, got a meta tensor or a FakeTensor")
        if ragged:
            lengths = {n: tuple(x.lengths.tolist()) for n, x in ragged.items()}
            first = next(iter(lengths.values()))
            for n, x in ragged.items():
                if sum(lengths[n]) != len(x.values) or min(lengths[n], default=0) < 0:
                    raise InputError(
                        f"the lengths of '{n}' were changed: {some(list(lengths[n]))} for {len(x.values)} steps. "
                        "The lengths of a Ragged must not change; create a new one"
                    )
            for n, other in lengths.items():
                if other != first:
                    raise InputError(f"all series of a call must have the same lengths; those of '{n}' differ")
            if steps is not None:
                raise InputError(f"steps={steps}, but the inputs have their own lengths. Leave steps out")
            return Layout(first, None, self.resets(reset, ragged=True, shape=(sum(first),)))
        others = fixed or (state if isinstance(state, Mapping) else {})  # another kind of state is refused later
        batch, length = self.extent(series, others, steps)
        return Layout.dense(batch, length, self.resets(reset, ragged=False, shape=(batch, length)))

    def extent(self, series: Mapping[str, object], others: Mapping[str, Any], steps: int | None) -> tuple[int, int]:
        """The batch size and the number of steps of a call that is not ragged; ``others`` have one row per sequence."""
        if not series:
            drawn = self.circuit.recurrence.drawn
            if known := [n for n in self.circuit.recurrence.series if n not in drawn]:
                raise InputError(f"'{self.circuit.name}' needs the input {', '.join(known)}")
            if not isinstance(steps, int | torch.SymInt) or isinstance(steps, bool) or steps < 0:
                raise InputError(
                    f"'{self.circuit.name}' has no inputs, so it needs a number of steps: net(steps=100); got {steps!r}"
                )
            return (shape_of(next(iter(others.values())))[0] if others else 1), steps
        extents = {n: shape_of(v)[:2] for n, v in series.items() if isinstance(v, Tensor)}
        (batch, length), *different = extents.values()
        if any(other != (batch, length) for other in different):  # no set, since torch.export has symbols
            raise InputError(f"all series of a call must have the same batch and time, got {extents}")
        if steps is not None and steps != length:
            raise InputError(f"steps={steps}, but the inputs have {length} steps. Leave steps out")
        return batch, length

    def resets(self, reset: object, ragged: bool, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The rows before which the state is set to zero."""
        if reset is None:
            return ()
        values = reset.values if isinstance(reset, Ragged) else reset
        if not isinstance(values, Tensor) or values.dtype != torch.bool or isinstance(reset, Ragged) != ragged:
            kind = "a Ragged of booleans" if ragged else f"booleans {shape}"
            raise InputError(f"reset must be {kind}, true where a sequence restarts, got {_described(reset)}")
        if values.shape != shape:
            raise InputError(f"reset must have one boolean per step, {shape}, got {tuple(values.shape)}")
        return tuple(values.flatten().nonzero().flatten().tolist())

    # the state

    def start(self, state: object, batch: int) -> dict[str, Tensor]:
        """The initial states by name: (batch, size), (batch, 1) for scalars, (batch, rows, columns) for matrices, or
        (batch,) for tokens. States that are not given are zero."""
        given: Mapping[str, Tensor] = {}
        if state is not None:
            given = self.checked_state(state, batch)
        sizes, zeros, tokens = self.sizes, self.like.new_zeros, self.circuit.recurrence.tokens
        return {
            n: columns(given[n])
            if n in given
            else zeros(batch, dtype=torch.int64)
            if n in tokens
            else zeros(batch, sizes[n])
            if n in sizes
            else zeros(batch, *(self.dims(n) or (1,)))
            for n in self.circuit.states
        }

    def checked_state(self, state: object, batch: int) -> Mapping[str, Tensor]:
        """Check a given state: (batch, size) by name, (batch,) for scalars and tokens, or (batch, rows, columns) for
        matrices."""
        states, found = self.circuit.states, dict[str, Tensor]()
        if not isinstance(state, Mapping):
            raise InputError(f"the state must be a State, such as State({states[0]}=...), got a {type(state).__name__}")
        for name, value in state.items():
            if name not in states:
                hint = did_you_mean(name, states) or f". Its states are {', '.join(states)}"
                raise InputError(f"'{self.circuit.name}' has no state '{name}'{hint}")
            if not isinstance(value, Tensor):
                raise InputError(f"state '{name}' must be a tensor, got {type(value).__name__}")
            value = found[name] = in_dtype_of(self.like, readable(f"state '{name}'", value))
            is_token = name in self.circuit.recurrence.tokens
            shape = (batch, *(() if is_token else self.dims(name)))
            if is_token:
                value = found[name] = self.tokens(name, value, 1, f"state '{name}'")
            if shape_of(value) != shape:
                raise InputError(f"state '{name}' must be {shape}, got {shape_of(value)}")
            if value.dtype != self.like.dtype and not is_token:
                raise InputError(f"state '{name}' is {short(value.dtype)}, the parameters {short(self.like.dtype)}")
            self.check_device(f"state '{name}'", value)
        return found


def checked_parameters(given: Mapping[str, object], shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Check parameters: each has the shape that the equations require, and all have one dtype and device."""
    found, first = dict[str, Tensor](), ""
    for name, value in given.items():
        if not isinstance(value, Tensor):
            raise InputError(f"parameter '{name}' must be a tensor, got {type(value).__name__}")
        value = found[name] = readable(f"parameter '{name}'", value)
        if shape_of(value) != shapes[name]:
            raise InputError(f"parameter '{name}' must be {shapes[name]}, got {shape_of(value)}")
        if value.dtype not in FLOATS:
            raise InputError(f"parameter '{name}' must be {', '.join(map(short, FLOATS))}, got {short(value.dtype)}")
        first = first or name
        one = found[first]
        for what, expected, got in (("dtype", one.dtype, value.dtype), ("device", one.device, value.device)):
            if got != expected:
                raise InputError(
                    f"all parameters of a network must have the same {what}: '{first}' has {short(expected)}, '{name}' "
                    f"has {short(got)}. Convert all of them: net.to(...)"
                )
    return found


def columns(state: Tensor) -> Tensor:
    """A state as (batch, size), even if it is a scalar (batch,); a matrix and tokens (batch,) unchanged."""
    return state if state.ndim > 1 or not state.is_floating_point() else state[:, None]


def _fake(tensor: Tensor) -> bool:
    return type(tensor) not in OWN and is_fake(unwrapped(tensor))


def _mixed() -> bool:
    """Whether a FakeTensorMode is active that takes real tensors, too."""
    mode: Any = torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FAKE)
    return mode is not None and mode.allow_non_fake_inputs


def listed(*items: object) -> str:
    """The items, separated by commas."""
    return ", ".join(map(str, items))


def _described(value: object) -> str:
    return f"{short(value.dtype)} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def short(dtype: torch.dtype | torch.device) -> str:
    """A dtype or device without the prefix 'torch.'."""
    return str(dtype).removeprefix("torch.")
