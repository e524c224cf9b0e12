"""Calls of one kind with as little Python around C as there can be: C finds each address in the memory of tensors in a
fixed order, where the other calls look it up by node and by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...graph.node import TOKEN, Node
from ...graph.ops import LEAVES
from ...plan.plan import make_plan
from ...transform.differentiate import carried, direct
from ..border import readable_gradient
from ..call import Call
from ..last_rows import with_last_rows
from .blocks import block
from .engine import backward_of, forward_of
from .lanes import pieces
from .launch import launch_for
from .slots import BoundLaunch, Slot, Terms, bind_launch
from .sums import ENOUGH, all_plain, plain_terms, table_of

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Bound:
    """The calls of a kind, whose leaves may have any shape with these numbers.

    kind: a call of this kind, without tensors. names: of inputs, states and parameters. shapes: of the series that are
    returned. ends: the numbers of the initial states, whose last values are returned behind them; none if one step is
    computed, whose values they are. inside: the bytes of what is kept in the block. back: passes backward, by what
    arrives and what is wanted.
    """

    kind: Call
    names: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    launch: BoundLaunch
    shapes: list[Shape]
    ends: list[int]
    inside: dict[Node, int]
    back: dict[Any, Back | None] = field(default_factory=dict)

    def call(self, leaves: Sequence[Tensor]) -> Call:
        """A call with these leaves, in the shapes that engines take."""
        given = iter(leaves)
        inputs = {n: next(given).flatten(0, -2) for n in self.names[0]}
        state = {n: next(given).flatten(0, -2) for n in self.names[1]}
        parameters = {n: next(given) for n in self.names[2]}
        return self.kind._replace(inputs=inputs, state=state, parameters=parameters, like=leaves[-1].detach())

    def forward(self, leaves: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The returned series and the last states; and the block of what is kept besides leaves and series."""
        like = leaves[0]
        given = [like.new_empty(shape) for shape in self.shapes]
        given += [torch.empty_like(leaves[i]) for i in self.ends]
        kept = room(like, self.launch.launch.block.size)
        self.launch.run((*leaves, *given, *kept), lambda: self.call(leaves))
        return given, kept


SMALL = 2**16  # bytes: torch allocates less faster than a block is looked up


