"""The connection to torch's autograd, in which a whole batch of sequences is a single node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..errors import EngineError
from . import transforms
from .border import ordinary, transformed, untraced, unwatched, watched, without_autocast
from .call import Call, Engine
from .double_backward import Gradient
from .inference import check_inference
from .job import Job
from .once import once_per_sequence
from .passes import Tensors, gradients, shaped
from .plain import PLAIN
from .restarts import run_parts
from .row_counts import run_rounded

AS_WRITTEN = ("reference", "plain")  # the engines that compute every value at every step
_hooks = torch._C._autograd._top_saved_tensors_default_hooks


def run(engine: Engine, call: Call) -> Tensors:
    """Run a call; differentiable with respect to all its floating-point leaves.

    Returns:
        every returned value by name, (rows, size), or (rows,) for scalars.
    """
    return dict(zip(call.recurrence.returns, differentiable(engine, call, False), strict=True))


def run_sequences(engine: Engine, call: Call) -> tuple[Tensors, Tensors]:
    """Run a call of sequences; differentiable like ``run``.

    Returns:
        every returned value by name, (batch, time, size) if all sequences are equally long, otherwise (rows, size);
        and the states after the last steps, (batch, size), or (batch,) for scalars.
    """
    found = iter(differentiable(engine, call, True))
    return {n: next(found) for n in call.recurrence.returns}, {n: next(found) for n in call.state}


@without_autocast
def differentiable(engine: Engine, call: Call, sequences: bool) -> tuple[Tensor, ...]:
    """Run a call of sequences, or of rows; differentiable. Returns all values, then the last states of sequences."""
    if call.recurrence.fixed and engine.name not in AS_WRITTEN:
        return _run_fixed(engine, call, sequences)
    return _run_series(engine, call, sequences)


def _run_fixed(engine: Engine, call: Call, sequences: bool) -> tuple[Tensor, ...]:
    """Run a call with inputs that are fixed in time: what depends on them alone is computed first."""
    if engine.name != "c":
        return _run_series(engine, once_per_sequence(call, run), sequences)

    def step(call: Call) -> tuple[Tensor, ...]:
        call = once_per_sequence(call, run)
        if call.layout.resets:
            return run_parts(call, lambda parts: _run_series(engine, parts, True), sequences)
        return _run_series(engine, call, sequences)

    return run_rounded(call, step)


def _run_series(engine: Engine, call: Call, sequences: bool) -> tuple[Tensor, ...]:
    if call.narrow:
        check_inference(call, call.leaves.values(), engine is PLAIN)
    if engine is PLAIN:
        return shaped(engine.forward(call, keep=False)[0], call, sequences, in_place=False)
    if transformed():
        return transforms.run(engine, call, sequences)
    if not torch.is_grad_enabled():
        return shaped(engine.forward(call, keep=False)[0], call, sequences)
    leaves = call.leaves
    if not any(t.requires_grad for t in leaves.values()):
        with torch.no_grad():
            return differentiable(engine, call, sequences)
    outputs: tuple[Tensor, ...] = _Sequence.apply(engine, call, sequences, *leaves.values())
    return outputs


class _Sequence(torch.autograd.Function):
    """The node of autograd. It saves the engine's values as torch saves tensors: the backward pass frees them,
    ``saved_tensors_hooks`` see them, and ``torch.utils.checkpoint`` recomputes them."""

    @staticmethod
    def forward(ctx: Any, engine: Engine, call: Call, sequences: bool, *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        found, kept = engine.forward(call, keep=True)
        tensors = [t for values in kept for t in values.values()]
        ctx.shapes = [t.shape for t in tensors]
        ctx.kinds = [_kind(t) for t in (*leaves, *tensors)] if _hooks(False) else None
        given = shaped(found, call, sequences)
        if tokens := [t for t in given if not t.is_floating_point()]:
            ctx.mark_non_differentiable(*tokens)
        ctx.save_for_backward(*leaves, *tensors)
        ctx.engine, ctx.call = engine, call._replace(inputs={}, state={}, parameters={})
        ctx.sequences = sequences
        ctx.names = [tuple(values) for values in (call.inputs, call.state, call.parameters, *kept)]
        return given

    @staticmethod
    @untraced
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if transformed():  # is_grads_batched=True
            job, wanted = (
                Job.of(ctx.engine, ctx.call, ctx.sequences, ctx.names[:3]),
                ctx.needs_input_grad[3:],
            )
            return None, None, None, *transforms.pulled(job, wanted, grads, _saved(ctx)[: len(wanted)])
        if torch.is_grad_enabled():  # create_graph=True
            leaves = _saved(ctx)[: len(ctx.needs_input_grad) - 3]
            arrived = [g is not None for g in grads]
            given = [g for g in grads if g is not None]
            return None, None, None, *Gradient.apply(_backward, differentiable, ctx, arrived, *given, *leaves)
        return None, None, None, *_backward(ctx, grads)


@without_autocast
def _backward(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    if watched():
        with unwatched():
            return _gradients(ctx, grads)
    return _gradients(ctx, grads)


def _gradients(ctx: Any, grads: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    needed = ctx.needs_input_grad[3:]
    leaves, kept_tensors = (saved := _saved(ctx))[: len(needed)], saved[len(needed) :]
    # kept values that were also returned have the shapes that were returned
    rows = (t if t.shape == shape else t.view(shape) for t, shape in zip(kept_tensors, ctx.shapes, strict=True))
    tensors = iter((*leaves, *rows))
    inputs, state, parameters, *kept = [{n: next(tensors) for n in names} for names in ctx.names]
    call = ctx.call._replace(inputs=inputs, state=state, parameters=parameters)
    wanted = [n for n, wants in zip(call.leaves, needed, strict=True) if wants]
    return gradients(ctx.engine, call, kept, grads, wanted)


def _saved(ctx: Any) -> tuple[Tensor, ...]:
    saved = unpacked(ctx, ctx.call)
    if ctx.kinds is None:
        return saved
    if [_kind(t) for t in saved] != ctx.kinds:
        raise EngineError(
            "saved_tensors_hooks returned a tensor of another shape, dtype or device than was saved. The backward "
            "pass needs the same"
        )
    return tuple(t.contiguous() for t in saved)


def unpacked(ctx: Any, call: Call) -> tuple[Tensor, ...]:
    """The saved tensors of a node.

    Raises:
        EngineError: one of them was changed in place.
    """
    try:
        saved: tuple[Tensor, ...] = ctx.saved_tensors
        return saved
    except RuntimeError as problem:
        if "modified by an inplace operation" not in str(problem):
            raise
        outputs = list(call.recurrence.returns)
        raise EngineError(
            "an output, an input or a parameter of the network was changed in place, but the backward pass needs its "
            f"old value. Change a copy of the output: out.{outputs[0]}.clone(); change parameters after the backward "
            "pass"
        ) from problem


def _kind(tensor: Tensor) -> tuple[object, ...]:
    return tensor.numel(), tensor.dtype, tensor.device, ordinary(tensor)
