"""The loop in torch operations, step by step: on every device that torch has."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from ..graph.node import Node
from ..plan.loop import Loop
from ..transform.evaluate import execute, instructions
from .call import Call


def run_loop(loop: Loop, call: Call, values: Mapping[Node, Tensor], start: list[Tensor]) -> list[Tensor]:
    """The series that are kept, then the final states (see ``planned.RunLoop``)."""
    program = instructions(loop.nodes, call.sizes, call.like)
    fixed = {n: values[n] for n in loop.fixed}
    moving = [(n, values[n].unbind(1)) for n in loop.moving]
    series: dict[Node, list[Tensor]] = {n: [] for n in loop.keep}
    state = start
    for t in reversed(range(call.steps)) if loop.reverse else range(call.steps):
        now = {**fixed, **dict(zip(loop.states, state, strict=True)), **{n: steps[t] for n, steps in moving}}
        execute(program, now)
        for n, gathered in series.items():
            gathered.append(now[n])
        state = [now[n].expand(call.batch, -1) for n in loop.new]  # a fixed value is the same in every row
    kept = [_stacked(s[::-1] if loop.reverse else s, n, call) for n, s in series.items()]
    return [*kept, *state]


def _stacked(steps: list[Tensor], node: Node, call: Call) -> Tensor:
    if steps:
        return torch.stack(steps, 1)
    return call.like.new_empty(call.batch, 0, *([d.value(call.sizes) for d in node.type.dims] or [1]))
