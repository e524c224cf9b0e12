"""Lets ``torch.compile`` trace the layers in ``torch_layers.py``.

torch.compile breaks the graph at every instance of ``torch.nn.RNN``, ``LSTM`` and ``GRU``, since it would unfold their
loop over time. Our subclasses run as operators, so they may be traced. torch's switch, which is
``torch._dynamo.config.allow_rnn``, would also unfold torch's own layers. So the method that reads the switch is
wrapped, when torch loads it.
"""

from __future__ import annotations

import functools
import importlib.util
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

BUILDER = "torch._dynamo.variables.builder"


def allow(*layers: type) -> None:
    """Let torch.compile trace instances of these classes, also if it is loaded only later."""
    if BUILDER in sys.modules:
        _wrap(sys.modules[BUILDER], layers)
    else:
        sys.meta_path.insert(0, _WhenLoaded(layers))


def _wrap(builder: Any, layers: tuple[type, ...]) -> None:
    original: Callable[[Any, Any], Any] = builder.VariableBuilder.wrap_module

    @functools.wraps(original)
    def wrap_module(self: Any, value: Any) -> Any:
        if isinstance(value, layers):
            with builder.config.patch(allow_rnn=True):
                return original(self, value)
        return original(self, value)

    builder.VariableBuilder.wrap_module = wrap_module


class _WhenLoaded(MetaPathFinder):
    """Finds the module as always, and wraps its method once the module has been executed."""

    def __init__(self, layers: tuple[type, ...]) -> None:
        self.layers = layers

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != BUILDER:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Wrapping(spec.loader, self.layers)
        return spec


class _Wrapping(Loader):
    def __init__(self, loader: Any, layers: tuple[type, ...]) -> None:
        self.loader, self.layers = loader, layers

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        found: ModuleType | None = self.loader.create_module(spec)
        return found

    def exec_module(self, module: ModuleType) -> None:
        self.loader.exec_module(module)
        _wrap(module, self.layers)

    def __getattr__(self, name: str) -> Any:  # get_source and the like
        return getattr(self.loader, name)
