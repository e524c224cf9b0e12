"""Placing: from statements over values to statements over buffers.

A returned value is stored in its series. A state's next value overwrites the state, unless a later statement reads the
old value. All other values are stored in scratch memory. Copies are added for values that are needed in two places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from ...graph.node import Node
from ...graph.size import Size
from .assignment import Assignment
from .buffers import LANE, REGULAR, STRETCH, Buffer
from .lower import Lowered
from .statements import Copy, Loop, Part, Product, Statement, reads, rewritten, writes
from .storage import LOOP


@dataclass(frozen=True)
class Ahead:
    """Prefetch the rows of series that the next step reads."""

    series: tuple[Buffer, ...]


@dataclass(frozen=True)
class Begin:
    """At the first step of a piece of a sequence, the states become its starting states; with ``at_zero``, as in a pass
    backward, they become zero."""

    states: tuple[Buffer, ...]
    at_zero: bool


@dataclass(frozen=True)
class End:
    """At the last step of a piece of a sequence, the states are returned as its last states."""

    states: tuple[Buffer, ...]


Placed = Statement[Buffer] | Ahead | Begin | End


@dataclass(frozen=True, eq=False)
class Placement:
    """A pass over buffers, ready to be printed.

    moving, previous, each, fixed, matrices: memory of the caller, which is read. kept: memory of the caller, which is
    written. states: one buffer per state. scratch: all memory of the pass itself, with that of the states. before,
    step, after: the statements of each stage.
    """

    moving: tuple[Buffer, ...]
    previous: tuple[Buffer, ...]
    each: tuple[Buffer, ...]
    fixed: tuple[Buffer, ...]
    matrices: tuple[Buffer, ...]
    kept: tuple[Buffer, ...]
    states: tuple[Buffer, ...]
    scratch: tuple[Buffer, ...]
    before: tuple[Placed, ...]
    step: tuple[Placed, ...]
    after: tuple[Placed, ...]
    reverse: bool


@lru_cache(maxsize=512)
def place(lowered: Lowered) -> Placement:
    """The same pass, with a buffer for each value."""
    made, assignment = lowered.schedule, Assignment(lowered)
    before, body, after = (_Stage(assignment, k).placed() for k in range(3))

    def own(nodes: tuple[Node, ...]) -> tuple[Buffer, ...]:
        return tuple(assignment.own[n] for n in nodes)

    states = own(made.states)
    step = [
        *_ahead(assignment, body),
        Begin(states, made.reverse),
        *_copied_states(assignment),
        *body,
        *_advanced(assignment),
        End(states),
    ]
    return Placement(
        moving=own(made.moving),
        previous=own(made.previous),
        each=own(made.each),
        fixed=own(made.fixed),
        matrices=tuple(assignment.matrices.values()),
        kept=tuple(assignment.kept.values()),
        states=states,
        before=before,
        step=tuple(step) if states else (),
        after=after,
        scratch=tuple(assignment.scratch),
        reverse=made.reverse,
    )


class _Stage:
    """One stage over buffers."""

    def __init__(self, assignment: Assignment, number: int) -> None:
        self.assignment, self.number = assignment, number
        self.gathered: dict[tuple[Part[Buffer], Size], Part[Buffer]] = {}

    def placed(self) -> tuple[Statement[Buffer], ...]:
        return tuple(p for s in self.assignment.stages[self.number] for p in self.statement(s))

    def statement(self, s: Statement[Node]) -> Iterator[Statement[Buffer]]:
        """A statement and the copies that it needs."""
        found = rewritten(s, self.read, self.written, self.assignment.matrices)
        if isinstance(found, Product) and found.x.of.kind not in REGULAR:
            yield from self.gather(found)
            found = replace(found, x=self.gathered[found.x, found.columns])
        yield found
        if not isinstance(s, Loop):
            (first,), (_, *others) = writes(found), self.written(s.to)
            entries = s.size if isinstance(s, Copy) else first.of.size
            yield from (Copy(entries, first, to) for to in others)

    def gather(self, product: Product[Buffer]) -> Iterator[Statement[Buffer]]:
        """A copy of the vectors of a product in rows at a regular distance; products of the same vectors share it."""
        if (product.x, product.columns) not in self.gathered:
            kind = LANE if self.number == LOOP else STRETCH
            room = self.assignment.new_scratch("g", kind, product.columns)
            self.gathered[product.x, product.columns] = Part(room)
            yield Copy(product.columns, product.x, Part(room))

    def read(self, part: Part[Node]) -> Part[Buffer]:
        return self.assignment.read(part, self.number)

    def written(self, part: Part[Node]) -> list[Part[Buffer]]:
        return [Part(buffer, part.offset) for buffer in self.assignment.written(part.of)]


def _ahead(assignment: Assignment, body: tuple[Statement[Buffer], ...]) -> Iterator[Ahead]:
    """The series that each step reads, but for tokens."""
    read = {part.of for s in body for part in reads(s)}
    series = [assignment.own[n] for n in (*assignment.made.moving, *assignment.made.previous)]
    if fetched := tuple(b for b in series if b in read and not b.token):
        yield Ahead(fetched)


def _copied_states(assignment: Assignment) -> Iterator[Statement[Buffer]]:
    """Copies of the states before each step, if these are returned or read after the loop."""
    for s in assignment.made.states:
        if to := assignment.kept.get(s) or assignment.late.get(s):
            yield Copy(to.size, Part(assignment.own[s]), Part(to))


def _advanced(assignment: Assignment) -> Iterator[Statement[Buffer]]:
    """The next values become the states. A next value that is a part of another state is copied before that changes."""
    states = [Part(assignment.own[s]) for s in assignment.made.states]
    new = [assignment.read(part, LOOP) for part in assignment.lowered.new]
    for i, part in enumerate(assignment.lowered.new):
        if part.of in assignment.made.states and new[i] != states[i]:
            room = assignment.new_scratch("x", LANE, states[i].of.size, states[i].of.token)
            yield Copy(room.size, new[i], Part(room))
            new[i] = Part(room)
    for state, found in zip(states, new, strict=True):
        if found != state:
            yield Copy(state.of.size, found, state)
