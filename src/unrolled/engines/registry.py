"""Which engines there are, and which one runs a network. Nothing is chosen silently: every choice has its reason."""

from __future__ import annotations

import logging
from functools import cache, lru_cache

import torch as pytorch

from ..errors import EngineError, did_you_mean
from ..graph.recurrence import Recurrence
from ..plan.plan import make_plan
from . import torch
from .c.build import compiler, missing
from .c.engine import Compiled
from .call import Engine
from .lowering.lower import obstacle
from .planned import Planned
from .reference import Reference

ENGINES: dict[str, Engine] = {
    "reference": Reference(),
    "torch": Planned("torch", torch.run_loop),
    "c": Compiled(),
}


@lru_cache(maxsize=256)
def choose(
    name: str, recurrence: Recurrence, device: str = "cpu", dtype: pytorch.dtype = pytorch.float32
) -> tuple[Engine, str]:
    """The engine for a name ('auto' or one of ENGINES), and the reason for it.

    Raises EngineError for a name that is not an engine, or one that cannot run this circuit on this device here.
    """
    if name == "auto":
        return _automatic(recurrence, device, dtype)
    if name not in ENGINES:
        hint = did_you_mean(name, ("auto", *ENGINES))
        raise EngineError(f"engine={name!r} does not exist. Choose one of: auto, {', '.join(ENGINES)}{hint}")
    if name == "c" and (obstacle := _obstacle(recurrence, device, dtype)):
        raise EngineError(f'engine="c" is not available: {obstacle}')
    return ENGINES[name], "named by the user"


def _automatic(recurrence: Recurrence, device: str, dtype: pytorch.dtype) -> tuple[Engine, str]:
    if device != "cpu":
        return ENGINES["torch"], f"the plan in torch operations is the fast way on {device}"
    if dtype == pytorch.float64:
        reason = "float64 asks for exactness: these are the bits of the unfolded graph; engine='c' is faster"
        return ENGINES["reference"], reason
    if obstacle := _obstacle(recurrence, device, dtype):
        if obstacle == missing():
            _hint(obstacle)
        return ENGINES["torch"], f"not 'c': {obstacle}"
    return ENGINES["c"], f"loops compiled by {' '.join(compiler() or ())}"


@cache
def _hint(reason: str) -> None:
    """Said once: how to get the faster engine."""
    logging.getLogger("unrolled").warning("running in torch operations, which is slower: %s", reason)


def _obstacle(recurrence: Recurrence, device: str, dtype: pytorch.dtype) -> str:
    """Why engine 'c' cannot be used; empty if it can."""
    if device != "cpu" or dtype not in (pytorch.float32, pytorch.float64):
        return f"it runs float32 and float64 on the CPU, not {str(dtype).removeprefix('torch.')} on {device}"
    if compiler() is None:
        return missing()
    plan = make_plan(recurrence)
    ways = (plan.forward(keep=True), plan.backward(plan.step.returns, {**plan.step.inputs, **plan.step.parameters}))
    return next((reason for way in ways if (reason := obstacle(way))), "")
