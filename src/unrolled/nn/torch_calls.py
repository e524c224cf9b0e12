"""A cache of checked calls of a module. Calls like a cached one skip torch's checks, which take longer than some steps.

The cache is not stored in the module, so copies, pickles and classes are not affected.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from ..engines.border import Guards, guards, watched
from ..engines.bound import run_bound
from ..engines.c.bound import Bound, bind
from ..engines.call import Engine
from ..engines.function import run
from ..engines.plain import PLAIN
from ..sequence.layout import Layout
from .torch_operators import Cell, Tensors, cells, engine_for, parameters_of, run_layers, with_biases, zero
from .torch_series import Dense

_hooks: Any = torch._C._autograd._top_saved_tensors_default_hooks
MOST = 64  # cached kinds of calls per module


class _Known(Protocol):
    """A cached kind of call, which can run calls like it.

    Attributes:
        guards: the kinds of its tensors.
        names: the names of the weights.
        zeros: the initial states if none are given.
    """

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
    whole: Bound | None  # of one layer in one direction, in the shapes of the call
    bounds: list[Bound]

    def run(self, module: nn.RNNBase, x: Tensor, states: Tensors, weights: list[Tensor]) -> Any:
        ordinary = not _hooks(False)
        if self.whole is not None and ordinary:
            turned = not self.batch.batch_first and 1 not in (self.batch.batch, self.batch.steps)
            rows = (x.transpose(0, 1) if turned else x).contiguous()
            leaves = [rows, *[s.contiguous() for s in states], *with_biases(weights, module.bias)]
            output, *ends = run_bound(self.whole, leaves)
            output = output.transpose(0, 1).contiguous() if turned else output
        else:
            each, made = len(weights) // len(self.cells), []
            for k, (recurrence, sizes, _) in enumerate(self.cells):
                own = parameters_of(recurrence, weights[k * each : (k + 1) * each], module.bias)
                made.append(Cell(recurrence, sizes, own))
            dropout = module.dropout if module.training else 0.0
            bounds = self.bounds if ordinary else ()
            output, *ends = run_layers(self.engine, self.batch, x, states, made, dropout, module.bidirectional, bounds)
        return output, tuple(ends[-2:]) if len(states) == 2 else ends[-1]


@dataclass(frozen=True)
class _KnownStep:
    guards: Guards
    names: list[str]
    zeros: Tensors
    engine: Engine
    layout: Layout
    cell: Cell  # without parameters
    whole: Bound | None

    def run(self, module: nn.RNNCellBase, x: Tensor, states: Tensors, weights: list[Tensor]) -> Any:
        if self.whole is not None and not _hooks(False):
            leaves = [x.contiguous(), *[s.contiguous() for s in states], *with_biases(weights, module.bias)]
            found = run_bound(self.whole, leaves)
            return found[0] if len(states) == 1 else tuple(found)
        recurrence, sizes, _ = self.cell
        cell = Cell(recurrence, sizes, parameters_of(recurrence, weights, module.bias))
        results = run(self.engine, cell.call(x, states, self.layout))
        return results["h"] if len(states) == 1 else (results["h"], results["c"])


_known: WeakKeyDictionary[nn.Module, dict[Any, _Known]] = WeakKeyDictionary()


def again(module: nn.Module, x: Any, hx: Any) -> Any:
    """The result of a module for a dense batch, if a call like this one is in the cache; otherwise None."""
    own: Any = module._parameters
    try:
        given = _given(hx)
        known = _known[module][_kind(module, x, given)]
        weights = [own[n] for n in known.names]
    except (KeyError, AttributeError, TypeError, ValueError):  # not cached, or a weight is computed from others
        return None
    if not known.guards.check(x, *given, *weights) or watched() or torch.is_autocast_enabled("cpu"):
        return None
    states = known.zeros if hx is None else given if isinstance(hx, Tensor) else hx
    return known.run(module, x, states, weights)


def remember(module: Any, x: Any, hx: Any) -> None:
    """Cache a call that torch has checked, if the batch is dense and one of our engines runs it."""
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
    guard, dense = guards((x, *given), weights), all(w.is_contiguous() for w in weights)
    name = "rnn_" + module.nonlinearity if hasattr(module, "nonlinearity") else ("lstm" if len(zeros) == 2 else "gru")
    layers, directions = (1, 1) if step else (module.num_layers, 1 + module.bidirectional)
    full = cells(name, weights, module.bias, layers, directions, x.shape[-1], states)
    made = [c._replace(parameters={}) for c in full]
    if step:
        call = full[0].call(x, states, batch.layout)
        whole = bind(call, shapes, torch.is_grad_enabled(), last_states=False) if dense else None
        kinds[_kind(module, x, given)] = _KnownStep(guard, names, zeros, engine, batch.layout, made[0], whole)
    else:
        whole = _whole(x, states, full[0], batch) if dense and len(full) == 1 else None
        bounds = [_each(c, batch) for c in full] if dense and whole is None else []
        known = [b for b in bounds if b is not None]
        known = known if len(known) == len(bounds) else []
        kinds[_kind(module, x, given)] = _KnownLayers(guard, names, zeros, engine, batch, made, whole, known)


def _whole(x: Tensor, states: Sequence[Tensor], cell: Cell, batch: Dense) -> Bound | None:
    """What runs one direction of one layer, in the shapes of the call; but with batch first where both are more than
    one."""
    call = cell.call(batch.rows(x), [s.flatten(0, -2) for s in states], batch.layout)
    plain = batch.batch_first or 1 in (batch.batch, batch.steps)
    lead = x.shape[:-1] if plain else (batch.batch, batch.steps)
    return bind(call, [(*lead, s.shape[-1]) for s in states], torch.is_grad_enabled())


def _each(cell: Cell, batch: Dense) -> Bound | None:
    """What runs one direction of a layer among others."""
    weight_ih, weight_hh = list(cell.parameters.values())[:2]
    hidden = [weight_hh.shape[1], len(weight_hh) // 4][: len(cell.recurrence.states)]
    rows = weight_ih.new_empty(batch.layout.rows, weight_ih.shape[1])
    states = [weight_ih.new_empty(batch.batch, n) for n in hidden]
    call = cell.call(rows, states, batch.layout)
    return bind(call, [(batch.batch, batch.steps, n) for n in hidden], torch.is_grad_enabled())


WEIGHTS = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")  # of a cell


def _states(module: Any, batch: int) -> list[tuple[int, ...]]:
    """The shapes of the states of a module."""
    hidden, two = module.hidden_size, isinstance(module, (nn.LSTM, nn.LSTMCell))
    if isinstance(module, nn.RNNCellBase):
        return [(batch, hidden)] * (1 + two)
    count = module.num_layers * (1 + module.bidirectional)
    return [(count, batch, module.proj_size or hidden)] + [(count, batch, hidden)] * two


def _kind(module: Any, x: Tensor, given: Tensors) -> tuple[Any, ...]:
    """The key of a call in the cache. given: the states."""
    return x.shape, module.__dict__.get("batch_first"), len(given), torch.is_grad_enabled(), torch.get_num_threads()


def _given(hx: Any) -> Tensors:
    """The given states without repetition, since guards reject a tensor that occurs twice."""
    if hx is None or isinstance(hx, Tensor):
        return () if hx is None else (hx,)
    h, c = hx
    return (h,) if h is c else (h, c)
