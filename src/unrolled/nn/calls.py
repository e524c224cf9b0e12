"""From the arguments of a network to the call of an engine: they are checked, and the recurrence is adapted to them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from ..engines.border import shape_of
from ..engines.call import Call
from ..errors import InputError
from ..graph.node import TOKEN
from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from ..sequence.ragged import Ragged
from ..sequence.state import State
from ..transform.masked import masked
from ..transform.restrict import as_tokens, expected, fed, mixed, only_states, without
from .fixed import fixed_inputs
from .forced import Forced, checked_mask, rows_of, with_masks
from .incoming import Incoming

Tensors = dict[str, Tensor]


def call_of_step(
    check: Incoming,
    sizes: dict[str, int],
    weights: Tensors,
    inputs: Mapping[str, object],
    state: State | None,
) -> Call:
    """The call of one step.

    Args:
        check: the checks of the network.
        sizes: all its sizes.
        weights: its parameters.
        inputs: by name, vectors (batch, size), matrices (batch, rows, columns) or tokens (batch,).
        state: the state before the step.

    Raises:
        InputError: an argument does not fit.
    """
    fixed = fixed_inputs(check, sizes, inputs)
    rows = {n: check.one_step(n, x) for n, x in inputs.items() if n not in fixed.values} | fixed.values
    batches = {shape_of(x)[0] for x in rows.values()} or {len(next(iter(state.values()))) if state else 1}
    if len(batches) > 1:
        raise InputError(f"all inputs of a step must have the same batch size, got {sorted(batches)}")
    if check.circuit.inputs and not rows:
        raise InputError(f"'{check.circuit.name}' needs the input {', '.join(check.circuit.inputs)}")
    layout = Layout.dense(batches.pop(), 1)
    check, sizes = fixed.check, fixed.sizes
    start = check.start(state, layout.count)
    return _call_of_rows(check, sizes, weights, rows, start, layout, ragged=fixed.ragged)


def call_of_sequences(
    check: Incoming,
    sizes: dict[str, int],
    weights: Tensors,
    series: Mapping[str, object],
    state: State | None,
    given: Mapping[str, object],
    reset: object,
    steps: int | None,
    states_only: bool = False,
) -> tuple[Call, Forced]:
    """The call of whole sequences.

    Args:
        check: the checks of the network.
        sizes: all its sizes.
        weights: its parameters.
        series: the inputs by name, (batch, time, size) or Ragged.
        state: the initial state.
        given: the series that replace states (teacher forcing), by name; or pairs of a series and a mask.
        reset: where sequences restart.
        steps: the number of steps without inputs.
        states_only: leave out what only outputs need.

    Returns:
        the call, and what replaces states.

    Raises:
        InputError: an argument does not fit.
    """
    if not states_only:
        variant(check.circuit.recurrence, tuple(n for n in check.circuit.inputs if n not in series), (), ())
    fixed = fixed_inputs(check, sizes, series)
    check, sizes, known = fixed.check, fixed.sizes, fixed.values
    given, masks = with_masks(given)
    everything = {**{n: x for n, x in series.items() if n not in known}, **given}
    if masks:
        everything |= {f"mask of {n}": m for n, m in masks.items()}
    leading = 1 if check.ragged(everything) else 2
    values = {
        n: check.series(n, _rows(series[n]), leading) for n in check.circuit.inputs if n in series and n not in known
    }
    targets = {n: check.given(n, _rows(x), leading) for n, x in given.items()}
    of_masks = {n: checked_mask(check, n, _rows(m), leading) for n, m in masks.items()}
    layout = check.layout(everything, state, steps, reset, known)
    for n, x in known.items():
        if len(x) != layout.count:
            raise InputError(f"input '{n}' has values for {len(x)} sequences, but the batch has {layout.count}")
    forced = Forced(rows_of(targets, layout), rows_of(of_masks, layout), check.start(state, layout.count), layout)
    rows = rows_of(values, layout) | known
    if states_only:
        unneeded = check.circuit.recurrence.inputs.keys() - only_states(check.circuit.recurrence).inputs.keys()
        rows = {n: x for n, x in rows.items() if n not in unneeded}
    rows |= forced.inputs()
    return _call_of_rows(check, sizes, weights, rows, forced.start, layout, forced, states_only, fixed.ragged), forced


def _call_of_rows(
    check: Incoming,
    sizes: dict[str, int],
    weights: Tensors,
    rows: Tensors,
    start: Tensors,
    layout: Layout,
    forced: Forced | None = None,
    states_only: bool = False,
    ragged: tuple[str, ...] = (),
) -> Call:
    """The call of series of rows that are already checked."""
    circuit = check.circuit
    recurrence = only_states(circuit.recurrence) if states_only else circuit.recurrence
    absent = tuple(n for n in circuit.inputs if n not in rows and n in recurrence.inputs)
    known = circuit.recurrence.inputs
    spoken = tuple(n for n in circuit.inputs if n in rows and known[n].type.kind != TOKEN and rows[n].ndim == 1)
    masks = tuple(sorted(forced.masks)) if forced and forced.masks else ()
    given = tuple(sorted(n for n in forced.targets if n not in masks)) if forced and forced.targets else ()
    step = variant(recurrence, absent, spoken, given, masks)
    if ragged:
        step = masked(step, ragged)
    begin = {n: start[n] for n in step.states}
    return Call(step, sizes, weights, rows, begin, layout, next(iter(weights.values()), check.like))


@lru_cache(maxsize=256)
def variant(
    recurrence: Recurrence,
    absent: tuple[str, ...],
    spoken: tuple[str, ...],
    given: tuple[str, ...],
    masked: tuple[str, ...] = (),
) -> Recurrence:
    """The recurrence that runs if some inputs are missing, some are tokens, and some states are given from outside, at
    all steps or where a mask says so. Missing inputs that are drawn at random are replaced with their means.

    Raises:
        InputError: a state depends on a missing input.
    """
    if drawn := [n for n in absent if n in recurrence.drawn]:
        recurrence = expected(recurrence, drawn)
        absent = tuple(n for n in absent if n not in drawn)
    if absent:
        recurrence = without(recurrence, absent)
    if spoken:
        recurrence = as_tokens(recurrence, spoken)
    known = tuple(n for n in given if n in recurrence.states)
    recurrence = fed(recurrence, known) if known else recurrence
    return mixed(recurrence, masked) if masked else recurrence


def parted(inputs: tuple[Any, ...], state: Any) -> tuple[tuple[Any, ...], Any]:
    """Separate the inputs of a call from a state that is given after them instead of as ``state=``."""
    if not inputs or isinstance(last := inputs[-1], Tensor) or not (last is None or isinstance(last, Mapping)):
        return inputs, state
    if state is not None:
        raise InputError("the state is given twice. Write net(x, state=...)")
    return inputs[:-1], last


def front(name: str, series: object) -> object:
    """All steps of each sequence except the last: (batch, time - 1, size), or a Ragged.

    Raises:
        InputError: a sequence has no steps.
    """
    if isinstance(series, Ragged):
        if len(empty := (series.lengths == 0).nonzero()):
            raise InputError(f"sequence {int(empty[0])} of '{name}' has no steps, hence no last step to answer at")
        keep = torch.ones(len(series.values), dtype=torch.bool, device="cpu")
        keep[series.offsets[1:] - 1] = False
        return Ragged(values=series.values[keep.to(series.device)], lengths=series.lengths - 1)
    if isinstance(series, Tensor) and series.ndim > 1:
        if not shape_of(series)[1]:
            raise InputError(f"'{name}' {shape_of(series)} has no steps, hence no last step to answer at")
        return series[:, :-1]
    return series


def last_step(series: object) -> Tensor:
    """The last step of each sequence: (batch, size)."""
    result: Tensor = series.last if isinstance(series, Ragged) else series[:, -1]  # type: ignore[index]
    return result


def _rows(value: object) -> object:
    return value.values if isinstance(value, Ragged) else value
