"""The compiled engine: the plan of a circuit as C, forward and backward."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor

from ...graph.node import Node
from ...graph.recurrence import Recurrence
from ...plan.plan import make_plan
from ...sequence.layout import Layout
from ...transform.differentiate import carried, direct
from ...transform.evaluate import execute, instructions
from ..call import Call
from .kernel import Kernel, Prepared, kernel, pack, parallel, prepared
from .lanes import Lanes, deal
from .program import Program, make_program
from .render import LANES
from .sums import Sums

Values = dict[Node, Tensor]  # series as (rows, size), what does not move as (size,)
ENOUGH = 2**21  # numbers computed that are worth a thread
FEW = 2  # rows of a single step for which matrices are not packed
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
        given = {*step.returns.values()}  # what is kept must not hold on to the graph that it becomes part of
        found = {n: values[n].detach() if n in given else values[n] for n in kept if n in values}
        return outputs, found | {leaf: outputs[n].detach() for n, leaf in step.states.items()}

    def backward(self, call: Call, kept: Values, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        plan = make_plan(call.recurrence)
        way, step = plan.backward(grads, wanted), plan.step
        adjoint = way.recurrence
        program = make_program(way, way.wanted)
        values = kept | {step.inputs[n]: x.contiguous() for n, x in call.inputs.items()}
        values |= {step.parameters[n]: p for n, p in call.parameters.items()}
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


@dataclass(frozen=True, eq=False)
class _Launch:
    """A compiled program at a layout: who takes which lanes, and what is made room for.

    kept: sizes of the series that the program keeps. end: of the last states; None where, after a single step, the
    last values are all values. direct: the parameters that are read as they are, where that is all there is to prepare.
    """

    kernel: Kernel
    groups: tuple[Lanes, ...]
    threads: int
    kept: dict[Node, int]
    end: dict[Node, int] | None
    direct: tuple[str, ...] | None

    def run(self, addresses: list[int], dtype: torch.dtype) -> None:
        if len(self.groups) == 1 and self.threads == 1:
            self.kernel.run(self.groups[0], addresses, dtype)
        elif len(self.groups) == 1 and self.kernel.largest >= LARGE and self.kernel.program.states:
            self.kernel.run_by_two(self.groups[0], addresses, dtype)
        else:
            parallel([partial(self.kernel.run, group, addresses, dtype) for group in self.groups], self.threads)


@lru_cache(maxsize=64)
def _launch(
    program: Program,
    recurrence: Recurrence,
    sizes: tuple[tuple[str, int], ...],
    double: bool,
    layout: Layout,
    most: int,
    in_place: bool,
) -> _Launch:
    """With so many threads at most; ``in_place``: parameters can be read as they are."""
    single = layout.longest == 1 and not (layout.empty or program.reverse)
    direct = None
    if single and layout.rows <= FEW and in_place and not program.once:
        names = {node: n for n, node in make_plan(recurrence).step.parameters.items()}
        direct = tuple(names[n] for n in (*program.fixed, *program.matrices))
    compiled = kernel(program, sizes, double, direct is not None)
    threads = most if layout.rows * compiled.width >= ENOUGH else 1
    groups = deal(layout, threads, LANES, program.reverse)
    kept = {n: compiled.sizes[n] for n in program.keep}
    last = single and all(n in kept for n in program.new)
    end = None if last else {n: compiled.sizes[n] for n in program.states}
    return _Launch(compiled, groups, threads, kept, end, direct)


def _run(
    program: Program, call: Call, values: Values, start: list[Tensor], first: Mapping[Node, Tensor]
) -> list[Tensor]:
    """Adds the series that the program keeps and what does not move; returns the last states."""
    like, layout, parameters = call.like, call.layout, call.parameters
    in_place = False not in [p.is_contiguous() for p in parameters.values()]
    kind = like.dtype == torch.float64, layout, torch.get_num_threads(), in_place
    launch = _launch(program, call.recurrence, tuple(call.sizes.items()), *kind)
    if launch.direct is None:
        ready = prepared(launch.kernel, parameters, lambda: _prepare(launch.kernel, call))
        values.update(ready.values)
        fixed = ready.addresses
    else:
        fixed = [parameters[n].data_ptr() for n in launch.direct]
    kept = {n: like.new_empty(layout.rows, size) for n, size in launch.kept.items()}
    values.update(kept)
    if launch.end is None:
        end = [kept[n] for n in program.new]
    else:
        end = [like.new_empty(layout.count, size) for size in launch.end.values()]
        for state in end if program.reverse and (layout.resets or layout.empty) else ():
            state.zero_()
        for row in layout.empty if start else ():  # the state stays as it is
            for state, same in zip(end, start, strict=True):
                state[row] = same[row]
    addresses = [values[n].data_ptr() for n in program.moving]
    addresses += [a for n in program.previous for a in (values[n].data_ptr(), first[n].data_ptr())]
    addresses += fixed
    addresses += [t.data_ptr() for t in (*start, *end, *kept.values())]
    launch.run(addresses, like.dtype)
    return end


def _prepare(compiled: Kernel, call: Call) -> Prepared:
    program, step = compiled.program, make_plan(call.recurrence).step
    values: dict[Node, Any] = {step.parameters[n]: p.detach() for n, p in call.parameters.items()}
    execute(instructions(program.once, call.sizes, call.like), values)
    fixed = [_whole(values[n], n, call) for n in program.fixed]
    return Prepared(fixed, [pack(values[n]) for n in program.matrices], {n: values[n] for n in program.once})


def _whole(value: Tensor, node: Node, call: Call) -> Tensor:
    return value.to(call.like.dtype).expand([d.value(call.sizes) for d in node.type.dims] or [1]).contiguous()