def room(like: Tensor, size: int) -> list[Tensor]:
    """Memory of ``size`` bytes, as a list of one tensor; an empty list for 0."""
    if not size:
        return []
    return [like.new_empty(size // like.itemsize) if size <= SMALL else block(size)]


@dataclass(frozen=True, eq=False)
class Back:
    """A pass backward. goals: the numbers of the leaves that get a gradient."""

    launch: BoundLaunch
    goals: list[int]


def bind(call: Call, shapes: list[Shape], keep: bool, last_states: bool = True) -> Bound | None:
    """What runs calls like this one; None if they need more than this file can do.

    Args:
        call: the call.
        shapes: of the series that are returned.
        keep: whether to keep what a backward pass needs.
        last_states: whether the last states are returned in memory of their own; otherwise the call is one step.
    """
    layout, recurrence = call.layout, call.recurrence
    step, lowered, returned, _ = forward_of(recurrence, keep)
    vectors = all(len(n.type.dims) == 1 for n in (*returned, *step.states.values(), *step.inputs.values()))
    of_tokens = any(n.type.kind == TOKEN for n in (*returned, *step.states.values(), *step.inputs.values()))
    vectors = vectors and not of_tokens  # tokens are checked in each call
    own = len(set(returned)) == len(returned) and not any(n.op in LEAVES for n in returned)
    if layout.resets or layout.empty or not layout.rows or not call.inputs or not vectors or not own:
        return None
    launch = launch_for(lowered, returned, call, once_in_c=True)
    leaves, made = list(call.leaves), launch.kernel.schedule
    number, states = {n: i for i, n in enumerate(leaves)}, list(call.state)
    series = {n: len(leaves) + i for i, n in enumerate(step.returns)}
    ends = {n: len(leaves) + len(series) + i if last_states else series[n] for i, n in enumerate(states)}
    block = len(leaves) + len(series) + len(states) * last_states
    at: dict[Node, Slot] = {step.inputs[n]: (number[n], 0) for n in call.inputs}
    at |= {node: (series[n], 0) for n, node in step.returns.items()}
    at |= {n: (block, byte) for n, (byte, _) in launch.block.series.items()}
    given = all(n in made.keep for n in returned)
    if made.previous or not given or any(n not in at for n in (*made.moving, *made.keep)):
        return None
    first = [at[n] for n in made.moving]
    last = [(number[n], 0) for n in step.states] + [(ends[n], 0) for n in step.states]
    last += [at[n] for n in made.keep]
    kind = call._replace(inputs={}, state={}, parameters={}, like=torch.empty(0, dtype=call.like.dtype, device="cpu"))
    inside = {n: byte for n, (byte, _) in launch.block.series.items()}
    names = tuple(call.inputs), tuple(call.state), tuple(call.parameters)
    tensors = block + bool(launch.block.size)
    run = bind_launch(launch, first, last, tensors, {n: number[n] for n in names[2]}, narrow=call.narrow)
    return Bound(kind, names, run, shapes, [number[n] for n in states] if last_states else [], inside)


def backward(
    bound: Bound, saved: Sequence[Tensor], needed: tuple[bool, ...], grads: Sequence[Tensor | None]
) -> list[Tensor | None] | None:
    """The gradient of each leaf; None if this file cannot compute them.

    Args:
        bound: the calls.
        saved: the leaves, the returned series, and the block.
        needed: by leaf, whether its gradient is requested.
        grads: the gradients of the returned series, and of the last states.
    """
    arrived = _arrived(bound, grads)
    if not arrived:
        return [None] * len(needed)
    key = tuple(arrived), needed
    if key not in bound.back:
        bound.back[key] = _bind_back(bound, tuple(arrived), needed, saved)
    if (back := bound.back[key]) is None:
        return None
    made = [torch.empty_like(saved[i]) for i in back.goals]
    memory = room(saved[0], back.launch.launch.block.size)
    leaves = saved[: len(needed)]
    back.launch.run((*saved, *arrived.values(), *made, *memory), lambda: bound.call(leaves))
    found: list[Tensor | None] = [None] * len(needed)
    for i, gradient in zip(back.goals, made, strict=True):
        found[i] = gradient
    return found


def _arrived(bound: Bound, grads: Sequence[Tensor | None]) -> dict[str, Tensor]:
    """The gradients of returned series, by name, with those of the last states."""
    returns, states = bound.kind.recurrence.returns, bound.names[1]
    given = zip(returns, grads, strict=False)
    arrived = {n: readable_gradient(n, g).contiguous() for n, g in given if g is not None}
    for n, g in zip(states, grads[len(returns) :], strict=False):
        if g is not None:
            series = arrived[n].flatten(0, -2) if n in arrived else None
            arrived[n] = with_last_rows(series, readable_gradient(n, g).flatten(0, -2), bound.kind.layout)
    return arrived


def _bind_back(bound: Bound, of: tuple[str, ...], needed: Sequence[bool], saved: Sequence[Tensor]) -> Back | None:
    call = bound.call(saved[: len(needed)])
    leaves, recurrence = list(call.leaves), call.recurrence
    wanted = frozenset(n for n, wants in zip(leaves, needed, strict=True) if wants)
    way, lowered = backward_of(recurrence, of, wanted)
    launch = launch_for(lowered, tuple(way.flows.values()), call, once_in_c=True)
    step, adjoint, made = make_plan(recurrence).step, way.recurrence, launch.kernel.schedule
    number = {n: i for i, n in enumerate(leaves)}
    series = {n: len(leaves) + i for i, n in enumerate(step.returns)}
    states = [n for n in call.state if n in wanted]
    goals = [number[n] for n in (*way.flows, *states, *way.sums)]
    goal = {leaves[i]: len(saved) + len(of) + k for k, i in enumerate(goals)}
    inner = len(saved) + len(of) + len(goals)
    at: dict[Node, Slot] = {step.inputs[n]: (number[n], 0) for n in call.inputs}
    at |= {step.returns[n]: (i, 0) for n, i in series.items()}
    at |= {leaf: (series[n], 0) for n, leaf in step.states.items()}
    at |= {n: (len(saved) - 1, byte) for n, byte in bound.inside.items()}
    at |= {adjoint.inputs[direct(n)]: (len(saved) + k, 0) for k, n in enumerate(of)}
    at |= {node: (goal[n], 0) for n, node in way.flows.items()}
    at |= {n: (inner, byte) for n, (byte, _) in launch.block.series.items()}
    start = {leaf: (number[n], 0) for n, leaf in step.states.items()}
    table = table_of(all_plain(way), tuple(call.sizes.items()))
    factors = {x for u, _, v, *_ in table.rows for x in (u, v) if x}
    plain = set(plain_terms(way)) == set(way.sums) and len(set(way.flows.values())) == len(way.flows)
    if not plain or any(n not in at for n in (*made.moving, *made.previous, *made.keep, *factors)):
        return None
    if any(n not in launch.given for n in way.flows.values()):  # a gradient that is the same at every step
        return None
    first = [at[n] for n in made.moving]
    for n in made.previous:
        first += [at[n], start[n]]
    ends = [(inner, byte) for byte in launch.block.ends] if launch.ends_in_block else [at[n] for n in made.new]
    sent = {carried(n): (goal[n], 0) for n in states}
    last = [sent.get(n, other) for n, other in zip(adjoint.states, ends, strict=True)] + [at[n] for n in made.keep]
    slots: list[Slot] = []
    for u, us, v, vs, name, add in table.rows:
        right = [at[v], start.get(v, (-1, 0)), (-1, vs)] if v else [(-1, 0)] * 3
        slots += [at[u], start.get(u, (-1, 0)), (-1, us), *right, (goal[name], 0), (-1, int(add))]
    threads = torch.get_num_threads() if call.layout.rows * table.work > ENOUGH else 1
    double = call.like.dtype == torch.float64
    terms = Terms(slots, pieces(call.layout), threads, double) if slots else None
    tensors = inner + bool(launch.block.size)
    return Back(bind_launch(launch, first, last, tensors, {n: number[n] for n in call.parameters}, terms), goals)
