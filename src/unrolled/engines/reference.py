"""The reference engine: step by step, op by op, by the table in ``transform/evaluate.py``; backward the same way
through the derived adjoint. Slow and obvious. It defines what every other engine must give."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import torch
from torch import Tensor

from ..graph.node import Node, order
from ..graph.recurrence import Recurrence
from ..transform.differentiate import carried, differentiate, direct, gradient
from ..transform.evaluate import execute, instructions
from ..transform.sums import parts, terms
from .call import Call
from .sums import accumulate

Kept = list[dict[Node, Tensor]]


class Reference:
    name = "reference"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        step = call.recurrence
        fixed = _fixed_values(call, order(step.returns.values()))
        program = instructions(order(step.returns.values(), known=[*fixed, *_moving(step)]), call.sizes, call.like)
        needed = _residuals(step) if keep else ()
        state, series, kept = call.state, {n: [] for n in step.returns}, []  # type: ignore[var-annotated]
        for t in range(call.steps):
            values = {**fixed, **_at(call, t, state)}
            execute(program, values)
            state = {n: _batched(values[step.returns[n]], call.batch) for n in step.states}
            for n, node in step.returns.items():
                series[n].append(state[n] if n in state else _batched(values[node], call.batch))
            kept.append({n: values[n] for n in needed if n in values})
        return {n: _stack(s, step.returns[n], call) for n, s in series.items()}, kept

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        adjoint = _adjoint(call.recurrence, tuple(grads))
        step = call.recurrence
        sums = {n: terms(adjoint.sums[gradient(n)]) for n in step.parameters if n in wanted}
        flows = {n: adjoint.returns[gradient(n)] for n in step.inputs if n in wanted}
        back = {n: adjoint.returns[carried(n)] for n in step.states}
        roots = [
            *back.values(),
            *flows.values(),
            *(part for nodes in sums.values() for node in nodes for part in parts(node)),
        ]
        fixed = _fixed_values(call, order(roots))
        moving = [*adjoint.states.values(), *adjoint.inputs.values(), *_moving(step)]
        known = [*fixed, *moving, *(kept[0] if kept else ())]
        program = instructions(order(roots, known=known), call.sizes, call.like)

        arriving = {n: torch.zeros_like(call.state[n]) for n in step.states}
        total = {n: torch.zeros_like(call.parameters[n]) for n in sums}
        series: dict[str, list[Tensor]] = {n: [] for n in flows}
        for t in reversed(range(call.steps)):
            values = {**fixed, **kept[t]}
            values |= {adjoint.inputs[direct(n)]: g[:, t] for n, g in grads.items()}
            values |= {adjoint.states[carried(n)]: g for n, g in arriving.items()}
            execute(program, values)
            arriving = {n: _batched(values[node], call.batch) for n, node in back.items()}
            for n, nodes in sums.items():
                for node in nodes:
                    accumulate(total[n], node, values, (call.batch,))
            for n, node in flows.items():
                series[n].append(_batched(values[node], call.batch))
        result = {n: _stack(s[::-1], flows[n], call) for n, s in series.items()}
        return {**result, **total, **{n: g for n, g in arriving.items() if n in wanted}}


_adjoint = lru_cache(maxsize=256)(differentiate)


@lru_cache(maxsize=256)
def _residuals(step: Recurrence) -> tuple[Node, ...]:
    """The values of the forward pass that the adjoint reads."""
    adjoint = _adjoint(step, tuple(step.returns))
    forward = set(step.nodes)
    roots = [*adjoint.returns.values(), *adjoint.sums.values()]
    read = {a for node in order(roots, known=forward) for a in node.args if a in forward}
    read.update(root for root in roots if root in forward)
    return tuple({*read, *_moving(step)})


def _moving(step: Recurrence) -> list[Node]:
    return [*step.inputs.values(), *step.states.values()]


def _at(call: Call, t: int, state: dict[str, Tensor]) -> dict[Node, Tensor]:
    """The leaves at step t."""
    step = call.recurrence
    inputs = {node: call.inputs[n][:, t] for n, node in step.inputs.items()}
    return inputs | {node: state[n] for n, node in step.states.items()}


def _fixed_values(call: Call, nodes: Iterable[Node]) -> dict[Node, Tensor]:
    """The values that are the same at every step: parameters, constants, and what is made of these alone."""
    fixed = {node: call.parameters[n] for n, node in call.recurrence.parameters.items()}
    moves: set[Node] = set()
    for node in nodes:
        if node not in fixed and (node.op in ("input", "state") or not moves.isdisjoint(node.args)):
            moves.add(node)
    execute(instructions([n for n in nodes if n not in moves and n not in fixed], call.sizes, call.like), fixed)
    return fixed


def _batched(value: Tensor, batch: int) -> Tensor:
    """A value that depends on no input has no batch dimension yet."""
    return value if value.ndim == 2 else value.expand(batch, -1)


def _stack(series: list[Tensor], node: Node, call: Call) -> Tensor:
    if series:
        return torch.stack(series, 1)
    size = node.type.dims[0].value(call.sizes) if node.type.dims else 1
    return call.like.new_empty(call.batch, 0, size)
