"""The compiled engine: the plan of a circuit as C, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from ...graph.node import Node
from ...graph.recurrence import Recurrence
from ...plan.plan import make_plan
from ...transform.differentiate import carried, direct
from ...transform.evaluate import execute, instructions
from ..call import Call
from .kernel import Kernel, Prepared, kernel, pack, parallel, prepared
from .lanes import deal
from .program import Program, make_program
from .render import LANES
from .sums import Sums

Values = dict[Node, Tensor]  # series as (rows, size), what does not move as (size,)
ENOUGH = 2**21  # numbers computed that are worth a thread
LARGE = 2**18  # numbers of a matrix of which two threads take parts


class Compiled:
    """Runs a circuit's program, compiled on first use for its sizes."""

    name = "c"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Values]:
        step, program, kept = _forward_program(call.recurrence, keep)
        values = {step.inputs[n]: x.contiguous() for n, x in call.inputs.items()}
        start = [call.state[n].contiguous() for n in step.states]
        _run(program, call, values, start, {})
        outputs = {n: _moving(values[node], call) for n, node in step.returns.items()}
        if not keep:
            return outputs, {}
        found = {node: values[node].detach() for node in kept if node in values}
        return outputs, found | {leaf: outputs[n].detach() for n, leaf in step.states.items()}

    def backward(self, call: Call, kept: Values, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        plan = make_plan(call.recurrence)
        way, step = plan.backward(grads, wanted), plan.step
        adjoint = way.recurrence
        program = make_program(way, way.wanted)
        values = kept | {step.inputs[n]: x.contiguous() for n, x in call.inputs.items()}
        values |= {step.parameters[n]: p.detach() for n, p in call.parameters.items()}
        values |= {adjoint.inputs[direct(n)]: g.contiguous() for n, g in grads.items()}
        start = {leaf: call.state[n].contiguous() for n, leaf in step.states.items()}
        arriving = _run(program, call, values, [], start)
        result = {n: _moving(values[node], call) for n, node in way.flows.items()}
        result |= Sums(way, values, start, call).all()
        gradients = dict(zip(adjoint.states, arriving, strict=True))
        return result | {n: gradients[carried(n)] for n in call.state if n in wanted}


@lru_cache(maxsize=256)
def _forward_program(recurrence: Recurrence, keep: bool) -> tuple[Recurrence, Program, tuple[Node, ...]]:
    """The step, its program, and what is kept of it."""
    plan = make_plan(recurrence)
    states = plan.step.states.values()  # of the step before: on the way back they are read from what is returned
    kept = tuple(n for n in plan.kept if n not in states) if keep else ()
    return plan.step, make_program(plan.forward(keep), (*plan.step.returns.values(), *kept)), kept


def _moving(value: Tensor, call: Call) -> Tensor:
    """A returned value that does not move is the same at every step of every sequence."""
    return value if value.ndim == 2 else value.expand(call.layout.rows, -1).contiguous()


def _run(
    program: Program, call: Call, values: Values, start: list[Tensor], first: Mapping[Node, Tensor]
) -> list[Tensor]:
    """Adds the series that the program keeps and what does not move; returns the last states."""
    compiled = kernel(program, call.sizes, call.like.dtype == torch.float64)
    layout, new = call.layout, call.like.new_empty
    fixed = prepared(compiled, call.parameters, lambda: _prepare(compiled, call))
    values.update(fixed.values)
    kept = {n: new(layout.rows, compiled.sizes[n]) for n in program.keep}
    values.update(kept)
    if layout.longest == 1 and not (layout.empty or program.reverse) and all(n in kept for n in program.new):
        end = [kept[n] for n in program.new]  # of one step, the last values are all values
    else:
        end = [new(layout.count, compiled.sizes[n]) for n in program.states]
        for state in end if program.reverse and (layout.resets or layout.empty) else ():
            state.zero_()
        for row in layout.empty if start else ():  # the state stays as it is
            for state, same in zip(end, start, strict=True):
                state[row] = same[row]
    addresses = [values[n].data_ptr() for n in program.moving]
    addresses += [a for n in program.previous for a in (values[n].data_ptr(), first[n].data_ptr())]
    addresses += fixed.addresses
    addresses += [t.data_ptr() for t in (*start, *end, *kept.values())]
    threads = torch.get_num_threads() if layout.rows * compiled.width >= ENOUGH else 1
    groups = deal(layout, threads, LANES, program.reverse)
    if len(groups) == 1 and threads > 1 and compiled.largest >= LARGE and program.states:
        compiled.run_by_two(groups[0], addresses, call.like.dtype)
    else:
        parallel([partial(compiled.run, group, addresses, call.like.dtype) for group in groups], threads)
    return end


def _prepare(compiled: Kernel, call: Call) -> Prepared:
    program, step = compiled.program, make_plan(call.recurrence).step
    values: dict[Node, Any] = {step.parameters[n]: p.detach() for n, p in call.parameters.items()}
    execute(instructions(program.once, call.sizes, call.like), values)
    fixed = [_whole(values[n], n, call) for n in program.fixed]
    return Prepared(fixed, [pack(values[n]) for n in program.matrices], {n: values[n] for n in program.once})


def _whole(value: Tensor, node: Node, call: Call) -> Tensor:
    return value.to(call.like.dtype).expand([d.value(call.sizes) for d in node.type.dims] or [1]).contiguous()
