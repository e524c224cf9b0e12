"""Calls of a module like one that torch has checked: they are not checked again, which takes longer than few steps do.

What is remembered of a module is remembered beside it, so that copies, pickles and its class know nothing of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..engines.border import Guards, guards, watched
from ..engines.call import Engine
from ..engines.function import run
from ..engines.plain import PLAIN
from ..sequence.layout import Layout
from .torch_operators import Cell, Tensors, cells, engine_for, parameters_of, run_layers, zero
from .torch_series import Dense

MOST = 64  # kinds of calls that are remembered of a module


class _Known(Protocol):
    """What runs a kind of call. guards: of its tensors; names: of the weights; zeros: states where none are given."""

    @property
    def guards(self) -> Guards: ...
    @property
    def names(self) -> list[str]: ...
    @property
    def zeros(self) -> Tensors: ...
    def run(self, module: Any, x: Tensor, states: Tensors, weights: list[Tensor]) -> Any: ...


@dataclass(frozen=True)
class _KnownLayers:
    guards: Guards
    names: list[str]
    zeros: Tensors
    engine: Engine
    batch: Dense
    cells: list[Cell]  # without parameters

    def run(self, module: nn.RNNBase, x: Tensor, states: Tensors, weights: list[Tensor]) -> Any:
        each, made = len(weights) // len(self.cells), []
        for k, (recurrence, sizes, _) in enumerate(self.cells):
            own = parameters_of(recurrence, weights[k * each : (k + 1) * each], module.bias)
            made.append(Cell(recurrence, sizes, own))
        dropout = module.dropout if module.training else 0.0
        output, *ends = run_layers(self.engine, self.batch, x, states, made, dropout, module.bidirectional)
        return output, tuple(ends) if len(ends) > 1 else ends[0]


@dataclass(frozen=True)
class _KnownStep:
    guards: Guards
    names: list[str]
    zeros: Tensors
    engine: Engine
    layout: Layout
    cell: Cell  # without parameters

    def run(self, module: nn.RNNCellBase, x: Tensor, states: Tensors, weights: list[Tensor]) -> Any:
        recurrence, sizes, _ = self.cell
        cell = Cell(recurrence, sizes, parameters_of(recurrence, weights, module.bias))
        found = run(self.engine, cell.call(x, states, self.layout))
        return found["h"] if len(states) == 1 else (found["h"], found["c"])


_known: WeakKeyDictionary[nn.Module, dict[Any, _Known]] = WeakKeyDictionary()


def again(module: nn.Module, x: Any, hx: Any) -> Any:
    """What a module gives for a dense batch, if a call like this one was remembered; None otherwise."""
    own: Any = module._parameters
    try:
        known = _known[module][_kind(module, x, hx)]
        weights = [own[n] for n in known.names]
    except (KeyError, AttributeError, TypeError, ValueError):  # no such call, or a weight that is computed from others
        return None
    given = _given(hx)
    if not known.guards.check(x, *given, *weights) or watched() or torch.is_autocast_enabled("cpu"):
        return None
    states = known.zeros if hx is None else given if isinstance(hx, Tensor) else hx
    return known.run(module, x, states, weights)


def remember(module: Any, x: Any, hx: Any) -> None:
    """Remember a call that torch has checked, if it is of a dense batch that an engine of ours runs."""
    step = isinstance(module, nn.RNNCellBase)
    names = [n for n in WEIGHTS if getattr(module, n) is not None] if step else module._flat_weights_names
    if not isinstance(x, Tensor) or x.ndim != 3 - step or any(n not in module._parameters for n in names):
        return
    weights, kinds = [module._parameters[n] for n in names], _known.setdefault(module, {})
    batch = Dense(len(x), 1, True) if step else Dense.of(x, module.batch_first)
    shapes = _states(module, batch.batch)
    zeros = tuple(zero(shape, x.dtype, x.device) for shape in shapes)
    given = _given(hx)
    states = zeros if hx is None else given if isinstance(hx, Tensor) else hx
    engine = engine_for((x, *states, *weights))
    if engine is None or engine is PLAIN or not batch.layout.longest:
        return
    if len(kinds) >= MOST:
        kinds.clear()
    guard = guards((x, *given, *weights))
    name = "rnn_" + module.nonlinearity if hasattr(module, "nonlinearity") else ("lstm" if len(zeros) == 2 else "gru")
    layers, directions = (1, 1) if step else (module.num_layers, 1 + module.bidirectional)
    made = [
        c._replace(parameters={}) for c in cells(name, weights, module.bias, layers, directions, x.shape[-1], states)
    ]
    if step:
        kinds[_kind(module, x, hx)] = _KnownStep(guard, names, zeros, engine, batch.layout, made[0])
    else:
        kinds[_kind(module, x, hx)] = _KnownLayers(guard, names, zeros, engine, batch, made)


WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of a cell


def _states(module: Any, batch: int) -> list[tuple[int, ...]]:
    """The shapes of the states of a module."""
    hidden, two = module.hidden_size, isinstance(module, (nn.LSTM, nn.LSTMCell))
    if isinstance(module, nn.RNNCellBase):
        return [(batch, hidden)] * (1 + two)
    count = module.num_layers * (1 + module.bidirectional)
    return [(count, batch, module.proj_size or hidden)] + [(count, batch, hidden)] * two


def _kind(module: Any, x: Tensor, hx: Any) -> tuple[Any, ...]:
    """What tells the kinds of calls of a module apart."""
    return x.shape, getattr(module, "batch_first", None), len(_given(hx)), torch.is_grad_enabled()


def _given(hx: Any) -> Tensors:
    """The states that a module is given, each once: guards pass no tensor that comes twice."""
    if hx is None or isinstance(hx, Tensor):
        return () if hx is None else (hx,)
    h, c = hx
    return (h,) if h is c else (h, c)
