"""The compiled engine: each pass of the plan as one C function."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from torch import Tensor

from ...graph.node import Node, order
from ...graph.recurrence import Recurrence
from ...plan.plan import Backward, make_plan
from ...plan.stages import EACH, Kinds
from ...plan.totals import total
from ...transform.differentiate import carried, direct
from ...transform.evaluate import every_row, execute, instructions
from ...transform.terms import parts
from ..call import Call, Kept
from ..lowering.lower import Lowered, lower
from ..steps import sequence_of_row
from .launch import launch_for, names_of_parameters
from .series import Block, Tensors, addresses, opened
from .sums import Sums, plain_terms


class Compiled:
    """Runs the passes of a circuit, which are compiled on first use of their sizes."""

    name = "c"

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        """See ``Engine.forward``."""
        step, lowered, returned, kept = forward_of(call.recurrence, keep)
        launch = launch_for(lowered, returned, call)
        made = launch.room(call)
        tensors = {step.inputs[n]: x.contiguous() for n, x in call.inputs.items()} | made
        at, start = addresses(tensors), [call.state[n].contiguous() for n in step.states]
        tensors |= launch.run(call, at, [s.data_ptr() for s in start], {}, launch.ends(made, at))
        outputs = {n: _returned(node, tensors, call) for n, node in step.returns.items()}
        if not keep:
            return outputs, []
        states = {leaf: outputs[n] for n, leaf in step.states.items()}
        return outputs, [states | {n: t for n, t in made.items() if isinstance(n, Block) or n in kept}]

    def backward(
        self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str], members: int | None = None
    ) -> dict[str, Tensor]:
        """See ``Engine.backward``. members: the number of equal parts of the batch that have their own gradients of
        parameters, (members, *shape); see ``separable``."""
        way, lowered = backward_of(call.recurrence, tuple(grads), frozenset(wanted))
        launch = launch_for(lowered, tuple(way.flows.values()), call)
        step, adjoint, made = make_plan(call.recurrence).step, way.recurrence, launch.room(call)
        tensors = {step.inputs[n]: x.contiguous() for n, x in call.inputs.items()} | kept[0] | made
        tensors |= {adjoint.inputs[direct(n)]: g.contiguous() for n, g in grads.items()}
        at, start = addresses(tensors), {leaf: call.state[n].contiguous() for n, leaf in step.states.items()}
        first = {leaf: s.data_ptr() for leaf, s in start.items()}
        arriving = {carried(n): call.like.new_empty(call.state[n].shape) for n in call.state if n in wanted}
        arriving |= {total(n): call.like.new_empty(call.inputs[n].shape) for n in way.fixed}
        for gradient in arriving.values() if call.layout.resets or call.layout.empty else ():
            gradient.zero_()
        ends = zip(adjoint.states, launch.ends(made, at), strict=True)
        fixed = launch.run(call, at, [], first, [arriving[n].data_ptr() if n in arriving else end for n, end in ends])

        def everything() -> Tensors:
            parameters = {step.parameters[n]: p for n, p in call.parameters.items()}
            return parameters | opened(tensors, call.layout.rows, call.like.dtype, call.sizes) | fixed

        result = {n: every_row({**tensors, **fixed}[x], x, call.layout.rows).contiguous() for n, x in way.flows.items()}
        result |= {n: arriving[total(n)] for n in way.fixed}
        repeated = _at_rows(way, call)
        tensors |= repeated
        at |= {n: t.data_ptr() for n, t in repeated.items()}
        result |= Sums(way, at, start, call, _once(everything), members).all()
        return result | {n: arriving[carried(n)] for n in call.state if n in wanted}


def separable(recurrence: Recurrence, of: tuple[str, ...], wanted: frozenset[str]) -> bool:
    """Whether parts of a batch can have their own gradients of parameters."""
    way, _ = backward_of(recurrence, of, wanted)
    return plain_terms(way).keys() == way.sums.keys()


class _Forward(NamedTuple):
    """The step, its pass, the values that are returned, and those that are kept for the backward pass."""

    step: Recurrence
    lowered: Lowered
    returned: tuple[Node, ...]
    kept: tuple[Node, ...]


@lru_cache(maxsize=256)
def forward_of(recurrence: Recurrence, keep: bool) -> _Forward:
    plan = make_plan(recurrence)
    states = plan.step.states.values()  # the backward pass reads them one step earlier, from the returned values
    kept = tuple(n for n in plan.kept if n not in states) if keep else ()
    returned = tuple(plan.step.returns.values())
    return _Forward(plan.step, lower(plan.forward(keep), (*returned, *kept)), returned, kept)


@lru_cache(maxsize=256)
def backward_of(recurrence: Recurrence, of: tuple[str, ...], wanted: frozenset[str]) -> tuple[Backward, Lowered]:
    way = make_plan(recurrence).backward(of, wanted)
    return way, lower(way, way.wanted)


def _once(make: Callable[[], Tensors]) -> Callable[[], Tensors]:
    """Like ``functools.cache``, which takes longer to create than a small sum takes to compute."""
    made: list[Tensors] = []

    def get() -> Tensors:
        if not made:
            made.append(make())
        return made[0]

    return get


@lru_cache(maxsize=256)
def _same_at_every_step(recurrence: Recurrence) -> frozenset[Node]:
    """The returned values that are the same at every step of a sequence."""
    step = make_plan(recurrence).step
    kinds = Kinds(step)
    return frozenset(node for node in step.returns.values() if kinds[node] == EACH)


def _returned(node: Node, tensors: Tensors, call: Call) -> Tensor:
    """A returned value as a series. A fixed value is the same at every step of every sequence, or of one."""
    if call.recurrence.fixed and node in _same_at_every_step(call.recurrence):
        return _repeated([node], call)[node]
    value = call.values([node["name"]])[node["name"]] if node.op == "parameter" else tensors[node]
    if value.ndim > 1 and (value.ndim == 3 or len(node.type.dims) < 2):
        return value
    return every_row(value, node, call.layout.rows).contiguous()


def _at_rows(way: Backward, call: Call) -> Tensors:
    """The factors of gradients that are the same at every step of a sequence, repeated for every row."""
    if not call.recurrence.fixed:
        return {}
    return _repeated([p for nodes in way.sums.values() for t in nodes for p in parts(t) if way.kinds[p] == EACH], call)


def _repeated(found: list[Node], call: Call) -> Tensors:
    """Values that are the same at every step of a sequence, repeated for every row."""
    step = make_plan(call.recurrence).step
    known = {step.inputs[n]: call.inputs[n] for n in step.fixed}
    known |= {step.parameters[n]: p for n, p in call.values(names_of_parameters(found)).items()}
    execute(instructions(order(found, known=known), call.sizes, call.like), known)
    index = sequence_of_row(call.layout, call.like.device)
    return {n: known[n][index].contiguous() for n in found}
