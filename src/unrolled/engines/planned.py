"""Engines that run the plan: what does not depend on a state is computed for all steps at once with torch operations;
a loop of the engine's own does what must be done step by step; gradients of parameters are large matrix products after.

Equal to ``reference`` up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from ..graph.node import Node
from ..graph.recurrence import Recurrence
from ..plan.loop import Loop
from ..plan.plan import Pass, make_plan
from ..transform.differentiate import carried, direct
from ..transform.evaluate import execute, instructions, rules
from .accumulate import accumulate
from .call import Call, Kept

Values = dict[Node, Tensor]  # what does not move as (size,), series as (rows, size)


class RunLoop(Protocol):
    def __call__(self, loop: Loop, call: Call, values: Mapping[Node, Tensor], start: list[Tensor]) -> list[Tensor]:
        """The series of ``loop.keep`` (rows, size), then the final states (sequences, size)."""
        ...


@dataclass(frozen=True)
class Planned:
    """An engine: the plan, with a way to run its loop."""

    name: str
    run_loop: RunLoop

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        plan = make_plan(call.recurrence)
        step = plan.step
        values = _leaves(step, call)
        self.sweep(plan.forward(keep), values, call.state, call)
        outputs = {n: _series(values[node], call) for n, node in step.returns.items()}
        return outputs, [{node: _owned(values[node]) for node in plan.kept}] if keep else []

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        plan = make_plan(call.recurrence)
        way = plan.backward(grads, wanted)
        adjoint = way.recurrence
        values = {**kept[0], **_leaves(plan.step, call), **{adjoint.inputs[direct(n)]: g for n, g in grads.items()}}
        start = {carried(n): torch.zeros_like(v) for n, v in call.state.items()}
        arriving = self.sweep(way, values, start, call)
        result = {n: _series(values[node], call) for n, node in way.flows.items()}
        for n, terms in way.sums.items():
            result[n] = torch.zeros_like(call.parameters[n])
            for node in terms:
                accumulate(result[n], node, values)
        return result | {n: arriving[carried(n)] for n in call.state if n in wanted}

    def sweep(self, way: Pass, values: Values, start: Mapping[str, Tensor], call: Call) -> dict[str, Tensor]:
        """One pass over time, forward or backward: adds the values of every stage, and returns the last states."""
        rows, cut, loop = _row_table(), way.stages, way.loop
        execute(instructions(cut.once, call.sizes, call.like), values)
        execute(instructions(cut.before, call.sizes, call.like, rows), values)
        results = self.run_loop(loop, call, values, [start[n] for n in way.recurrence.states])
        values.update(zip(loop.keep, results, strict=False))
        execute(instructions(cut.after, call.sizes, call.like, rows), values)
        return dict(zip(way.recurrence.states, results[len(loop.keep) :], strict=True))


def _leaves(step: Recurrence, call: Call) -> Values:
    values = {step.parameters[n]: p for n, p in call.parameters.items()}
    return values | {step.inputs[n]: x for n, x in call.inputs.items()}


def _series(value: Tensor, call: Call) -> Tensor:
    """A returned value in memory of its own; one that does not move is the same at every step of every sequence."""
    return _owned(value if value.ndim == 2 else value.expand(call.layout.rows, -1))


def _owned(value: Tensor) -> Tensor:
    """In memory of its own: torch lets nobody change a tensor of which a view is saved for the backward pass."""
    return value.clone(memory_format=torch.contiguous_format) if value._is_view() else value


FEWEST_ROWS = 16


@cache
def _row_table() -> dict[str, Any]:
    """The evaluation table for all steps at once. On the CPU a matrix product of fewer rows may round otherwise than
    one of more; with a few rows of zeros added, a sequence that is cut gives the same bits as the whole."""
    table = rules()

    def matvec(A: Tensor, x: Tensor) -> Tensor:
        missing = FEWEST_ROWS - len(x) if x.ndim == 2 and x.device.type == "cpu" else 0
        if A.ndim > 2 or missing <= 0:
            return table["matvec"](A, x)
        return table["matvec"](A, torch.cat([x, x.new_zeros(missing, x.shape[1])]))[: len(x)]

    return {**table, "matvec": matvec}
