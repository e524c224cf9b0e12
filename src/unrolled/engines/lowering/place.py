"""Placing: from statements over values to statements over buffers.

A value that is returned is stored in its series, a state's next value over the state where nothing reads the old one
any more, and every other value in scratch memory. Copies are added where a value is wanted in two places.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from ...graph.node import Node
from .buffers import LANE, REGULAR, STRETCH, TOKENS, Buffer
from .lower import Lowered
from .memory import Memory
from .statements import Copy, Loop, Part, Product, Statement, reads, rewritten
from .storage import LOOP


@dataclass(frozen=True)
class Ahead:
    """Fetch the rows of series that the next step reads."""

    series: tuple[Buffer, ...]


@dataclass(frozen=True)
class Begin:
    """At the first step of a piece of a sequence: the states become its starting states, or zero, always zero in a pass
    backward."""

    states: tuple[Buffer, ...]
    at_zero: bool


@dataclass(frozen=True)
class End:
    """At the last step of a piece of a sequence: the states are stored as its last ones."""

    states: tuple[Buffer, ...]


Placed = Statement[Buffer] | Ahead | Begin | End


@dataclass(frozen=True, eq=False)
class Placement:
    """A pass over buffers, ready to be printed.

    memory of the caller: moving, previous, fixed, matrices are read, kept is written. states: one buffer per state.
    scratch: memory that the pass needs for itself. before, step, after: the statements.
    """

    moving: tuple[Buffer, ...]
    previous: tuple[Buffer, ...]
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
    made, memory = lowered.schedule, Memory(lowered)
    before, body, after = (_Stage(memory, k).placed() for k in range(3))

    def own(nodes: tuple[Node, ...]) -> tuple[Buffer, ...]:
        return tuple(memory.own[n] for n in nodes)

    states = own(made.states)
    step = [
        *_ahead(memory, body),
        Begin(states, made.reverse),
        *_copied_states(memory),
        *body,
        *_advanced(memory),
        End(states),
    ]
    return Placement(
        moving=own(made.moving),
        previous=own(made.previous),
        fixed=own(made.fixed),
        matrices=tuple(memory.matrices.values()),
        kept=tuple(memory.kept.values()),
        states=states,
        before=before,
        step=tuple(step) if states else (),
        after=after,
        scratch=tuple(memory.scratch),
        reverse=made.reverse,
    )


class _Stage:
    """One stage over buffers."""

    def __init__(self, memory: Memory, number: int) -> None:
        self.memory, self.number = memory, number
        self.gathered: dict[Part[Buffer], Part[Buffer]] = {}

    def placed(self) -> tuple[Statement[Buffer], ...]:
        return tuple(p for s in self.memory.stages[self.number] for p in self.statement(s))

    def statement(self, s: Statement[Node]) -> Iterator[Statement[Buffer]]:
        """A statement and the copies that it needs."""
        found = rewritten(s, self.read, self.written, self.memory.matrices)
        if isinstance(found, Product) and found.x.of.kind not in REGULAR:
            yield from self.gather(found)
            found = replace(found, x=self.gathered[found.x])
        yield found
        if not isinstance(s, Loop) and not isinstance(found, Loop):
            entries = found.size if isinstance(found, Copy) else found.to.of.size
            for to in self.written(s.to)[1:]:
                yield Copy(entries, found.to, to)

    def gather(self, product: Product[Buffer]) -> Iterator[Statement[Buffer]]:
        """Copies the vectors of a product to rows at a regular distance, for all products that read them."""
        if product.x not in self.gathered:
            kind = LANE if self.number == LOOP else STRETCH
            room = self.memory.new_scratch("g", kind, product.columns)
            self.gathered[product.x] = Part(room)
            yield Copy(product.columns, product.x, Part(room))

    def read(self, part: Part[Node]) -> Part[Buffer]:
        return self.memory.read(part, self.number)

    def written(self, part: Part[Node]) -> list[Part[Buffer]]:
        return [Part(buffer, part.offset) for buffer in self.memory.written(part.of)]


def _ahead(memory: Memory, body: tuple[Statement[Buffer], ...]) -> Iterator[Ahead]:
    """The series that each step reads."""
    read = {part.of for s in body for part in reads(s)}
    series = [memory.own[n] for n in (*memory.made.moving, *memory.made.previous)]
    if wanted := tuple(b for b in series if b in read and b.kind != TOKENS):
        yield Ahead(wanted)


def _copied_states(memory: Memory) -> Iterator[Statement[Buffer]]:
    """Copies of the states as they are before a step, where these are returned or read after the loop."""
    for s in memory.made.states:
        if to := memory.kept.get(s) or memory.late.get(s):
            yield Copy(to.size, Part(memory.own[s]), Part(to))


def _advanced(memory: Memory) -> Iterator[Statement[Buffer]]:
    """The next values become the states, by way of a copy where that is another state's old value."""
    states = [Part(memory.own[s]) for s in memory.made.states]
    new = [memory.read(part, LOOP) for part in memory.lowered.new]
    for i, wanted in enumerate(memory.lowered.new):
        if wanted.of in memory.made.states and new[i] != states[i]:
            room = memory.new_scratch("x", LANE, states[i].of.size)
            yield Copy(room.size, new[i], Part(room))
            new[i] = Part(room)
    for state, found in zip(states, new, strict=True):
        if found != state:
            yield Copy(state.of.size, found, state)
