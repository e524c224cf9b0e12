"""Gradients of the parameters for each member of a batch separately, in one pass over the batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .border import ordinary, transformed
from .c.engine import Compiled, separable
from .call import Call, Kept
from .job import Job
from .passes import gradients

Maybe = Tensor | None


def gradients_of_members(
    job: Job,
    members: int,
    wanted: Sequence[bool],
    arrived: Sequence[bool],
    grads: Sequence[Tensor],
    leaves: Sequence[Tensor],
) -> tuple[Tensor, ...] | None:
    """The requested gradients, (members, ...). None if the engine cannot compute them in this way, or if they are to be
    differentiated.

    Args:
        job: the call of all members, whose batch consists of ``members`` equal parts.
        members: their number.
        wanted: for each leaf, whether its gradient is requested.
        arrived: for each returned value, whether its gradient is given.
        grads: the given gradients.
        leaves: inputs and states of all members, and the parameters.
    """
    call, engine = job.call(job.readable(leaves)), job.engine
    plain = not transformed() and all(ordinary(t) for t in (*grads, *leaves))
    if not plain or not isinstance(engine, Compiled) or (torch.is_grad_enabled() and _recorded(grads, leaves)):
        return None
    names = [n for n, wants in zip(job.leaves, wanted, strict=True) if wants]
    of = dict.fromkeys(n for n, there in zip((*job.step.returns, *call.state), arrived, strict=False) if there)
    if not separable(job.step, tuple(of), frozenset(names)):
        return None
    given = iter(grads)
    sent = [next(given) if there else None for there in arrived]
    with torch.no_grad():
        _, kept = engine.forward(call, keep=True)
        found = dict(zip(job.leaves, gradients(_Members(engine, members), call, kept, sent, names), strict=True))
        result = []
        for n in names:
            g, leaf = found[n], call.leaves[n]
            if n in job.names[2]:
                result.append(leaf.new_zeros(members, *leaf.shape) if g is None else g)
            else:
                result.append((torch.zeros_like(leaf) if g is None else g).unflatten(0, (members, -1)))
    return tuple(result)


def _recorded(grads: Sequence[Tensor], leaves: Sequence[Tensor]) -> bool:
    return any(t.requires_grad for t in (*grads, *leaves))


@dataclass(frozen=True)
class _Members:
    """An engine whose backward pass sums the gradients of parameters for each member."""

    engine: Compiled
    members: int
    name: str = "c"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        return self.engine.forward(call, keep)

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        return self.engine.backward(call, kept, grads, wanted, self.members)
