"""The torch engine: the plan, carried out with torch operations. What does not depend on a state is computed for all
steps at once; the loop keeps what must be there; gradients of parameters are large matrix products after it.

Equal to ``reference`` up to rounding. The fast way where no compiler is, and on every device that torch has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

import torch
from torch import Tensor

from ..graph.node import Node, order
from ..graph.recurrence import Recurrence
from ..plan.regroup import regroup
from ..plan.stages import ONCE, Kinds, Stages, stages
from ..transform.differentiate import carried, differentiate, direct, gradient
from ..transform.evaluate import execute, instructions, rules
from .call import Call
from .sums import accumulate, parts, terms

Values = dict[Node, Tensor]  # what does not move as (size,), series as (batch, steps, size)


class Torch:
    name = "torch"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Values]:
        step = _planned(call.recurrence)
        kept = _residuals(step) if keep else ()
        values = {step.parameters[n]: p for n, p in call.parameters.items()}
        values |= {step.inputs[n]: x for n, x in call.inputs.items()}
        cut = _stages(step, tuple(step.returns.values()), ())
        _sweep(step, cut, values, call.state, call, {*step.returns.values(), *kept})
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
        arriving = _sweep(adjoint, cut, values, start, call, set(roots))
        result = {n: _series(values[node], call) for n, node in flows.items()}
        for n, nodes in sums.items():
            result[n] = torch.zeros_like(call.parameters[n])
            for node in nodes:
                accumulate(result[n], node, values, (call.batch, call.steps))
        return result | {n: arriving[carried(n)] for n in call.state if n in wanted}


def _sweep(
    step: Recurrence, cut: Stages, values: Values, start: Mapping[str, Tensor], call: Call, wanted: set[Node]
) -> dict[str, Tensor]:
    """One pass over time, forward or backward: adds the values of every stage, and returns the last states."""
    rows = _row_table()
    execute(instructions(cut.once, call.sizes, call.like), values)
    execute(instructions(cut.before, call.sizes, call.like, rows), values)

    kinds = Kinds(step)
    new = {step.states[n]: step.returns[n] for n in step.states}
    reading = {n for n in (*cut.into_loop, *new.values()) if n in values}
    fixed = {n: v for n, v in values.items() if n.op == "parameter" or (n in reading and kinds[n] == ONCE)}
    moving = [(n, values[n].unbind(1)) for n in reading if n not in fixed]
    program = instructions(cut.loop, call.sizes, call.like)
    later = wanted.union(*(n.args for n in cut.after))
    series: dict[Node, list[Tensor]] = {n: [] for n in (*cut.loop, *new) if n in later}
    state = {step.states[n]: v for n, v in start.items()}
    for t in reversed(range(call.steps)) if step.reverse else range(call.steps):
        now = {**fixed, **state, **{n: steps[t] for n, steps in moving}}
        execute(program, now)
        for n, gathered in series.items():
            gathered.append(now[n])
        state = {leaf: now[n] for leaf, n in new.items()}
    for n, gathered in series.items():
        values[n] = _stacked(gathered[::-1] if step.reverse else gathered, n, call)

    execute(instructions(cut.after, call.sizes, call.like, rows), values)
    return {n: state[leaf].expand(call.batch, -1) for n, leaf in step.states.items()}


def _stacked(steps: list[Tensor], node: Node, call: Call) -> Tensor:
    if steps:
        return torch.stack(steps, 1)
    return call.like.new_empty(call.batch, 0, *([d.value(call.sizes) for d in node.type.dims] or [1]))


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
