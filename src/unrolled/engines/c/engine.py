"""The compiled engine: the plan of a circuit as C, forward and backward."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from ...graph.node import Node
from ...graph.recurrence import Recurrence
from ...plan.plan import Backward, make_plan
from ...sequence.layout import Layout
from ...transform.differentiate import carried, direct
from ...transform.evaluate import execute, instructions
from ..call import Call, Kept
from .blocks import ALIGNED, block, in_lines
from .kernel import Kernel, Prepared, kernel, pack, prepared
from .lanes import Groups, deal
from .program import Program, make_program
from .render import LANES
from .sums import Sums

Tensors = dict[Any, Tensor]  # series as (rows, size), what does not move as (size,); by node, blocks by _Launch
Addresses = dict[Any, int]
ENOUGH = 2**21  # numbers computed that are worth a thread
FEW = 2  # rows of a single step for which matrices are not packed
LARGE = 2**18  # numbers of a matrix of which threads take parts


class Compiled:
    """Runs a circuit's program, compiled on first use for its sizes."""

    name = "c"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        step, program, returned, kept = _forward_program(call.recurrence, keep)
        launch = _launch_for(program, returned, call)
        made = launch.room(call)
        tensors = {step.inputs[n]: x.contiguous() for n, x in call.inputs.items()} | made
        at, start = _addresses(tensors), [call.state[n].contiguous() for n in step.states]
        tensors |= launch.run(call, at, [s.data_ptr() for s in start], {}, launch.last(at))
        outputs = {n: _moving(_returned(node, tensors, call), call) for n, node in step.returns.items()}
        if not keep:
            return outputs, []
        states = {leaf: outputs[n] for n, leaf in step.states.items()}
        return outputs, [states | {n: t for n, t in made.items() if n is launch or n in kept}]

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        way, program, flows = _backward_program(call.recurrence, tuple(grads), frozenset(wanted))
        launch = _launch_for(program, flows, call)
        step, adjoint = make_plan(call.recurrence).step, way.recurrence
        tensors = {step.inputs[n]: x.contiguous() for n, x in call.inputs.items()} | kept[0] | launch.room(call)
        tensors |= {adjoint.inputs[direct(n)]: g.contiguous() for n, g in grads.items()}
        at, start = _addresses(tensors), {leaf: call.state[n].contiguous() for n, leaf in step.states.items()}
        first = {leaf: s.data_ptr() for leaf, s in start.items()}
        arriving = {carried(n): call.like.new_empty(call.state[n].shape) for n in call.state if n in wanted}
        for gradient in arriving.values() if call.layout.resets or call.layout.empty else ():
            gradient.zero_()
        ends = zip(adjoint.states, launch.last(at), strict=True)
        still = launch.run(call, at, [], first, [arriving[n].data_ptr() if n in arriving else end for n, end in ends])

        def everything() -> Tensors:
            return {step.parameters[n]: p for n, p in call.parameters.items()} | _opened(tensors, call) | still

        result = {n: _moving({**tensors, **still}[node], call) for n, node in way.flows.items()}
        result |= Sums(way, at, start, call, _once(everything)).all()
        return result | {n: arriving[carried(n)] for n in call.state if n in wanted}


@lru_cache(maxsize=256)
def _forward_program(
    recurrence: Recurrence, keep: bool
) -> tuple[Recurrence, Program, tuple[Node, ...], tuple[Node, ...]]:
    """The step, its program, what is returned of it, and what is kept."""
    plan = make_plan(recurrence)
    states = plan.step.states.values()  # of the step before: on the way back they are read from what is returned
    kept = tuple(n for n in plan.kept if n not in states) if keep else ()
    returned = tuple(plan.step.returns.values())
    return plan.step, make_program(plan.forward(keep), (*returned, *kept)), returned, kept


@lru_cache(maxsize=256)
def _backward_program(
    recurrence: Recurrence, of: tuple[str, ...], wanted: frozenset[str]
) -> tuple[Backward, Program, tuple[Node, ...]]:
    """The way back, its program, and the gradients that it gives at every step."""
    way = make_plan(recurrence).backward(of, wanted)
    return way, make_program(way, way.wanted), tuple(way.flows.values())


def _once(make: Callable[[], Tensors]) -> Callable[[], Tensors]:
    """The same, made at the first call alone (``functools.cache`` would take longer to make than a small sum)."""
    made: list[Tensors] = []

    def get() -> Tensors:
        if not made:
            made.append(make())
        return made[0]

    return get


def _returned(node: Node, tensors: Tensors, call: Call) -> Tensor:
    return call.parameters[node["name"]] if node.op == "parameter" else tensors[node]


def _moving(value: Tensor, call: Call) -> Tensor:
    """A returned value that does not move is the same at every step of every sequence."""
    return value if value.ndim == 2 else value.expand(call.layout.rows, -1).contiguous()


