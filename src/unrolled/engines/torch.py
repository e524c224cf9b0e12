"""The loop over time in torch operations, for every device that torch supports."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from ..graph.node import Node
from ..plan.loop import Loop
from ..transform.evaluate import dtype_of, every_row, execute, instructions
from .call import Call
from .steps import steps_of


def run_loop(loop: Loop, call: Call, values: Mapping[Node, Tensor], start: list[Tensor]) -> list[Tensor]:
    """Run the loop; see ``planned.RunLoop``."""
    steps = steps_of(call.layout, call.like.device)
    program = instructions(loop.nodes, call.sizes, call.like)
    fixed = {n: values[n] for n in loop.fixed}
    moving = [(n, steps.read(values[n].contiguous())) for n in loop.moving]
    series: dict[Node, list[Tensor]] = {n: [] for n in loop.keep}
    state = start
    for t in reversed(range(call.layout.longest)) if loop.reverse else range(call.layout.longest):
        entering = steps.enter(t, state)
        entering = entering if loop.reverse else steps.cut(t, entering)
        now = {**fixed, **dict(zip(loop.states, entering, strict=True)), **{n: s[t] for n, s in moving}}
        now |= zip(loop.each, steps.enter(t, [values[n] for n in loop.each]), strict=True)
        execute(program, now)
        for n, gathered in series.items():
            gathered.append(now[n])
        new = [every_row(now[n], n, steps.alive(t)) for n in loop.new]
        ends = len(new) - loop.totals
        state = steps.leave(t, state, [*steps.cut(t, new[:ends]), *new[ends:]] if loop.reverse else new)
    kept = [_joined(s[::-1] if loop.reverse else s, n, call) for n, s in series.items()]
    return [*kept, *state]


def _joined(steps: list[Tensor], node: Node, call: Call) -> Tensor:
    if steps:
        return steps_of(call.layout, call.like.device).write(steps)
    return call.like.new_empty(0, *node.type.shape(call.sizes), dtype=dtype_of(node, call.like))
