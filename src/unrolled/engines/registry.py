"""The list of engines, and the choice of the one that runs a network. Every choice comes with its reason."""

from __future__ import annotations

import logging
from functools import cache, lru_cache

import torch as pytorch

from ..errors import EngineError, did_you_mean
from ..graph.recurrence import Recurrence
from ..plan.plan import Pass, make_plan
from ..transform.hoist import hoisted
from . import torch
from .c.build import compiler, missing
from .c.engine import Compiled
from .call import Engine
from .cuda.gpu import Gpu
from .cuda.gpu import missing as missing_gpu
from .cuda.loop import CudaLoop
from .lowering.lower import obstacle, obstacle_of_loop
from .planned import Planned
from .reference import Reference

ENGINES: dict[str, Engine] = {
    "reference": Reference(),
    "torch": Planned("torch", torch.run_loop),
    "c": Compiled(),
    "cuda": Planned("cuda", CudaLoop(Gpu())),
}


@lru_cache(maxsize=256)
def choose(
    name: str, recurrence: Recurrence, device: str = "cpu", dtype: pytorch.dtype = pytorch.float32
) -> tuple[Engine, str]:
    """Choose an engine.

    Args:
        name: 'auto' or one of ENGINES. A named engine never falls back silently.
        recurrence: the step to run.
        device: the type of the device, such as 'cpu'.
        dtype: the dtype of the parameters.

    Returns:
        the engine, and the reason for the choice.

    Raises:
        EngineError: there is no such engine, or it cannot run this circuit on this device.
    """
    if name == "auto":
        return _automatic(recurrence, device, dtype)
    if name not in ENGINES:
        hint = did_you_mean(name, ("auto", *ENGINES))
        raise EngineError(f"engine={name!r} does not exist. Choose one of: auto, {', '.join(ENGINES)}{hint}")
    refuses = {"c": _obstacle, "cuda": _obstacle_on_gpu}.get(name)
    if refuses and (reason := refuses(recurrence, device, dtype)):
        raise EngineError(f'engine="{name}" is not available: {reason}')
    return ENGINES[name], "chosen by the user"


def choose_for_narrow(name: str, kind: str, recurrence: Recurrence, like: pytorch.Tensor) -> tuple[Engine, str]:
    """The engine of a network with narrow weights, and the reason: see ``choose``.

    Args:
        name: 'auto' or 'c'.
        kind: of the weights.
        recurrence: the step to run.
        like: a tensor with the dtype and device of the other parameters.

    Raises:
        EngineError: another engine was chosen, or engine 'c' cannot run this.
    """
    where = f"{str(like.dtype).removeprefix('torch.')} on {like.device.type}"
    if name not in ("auto", "c") or where != "float32 on cpu":
        asked = where if name in ("auto", "c") else f"engine={name!r}"
        raise EngineError(
            f"{kind} weights run only on engine 'c', with everything else in float32 on the CPU, not with {asked}. Use "
            "a network with float32 weights"
        )
    choose("c", recurrence)
    return ENGINES["c"], f"the only engine that reads {kind} weights"


def _automatic(recurrence: Recurrence, device: str, dtype: pytorch.dtype) -> tuple[Engine, str]:
    if device != "cpu":
        return ENGINES["torch"], f"the fastest engine on {device}"
    if dtype == pytorch.float64:
        reason = "exact for float64: the same bits as the unfolded graph; engine='c' is faster"
        return ENGINES["reference"], reason
    if reason := _obstacle(recurrence, device, dtype):
        if reason == missing():
            _hint(reason)
        return ENGINES["torch"], f"not 'c': {reason}"
    return ENGINES["c"], f"compiled by {' '.join(compiler() or ())}"


@cache
def _hint(reason: str) -> None:
    """Log once how to get the faster engine."""
    logging.getLogger("unrolled").warning("using engine 'torch', which is slower than 'c': %s", reason)


def _obstacle(recurrence: Recurrence, device: str, dtype: pytorch.dtype) -> str:
    """Why engine 'c' cannot be used; empty if it can."""
    if device != "cpu" or dtype not in (pytorch.float32, pytorch.float64):
        return f"it runs float32 and float64 on the CPU, not {str(dtype).removeprefix('torch.')} on {device}"
    if compiler() is None:
        return missing()
    parts = hoisted(recurrence) if recurrence.fixed else None
    return next((reason for way in _ways(parts[1] if parts else recurrence) if (reason := obstacle(way))), "")


def _obstacle_on_gpu(recurrence: Recurrence, device: str, dtype: pytorch.dtype) -> str:
    """Why engine 'cuda' cannot be used; empty if it can."""
    if reason := missing_gpu():
        return reason
    if device != "cuda":
        return (
            f"the parameters are on the {device}. Move them with .to('cuda'), or create them there with device='cuda'"
        )
    if dtype not in (pytorch.float32, pytorch.float64):
        return f'it runs float32 and float64, not {str(dtype).removeprefix("torch.")}. Use engine="torch"'
    parts = hoisted(recurrence) if recurrence.fixed else None
    ways = _ways(parts[1] if parts else recurrence)
    return next((reason for way in ways if (reason := obstacle_of_loop(way.loop))), "")


def _ways(recurrence: Recurrence) -> tuple[Pass, Pass]:
    """The pass forward and the pass backward of all that a recurrence returns."""
    plan = make_plan(recurrence)
    return plan.forward(keep=True), plan.backward(plan.step.returns, {**plan.step.inputs, **plan.step.parameters})
