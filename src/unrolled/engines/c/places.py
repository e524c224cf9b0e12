"""Where each value of a program stands while it runs, and which operations share a loop over the features.

A value that is used only where it is computed is a local variable. Everything else has a place: room for the rows of a
stretch of steps, or of one step, a series that is read or kept, a fixed value, a state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ...graph.node import TOKEN, Node
from ...graph.size import Size
from .program import ADDING, PLACES, POINTWISE, Program

BEFORE, LOOP, AFTER = range(3)
CHEAP = ("add", "sub", "mul", "neg", "relu", "abs", "maximum", "minimum", "stop_gradient")
SLOW = ("tanh", "sigmoid", "exp", "log", "sin", "cos", "softplus", "erf")


@dataclass(frozen=True)
class Place:
    """Where a value is: ``row`` is C for the address of its row (empty: the same for all), ``stride`` the distance of
    rows where it is regular, ``lanes`` whether there is one for each lane (r) or each row of the stretch (i)."""

    name: str
    row: str = ""
    type: str = "const real"
    stride: str = ""
    lanes: bool = False
    offset: int = 0

    def shifted(self, by: int) -> Place:
        return replace(self, offset=self.offset + by)

    def at(self, index: str) -> str:
        return f"{self.name}[{self.offset} + {index}]" if self.offset else f"{self.name}[{index}]"

    def first(self, stage: int) -> str:
        """The address of the first of the rows that are worked on together."""
        start = f"{self.name}_"
        if stage == LOOP and not self.lanes:
            start += f" + (size_t)base * {self.stride}"
        return f"{start} + {self.offset}" if self.offset else start


class Places:
    """The places of a program for given sizes."""

    def __init__(self, program: Program, sizes: Mapping[str, int]) -> None:
        self.program, self.sizes = program, sizes
        parts = (program.before, program.loop, program.after)
        self.stage = {n: k for k, part in enumerate(parts) for n in part}
        self.users: dict[Node, list[Node]] = {}
        for n in program.nodes:
            for a in n.args:
                self.users.setdefault(a, []).append(n)
        self.nowhere = {n for n in program.nodes if self.only_in_parts(n)}
        self.groups = [self.grouped(part) for part in parts]
        ordered = [g for part in self.groups for g in part]
        self.group = {n: k for k, g in enumerate(ordered) for n in g}
        self.number = {n: i for i, n in enumerate(program.nodes)}
        self.places: dict[Node, Place] = {}
        self.kept: dict[Node, Place] = {}
        self.late: dict[Node, Place] = {}  # states that are read after the loop
        self.also: dict[Node, list[Place]] = {}  # pieces of concatenations: where else they are written
        self.joined: set[tuple[Node, Place]] = set()  # a piece, and the place of a concatenation that it is written to
        self.exchange: dict[int, Place] = {}
        self.gathered: dict[tuple[Node, int], Place] = {}
        self.rooms: dict[bool, list[int]] = {False: [], True: []}  # sizes of rows, by whether they are of lanes
        self.pointers: list[str] = []
        self.declared: list[str] = []
        self.assign()

    def size(self, value: Node | Size) -> int:
        dims = (value,) if isinstance(value, Size) else value.type.dims
        return dims[0].value(self.sizes) if dims else 1

    # which operations share a loop over the features

    def only_in_parts(self, n: Node) -> bool:
        """Whether a value is only needed in parts, or one number in place of many, and so cheap that it is computed
        where it is used."""
        users = self.users.get(n, [])
        if not users or n in self.program.keep or n in self.program.new:
            return False
        if n.op == "broadcast":
            return all(u.op in POINTWISE for u in users)
        if n.op not in CHEAP or any(u in self.program.keep for u in users):
            return False
        return all(self.is_part(u) or self.only_in_parts(u) for u in users)

    def is_part(self, n: Node) -> bool:
        """Whether a value is a part of another that is read entry by entry, and written nowhere."""
        users = self.users.get(n, [])
        written = not users or n in self.program.keep or n in self.program.new
        return n.op == "slice" and not written and all(u.op in POINTWISE for u in users)

    def whole(self, n: Node) -> list[Node]:
        """What a value is a part of, or computed from where it is used."""
        inside = n in self.nowhere or (n.op in PLACES and n in self.stage)
        return [b for a in n.args for b in self.whole(a)] if inside else [n]

    def behind(self, n: Node) -> list[Node]:
        """What must be computed before: the arguments, and what they are parts of."""
        return [b for a in n.args for b in self.whole(a)]

    def grouped(self, nodes: Iterable[Node]) -> list[list[Node]]:
        """Entry-by-entry operations of one size, as many together as their order allows, and sums of their results.
        Slow functions that wait for one another stand in loops of their own: a processor has the next entries in hand
        while it waits, but not as many as two such functions in a row take."""
        waiting = [n for n in nodes if n.op not in PLACES and n not in self.nowhere]
        here, done = set(waiting), set[Node]()
        groups: list[list[Node]] = []
        while waiting:
            able = [n for n in waiting if not any(a in here - done for a in self.behind(n))]
            first = next((n for n in able if n.op not in POINTWISE), able[0])
            group = [first]
            if first.op in POINTWISE:
                group, slow = [], set[Node]()
                for n in waiting:
                    waits = not slow.isdisjoint(self.behind(n))  # for a slow function of this group
                    fits = n.op in POINTWISE and n.type.dims == first.type.dims and not (waits and n.op in SLOW)
                    whole = [b for a in n.args if a.op in PLACES for b in self.behind(a)]  # of which n reads a part
                    missing = here - done - set(group)
                    if fits and not any(a in here - done for a in whole) and missing.isdisjoint(self.behind(n)):
                        group.append(n)
                        slow.update([n] if waits or n.op in SLOW else [])
                group += [n for n in waiting if n.op in ADDING and n.args[0] in group]
            done.update(group)
            waiting = [n for n in waiting if n not in done]
            groups.append(group)
        return groups

    # places

    def assign(self) -> None:
        p = self.program
        for i, n in enumerate(p.moving):
            self.places[n] = self.series(f"m{i}", n, "const int64_t" if n.type.kind == TOKEN else "const real")
        for i, n in enumerate(p.previous):
            self.pointers += [f"const real *const q{i}_", f"const real *const start{i}_"]
            self.places[n] = Place(f"q{i}", f"before{i}[i]")
        for i, n in enumerate(p.fixed):
            self.pointers.append(f"const real *const f{i}")
            self.places[n] = Place(f"f{i}")
        self.pointers += [f"const real *const w{i}" for i in range(len(p.matrices))]
        self.pointers += [] if p.reverse else [f"const real *const begin{i}" for i in range(len(p.states))]
        self.pointers += [f"real *const end{i}" for i in range(len(p.states))]
        for i, n in enumerate(p.keep):
            self.kept[n] = self.series(f"k{i}", n, "real")
        for i, n in enumerate(p.states):
            self.places[n] = self.room(f"s{i}", n, lanes=True)
            if n not in self.kept and any(self.stage[u] == AFTER for u in self.readers(n)):
                self.late[n] = self.room(f"o{i}", n, lanes=False)
        for s, n in zip(p.states, p.new, strict=True):
            if self.in_place(s, n):
                self.places[n] = self.places[s]
        for n in p.nodes:
            if n.op == "concat":
                self.join(n)
        for n in p.nodes:
            if n not in self.places and n.op not in PLACES and n not in self.nowhere:
                self.place(n)
        for n in p.nodes:
            if n.op == "take":
                table, token = (self.places[a] for a in n.args)
                self.places[n] = Place(f"t{self.number[n]}", f"{table.name} + ({token.row})[0] * {self.size(n)}")
        for n in p.nodes:
            x = n.args[-1] if n.op == "matvec" else None
            stage = self.stage[n]
            if x and (x, stage) not in self.gathered and not self.found(x, stage).stride:
                self.gathered[x, stage] = self.room(f"g{self.number[n]}", x, lanes=stage == LOOP)
        for i, (s, n) in enumerate(zip(p.states, p.new, strict=True)):
            if n in p.states and n is not s:
                self.exchange[i] = self.room(f"x{i}", n, lanes=True)

    def found(self, n: Node, stage: int) -> Place:
        """Where a value is read in a stage."""
        if n.op == "slice" and n in self.stage:
            return self.found(n.args[0], stage).shifted(self.offset(n))
        place = self.places[n]
        return (self.late.get(n) or self.kept[n]) if stage == AFTER and place.lanes else place

    def offset(self, part: Node) -> int:
        return sum(self.size(s) for s in part["sizes"][: part["index"]])

    def series(self, name: str, n: Node, type: str) -> Place:
        self.pointers.append(f"{type} *const {name}_")
        return Place(name, f"{name}_ + at[i]" + ("" if n.type.kind == TOKEN else f" * {self.size(n)}"), type)

    def room(self, name: str, n: Node, lanes: bool) -> Place:
        """Room of our own, with whole vectors."""
        size, used = self.size(n), row_sizes(self.rooms[lanes])
        rows, start = ("R", "lane_room") if lanes else ("MOST_ROWS", "room")
        self.declared.append(f"real *const {name}_ = {start} + (size_t){rows} * ({used});")
        self.rooms[lanes].append(size)
        return Place(name, f"{name}_ + {'r' if lanes else 'i'} * ROW({size})", "real", f"ROW({size})", lanes)

    def in_place(self, state: Node, new: Node) -> bool:
        """Whether a new value can be written over the state: nothing reads the old one any more."""
        p = self.program
        if new.op not in (*POINTWISE, "matvec") or self.stage.get(new) != LOOP or p.new.count(new) > 1:
            return False
        if state in p.new or new in self.nowhere or any(part in p.keep for part in self.parts(state)):
            return False
        if any(self.stage[u] == AFTER for u in self.readers(new)) and new not in self.kept:
            return False
        late = [u for u in self.readers(state) if self.group[u] >= self.group[new]]
        return all(self.group[u] == self.group[new] and state in u.args and new.op != "matvec" for u in late)

    def readers(self, n: Node) -> list[Node]:
        """What computes with a value or a part of it."""
        users = [u for m in (n, *self.parts(n)) for u in self.users.get(m, [])]
        return [u for u in users if u.op not in PLACES and u not in self.nowhere]

    def parts(self, n: Node) -> list[Node]:
        """Slices of a value, slices of these, and what is only computed in parts."""
        users = [u for u in self.users.get(n, []) if u.op == "slice" or u in self.nowhere]
        return [s for u in users for s in (u, *self.parts(u))]

    def join(self, n: Node) -> None:
        """What is computed piece by piece for a concatenation is written into it from the start, and has its only place
        there if nothing else needs one."""
        if n not in self.places:
            self.place(n)
        homes = list(dict.fromkeys(p for p in (self.places[n], self.kept.get(n)) if p))
        offset = 0
        for a in n.args:
            if a.op in POINTWISE and a in self.stage and a not in self.nowhere:
                able = [p for p in homes if not p.lanes or self.stage[a] == LOOP]
                self.joined.update((a, p) for p in able)
                here = [p.shifted(offset) for p in able]
                if a not in self.places and here and self.places[n] in able and self.fits(a, n):
                    self.places[a] = here.pop(0)
                self.also.setdefault(a, []).extend(here)
            offset += self.size(a)

    def fits(self, piece: Node, n: Node) -> bool:
        """Whether a piece of a concatenation can be read in its place there."""
        return self.stage[piece] == self.stage[n] and all(self.stage[u] == self.stage[n] for u in self.readers(piece))

    def is_joined(self, a: Node, n: Node) -> bool:
        return all((a, p) in self.joined for p in (self.places[n], self.kept.get(n)) if p)

    def place(self, n: Node) -> None:
        outside = [u for u in self.readers(n) if self.group[u] != self.group[n]]
        outside = [u for u in outside if u.op != "concat" or u not in self.places or not self.is_joined(n, u)]
        multiplied, asked = any(u.op == "matvec" for u in outside), (*self.program.keep, *self.program.new)
        if n in self.kept and (n.op in POINTWISE or (n.op == "concat" and not outside)) and not multiplied:
            self.places[n] = self.kept[n]
        elif n.op not in POINTWISE or outside or any(m in asked for m in (n, *self.parts(n))):
            stays = self.stage[n] == LOOP and all(self.stage[u] == LOOP or n in self.kept for u in outside)
            self.places[n] = self.room(f"n{self.number[n]}", n, lanes=stays)


def row_sizes(sizes: list[int]) -> str:
    return " + ".join(f"ROW({size})" for size in sizes) or "0"
