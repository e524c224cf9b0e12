"""torch's recurrent operators (``torch.lstm``, ``torch.gru_cell`` and so on) on the engines of this library, with the
same arguments.

If an engine cannot read an argument, or an argument does not fit, torch's own operator runs or raises the error.

Letters: B batch, D directions, H hidden, N steps of all sequences.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.compiler import is_compiling

from ..engines.border import constants, for_onnx, ordinary, recorded, traced, transformed, unwrapped
from ..engines.bound import run_bound
from ..engines.c.bound import Bound
from ..engines.c.build import compiler
from ..engines.call import Call, Engine
from ..engines.function import run, run_sequences
from ..engines.plain import PLAIN
from ..engines.registry import ENGINES
from ..errors import InputError
from ..graph.bind import bind, shapes
from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from . import torch_compiled
from .torch_layout import LAYERS
from .torch_series import Batch, Dense, Packed

Tensors = tuple[Tensor, ...]


class Layers:
    """``torch.lstm``, ``gru``, ``rnn_tanh`` or ``rnn_relu``: layers in one or two directions."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *given: Any) -> Tensors:
        """The series of the last layer, and the last states (layers D, B, H).

        Takes series, states, weights, has_biases, num_layers, dropout, train, bidirectional, batch_first; or, packed:
        data, batch_sizes, states, weights, has_biases, num_layers, dropout, train, bidirectional.
        """
        if is_compiling() and not for_onnx():
            data, states, weights, biases, count, dropout, train, bidirectional, batch_first = given
            share = dropout if train else 0.0
            return torch_compiled.layers(
                self.name, data, listed(states), weights, biases, count, share, bidirectional, batch_first
            )
        if isinstance(given[3], list):
            data, alive, *rest = given
            batch: Batch = Packed(tuple(alive.tolist()))
        else:
            data, *rest, batch_first = given
            batch = Dense.of(data, batch_first)
        found = self.run(batch, data, *rest) if batch.layout.longest else None
        return getattr(torch._VF, self.name)(*given) if found is None else found

    def run(
        self,
        batch: Batch,
        data: Tensor,
        states: Tensor | Sequence[Tensor],
        weights: Sequence[Tensor],
        biases: bool,
        layers: int,
        dropout: float,
        train: bool,
        bidirectional: bool,
    ) -> Tensors | None:
        """Run a batch in any layout; None if only torch's own operator can compute or refuse it."""
        states = listed(states)
        engine = engine_for((data, *states, *weights))
        if engine is None or len(states) != 1 + (self.name == "lstm"):
            return None
        made = cells(self.name, weights, biases, layers, 1 + bidirectional, data.shape[-1], states)
        return run_layers(engine, batch, data, states, made, dropout if train else 0.0, bidirectional)


def run_layers(
    engine: Engine,
    batch: Batch,
    data: Tensor,
    states: Sequence[Tensor],
    cells: Sequence[Cell],
    dropout: float,
    bidirectional: bool,
    bounds: Sequence[Bound] = (),
) -> Tensors:
    """The series of the last layer and the last states, from the cells of all directions of all layers. bounds: what
    runs each of them, if that is known."""
    rows, ends = batch.rows(data), list[dict[str, Tensor]]()
    while True:
        found = []
        for backward in range(1 + bidirectional):
            k = len(ends)
            read = batch.flip(rows) if backward else rows
            start = [s[k] for s in states]
            if bounds:
                own = [t.contiguous() for t in (read, *start)]
                h, *others = run_bound(bounds[k], [*own, *cells[k].parameters.values()])
                end = dict(zip(cells[k].recurrence.states, others[-len(start) :], strict=True))
            else:
                series, end = run_sequences(engine, cells[k].call(read, start, batch.layout))
                h = series["h"]
            found.append(batch.flip(h) if backward else h)
            ends.append(end)
        values = torch.cat(found, -1) if bidirectional else found[0]
        if len(ends) == len(cells):
            break
        if dropout:
            values = batch.from_time_order(nn.functional.dropout(batch.in_time_order(values), dropout))
        rows = values.flatten(0, -2)
    last = (torch.stack([end[n] for end in ends]) if len(ends) > 1 else ends[0][n][None] for n in ends[0])
    return batch.series(values), *last


