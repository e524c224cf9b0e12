"""Transforms of ``torch.func`` (``grad``, ``vjp``, ``jvp``, ``jacrev``, ``jacfwd``, ``hessian``, ``vmap``) and
forward-mode differentiation, on the network's own engine.

Torch unwraps tensors before an engine sees them, and calls the functions here for derivatives and batches. The backward
pass recomputes the values of the forward pass, since torch could not batch the values that an engine stores.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from ..transform.per_step import PerStep, per_step
from .border import ordinary, untraced, without_autocast
from .call import Call, Engine
from .job import Batched, Job, joined, merged, parted, repeated
from .members import gradients_of_members
from .passes import gradients, shaped
from .plain import PLAIN
from .tangents import arriving_at_tangents, tangents_of

Maybe = Tensor | None


def run(engine: Engine, call: Call, sequences: bool) -> tuple[Tensor, ...]:
    """The results of a call under the active transforms."""
    values: tuple[Tensor, ...] = Values.apply(Job.of(engine, call, sequences), *call.leaves.values())
    return values


class Values(torch.autograd.Function):
    """The results of a job as a function of its leaves."""

    @staticmethod
    @without_autocast
    def forward(job: Job, *leaves: Tensor) -> tuple[Tensor, ...]:
        call = job.call(job.readable(leaves))
        if not all(map(ordinary, call.leaves.values())):  # vectorize=True of torch.autograd, which batches on its own
            return shaped(PLAIN.forward(call, keep=False)[0], call, job.sequences, in_place=False)
        return shaped(job.engine.forward(call, keep=False)[0], call, job.sequences)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.job, *leaves = inputs
        ctx.mark_non_differentiable(*(t for t in output if not t.is_floating_point()))
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*leaves)
        ctx.save_for_forward(*leaves)

    @staticmethod
    @untraced
    def backward(ctx: Any, *grads: Maybe) -> tuple[Maybe, ...]:
        return None, *pulled(ctx.job, ctx.needs_input_grad[1:], grads, ctx.saved_tensors)

    @staticmethod
    @untraced
    def jvp(ctx: Any, _: None, *directions: Maybe) -> tuple[Maybe, ...]:
        return tuple(_pushed(ctx.job, ctx.saved_tensors, directions))

    @staticmethod
    @untraced
    def vmap(info: Any, in_dims: tuple[int | None, ...], job: Job, *leaves: Tensor) -> Batched:
        dims = in_dims[1:]
        if any(d is not None for d in dims[len(dims) - len(job.names[2]) :]):
            return _one_by_one(lambda *one: Values.apply(job, *one), info.batch_size, leaves, dims)
        values = Values.apply(repeated(job, info.batch_size), *joined(job, leaves, dims, info.batch_size))
        return parted(values, info.batch_size)


class Gradients(torch.autograd.Function):
    """The gradients of the requested leaves of a job, as a function of the incoming gradients and the leaves."""

    @staticmethod
    @without_autocast
    def forward(job: Job, wanted: Sequence[bool], arrived: Sequence[bool], *tensors: Tensor) -> tuple[Tensor, ...]:
        count = sum(arrived)
        grads, call = iter(tensors[:count]), job.call(job.readable(tensors[count:]))
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
    @untraced
    def backward(ctx: Any, *directions: Maybe) -> tuple[Maybe, ...]:
        """See ``double_backward.py``."""
        count, needed, given = sum(ctx.arrived), ctx.needs_input_grad[3:], iter(directions)
        grads, leaves = ctx.saved_tensors[:count], ctx.saved_tensors[count:]
        moves = [next(given) if wants else None for wants in ctx.wanted]
        pushed: Sequence[Maybe] = [None] * count
        if any(needed[:count]):
            pushed = [t for t, there in zip(_pushed(ctx.job, leaves, moves), ctx.arrived, strict=True) if there]
        return None, None, None, *pushed, *_second(ctx, needed[count:], grads, leaves, moves)

    @staticmethod
    @untraced
    def jvp(ctx: Any, _: None, __: None, ___: None, *directions: Maybe) -> tuple[Tensor, ...]:
        """Jᵀ in the direction of g, and, since second derivatives are symmetric, what ``backward`` gives for leaves."""
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
    @untraced
    def vmap(
        info: Any,
        in_dims: tuple[int | None, ...],
        job: Job,
        wanted: Sequence[bool],
        arrived: Sequence[bool],
        *tensors: Tensor,
    ) -> Batched:
        count, dims, many = sum(arrived), in_dims[3:], info.batch_size
        own = [n for n, wants in zip(job.leaves, wanted, strict=True) if wants and n in job.names[2]]
        shared = all(d is None for d in dims[len(dims) - len(job.names[2]) :])
        if own and shared:
            leaves = joined(job, tensors[count:], dims[count:], many)
            grads = [merged(g, d, many) for g, d in zip(tensors[:count], dims[:count], strict=True)]
            found = gradients_of_members(repeated(job, many), many, wanted, arrived, grads, leaves)
            if found is not None:
                return found, (0,) * len(found)
        parts = per_step(job.step, tuple(own))
        if parts is None or not shared:
            return _one_by_one(lambda *one: Gradients.apply(job, wanted, arrived, *one), many, tensors, dims)
        leaves = joined(job, tensors[count:], dims[count:], many)
        grads = [merged(g, d, many) for g, d in zip(tensors[:count], dims[:count], strict=True)]
        if own:
            return _per_member(repeated(job, many), parts, many, wanted, arrived, grads, leaves)
        return parted(Gradients.apply(repeated(job, many), wanted, arrived, *grads, *leaves), many)


# derivatives


def _pushed(job: Job, leaves: Sequence[Tensor], directions: Sequence[Maybe]) -> list[Maybe]:
    """The tangents of the results of a job."""
    twice, all_leaves = job.moved(leaves, directions)
    return tangents_of(job.call(leaves), Values.apply(twice, *all_leaves), job.sequences)


def pulled(job: Job, wanted: Sequence[bool], grads: Sequence[Maybe], leaves: Sequence[Tensor]) -> list[Maybe]:
    """The gradient of each leaf; None for leaves that are not requested."""
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
    arriving = [next(given) if there else None for there in ctx.arrived]
    of_tangents = arriving_at_tangents(ctx.job.step, arriving)
    found = pulled(twice, [names.get(n, False) for n in twice.leaves], of_tangents, all_leaves)
    by_name = dict(zip(twice.leaves, found, strict=True))
    return [by_name[n] for n in ctx.job.leaves]


# batches


def _one_by_one(
    apply: Callable[..., Sequence[Tensor]], times: int, tensors: Sequence[Tensor], dims: Sequence[int | None]
) -> Batched:
    """Run each member of a batch separately, for parameters that differ or need separate gradients."""
    runs = []
    for k in range(times):
        one = [t if d is None else t.select(d, k) for t, d in zip(tensors, dims, strict=True)]
        runs.append(apply(*one))
    values = tuple(torch.stack(list(each)) for each in zip(*runs, strict=True))
    return values, (0,) * len(values)


def _per_member(
    job: Job,
    parts: PerStep,
    times: int,
    wanted: Sequence[bool],
    arrived: Sequence[bool],
    grads: Sequence[Tensor],
    leaves: Sequence[Tensor],
) -> Batched:
    """The requested gradients of each member of a batch; those of parameters are sums over its own sequences only."""
    step, given = parts.recurrence, dict(zip(job.leaves, leaves, strict=True))
    for n in step.inputs.keys() - job.step.inputs.keys():
        size = step.inputs[n].type.dims[0].value(job.sizes)
        given[n] = torch.zeros(job.layout.rows, size, dtype=job.dtype, device=job.device)
    longer = replace(job, step=step, names=(tuple(step.inputs), *job.names[1:]))
    tensors = [given[n] for n in longer.leaves]
    asked, first, arriving = dict(zip(job.leaves, wanted, strict=True)), len(job.step.returns), iter(grads)
    sent = [next(arriving) if there else None for there in arrived]
    sent[first:first] = [None] * (len(step.returns) - first)
    now = [n not in job.names[2] and asked.get(n, True) for n in longer.leaves]
    found = dict(zip(longer.leaves, pulled(longer, now, sent, tensors), strict=True))
    values = dict(zip(step.returns, Values.apply(longer, *tensors), strict=False))

    def of_members(series: Tensor | None, like: Tensor) -> Tensor:
        return (torch.zeros_like(like) if series is None else series).unflatten(0, (times, -1))

    total: dict[str, Tensor] = {}
    for entry in parts.entries:
        g, own = of_members(found[entry.added], given[entry.added]), job.step.parameters[entry.parameter].type.dims
        if entry.op == "take":
            rows = of_members(given[entry.by], given[entry.by])[..., None].expand_as(g)
            table = g.new_zeros(times, own[0].value(job.sizes), g.shape[-1])
            part = table.scatter_add(1, rows, g)
        elif entry.op == "matvec":
            x = values[entry.by].unflatten(0, (times, -1)).flatten(1, -2)
            part = x.mT @ g if entry.turned else g.mT @ x
        else:
            part = g.sum(1)
        total[entry.parameter] = total[entry.parameter] + part if entry.parameter in total else part
    result = []
    for n, wants, leaf in zip(job.leaves, wanted, leaves, strict=True):
        if wants and n in job.names[2]:
            result.append(total[n] if n in total else leaf.new_zeros(times, *leaf.shape))
        elif wants:
            result.append(of_members(found[n], leaf))
    return tuple(result), (0,) * len(result)
