"""Write the recurrence once, as its equations; unfold it, differentiate it, draw it, and run it on sequences.

Everything is loaded on first use, so that importing the package is fast.
"""

from __future__ import annotations

import builtins
import sys
import types
from importlib import import_module

from .graph.language import FUNCTIONS
from .plan.of_engines import OF_ENGINES

TYPE_CHECKING = False  # defined here, because importing typing takes time during which Ctrl-C is not handled
__version__ = "0.1.0"

_ERRORS = (
    "UnrolledError", "CircuitError", "GraphError", "InputError", "EngineError", "DataError", "NumberError",
    "UsageError",
)  # fmt: skip
_HOME = {
    "circuit": "circuits.circuit",
    "Circuit": "circuits.circuit",
    "Drawing": "draw.drawing",
    "Recurrent": "nn.recurrent",
    "RNN": "nn.torch_layers",
    "LSTM": "nn.torch_layers",
    "GRU": "nn.torch_layers",
    "accelerate": "nn.acceleration",
    "restore": "nn.acceleration",
    "Ragged": "sequence.ragged",
    "Snapshots": "nn.memory",
    "Store": "nn.memory",
    "Truncated": "nn.memory",
    "backpropagate": "nn.backpropagate",
    "narrow": "nn.narrow",
    "State": "sequence.state",
    "gumbel": "sequence.gumbel",
    "explore": "look.explore",
    "measure": "look.explore",
    "diagnose": "diagnosis.diagnose",
    "export": "export.exporting",
    **dict.fromkeys(("zoneout", "variational", "noise"), "circuits.regularise"),
    **dict.fromkeys(_ERRORS, "errors"),
    **dict.fromkeys(FUNCTIONS, "circuits.functional"),
}
_MODULES = {name: name for name in ("cells", "errors", "nn", "sequence", "sources", "testing", "train")} | {
    "losses": "sequence.losses"
}

_NAMES = ["__version__", *_HOME, *_MODULES]
# `from unrolled import *` must not replace Python's own sum, max, min and abs
__all__ = [name for name in _NAMES if not hasattr(builtins, name)]

if TYPE_CHECKING:
    from .circuits.circuit import Circuit as Circuit
    from .circuits.circuit import circuit as circuit
    from .circuits.functional import *  # noqa: F403
    from .circuits.regularise import noise as noise
    from .circuits.regularise import variational as variational
    from .circuits.regularise import zoneout as zoneout
    from .diagnosis.diagnose import diagnose as diagnose
    from .draw.drawing import Drawing as Drawing
    from .errors import *  # noqa: F403
    from .export.exporting import export as export
    from .look.explore import explore as explore
    from .look.explore import measure as measure
    from .nn.acceleration import accelerate as accelerate
    from .nn.acceleration import restore as restore
    from .nn.backpropagate import backpropagate as backpropagate
    from .nn.memory import Snapshots as Snapshots
    from .nn.memory import Store as Store
    from .nn.memory import Truncated as Truncated
    from .nn.narrow import narrow as narrow
    from .nn.recurrent import Recurrent as Recurrent
    from .nn.torch_layers import GRU as GRU
    from .nn.torch_layers import LSTM as LSTM
    from .nn.torch_layers import RNN as RNN
    from .sequence.gumbel import gumbel as gumbel
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


def _explained_for_cuda(plan: object) -> str:
    explained: str = import_module(f"{__name__}.engines.cuda.explain").explain(plan)
    return explained


OF_ENGINES["cuda"] = _explained_for_cuda


def __dir__() -> list[str]:
    return sorted(_NAMES)


class _Package(types.ModuleType):
    """The package, whose ``draw`` and ``export`` are functions. Python sets them to the rooms of these names when it
    imports those; ``from unrolled.draw import ...`` finds a room without it."""

    @property
    def draw(self) -> object:
        return self.__getattr__("draw")

    @draw.setter
    def draw(self, room: object) -> None:
        pass

    @property
    def export(self) -> object:
        return self.__getattr__("export")

    @export.setter
    def export(self, room: object) -> None:
        pass


sys.modules[__name__].__class__ = _Package


class _Operators:
    """``torch.ops.unrolled`` until an operator is used, such as by ``torch.export.load``. Then they are loaded."""

    def __getattr__(self, name: str) -> object:
        del sys.modules["torch"].ops.unrolled
        import_module(f"{__name__}.nn.operator")
        return getattr(sys.modules["torch"].ops.unrolled, name)


if "torch" in sys.modules:
    sys.modules["torch"].ops.unrolled = _Operators()