class Step:
    """``torch.lstm_cell``, ``gru_cell``, ``rnn_tanh_cell`` or ``rnn_relu_cell``: one step."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, x: Tensor, states: Tensor | Sequence[Tensor], *weights: Tensor | None) -> Tensor | Tensors:
        """The new states (B, H), from an input (B, features), states, weight_ih, weight_hh, bias_ih and bias_hh."""
        given, old = [w for w in weights if w is not None], listed(states)
        if is_compiling() and not for_onnx():
            new = torch_compiled.step(self.name, x, old, given, len(given) == 4)
            return new[0] if isinstance(states, Tensor) else (new[0], new[1])
        (_, inputs), (_, hidden) = given[0].shape, given[1].shape
        fits = x.shape[1:] == (inputs,) and all(s.shape == (len(x), hidden) for s in old)
        engine = engine_for((x, *old, *given)) if fits else None
        if engine is None:
            return getattr(torch._VF, f"{self.name}_cell")(x, states, *weights)
        cell = _cell(self.name, given, len(given) == 4, inputs, (hidden,) * len(old))
        found = run(engine, cell.call(x, old, Layout.dense(len(x), 1)))
        return found["h"] if isinstance(states, Tensor) else (found["h"], found["c"])


class Cell(NamedTuple):
    """One direction of one layer: its equations, sizes and parameters."""

    recurrence: Recurrence
    sizes: dict[str, int]
    parameters: dict[str, Tensor]

    def call(self, rows: Tensor, states: Sequence[Tensor], layout: Layout) -> Call:
        start = dict(zip(self.recurrence.states, states, strict=True))
        return Call(self.recurrence, self.sizes, self.parameters, {"x": rows}, start, layout, rows)


def cells(
    name: str,
    weights: Sequence[Tensor],
    biases: bool,
    layers: int,
    directions: int,
    inputs: int,
    states: Sequence[Tensor],
) -> list[Cell]:
    """The cells of all directions of all layers."""
    count, hidden = len(weights) // (layers * directions), tuple(s.shape[-1] for s in states)
    widths = [inputs] * directions + [hidden[0] * directions] * (directions * (layers - 1))
    return [_cell(name, weights[k * count : (k + 1) * count], biases, n, hidden) for k, n in enumerate(widths)]


def _cell(name: str, weights: Sequence[Tensor], biases: bool, inputs: int, hidden: tuple[int, ...]) -> Cell:
    """
    Raises:
        InputError: weights that do not fit the sizes.
    """
    recurrence, sizes, expected = _known(f"{name}_projected" if len(weights) % 2 else name, inputs, hidden)
    parameters = parameters_of(recurrence, weights, biases)
    if [w.shape for w in parameters.values()] != expected:
        for (n, w), shape in zip(parameters.items(), expected, strict=True):
            if w.shape != shape:
                raise InputError(f"{n} must be {shape}, got {tuple(w.shape)}")
    return Cell(recurrence, sizes, parameters)


@lru_cache(maxsize=256)
def _known(name: str, inputs: int, hidden: tuple[int, ...]) -> tuple[Recurrence, dict[str, int], list[tuple[int, ...]]]:
    """Equations, sizes, and the shapes of parameters."""
    recurrence = LAYERS[name].recurrence
    sizes = bind(recurrence, {"x": inputs, **dict(zip(recurrence.states, hidden, strict=True))})
    return recurrence, sizes, list(shapes(recurrence, sizes).values())


def parameters_of(recurrence: Recurrence, weights: Sequence[Tensor], biases: bool) -> dict[str, Tensor]:
    """Weights by name."""
    return dict(zip(recurrence.parameters, with_biases(weights, biases), strict=True))


def with_biases(weights: Sequence[Tensor], biases: bool) -> Sequence[Tensor]:
    """The weights of a layer in torch's order, with biases of zero if it has none."""
    if biases:
        return weights
    none = zero((len(weights[0]),), weights[0].dtype, weights[0].device)
    return (*weights[:2], none, none, *weights[2:])


@constants
def zero(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """Zeros, for the bias of a layer without one and for missing states."""
    return torch.zeros(shape, dtype=dtype, device=device)


def engine_for(tensors: Sequence[Tensor]) -> Engine | None:
    """The engine for a call with these tensors; None for torch's own operator."""
    if torch.compiler.is_compiling() or recorded():
        return None
    if any(t.shape[-1:] == (0,) for t in tensors):  # circuits have no sizes of 0
        return None
    if traced():
        return PLAIN
    dtype, others = tensors[0].dtype, PLAIN if transformed() else None
    if compiler() is None or dtype not in (torch.float32, torch.float64) or torch.is_autocast_enabled("cpu"):
        return others
    readable = all(ordinary(unwrapped(t)) and t.dtype == dtype and t.device.type == "cpu" for t in tensors)
    return ENGINES["c"] if readable else others


def listed(states: Tensor | Sequence[Tensor]) -> Sequence[Tensor]:
    return (states,) if isinstance(states, Tensor) else states
