"""Which engines there are, and which one runs a network."""

from __future__ import annotations

from ..errors import EngineError, did_you_mean
from .call import Engine
from .planned import Planned
from .reference import Reference
from .torch import run_loop

ENGINES: dict[str, Engine] = {"reference": Reference(), "torch": Planned("torch", run_loop)}


def choose(name: str) -> tuple[Engine, str]:
    """The engine for a name ('auto' or one of ENGINES) and the reason for it.

    Raises EngineError for a name that is not an engine of this installation.
    """
    if name == "auto":
        return ENGINES["reference"], "step by step, on any device that torch has; engine='torch' runs the plan instead"
    if name not in ENGINES:
        hint = did_you_mean(name, ("auto", *ENGINES))
        raise EngineError(f"engine={name!r} is not available. Choose one of: auto, {', '.join(ENGINES)}{hint}")
    return ENGINES[name], "named by the user"
