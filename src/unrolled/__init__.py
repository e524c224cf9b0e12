"""Write the recurrence once, as its equations; unfold it, differentiate it, draw it, and run it on sequences.

Everything is loaded on first use, so that importing the package is light.
"""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False  # that of typing would be imported before Ctrl-C is looked after
__version__ = "0.1.0"

_HOME = {
    "circuit": "circuits.circuit",
    "Circuit": "circuits.circuit",
    "Drawing": "draw.drawing",
    "Recurrent": "nn.recurrent",
    "RNN": "nn.layers",
    "LSTM": "nn.layers",
    "GRU": "nn.layers",
    "Ragged": "sequence.ragged",
    "Snapshots": "nn.memory",
    "Store": "nn.memory",
    "Truncated": "nn.memory",
    "backpropagate": "nn.backpropagate",
    "State": "sequence.state",
    "explore": "look.look",
    "measure": "look.look",
    "diagnose": "diagnosis.diagnose",
    "memory_capacity": "diagnosis.capacity",
    **{
        name: "errors"
        for name in (
            "UnrolledError", "CircuitError", "GraphError", "InputError", "EngineError", "DataError", "NumberError",
            "UsageError",
        )
    },
    **{
        name: "circuits.functional"
        for name in (
            "tanh", "sigmoid", "relu", "softplus", "gelu", "erf", "exp", "log", "sqrt", "sin", "cos", "abs", "sign",
            "floor", "maximum", "minimum", "softmax", "logsumexp", "sum", "mean", "max", "min", "cumsum", "concat",
            "stack", "split", "where", "stop_gradient", "take", "onehot", "nll", "squared_error",
        )
    },
}  # fmt: skip
_MODULES = {name: name for name in ("cells", "errors", "nn", "sequence", "sources", "testing", "train")} | {
    "losses": "sequence.losses"
}

__all__ = ["__version__", *_HOME, *_MODULES]

if TYPE_CHECKING:
    from .circuits.circuit import Circuit as Circuit
    from .circuits.circuit import circuit as circuit
    from .circuits.functional import *  # noqa: F403
    from .diagnosis.capacity import memory_capacity as memory_capacity
    from .diagnosis.diagnose import diagnose as diagnose
    from .draw.drawing import Drawing as Drawing
    from .errors import *  # noqa: F403
    from .look.look import explore as explore
    from .look.look import measure as measure
    from .nn.backpropagate import backpropagate as backpropagate
    from .nn.layers import GRU as GRU
    from .nn.layers import LSTM as LSTM
    from .nn.layers import RNN as RNN
    from .nn.memory import Snapshots as Snapshots
    from .nn.memory import Store as Store
    from .nn.memory import Truncated as Truncated
    from .nn.recurrent import Recurrent as Recurrent
    from .sequence.ragged import Ragged as Ragged
    from .sequence.state import State as State


def __getattr__(name: str) -> object:
    if name in _HOME:
        value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    elif name in _MODULES:
        value = import_module(f"{__name__}.{_MODULES[name]}")
    else:
        raise AttributeError(f"module 'unrolled' has no attribute '{name}'")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
