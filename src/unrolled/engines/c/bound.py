"""Calls of one kind with as little Python around C as there can be: where each pointer comes from is found once.

A short call takes a few microseconds in C. So what the other calls look up by node and by name is a list here: each
pointer is an offset from the memory of a tensor in a fixed order.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ...graph.node import Node
from ...graph.ops import LEAVES
from ...plan.plan import make_plan
from ...transform.differentiate import carried, direct
from ..border import readable_gradient
from ..call import Call
from ..last_rows import with_last_rows
from .blocks import block, in_lines, scratch
from .crew import crew
from .engine import backward_of, forward_of
from .lanes import Pieces, pieces
from .launch import Launch, launch_for, prepare
from .libraries import sums
from .prepared import prepared
from .sums import ENOUGH, all_plain, plain_terms, table_of

Slot = tuple[int, int]  # the number of a tensor, and the byte in it
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Pass:
    """A launch, and where its pointers come from: those before the fixed values, and those behind."""

    launch: Launch
    first: list[Slot]
    last: list[Slot]

    def run(self, bases: list[int], parameters: dict[str, Tensor], call: Callable[[], Call]) -> None:
        launch = self.launch
        ready = prepared(launch.kernel, parameters, lambda: prepare(launch.kernel, call()))
        pointers = [bases[i] + at for i, at in self.first]
        pointers += ready.addresses
        pointers += [bases[i] + at for i, at in self.last]
        launch.kernel.run(launch.groups, pointers, launch.threads)
        del ready


@dataclass(frozen=True, eq=False)
class Bound:
    """The calls of a kind, whose leaves may have any shape with these numbers.

    kind: a call of this kind, without tensors. names: of inputs, states and parameters. shapes: of the series that are
    returned, and then of the last states. inside: the bytes of what is kept in the block. back: passes backward, by
    what arrives and what is wanted.
    """

    kind: Call
    names: tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]
    run: Pass
    shapes: list[Shape]
    inside: dict[Node, int]
    back: dict[Any, Back | None] = field(default_factory=dict)

    def call(self, leaves: Sequence[Tensor]) -> Call:
        """A call with these leaves, in the shapes that engines take."""
        given = iter(leaves)
        inputs = {n: next(given).flatten(0, -2) for n in self.names[0]}
        state = {n: next(given).flatten(0, -2) for n in self.names[1]}
        parameters = {n: next(given) for n in self.names[2]}
        return self.kind._replace(inputs=inputs, state=state, parameters=parameters, like=leaves[-1].detach())

    def parameters(self, leaves: Sequence[Tensor]) -> dict[str, Tensor]:
        return dict(zip(self.names[2], leaves[-len(self.names[2]) :], strict=True))

    def forward(self, leaves: Sequence[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """What is returned, and the block of what is kept besides leaves and series."""
        like = leaves[0]
        given = [like.new_empty(shape) for shape in self.shapes]
        kept = room(like, self.run.launch.block.size)
        bases = [t.data_ptr() for t in (*leaves, *given, *kept)]
        self.run.run(bases, self.parameters(leaves), lambda: self.call(leaves))
        return given, kept


SMALL = 2**16  # bytes: torch allocates less faster than a block is looked up


def room(like: Tensor, size: int) -> list[Tensor]:
    """Memory of ``size`` bytes, as a list of one tensor; an empty list for 0."""
    if not size:
        return []
    return [torch.empty(size, dtype=torch.uint8, device="cpu") if size <= SMALL else block(size)]


@dataclass(frozen=True, eq=False)
class Back:
    """A pass backward.

    goals: the numbers of the leaves that get a gradient. terms: of the sums, as C takes them: the number of a tensor
    and the byte in it, or -1 and a number. scratch: the bytes that the sums need, once they are known.
    """

    run: Pass
    goals: list[int]
    terms: list[Slot]
    count: int
    rows: Pieces
    threads: int
    double: bool
    scratch: list[int] = field(default_factory=list)


def bind(call: Call, shapes: list[Shape]) -> Bound | None:
    """What runs calls like this one; None if they need more than this file can do.

    Args:
        shapes: of the series that are returned, and of the last states, whatever has these numbers.
    """
    layout, recurrence = call.layout, call.recurrence
    step, lowered, returned, _ = forward_of(recurrence, True)
    vectors = all(len(n.type.dims) == 1 for n in (*returned, *step.states.values(), *step.inputs.values()))
    own = len(set(returned)) == len(returned) and not any(n.op in LEAVES for n in returned)
    if layout.resets or layout.empty or not layout.rows or not vectors or not own:
        return None
    launch = launch_for(lowered, returned, call, False)
    leaves, made = list(call.leaves), launch.kernel.schedule
    number, count = {n: i for i, n in enumerate(leaves)}, len(leaves) + len(returned)
    at: dict[Node, Slot] = {step.inputs[n]: (number[n], 0) for n in call.inputs}
    at |= {node: (len(leaves) + i, 0) for i, node in enumerate(returned)}
    at |= {n: (count + len(call.state), byte) for n, (byte, _) in launch.block.series.items()}
    order = {n: i for i, n in enumerate(call.state)}
    if made.previous or any(n not in at for n in (*made.moving, *made.keep)):
        return None
    first = [at[n] for n in made.moving]
    last = [(number[n], 0) for n in step.states] + [(count + order[n], 0) for n in step.states]
    last += [at[n] for n in made.keep]
    kind = call._replace(inputs={}, state={}, parameters={}, like=torch.empty(0, dtype=call.like.dtype, device="cpu"))
    inside = {n: byte for n, (byte, _) in launch.block.series.items()}
    names = tuple(call.inputs), tuple(call.state), tuple(call.parameters)
    return Bound(kind, names, Pass(launch, first, last), shapes, inside)


def backward(
    bound: Bound, saved: Sequence[Tensor], needed: Sequence[bool], grads: Sequence[Tensor | None]
) -> list[Tensor | None] | None:
    """The gradient of each leaf; None if this file cannot compute them."""
    returns, states = bound.kind.recurrence.returns, bound.names[1]
    arrived = {n: readable_gradient(n, g) for n, g in zip(returns, grads, strict=False) if g is not None}
    for n, g in zip(states, grads[len(returns) :], strict=False):
        if g is not None:
            series = arrived[n].flatten(0, -2) if n in arrived else None
            arrived[n] = with_last_rows(series, readable_gradient(n, g).flatten(0, -2), bound.kind.layout)
    key = tuple(arrived), tuple(needed)
    if key not in bound.back:
        bound.back[key] = _bind_back(bound, tuple(arrived), needed, saved)
    if (back := bound.back[key]) is None:
        return None
    like, given = saved[0], [g.contiguous() for g in arrived.values()]
    made = {i: like.new_empty(saved[i].shape) for i in back.goals}
    memory = room(like, back.run.launch.block.size)
    bases = [t.data_ptr() for t in (*saved, *given, *made.values(), *memory)]
    leaves = saved[: len(needed)]
    back.run.run(bases, bound.parameters(leaves), lambda: bound.call(leaves))
    if back.terms:
        _add_up(back, bases)
    del memory  # whose addresses C has read
    return [made.get(i) for i in range(len(needed))]


def _add_up(back: Back, bases: list[int]) -> None:
    """The gradients of the parameters."""
    numbers = array("q", [at if i < 0 else bases[i] + at for i, at in back.terms])
    library, table = sums(back.double), (numbers.buffer_info()[0], back.count)
    if not back.scratch:
        back.scratch.append(in_lines(library.outer_scratch(*table, back.threads) * (8 if back.double else 4)))
    size = back.scratch[0]
    memory = scratch(size * back.threads)
    library.outer_sums(crew(back.threads), back.threads, back.rows.at, len(back.rows), *table, memory.at, size)


def _bind_back(bound: Bound, of: tuple[str, ...], needed: Sequence[bool], saved: Sequence[Tensor]) -> Back | None:
    call = bound.call(saved[: len(needed)])
    leaves, recurrence = list(call.leaves), call.recurrence
    wanted = frozenset(n for n, wants in zip(leaves, needed, strict=True) if wants)
    way, lowered = backward_of(recurrence, of, wanted)
    launch = launch_for(lowered, tuple(way.flows.values()), call, False)
    step, adjoint, made = make_plan(recurrence).step, way.recurrence, launch.kernel.schedule
    number = {n: i for i, n in enumerate(leaves)}
    series = {n: len(leaves) + i for i, n in enumerate(step.returns)}
    states = [n for n in call.state if n in wanted]
    goals = [number[n] for n in (*way.flows, *states, *way.sums)]
    goal = {leaves[i]: len(saved) + len(of) + k for k, i in enumerate(goals)}
    inner = len(saved) + len(of) + len(goals)
    at: dict[Node, Slot] = {step.inputs[n]: (number[n], 0) for n in call.inputs}
    at |= {node: (series[n], 0) for n, node in step.returns.items()}
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
    terms: list[Slot] = []
    for u, us, v, vs, name, add in table.rows:
        right = [at[v], start.get(v, (-1, 0)), (-1, vs)] if v else [(-1, 0)] * 3
        terms += [at[u], start.get(u, (-1, 0)), (-1, us), *right, (goal[name], 0), (-1, int(add))]
    threads = torch.get_num_threads() if call.layout.rows * table.work > ENOUGH else 1
    double = call.like.dtype == torch.float64
    return Back(Pass(launch, first, last), goals, terms, len(table.rows), pieces(call.layout), threads, double)
