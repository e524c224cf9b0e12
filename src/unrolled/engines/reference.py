"""The reference engine, which defines the correct result: slow and obvious, one step and one operation at a time.

Both the step and its derived adjoint run by the table in ``transform/evaluate.py``.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor

from ..graph.node import Node, order
from ..graph.recurrence import Recurrence
from ..transform.differentiate import carried, differentiate, direct, gradient
from ..transform.evaluate import dtype_of, every_row, execute, instructions
from ..transform.terms import parts, terms
from .accumulate import accumulate
from .call import Call, Kept
from .steps import steps_of


class Reference:
    """The engine 'reference'."""

    name = "reference"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        """See ``Engine.forward``."""
        step, steps = call.recurrence, steps_of(call.layout, call.like.device)
        fixed = _fixed_values(call, order(step.returns.values()))
        program = instructions(order(step.returns.values(), known=[*fixed, *_moving(step)]), call.sizes, call.like)
        needed = residuals(step) if keep else ()
        inputs = {node: steps.read(call.inputs[n]) for n, node in step.series.items()}
        state, kept = [call.state[n] for n in step.states], Kept()
        series: dict[str, list[Tensor]] = {n: [] for n in step.returns}
        for t in range(call.layout.longest):
            now = zip(step.states.values(), steps.cut(t, steps.enter(t, state)), strict=True)
            values = {**fixed, **dict(now), **{node: x[t] for node, x in inputs.items()}, **_of_sequences(call, t)}
            execute(program, values)
            for n, node in step.returns.items():
                series[n].append(every_row(values[node], node, steps.alive(t)))
            state = steps.leave(t, state, [series[n][-1] for n in step.states])
            kept.append({n: values[n] for n in needed if n in values})
        return {n: _joined(s, step.returns[n], call) for n, s in series.items()}, kept

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        """See ``Engine.backward``."""
        adjoint = _adjoint(call.recurrence, tuple(grads))
        step = call.recurrence
        sums = {n: terms(adjoint.sums[gradient(n)]) for n in step.parameters if n in wanted}
        flows = {n: adjoint.returns[gradient(n)] for n in step.series if n in wanted}
        of_sequences = {n: adjoint.sums[gradient(n)] for n in step.fixed if n in wanted}
        back = {n: adjoint.returns[carried(n)] for n in step.states if carried(n) in adjoint.states}
        roots = [
            *back.values(),
            *flows.values(),
            *of_sequences.values(),
            *(part for nodes in sums.values() for node in nodes for part in parts(node)),
        ]
        fixed = _fixed_values(call, order(roots))
        moving = [*adjoint.states.values(), *adjoint.inputs.values(), *_moving(step)]
        known = [*fixed, *moving, *(kept[0] if kept else ())]
        program = instructions(order(roots, known=known), call.sizes, call.like)

        steps = steps_of(call.layout, call.like.device)
        given = {adjoint.inputs[direct(n)]: steps.read(g.contiguous()) for n, g in grads.items()}
        entering = [adjoint.states[carried(n)] for n in back]
        arriving = [torch.zeros_like(call.state[n]) for n in back]
        total = {n: torch.zeros_like(call.leaves[n]) for n in (*sums, *of_sequences)}
        series: dict[str, list[Tensor]] = {n: [] for n in flows}
        for t in reversed(range(call.layout.longest)):
            alive, now = steps.alive(t), zip(entering, steps.enter(t, arriving), strict=True)
            values = {**fixed, **kept[t], **dict(now), **{node: g[t] for node, g in given.items()}}
            values |= _of_sequences(call, t)
            execute(program, values)
            gone = [every_row(values[node], node, alive) for node in back.values()]
            arriving = steps.leave(t, arriving, steps.cut(t, gone))
            for n, nodes in sums.items():
                for node in nodes:
                    accumulate(total[n], node, values)
            for n, node in of_sequences.items():
                now_added = every_row(values[node], node, alive)
                total[n] = steps.leave(t, [total[n]], [steps.enter(t, [total[n]])[0] + now_added])[0]
            for n, node in flows.items():
                series[n].append(every_row(values[node], node, alive))
        result = {n: _joined(s[::-1], flows[n], call) for n, s in series.items()}
        return {**result, **total, **{n: g for n, g in zip(back, arriving, strict=True) if n in wanted}}


_adjoint = lru_cache(maxsize=256)(differentiate)


@lru_cache(maxsize=256)
def residuals(step: Recurrence) -> tuple[Node, ...]:
    """The values of the forward pass that the adjoint reads."""
    adjoint = _adjoint(step, tuple(step.returns))
    forward = set(step.nodes)
    roots = [*adjoint.returns.values(), *adjoint.sums.values()]
    read = {a for node in order(roots, known=forward) for a in node.args if a in forward}
    read.update(root for root in roots if root in forward)
    return tuple({*read, *_moving(step)} - {step.inputs[n] for n in step.fixed})


def _moving(step: Recurrence) -> list[Node]:
    return [*step.inputs.values(), *step.states.values()]


def _of_sequences(call: Call, t: int) -> dict[Node, Tensor]:
    """The inputs that are fixed in time, of the sequences that have a step t."""
    step, steps = call.recurrence, steps_of(call.layout, call.like.device)
    return {step.inputs[n]: steps.enter(t, [call.inputs[n]])[0] for n in step.fixed}


def _fixed_values(call: Call, nodes: Iterable[Node]) -> dict[Node, Tensor]:
    """The values that are the same at every step: those computed from parameters and constants alone."""
    fixed = {node: call.parameters[n] for n, node in call.recurrence.parameters.items()}
    moves: set[Node] = set()
    for node in nodes:
        if node not in fixed and (node.op in ("input", "state") or not moves.isdisjoint(node.args)):
            moves.add(node)
    execute(instructions([n for n in nodes if n not in moves and n not in fixed], call.sizes, call.like), fixed)
    return fixed


def _joined(series: list[Tensor], node: Node, call: Call) -> Tensor:
    if series:
        return steps_of(call.layout, call.like.device).write(series)
    return call.like.new_empty(0, *node.type.shape(call.sizes), dtype=dtype_of(node, call.like))
