"""The buffer of each value, and the states that are overwritten in place."""

from __future__ import annotations

from ...graph.node import TOKEN, Node
from ...graph.size import Area, Size
from .buffers import FIXED, KEPT, LANE, MATRIX, PREVIOUS, SEQUENCE, SERIES, STRETCH, TABLE_ROW, TURNED, Buffer
from .lines import size
from .lower import Lowered
from .schedule import in_place
from .statements import Loop, Number, Part, Product, reads, writes
from .storage import AFTER


def is_turned(matrix: Node) -> bool:
    """Whether a matrix is the transpose of a parameter."""
    return matrix.op == "transpose" and matrix.args[0].op == "parameter"


def buffer(name: str, kind: str, n: Node) -> Buffer:
    """A buffer for a value."""
    return Buffer(name, kind, size(n), token=n.type.kind == TOKEN)


class Assignment:
    """The buffers of a pass.

    own: by value, the buffer that statements read. matrices: by matrix, the buffer that products read. kept: by value,
    the series in which it is returned. late: by state, a copy that the stage after the loop reads. scratch: the
    buffers that are the pass's own.
    """

    def __init__(self, lowered: Lowered) -> None:
        self.lowered, made = lowered, lowered.schedule
        self.made, self.stages = made, (lowered.before, lowered.step, lowered.after)
        self.read_in: dict[Node, set[int]] = {}
        self.stored = set[Node]()
        for k, s in ((k, s) for k, statements in enumerate(self.stages) for s in statements):
            self.stored |= {part.of for part in writes(s)}
            for part in reads(s):
                self.read_in.setdefault(part.of, set()).add(k)
        products = [s for statements in self.stages for s in statements if isinstance(s, Product)]
        self.multiplied = {n for s in products for n in (s.x.of, s.to.of)}
        self.scratch, self.late = list[Buffer](), dict[Node, Buffer]()
        self.own: dict[Node, Buffer] = {}
        self.own |= {n: buffer(f"m{i}", SERIES, n) for i, n in enumerate(made.moving)}
        self.own |= {n: buffer(f"q{i}", PREVIOUS, n) for i, n in enumerate(made.previous)}
        self.own |= {n: buffer(f"f{i}", FIXED, n) for i, n in enumerate(made.fixed)}
        self.own |= {n: buffer(f"e{i}", SEQUENCE, n) for i, n in enumerate(made.each)}
        self.matrices = {
            n: Buffer(f"w{i}", TURNED if is_turned(n) else MATRIX, size(n)) for i, n in enumerate(made.matrices)
        }
        self.kept = {n: buffer(f"k{i}", KEPT, n) for i, n in enumerate(made.keep)}
        self.place_states()
        self.place_values()

    def place_states(self) -> None:
        """A buffer for each state, which its next value shares if it may."""
        for s in self.made.states:
            self.own[s] = self.new_scratch("s", LANE, size(s), s.type.kind == TOKEN)
            if s not in self.kept and AFTER in self.read_in.get(s, ()):
                self.late[s] = self.new_scratch("o", STRETCH, size(s), s.type.kind == TOKEN)
        for i, s in enumerate(self.made.states):
            if self.may_overwrite(i):
                self.own[self.lowered.new[i].of] = self.own[s]

    def place_values(self) -> None:
        """A buffer for each other value that a statement writes."""
        loop = set(self.made.loop)
        for i, n in enumerate(self.made.nodes):
            if n.op == "take" and in_place(n):
                table, token = (self.own[a] for a in n.args)
                self.own[n] = Buffer(f"t{i}", TABLE_ROW, size(n), row_of=(table, token))
            elif n in self.stored and n not in self.own:
                if n in self.kept and n not in self.multiplied:
                    self.own[n] = self.kept[n]
                else:
                    passing = n in loop and (n in self.kept or AFTER not in self.read_in.get(n, ()))
                    kind = LANE if passing else STRETCH
                    self.own[n] = self.new_scratch("n", kind, size(n), n.type.kind == TOKEN)

    def new_scratch(self, letter: str, kind: str, size: Size | Area, token: bool = False) -> Buffer:
        """A new scratch buffer, numbered among those of its letter."""
        number = sum(b.name.startswith(letter) for b in self.scratch)
        self.scratch.append(Buffer(f"{letter}{number}", kind, size, token=token))
        return self.scratch[-1]

    def may_overwrite(self, number: int) -> bool:
        """Whether a state's next value can overwrite it: one statement computes that value whole, and neither a later
        statement nor another state reads the old value."""
        state, new, step = self.made.states[number], self.lowered.new, self.lowered.step
        n = new[number].of
        writers = [i for i, s in enumerate(step) if n in (part.of for part in writes(s))]
        if len(writers) != 1 or n.op == "concat" or n is not self.made.new[number]:
            return False
        if state in (part.of for part in new) or [part.of for part in new].count(n) > 1:
            return False
        if n not in self.kept and AFTER in self.read_in.get(n, ()):
            return False
        at = writers[0]
        old = [part for part in reads(step[at]) if part.of is state]
        entry_by_entry = isinstance(step[at], Loop) and all(part in (Part(state), Number(state)) for part in old)
        return (not old or entry_by_entry) and state not in (part.of for s in step[at + 1 :] for part in reads(s))

    def read(self, part: Part[Node], stage: int) -> Part[Buffer]:
        """The buffer, and the offset in it, at which a stage reads a part of a value."""
        found = self.own[part.of]
        if stage == AFTER and found.kind == LANE:
            found = self.late.get(part.of) or self.kept[part.of]
        return Part(found, part.offset)

    def written(self, n: Node) -> list[Buffer]:
        """The buffers that a value is written to; the one that statements read comes first."""
        own = [] if n.op == "take" and in_place(n) else [self.own[n]]
        return list(dict.fromkeys([*own, *([self.kept[n]] if n in self.kept else [])]))
