"""torch's autograd around calls that are bound (``c/bound.py``): one node of its graph, as in ``function.py``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from .border import transformed, untraced, without_autocast
from .c.bound import Bound, backward
from .function import run_sequences
from .registry import ENGINES


class _Bound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, bound: Bound, *leaves: Tensor) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        given, kept = bound.forward(leaves)
        ctx.save_for_backward(*leaves, *given[: len(given) - len(bound.names[1])], *kept)
        ctx.bound = bound
        return tuple(given)

    @staticmethod
    @untraced
    @without_autocast
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        bound, needed, found = ctx.bound, ctx.needs_input_grad[1:], None
        saved = ctx.saved_tensors
        if all(g is None for g in grads):
            return (None,) * (1 + len(needed))
        if not torch.is_grad_enabled() and not transformed():
            found = backward(bound, saved, needed, grads)
        return None, *(_again(bound, saved[: len(needed)], needed, grads) if found is None else found)


def _again(
    bound: Bound, leaves: Sequence[Tensor], needed: Sequence[bool], grads: Sequence[Tensor | None]
) -> Sequence[Tensor | None]:
    """The gradients by a call that is not bound, where they are differentiated themselves."""
    create = torch.is_grad_enabled()
    with torch.enable_grad():
        found, ends = run_sequences(ENGINES["c"], bound.call(leaves))
        values = [v.reshape(shape) for v, shape in zip((*found.values(), *ends.values()), bound.shapes, strict=True)]
        arrived = [(v, g) for v, g in zip(values, grads, strict=True) if g is not None]
        wanted = [leaf for leaf, wants in zip(leaves, needed, strict=True) if wants]
        given = iter(
            torch.autograd.grad(
                [v for v, _ in arrived], wanted, [g for _, g in arrived], create_graph=create, allow_unused=True
            )
        )
    return [next(given) if wants else None for wants in needed]


_apply = super(torch.autograd.Function, _Bound).apply  # no transform of torch.func is active where this is called


def run_bound(bound: Bound, leaves: Sequence[Tensor]) -> Sequence[Tensor]:
    """The series that are returned, and the last states; differentiable."""
    if torch.is_grad_enabled():
        result: Sequence[Tensor] = _apply(bound, *leaves)
        return result
    return bound.forward(leaves)[0]
