"""A pass as ``torch.func`` transforms it (``grad``, ``vjp``, ``jvp``, ``jacrev``, ``jacfwd``, ``hessian``, ``vmap``),
and as forward-mode differentiation runs it: on the network's own engine.

Torch takes the tensors out of its transforms before an engine sees them, and asks here for derivatives and batches.
The values of the pass forward are computed again by the pass backward: torch could not batch what an engine keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from .border import ordinary, readable
from .call import Call, Engine
from .passes import gradients, shaped
from .plain import PLAIN
from .tangents import moved, tangents_of

Maybe = Tensor | None
Batched = tuple[tuple[Tensor, ...], tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Job:
    """A call without its tensors. names: of inputs, states and parameters."""

    engine: Engine
    step: Recurrence
    sizes: dict[str, int]
    layout: Layout
    sequences: bool
    names: tuple[tuple[str, ...], ...]
    dtype: torch.dtype
    device: torch.device

    @staticmethod
    def of(engine: Engine, call: Call, sequences: bool, names: tuple[tuple[str, ...], ...] = ()) -> Job:
        names = names or (tuple(call.inputs), tuple(call.state), tuple(call.parameters))
        like = call.like
        return Job(engine, call.recurrence, call.sizes, call.layout, sequences, names, like.dtype, like.device)

    def call(self, leaves: Sequence[Tensor]) -> Call:
        tensors = iter(leaves)
        inputs, state, parameters = ({n: next(tensors) for n in group} for group in self.names)
        like = torch.empty(0, dtype=self.dtype, device=self.device)
        return Call(self.step, self.sizes, parameters, inputs, state, self.layout, like)

    @property
    def leaves(self) -> tuple[str, ...]:
        return tuple(n for group in self.names for n in group)

    def moved(self, leaves: Sequence[Tensor], directions: Sequence[Maybe]) -> tuple[Job, tuple[Tensor, ...]]:
        """The job of the tangent, and its leaves."""
        moves = {n: u for n, u in zip(self.leaves, directions, strict=True) if u is not None}
        twice = moved(self.engine, self.call(leaves), moves)
        return Job.of(self.engine, twice, self.sequences), tuple(twice.leaves.values())


def run(engine: Engine, call: Call, sequences: bool) -> tuple[Tensor, ...]:
    """What the call returns, under whatever transforms are active."""
    values: tuple[Tensor, ...] = Values.apply(Job.of(engine, call, sequences), *call.leaves.values())
    return values


class Values(torch.autograd.Function):
    """What a job returns, as a function of its leaves."""

    @staticmethod
    def forward(job: Job, *leaves: Tensor) -> tuple[Tensor, ...]:
        call = job.call(_readable(job, leaves))
        if not all(map(ordinary, call.leaves.values())):  # vectorize=True of torch.autograd, which batches on its own
            return shaped(PLAIN.forward(call, keep=False)[0], call, job.sequences, in_place=False)
        return shaped(job.engine.forward(call, keep=False)[0], call, job.sequences)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
        ctx.job, *leaves = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*leaves)
        ctx.save_for_forward(*leaves)

    @staticmethod
    def backward(ctx: Any, *grads: Maybe) -> tuple[Maybe, ...]:
        return None, *pulled(ctx.job, ctx.needs_input_grad[1:], grads, ctx.saved_tensors)

    @staticmethod
    def jvp(ctx: Any, _: None, *directions: Maybe) -> tuple[Tensor, ...]:
        return tuple(_pushed(ctx.job, ctx.saved_tensors, directions))

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], job: Job, *leaves: Tensor) -> Batched:
        dims = in_dims[1:]
        if any(d is not None for d in dims[len(dims) - len(job.names[2]) :]):
            return _one_by_one(lambda *one: Values.apply(job, *one), info.batch_size, leaves, dims)
        values = Values.apply(_repeated(job, info.batch_size), *_joined(job, leaves, dims, info.batch_size))
        return _parted(values, info.batch_size)


class Gradients(torch.autograd.Function):
    """The gradients of the wanted leaves of a job, as a function of what arrives and of the leaves."""

    @staticmethod
    def forward(job: Job, wanted: Sequence[bool], arrived: Sequence[bool], *tensors: Tensor) -> tuple[Tensor, ...]:
        count = sum(arrived)
        grads, call = iter(tensors[:count]), job.call(_readable(job, tensors[count:]))
        _, kept = job.engine.forward(call, keep=True)
        names = [n for n, wants in zip(job.leaves, wanted, strict=True) if wants]
        found = gradients(job.engine, call, kept, [next(grads) if there else None for there in arrived], names)
        given = zip(wanted, found, call.leaves.values(), strict=True)
        return tuple(torch.zeros_like(leaf) if g is None else g for wants, g, leaf in given if wants)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: object) -> None:
        ctx.job, ctx.wanted, ctx.arrived, *tensors = inputs
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, *directions: Maybe) -> tuple[Maybe, ...]:
        """As in ``double_backward.py``."""
        count, needed, given = sum(ctx.arrived), ctx.needs_input_grad[3:], iter(directions)
        grads, leaves = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        moves = [next(given) if wants else None for wants in ctx.wanted]
        pushed: Sequence[Maybe] = [None] * count
        if any(needed[:count]):
            pushed = [t for t, there in zip(_pushed(ctx.job, leaves, moves), ctx.arrived, strict=True) if there]
        return None, None, None, *pushed, *_second(ctx, needed[count:], grads, leaves, moves)

    @staticmethod
    def jvp(ctx: Any, _: None, __: None, ___: None, *directions: Maybe) -> tuple[Tensor, ...]:
        """Jᵀ in the direction of g, and by the symmetry of second derivatives what ``backward`` gives to leaves."""
        count = sum(ctx.arrived)
        grads, leaves = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        moves, of_grads = directions[count:], iter(directions[:count])
        total = [torch.zeros_like(leaf) for leaf, wants in zip(leaves, ctx.wanted, strict=True) if wants]
        first = [next(of_grads) if there else None for there in ctx.arrived]
        parts = []
        if any(g is not None for g in first):
            parts.append(pulled(ctx.job, ctx.wanted, first, leaves))
        if any(u is not None for u in moves):
            parts.append(_second(ctx, ctx.wanted, grads, leaves, moves))
        for part in parts:
            total = [a + b for a, b in zip(total, (g for g in part if g is not None), strict=True)]
        return tuple(total)

    @staticmethod
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        job: Job,
        wanted: Sequence[bool],
        arrived: Sequence[bool],
        *tensors: Tensor,
    ) -> Batched:
        count, dims, many = sum(arrived), in_dims[3:], info.batch_size
        parameters = len(job.names[2])
        if any(wanted[len(wanted) - parameters :]) or any(d is not None for d in dims[len(dims) - parameters :]):
            return _one_by_one(lambda *one: Gradients.apply(job, wanted, arrived, *one), many, tensors, dims)
        leaves = _joined(job, tensors[count:], dims[count:], many)
        grads = [_merged(g, d, many) for g, d in zip(tensors[:count], dims[:count], strict=True)]
        return _parted(Gradients.apply(_repeated(job, many), wanted, arrived, *grads, *leaves), many)


# derivatives


def _pushed(job: Job, leaves: Sequence[Tensor], directions: Sequence[Maybe]) -> list[Tensor]:
    """The tangents of what a job returns."""
    twice, all_leaves = job.moved(leaves, directions)
    return tangents_of(job.call(leaves), Values.apply(twice, *all_leaves), job.sequences)


def pulled(job: Job, wanted: Sequence[bool], grads: Sequence[Maybe], leaves: Sequence[Tensor]) -> list[Maybe]:
    """The gradient of each leaf, None where it is not wanted."""
    arrived = tuple(g is not None for g in grads)
    if not any(arrived) or not any(wanted):
        return [None] * len(leaves)
    found = iter(Gradients.apply(job, tuple(wanted), arrived, *(g for g in grads if g is not None), *leaves))
    return [next(found) if wants else None for wants in wanted]


def _second(
    ctx: Any, wanted: Sequence[bool], grads: Sequence[Tensor], leaves: Sequence[Tensor], moves: Sequence[Maybe]
) -> list[Maybe]:
    """The gradient of ⟨g, tangents⟩ with respect to each leaf."""
    twice, all_leaves = ctx.job.moved(leaves, moves)
    names, given = dict(zip(ctx.job.leaves, wanted, strict=True)), iter(grads)
    returns, states = len(ctx.job.step.returns), len(ctx.job.step.states) * ctx.job.sequences
    arriving = [next(given) if there else None for there in ctx.arrived]
    of_tangents = [*[None] * returns, *arriving[:returns], *[None] * states, *arriving[returns:]]
    found = pulled(twice, [names.get(n, False) for n in twice.leaves], of_tangents, all_leaves)
    by_name = dict(zip(twice.leaves, found, strict=True))
    return [by_name[n] for n in ctx.job.leaves]


# batches


def _repeated(job: Job, times: int) -> Job:
    """The job for a batch that is so many times as large."""
    layout = job.layout
    resets = tuple(k * layout.rows + row for k in range(times) for row in layout.resets)
    return replace(job, layout=Layout(layout.lengths * times, layout.steps, resets))


def _merged(tensor: Tensor, dim: int | None, times: int) -> Tensor:
    """(..., times, ...) at ``dim`` as one larger first dimension."""
    lead = tensor.expand(times, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
    return lead.flatten(0, 1)


def _joined(job: Job, leaves: Sequence[Tensor], dims: Sequence[int | None], times: int) -> list[Tensor]:
    """Inputs and states of all batches as one batch; parameters as they are."""
    moving = len(job.names[0]) + len(job.names[1])
    return [_merged(t, d, times) if k < moving else t for k, (t, d) in enumerate(zip(leaves, dims, strict=True))]


def _parted(values: Sequence[Tensor], times: int) -> Batched:
    return tuple(v.unflatten(0, (times, len(v) // times)) for v in values), (0,) * len(values)


def _one_by_one(
    apply: Callable[..., Sequence[Tensor]], times: int, tensors: Sequence[Tensor], dims: Sequence[int | None]
) -> Batched:
    """One run for each member of a batch: where parameters differ, or have gradients of their own."""
    runs = []
    for k in range(times):
        one = [t if d is None else t.select(d, k) for t, d in zip(tensors, dims, strict=True)]
        runs.append(apply(*one))
    values = tuple(torch.stack(list(each)) for each in zip(*runs, strict=True))
    return values, (0,) * len(values)


def _readable(job: Job, leaves: Sequence[Tensor]) -> list[Tensor]:
    return [readable(f"'{n}'", leaf) for n, leaf in zip(job.leaves, leaves, strict=True)]
