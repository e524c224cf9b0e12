"""Which values are stored in memory, and which are written straight into a concatenation."""

from __future__ import annotations

from collections.abc import Iterator

from ...graph.node import Node
from ...graph.size import Size, total
from .fuse import fuse
from .schedule import ENTRYWISE, Schedule, in_place
from .statements import START, Part

BEFORE, LOOP, AFTER = range(3)


class Storage:
    """Where the values of a pass are written and read.

    stage: by computed value, the number of its stage. given: values that exist before the pass.
    pieces: by value, its places in concatenations to which it is written as soon as it is computed.
    home: by value, the one of these places from which it is read, if it has no other memory.
    readers: by value, the stages in which a statement reads it from memory.
    """

    def __init__(self, made: Schedule) -> None:
        self.schedule, self.fusion = made, fuse(made)
        self.needed_next = {whole for n in made.new for whole in self.fusion.wholes(n)}
        self.stage = {n: k for k, nodes in enumerate(made.stages) for n in nodes}
        self.given = {*made.states, *made.moving, *made.previous, *made.fixed, *made.each}
        self.pieces = self.written_early()
        self.readers = self.reading_stages()
        self.home = {
            a: places[0]
            for a, places in self.pieces.items()
            if a not in made.new and {self.stage[a]} == {self.stage[places[0].of], *self.readers.get(a, ())}
        }

    def written_early(self) -> dict[Node, list[Part[Node]]]:
        """The pieces that the loop that computes them can write. Scratch memory of a step holds nothing of an earlier
        stage, so a piece from an earlier stage is copied instead."""
        found: dict[Node, list[Part[Node]]] = {}
        for n in self.schedule.nodes:
            for a, place in places(n) if n.op == "concat" else ():
                computed = a.op in ENTRYWISE and a in self.stage and a not in self.fusion.inlined
                if computed and self.stage[n] in (self.stage[a], AFTER):
                    found.setdefault(a, []).append(place)
        return found

    def reading_stages(self) -> dict[Node, set[int]]:
        """By value, the stages of the statements outside its own loop that read it."""
        found: dict[Node, set[int]] = {}
        for stage, groups in enumerate(self.fusion.groups):
            for group in groups:
                read = [whole for n in group for a in self.read(n) for whole in self.fusion.wholes(a)]
                for whole in (n for n in read if n not in group):
                    found.setdefault(whole, set()).add(stage)
        for n in self.copied_parts():
            for whole in self.fusion.needs(n):
                found.setdefault(whole, set()).add(self.stage[n])
        return found

    def read(self, n: Node) -> list[Node]:
        """The arguments that an operation reads; a concatenation only reads the pieces that are not written into it."""
        if n.op != "concat":
            return [*n.args]
        return [a for a, place in places(n) if place not in self.pieces.get(a, ())]

    def copied_parts(self) -> list[Node]:
        """Returned values that are parts of others, and so have to be copied."""
        return [n for n in self.schedule.keep if n in self.stage and in_place(n)]

    def part(self, n: Node, offset: Size = START) -> Part[Node]:
        """The stored value, and the offset in it, from which entries of a value are read."""
        if n.op == "slice" and n in self.stage:
            return self.part(n.args[0], offset + start(n))
        if n in self.home:
            return Part(self.home[n].of, self.home[n].offset + offset)
        return Part(n, offset)

    def targets(self, n: Node) -> list[Part[Node]]:
        """The places to which a loop writes a value."""
        read = n not in self.home and (n in self.needed_next or n in self.readers)
        return [*self.pieces.get(n, []), *([Part(n)] if read or n in self.schedule.keep else [])]


def places(concat: Node) -> Iterator[tuple[Node, Part[Node]]]:
    """Each argument of a concatenation, and its place in it."""
    offset = START
    for a in concat.args:
        yield a, Part(concat, offset)
        offset += a.type.dims[0]


def start(slice: Node) -> Size:
    """The first entry of a slice."""
    return total(slice["sizes"][: slice["index"]])