@dataclass(frozen=True, eq=False)
class _Launch:
    """A compiled program at a layout: who takes which lanes, and what is made room for.

    given: sizes of the series that are given to others. inside, ends: where the other series, and the last states,
    stand in a block of ``size`` bytes; ends is None where, after a single step, the last values are all values. direct:
    the parameters that are read as they are, where that is all there is to prepare.
    """

    kernel: Kernel
    groups: Groups
    threads: int
    given: dict[Node, int]
    inside: dict[Node, int]
    ends: tuple[int, ...] | None
    size: int
    direct: tuple[str, ...] | None

    def room(self, call: Call) -> Tensors:
        """Room for the series: tensors for those that are given to others, and a block."""
        made: Tensors = {n: call.like.new_empty(call.layout.rows, size) for n, size in self.given.items()}
        return made | {self: block(self.size)} if self.size else made

    def last(self, at: Addresses) -> list[int]:
        """Where the last states go."""
        if self.ends is None:
            return [at[n] for n in self.kernel.program.new]
        return [at[self] + offset for offset in self.ends]

    def run(self, call: Call, at: Addresses, start: list[int], first: Addresses, end: list[int]) -> Tensors:
        """From these states, or, backward, from those that the forward pass started from, to the last ones. Returns
        the values that do not move."""
        program, parameters = self.kernel.program, call.parameters
        owner: object  # of what C reads, while it does
        if self.direct is None:
            owner = ready = prepared(self.kernel, parameters, lambda: _prepare(self.kernel, call))
            values, fixed = ready.values, ready.addresses
        else:
            owner = [parameters[n].untyped_storage() for n in self.direct]
            values, fixed = {}, [parameters[n].data_ptr() for n in self.direct]
        addresses = [at[n] for n in program.moving]
        for n in program.previous:
            addresses += (at[n], first[n])
        addresses += fixed + start + end
        addresses += [at[n] for n in program.keep]
        self.kernel.run(self.groups, addresses, self.threads)
        del owner
        return values


def _addresses(tensors: Tensors) -> Addresses:
    """Of series, also of those in blocks."""
    at = {n: t.data_ptr() for n, t in tensors.items()}
    for launch in [n for n in at if isinstance(n, _Launch)]:
        base = at[launch]
        at |= {n: base + offset for n, offset in launch.inside.items()}
    return at


def _opened(tensors: Tensors, call: Call) -> Tensors:
    """With the series in blocks as tensors."""
    found, kind = dict(tensors), call.like.dtype
    for launch in [n for n in tensors if isinstance(n, _Launch)]:
        memory = found.pop(launch)
        for n, offset in launch.inside.items():
            size = launch.kernel.sizes[n]
            part = memory[offset : offset + call.layout.rows * size * kind.itemsize]
            found[n] = part.view(kind).view(call.layout.rows, size)
    return found


def _launch_for(program: Program, given: tuple[Node, ...], call: Call) -> _Launch:
    """How a call is launched, given to others whatever of its series is in ``given``."""
    in_place = False not in [p.is_contiguous() for p in call.parameters.values()]
    kind = call.layout, torch.get_num_threads(), in_place
    return _launch(program, given, call.recurrence, tuple(call.sizes.items()), call.like.dtype == torch.float64, *kind)


@lru_cache(maxsize=64)
def _launch(
    program: Program,
    given: tuple[Node, ...],
    recurrence: Recurrence,
    sizes: tuple[tuple[str, int], ...],
    double: bool,
    layout: Layout,
    most: int,
    in_place: bool,
) -> _Launch:
    """With so many threads at most; ``in_place``: parameters can be read as they are."""
    direct = None
    single = layout.longest == 1 and not (layout.empty or program.reverse)
    if single and layout.rows <= FEW and in_place and not program.once:
        names = {node: n for n, node in make_plan(recurrence).step.parameters.items()}
        direct = tuple(names[n] for n in (*program.fixed, *program.matrices))
    compiled = kernel(program, sizes, double, direct is not None)
    threads = most if layout.rows * compiled.width >= ENOUGH else 1
    groups = deal(layout, threads, LANES, program.reverse)
    if len(groups) == 1 and not (compiled.largest >= LARGE and program.states):
        threads = 1
    sizes_given = {n: compiled.sizes[n] for n in program.keep if n in given}
    others = [n for n in program.keep if n not in given]
    last = single and all(n in program.keep for n in program.new)
    numbers = [layout.rows * compiled.sizes[n] for n in others]
    numbers += [] if last else [layout.count * compiled.sizes[n] for n in program.states]
    *offsets, size = accumulate((max(in_lines(n * (8 if double else 4)), ALIGNED) for n in numbers), initial=0)
    inside, ends = dict(zip(others, offsets, strict=False)), None if last else tuple(offsets[len(others) :])
    return _Launch(compiled, groups, threads, sizes_given, inside, ends, size, direct)


def _prepare(compiled: Kernel, call: Call) -> Prepared:
    program, step = compiled.program, make_plan(call.recurrence).step
    values: dict[Node, Any] = {step.parameters[n]: p.detach() for n, p in call.parameters.items()}
    execute(instructions(program.once, call.sizes, call.like), values)
    fixed = [_whole(values[n], n, call) for n in program.fixed]
    return Prepared(fixed, [pack(values[n]) for n in program.matrices], {n: values[n] for n in program.once})


def _whole(value: Tensor, node: Node, call: Call) -> Tensor:
    return value.to(call.like.dtype).expand([d.value(call.sizes) for d in node.type.dims] or [1]).contiguous()
