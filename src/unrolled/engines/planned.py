"""Engines that run the plan.

Torch operations compute everything that does not depend on a state, for all steps at once. The engine's own loop
computes the rest step by step. After the loop, gradients of parameters are large matrix products. Equal to
``reference`` up to rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from ..graph.node import Node
from ..graph.recurrence import Recurrence
from ..plan.loop import Loop
from ..plan.plan import Pass, make_plan
from ..plan.stages import EACH
from ..plan.totals import total
from ..transform.differentiate import carried, direct
from ..transform.evaluate import every_row, execute, instructions, rules
from ..transform.terms import parts
from .accumulate import accumulate
from .call import Call, Kept
from .steps import sequence_of_row

# constant values (size,) or (m, n); of each sequence (sequences, ...); series (rows, ...)
Values = dict[Node, Tensor]


class RunLoop(Protocol):
    """The loop over time of an engine."""

    def __call__(self, loop: Loop, call: Call, values: Mapping[Node, Tensor], start: list[Tensor]) -> list[Tensor]:
        """Run the loop.

        Returns:
            the series of ``loop.keep`` (rows, size), then the final states (sequences, size).
        """
        ...


@dataclass(frozen=True)
class Planned:
    """An engine that runs the plan, with a given loop."""

    name: str
    run_loop: RunLoop

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        """See ``Engine.forward``."""
        plan = make_plan(call.recurrence)
        step = plan.step
        values, way = _leaves(step, call), plan.forward(keep)
        self.sweep(way, values, call.state, call)
        outputs = {n: _series(node, values, way, call) for n, node in step.returns.items()}
        return outputs, [{node: _owned(values[node]) for node in plan.kept}] if keep else []

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        """See ``Engine.backward``."""
        plan = make_plan(call.recurrence)
        way = plan.backward(grads, wanted)
        adjoint = way.recurrence
        values = {**kept[0], **_leaves(plan.step, call), **{adjoint.inputs[direct(n)]: g for n, g in grads.items()}}
        start = {carried(n): torch.zeros_like(v) for n, v in call.state.items()}
        start |= {total(n): torch.zeros_like(call.inputs[n]) for n in way.fixed}
        arriving = self.sweep(way, values, start, call)
        result = {n: _series(node, values, way, call) for n, node in way.flows.items()}
        result |= {n: arriving[total(n)] for n in way.fixed}
        added = _at_rows([part for terms in way.sums.values() for t in terms for part in parts(t)], values, way, call)
        for n, terms in way.sums.items():
            result[n] = torch.zeros_like(call.parameters[n])
            for node in terms:
                accumulate(result[n], node, added)
        return result | {n: arriving[carried(n)] for n in call.state if n in wanted}

    def sweep(self, way: Pass, values: Values, start: Mapping[str, Tensor], call: Call) -> dict[str, Tensor]:
        """Run one pass over time, forward or backward: add the values of every stage, and return the final states."""
        cut, loop = way.stages, way.loop
        execute(instructions(cut.once, call.sizes, call.like), values)
        execute(instructions(cut.each, call.sizes, call.like, _row_table()), values)
        _compute(cut.before, values, way, call)
        results = self.run_loop(loop, call, values, [start[n] for n in way.recurrence.states])
        values.update(zip(loop.keep, results, strict=False))
        _compute(cut.after, values, way, call)
        return dict(zip(way.recurrence.states, results[len(loop.keep) :], strict=True))


def _leaves(step: Recurrence, call: Call) -> Values:
    values = {step.parameters[n]: p for n, p in call.parameters.items()}
    return values | {step.inputs[n]: x for n, x in call.inputs.items()}


def _compute(nodes: tuple[Node, ...], values: Values, way: Pass, call: Call) -> None:
    """Compute some values for all steps at once."""
    found = _at_rows((a for n in nodes for a in n.args), values, way, call)
    execute(instructions(nodes, call.sizes, call.like, _row_table()), found)
    if found is not values:
        values.update((n, found[n]) for n in nodes)


def _at_rows(nodes: Iterable[Node], values: Values, way: Pass, call: Call) -> Values:
    """The values, where those of ``nodes`` that are the same at every step of a sequence are repeated for every row."""
    if not (way.stages.each or call.recurrence.fixed):
        return values
    each = {n for n in nodes if way.kinds[n] == EACH}
    index = sequence_of_row(call.layout, call.like.device)
    return {**values, **{n: values[n][index] for n in each if n in values}}


def _series(node: Node, values: Values, way: Pass, call: Call) -> Tensor:
    """A returned value as a series in its own memory; a constant value is repeated for every row."""
    return _owned(every_row(_at_rows([node], values, way, call)[node], node, call.layout.rows))


def _owned(value: Tensor) -> Tensor:
    """The value in its own memory: if a view is saved for the backward pass, torch forbids changes to its base."""
    return value.clone(memory_format=torch.contiguous_format) if value._is_view() else value


FEWEST_ROWS = 16  # torch's products of at least this many rows round alike
WHOLE = 64  # torch computes functions of 16 or 32 numbers at a time, and rounds those of the rest differently
FUNCTIONS = ("tanh", "sigmoid", "exp", "log", "softplus", "erf", "sin", "cos")


@cache
def _row_table() -> dict[str, Any]:
    """The evaluation table for all steps at once.

    On the CPU, a matrix product with few rows may round differently from one with many, and a function of the last few
    numbers differently from that of all others. With zeros added, a sequence that is cut gives the same bits as the
    whole.
    """
    table = rules()

    def matvec(A: Tensor, x: Tensor) -> Tensor:
        missing = FEWEST_ROWS - len(x) if x.ndim == 2 and x.device.type == "cpu" else 0
        if A.ndim > 2 or missing <= 0:
            return table["matvec"](A, x)
        return table["matvec"](A, torch.cat([x, x.new_zeros(missing, x.shape[1])]))[: len(x)]

    def whole(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def run(x: Tensor) -> Tensor:
            if x.device.type != "cpu" or (x.numel() % WHOLE == 0 and x.is_contiguous()):
                return function(x)
            numbers = torch.cat([x.reshape(-1), x.new_zeros(-x.numel() % WHOLE)])
            return function(numbers)[: x.numel()].view(x.shape)

        return run

    return {**table, "matvec": matvec, **{name: whole(table[name]) for name in FUNCTIONS}}
