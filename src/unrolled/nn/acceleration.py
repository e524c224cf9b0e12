"""Replace the recurrent layers of torch.nn in a model by those of this library, and back.

Only the class of a layer changes. Its parameters, hooks, names and flags stay the same objects.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from ..engines.c.build import compiler, missing
from ..errors import InputError
from . import torch_layers as ours

THEIRS: dict[Any, Any] = {
    ours.RNN: nn.RNN,
    ours.LSTM: nn.LSTM,
    ours.GRU: nn.GRU,
    ours.RNNCell: nn.RNNCell,
    ours.LSTMCell: nn.LSTMCell,
    ours.GRUCell: nn.GRUCell,
}
OURS = {theirs: mine for mine, theirs in THEIRS.items()}
LARGEST_STEP = 128  # units of a GRUCell or LSTMCell up to which a step alone is faster here (benchmarks/small.py)


@dataclass(frozen=True)
class Layer:
    """A recurrent layer of a model.

    Attributes:
        name: its name in the model.
        layer: its description.
        reason: why it was not replaced; empty if it was.
    """

    name: str
    layer: str
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.name or '(the model)'}: {self.layer} {f'left: {self.reason}' if self.reason else 'replaced'}"


@dataclass(frozen=True)
class Report:
    """The result of ``accelerate``: every recurrent layer of a model, replaced, or left unchanged for a reason.

    Attributes:
        layers: all of them.
    """

    layers: tuple[Layer, ...]

    @property
    def replaced(self) -> tuple[Layer, ...]:
        """The layers that were replaced."""
        return tuple(layer for layer in self.layers if not layer.reason)

    @property
    def left(self) -> tuple[Layer, ...]:
        """The layers that were left unchanged."""
        return tuple(layer for layer in self.layers if layer.reason)

    def __str__(self) -> str:
        if not self.layers:
            return "the model has no recurrent layers"
        title = f"{len(self.replaced)} of {len(self.layers)} recurrent layers replaced"
        return "\n".join([title, *(f"  {layer}" for layer in self.layers)])


def accelerate(model: nn.Module) -> Report:
    """Replace every recurrent layer and cell of torch.nn in a model, in place.

    >>> print(unrolled.accelerate(torch.nn.Sequential(torch.nn.LSTM(8, 16, 2, bidirectional=True))))
    1 of 1 recurrent layers replaced
      0: LSTM(8, 16, num_layers=2, bidirectional=True) replaced

    The model computes the same numbers up to rounding, for dense, packed and stateful input. Parameters stay the same
    objects, so an existing optimizer continues to work. Names, ``state_dict``, hooks and flags do not change. A layer
    is left unchanged if replacing it gains nothing, or if it overrides ``forward``; the report gives the reasons.

    Args:
        model: any module; it can be one of these layers itself.

    Returns:
        all recurrent layers, replaced or not.

    Raises:
        InputError: the model is not a torch.nn.Module.
    """
    _check("accelerate", model)
    found = []
    for name, layer, compiled in _recurrent(model):
        reason = _reason(layer, compiled)
        found.append(Layer(name, _described(layer), reason))
        if not reason:
            layer.__class__ = _faster(type(layer))
    return Report(tuple(found))


def restore(model: nn.Module) -> None:
    """Undo ``accelerate``: replace this library's recurrent layers in a model by those of torch.nn, in place.

    Args:
        model: any module.

    Raises:
        InputError: the model is not a torch.nn.Module.
    """
    _check("restore", model)
    for layer in model.modules():
        if (theirs := _slower(type(layer))) is not None:
            layer.__class__ = theirs


def _check(what: str, model: object) -> None:
    if not isinstance(model, nn.Module):
        raise InputError(f"{what} takes a torch.nn.Module, got a {type(model).__name__}")


# which layers are replaced


def _recurrent(model: nn.Module) -> Iterator[tuple[str, nn.Module, bool]]:
    """Every recurrent layer of a model: its name, the layer, and whether torch.compile has compiled it."""
    named = dict(model.named_modules())
    compiled = [n for n, m in named.items() if "_orig_mod" in m._modules or m._compiled_call_impl is not None]
    for name, module in named.items():
        if isinstance(module, (nn.RNNBase, nn.RNNCellBase)) or _foreign(module):
            yield name, module, any(f"{name}.".startswith(f"{c}." if c else "") for c in compiled)


def _foreign(module: nn.Module) -> str:
    """'scripted' or 'quantized' for recurrent layers that are not modules of torch.nn; empty for other modules."""
    scripted = isinstance(module, torch.jit.ScriptModule)
    name = module.original_name if scripted else type(module).__name__
    if name not in {kind.__name__ for kind in OURS}:
        return ""
    return "scripted" if scripted else "quantized" if type(module).__module__.startswith("torch.ao.") else ""


def _reason(layer: nn.Module, compiled: bool) -> str:
    """Why a layer is left unchanged; empty if it can be replaced."""
    if kind := _foreign(layer):
        return f"it is {kind}; accelerate the model first"
    if isinstance(layer, tuple(THEIRS)):
        return "it is already a layer of this library"
    if compiled:
        return "it is compiled by torch.compile; accelerate the model first"
    if "forward" in vars(layer) or _faster(type(layer)) is None:
        return "it overrides forward"
    weight = next(layer.parameters())
    if weight.device.type != "cpu":
        return f"it is on {weight.device}, where nothing is gained"
    if weight.dtype not in (torch.float32, torch.float64):
        return f"it is in {str(weight.dtype).removeprefix('torch.')}, where nothing is gained"
    if isinstance(layer, nn.RNNCell) or (isinstance(layer, nn.RNNCellBase) and layer.hidden_size > LARGEST_STEP):
        return "a single step of it is no faster here"
    return missing() if compiler() is None else ""


def _described(layer: nn.Module) -> str:
    name = layer.original_name if isinstance(layer, torch.jit.ScriptModule) else type(layer).__name__
    return f"{name}({layer.extra_repr()})"


# classes


def _faster(kind: Any) -> Any:
    """The class that computes the same on our engines; None for a class that overrides ``forward``."""
    if kind in OURS:
        return OURS[kind]
    if _is_parametrized(kind):
        base = _faster(kind.__bases__[0])
        return base and _rebased(kind, base)
    for theirs, mine in OURS.items():
        if issubclass(kind, theirs) and kind.forward is theirs.forward:
            return _subclass(kind, mine)
    return None


def _slower(kind: type[Any]) -> Any:
    """The class of torch.nn, or of a user, that a class of ours has replaced; None for any other class."""
    if kind in THEIRS:
        return THEIRS[kind]
    if _is_parametrized(kind):
        base = _slower(kind.__bases__[0])
        return base and _rebased(kind, base)
    return vars(kind).get("_replaced")


def _is_parametrized(kind: type) -> bool:
    """Whether ``torch.nn.utils.parametrize`` created a class, with the parametrized tensors as properties."""
    return kind.__module__ == "torch.nn.utils.parametrize"


def _rebased(kind: type, base: type) -> type:
    """The class of a parametrized module with another base class."""
    own = {n: v for n, v in vars(kind).items() if n not in ("__dict__", "__weakref__")}
    return type(f"Parametrized{base.__name__}", (base,), own)


@cache
def _subclass(kind: type[Any], mine: type[Any]) -> type[Any]:
    """A user's subclass of a layer with the ``forward`` of our layer."""
    return type(kind.__name__, (kind, mine), {"_replaced": kind, "__module__": kind.__module__, "__reduce__": _reduced})


def _reduced(layer: Any) -> tuple[Any, ...]:
    """Pickle a module by the user's class, since classes created here cannot be imported."""
    return _again, (type(layer)._replaced,), layer.__getstate__()


def _again(kind: type) -> nn.Module:
    made = _faster(kind)
    module: nn.Module = made.__new__(made)
    return module
