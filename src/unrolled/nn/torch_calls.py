"""Calls of a layer like one that torch has checked: they are not checked again, which takes longer than a short series.

What is remembered of a layer is remembered beside it, so that copies, pickles and its class know nothing of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..engines.border import Guards, guards, watched
from ..engines.call import Engine
from ..engines.plain import PLAIN
from .torch_operators import Cell, Tensors, cells, engine_for, parameters_of, run_layers, zero
from .torch_series import Dense

MOST = 64  # kinds of calls that are remembered of a layer


class _Known(NamedTuple):
    """What runs a kind of call. guards: of its tensors; zeros: the states that it starts from, if it is given none."""

    guards: Guards
    engine: Engine
    batch: Dense
    zeros: Tensors
    cells: list[Cell]


_known: WeakKeyDictionary[nn.Module, dict[Any, _Known]] = WeakKeyDictionary()


def again(layer: nn.RNNBase, x: Any, hx: Any) -> Any:
    """What a layer gives for a dense batch, if a call like this one was remembered; None otherwise."""
    own: Any = layer._parameters
    try:
        known = _known[layer][_kind(layer, x, hx)]
        weights = [own[n] for n in layer._flat_weights_names]
    except (
        KeyError,
        AttributeError,
        TypeError,
        ValueError,
    ):  # no such call, no tensor, or a weight that is computed from others
        return None
    given = _given(hx)
    if not known.guards.check(x, *given, *weights) or watched() or torch.is_autocast_enabled("cpu"):
        return None
    states = known.zeros if hx is None else given if isinstance(hx, Tensor) else hx
    each = len(weights) // len(known.cells)
    made = [
        Cell(c.recurrence, c.sizes, parameters_of(c.recurrence, weights[k * each : (k + 1) * each], layer.bias))
        for k, c in enumerate(known.cells)
    ]
    dropout = layer.dropout if layer.training else 0.0
    output, *ends = run_layers(known.engine, known.batch, x, states, made, dropout, layer.bidirectional)
    return output, tuple(ends) if len(ends) > 1 else ends[0]


def remember(layer: nn.RNNBase, x: Any, hx: Any) -> None:
    """Remember a call that torch has checked, if it is of a dense batch that an engine of ours runs."""
    if not isinstance(x, Tensor) or x.ndim != 3 or any(n not in layer._parameters for n in layer._flat_weights_names):
        return
    weights: list[Any] = [layer._parameters[n] for n in layer._flat_weights_names]
    directions = 1 + layer.bidirectional
    batch = Dense.of(x, layer.batch_first)
    sizes = [layer.proj_size or layer.hidden_size] + [layer.hidden_size] * isinstance(layer, nn.LSTM)
    zeros = tuple(zero((layer.num_layers * directions, batch.batch, n), x.dtype, x.device) for n in sizes)
    given = _given(hx)
    states = zeros if hx is None else given if isinstance(hx, Tensor) else hx
    engine = engine_for((x, *states, *weights))
    if engine is None or engine is PLAIN or not batch.layout.longest:
        return
    name = layer.mode.lower()
    made = cells(name, weights, layer.bias, layer.num_layers, directions, x.shape[-1], states)
    kinds = _known.setdefault(layer, {})
    if len(kinds) >= MOST:
        kinds.clear()
    without = [c._replace(parameters={}) for c in made]
    kinds[_kind(layer, x, hx)] = _Known(guards((x, *given, *weights)), engine, batch, zeros, without)


def _kind(layer: nn.RNNBase, x: Tensor, hx: Any) -> tuple[Any, ...]:
    """What tells the kinds of calls of a layer apart."""
    return x.shape, layer.batch_first, len(_given(hx)), torch.is_grad_enabled()


def _given(hx: Any) -> Tensors:
    """The states that a layer is given, each once: guards pass no tensor that comes twice."""
    if hx is None or isinstance(hx, Tensor):
        return () if hx is None else (hx,)
    h, c = hx
    return (h,) if h is c else (h, c)
