"""The compiled engine: each pass of the plan as one C function."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from torch import Tensor

from ...graph.node import Node
from ...graph.recurrence import Recurrence
from ...plan.plan import Backward, make_plan
from ...transform.differentiate import carried, direct
from ..call import Call, Kept
from ..lowering.lower import Lowered, lower
from .launch import launch_for
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
        outputs = {n: _every_row(_returned(node, tensors, call), call) for n, node in step.returns.items()}
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
        for gradient in arriving.values() if call.layout.resets or call.layout.empty else ():
            gradient.zero_()
        ends = zip(adjoint.states, launch.ends(made, at), strict=True)
        fixed = launch.run(call, at, [], first, [arriving[n].data_ptr() if n in arriving else end for n, end in ends])

        def everything() -> Tensors:
            parameters = {step.parameters[n]: p for n, p in call.parameters.items()}
            return parameters | opened(tensors, call.layout.rows, call.like.dtype) | fixed

        result = {n: _every_row({**tensors, **fixed}[node], call) for n, node in way.flows.items()}
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


def _returned(node: Node, tensors: Tensors, call: Call) -> Tensor:
    return call.parameters[node["name"]] if node.op == "parameter" else tensors[node]


def _every_row(value: Tensor, call: Call) -> Tensor:
    """A returned value as a series; a fixed value is the same at every step of every sequence."""
    return value if value.ndim == 2 else value.expand(call.layout.rows, -1).contiguous()
