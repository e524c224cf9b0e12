"""torch's autograd around calls that are bound (``c/bound.py``): one node of its graph, as in ``function.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .border import traced, transformed, untraced, unwatched, without_autocast
from .c.bound import Bound, backward
from .call import Call, Engine
from .double_backward import Gradient
from .function import differentiable, run, run_sequences, unpacked
from .inference import check_inference
from .job import Job
from .registry import ENGINES
from .transforms import pulled

Maybe = Tensor | None


class _Bound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bound: Bound, *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        given, kept = bound.forward(leaves)
        ctx.save_for_backward(*leaves, *given[: len(bound.shapes)], *kept)
        ctx.bound = bound
        return tuple(given)

    @staticmethod
    @untraced
    @without_autocast
    def backward(ctx: Any, *grads: Maybe) -> tuple[Maybe, ...]:
        bound, needed = ctx.bound, ctx.needs_input_grad[1:]
        saved = unpacked(ctx, bound.kind)
        if transformed():  # is_grads_batched=True
            rows, job = (
                bound.call(saved[: len(needed)]),
                Job.of(ENGINES["c"], bound.kind, _sequences(bound), bound.names),
            )
            found: Sequence[Maybe] = pulled(job, needed, _as_returned(bound, grads), list(rows.leaves.values()))
            return None, *_as_given(found, saved)
        if torch.is_grad_enabled():  # create_graph=True
            return None, *_recorded(bound, saved, needed, grads)
        if traced():
            with unwatched():
                return None, *_gradients(bound, saved, needed, grads)
        return None, *_gradients(bound, saved, needed, grads)


_apply = super(torch.autograd.Function, _Bound).apply  # no transform of torch.func is active where this is called


def run_bound(bound: Bound, leaves: Sequence[Tensor]) -> Sequence[Tensor]:
    """The series that are returned, and the last states; differentiable."""
    if bound.kind.narrow:
        check_inference(bound.kind, leaves)
    elif torch.is_grad_enabled():
        result: Sequence[Tensor] = _apply(bound, *leaves)
        return result
    return bound.forward(leaves)[0]


def _gradients(
    bound: Bound, saved: Sequence[Tensor], needed: tuple[bool, ...], grads: Sequence[Maybe]
) -> Sequence[Maybe]:
    """The gradients, by a call that is not bound if necessary."""
    found = backward(bound, saved, needed, grads)
    if found is not None:
        return found
    leaves = [t.detach().requires_grad_(wants) for t, wants in zip(saved, needed, strict=False)]
    with torch.enable_grad():
        call, sequences = bound.call(leaves), _sequences(bound)
        if sequences:
            series, ends = run_sequences(ENGINES["c"], call)
            values = [*series.values(), *ends.values()]
        else:
            values = list(run(ENGINES["c"], call).values())
        arrived = [(v, g) for v, g in zip(values, _as_returned(bound, grads), strict=True) if g is not None]
        outputs, weights = zip(*arrived, strict=True)
        wanted = [leaf for leaf in leaves if leaf.requires_grad]
        given = iter(torch.autograd.grad(outputs, wanted, weights, allow_unused=True))
    return [next(given) if wants else None for wants in needed]


class _Pass(NamedTuple):
    """What ``Gradient`` needs to know about a pass."""

    engine: Engine
    call: Call
    sequences: bool
    names: tuple[tuple[str, ...], ...]


def _recorded(
    bound: Bound, saved: Sequence[Tensor], needed: tuple[bool, ...], grads: Sequence[Maybe]
) -> Sequence[Maybe]:
    """The gradients, which can be differentiated."""
    rows = bound.call(saved[: len(needed)]).leaves.values()
    arrived = [g is not None for g in grads]
    given = [g for g in _as_returned(bound, grads) if g is not None]

    def of(_: _Pass, arriving: Sequence[Maybe]) -> tuple[Maybe, ...]:
        found = _gradients(bound, saved, needed, arriving)
        return tuple(None if g is None else g.view(t.shape) for g, t in zip(found, rows, strict=True))

    this = _Pass(ENGINES["c"], bound.kind, _sequences(bound), bound.names)
    return _as_given(Gradient.apply(of, differentiable, this, arrived, *given, *rows), saved)


def _sequences(bound: Bound) -> bool:
    """Whether the results are series and last states, rather than the values of one step."""
    return bool(bound.ends)


def _as_returned(bound: Bound, grads: Sequence[Maybe]) -> list[Maybe]:
    """Gradients in the shapes in which a call that is not bound returns its results."""
    layout = bound.kind.layout
    lead = (layout.count, layout.steps) if _sequences(bound) else (layout.rows,)
    shapes = [(*lead, shape[-1]) for shape in bound.shapes] + [(layout.count, -1)] * len(bound.ends)
    return [None if g is None else g.reshape(shape) for g, shape in zip(grads, shapes, strict=True)]


def _as_given(found: Sequence[Maybe], leaves: Sequence[Tensor]) -> list[Maybe]:
    """Gradients in the shapes of the leaves."""
    return [None if g is None else g.reshape(t.shape) for g, t in zip(found, leaves, strict=False)]
