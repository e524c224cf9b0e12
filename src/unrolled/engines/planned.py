"""Engines that run the plan: what does not depend on a state is computed for all steps at once with torch operations;
a loop of the engine's own does what must be done step by step; gradients of parameters are large matrix products after.

Equal to ``reference`` up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Protocol

import torch
from torch import Tensor

from ..graph.node import Node, order
from ..graph.recurrence import Recurrence
from ..plan.loop import Loop, make_loop
from ..plan.regroup import regroup
from ..plan.stages import Stages, stages
from ..transform.differentiate import carried, differentiate, direct, gradient
from ..transform.evaluate import execute, instructions, rules
from .call import Call
from .sums import accumulate, parts, terms

Values = dict[Node, Tensor]  # what does not move as (size,), series as (batch, steps, size)


class RunLoop(Protocol):
    def __call__(self, loop: Loop, call: Call, values: Mapping[Node, Tensor], start: list[Tensor]) -> list[Tensor]:
        """The series of ``loop.keep`` (batch, steps, size), then the final states (batch, size)."""
        ...


@dataclass(frozen=True)
class Planned:
    """An engine: the plan, with a way to run its loop."""

    name: str
    run_loop: RunLoop

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Values]:
        step = _planned(call.recurrence)
        kept = _residuals(step) if keep else ()
        values = {step.parameters[n]: p for n, p in call.parameters.items()}
        values |= {step.inputs[n]: x for n, x in call.inputs.items()}
        cut = _stages(step, tuple(step.returns.values()), ())
        self.sweep(step, cut, values, call.state, call, (*step.returns.values(), *kept))
        outputs = {n: _series(values[node], call) for n, node in step.returns.items()}
        return outputs, {node: values[node] for node in kept}

    def backward(self, call: Call, kept: Values, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        step = _planned(call.recurrence)
        adjoint = _adjoint(step, tuple(grads))
        sums = {n: terms(adjoint.sums[gradient(n)]) for n in step.parameters if n in wanted}
        flows = {n: adjoint.returns[gradient(n)] for n in step.inputs if n in wanted}
        roots = [*flows.values(), *(part for nodes in sums.values() for node in nodes for part in parts(node))]
        values = {**kept, **{step.parameters[n]: p for n, p in call.parameters.items()}}
        values |= {step.inputs[n]: x for n, x in call.inputs.items()}
        values |= {adjoint.inputs[direct(n)]: g for n, g in grads.items()}
        cut = _stages(adjoint, tuple(roots), tuple(values))
        start = {carried(n): torch.zeros_like(v) for n, v in call.state.items()}
        arriving = self.sweep(adjoint, cut, values, start, call, tuple(roots))
        result = {n: _series(values[node], call) for n, node in flows.items()}
        for n, nodes in sums.items():
            result[n] = torch.zeros_like(call.parameters[n])
            for node in nodes:
                accumulate(result[n], node, values, (call.batch, call.steps))
        return result | {n: arriving[carried(n)] for n in call.state if n in wanted}

    def sweep(
        self,
        step: Recurrence,
        cut: Stages,
        values: Values,
        start: Mapping[str, Tensor],
        call: Call,
        wanted: tuple[Node, ...],
    ) -> dict[str, Tensor]:
        """One pass over time, forward or backward: adds the values of every stage, and returns the last states."""
        rows = _row_table()
        execute(instructions(cut.once, call.sizes, call.like), values)
        execute(instructions(cut.before, call.sizes, call.like, rows), values)
        loop = _loop(step, cut, wanted)
        results = self.run_loop(loop, call, values, [start[n] for n in step.states])
        values.update(zip(loop.keep, results, strict=False))
        execute(instructions(cut.after, call.sizes, call.like, rows), values)
        return dict(zip(step.states, results[len(loop.keep) :], strict=True))


def _series(value: Tensor, call: Call) -> Tensor:
    """A returned value that does not move is the same at every step of every sequence."""
    return value if value.ndim == 3 else value.expand(call.batch, call.steps, -1).contiguous()


FEWEST_ROWS = 16


@cache
def _row_table() -> dict[str, Any]:
    """The evaluation table for all steps at once. On the CPU a matrix product of fewer rows may round otherwise than
    one of more; with a few rows of zeros added, a sequence that is cut gives the same bits as the whole."""
    table = rules()

    def matvec(A: Tensor, x: Tensor) -> Tensor:
        if A.ndim > 2 or x.ndim < 2:
            return table["matvec"](A, x)
        flat = x.reshape(-1, x.shape[-1])
        missing = FEWEST_ROWS - len(flat) if x.device.type == "cpu" else 0
        if missing > 0:
            flat = torch.cat([flat, flat.new_zeros(missing, flat.shape[1])])
        return (flat @ A.mT)[: x.shape[:-1].numel()].reshape(*x.shape[:-1], A.shape[0])

    return {**table, "matvec": matvec}


_planned = lru_cache(maxsize=256)(regroup)


@lru_cache(maxsize=256)
def _adjoint(step: Recurrence, of: tuple[str, ...]) -> Recurrence:
    return regroup(differentiate(step, of))


_stages = lru_cache(maxsize=1024)(stages)
_loop = lru_cache(maxsize=1024)(make_loop)


@lru_cache(maxsize=256)
def _residuals(step: Recurrence) -> tuple[Node, ...]:
    """The values of the forward pass that the adjoint reads."""
    adjoint = _adjoint(step, tuple(step.returns))
    forward = set(step.nodes)
    roots = [*adjoint.returns.values(), *adjoint.sums.values()]
    read = dict.fromkeys(a for n in order(roots, known=forward) for a in n.args if a in forward)
    read |= dict.fromkeys(root for root in roots if root in forward)
    read |= dict.fromkeys(step.states.values())
    return tuple(n for n in read if n.op not in ("parameter", "input"))


def loops(recurrence: Recurrence) -> tuple[Loop, Loop]:
    """The loops of the forward pass and of its adjoint, with everything kept."""
    step = _planned(recurrence)
    returns = tuple(step.returns.values())
    forward = _loop(step, _stages(step, returns, ()), (*returns, *_residuals(step)))
    adjoint = _adjoint(step, tuple(step.returns))
    roots = [adjoint.returns[n] for n in adjoint.returns if n not in adjoint.states]
    roots += [part for node in adjoint.sums.values() for term in terms(node) for part in parts(term)]
    known = (*_residuals(step), *step.inputs.values(), *adjoint.inputs.values())
    return forward, _loop(adjoint, _stages(adjoint, tuple(roots), known), tuple(roots))
