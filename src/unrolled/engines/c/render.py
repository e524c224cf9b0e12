"""A program as C: a function that takes some lanes through their steps, its body the equations in the order of
computation.

Entry-by-entry operations of the same size are fused into one loop over the features; what is used only inside such a
loop is a local variable. Everything else has a place: room for the rows of a stretch of steps, or of one step, a series
that is read or kept, a fixed value, a state.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ...graph.node import TOKEN, Node
from ...graph.size import Size
from .program import LITERALS, PLACES, POINTWISE, Program

BEFORE, LOOP, AFTER = range(3)
CHEAP = ("add", "sub", "mul", "neg", "relu")
LANES = 32  # most sequences that go through a step together, so that weights are read from far once for all of them
ROWS = 256  # most rows of a stretch of steps
BUDGET = 2**18  # bytes that the rows of a stretch may take before there are fewer, down to two for each lane


@cache
def prelude() -> str:
    return (Path(__file__).parent / "prelude.c").read_text(encoding="utf-8")


def render(program: Program, sizes: Mapping[str, int], double: bool) -> str:
    """The C text of a program for given sizes, of which all is supported."""
    return _Renderer(program, sizes, double).text()


@dataclass(frozen=True)
class _Place:
    """Where a value is: ``row`` is C for the address of its row (empty: the same for all), ``stride`` the distance of
    rows where it is regular, ``lanes`` whether there is one for each lane (r) or each row of the stretch (i)."""

    name: str
    row: str = ""
    type: str = "const real"
    stride: str = ""
    lanes: bool = False
    offset: int = 0

    def shifted(self, by: int) -> _Place:
        return replace(self, offset=self.offset + by)

    def at(self, index: str) -> str:
        return f"{self.name}[{self.offset} + {index}]" if self.offset else f"{self.name}[{index}]"

    def first(self, stage: int) -> str:
        """The address of the first of the rows that are worked on together."""
        start = f"{self.name}_"
        if stage == LOOP and not self.lanes:
            start += f" + (size_t)base * {self.stride}"
        return f"{start} + {self.offset}" if self.offset else start


class _Renderer:
    def __init__(self, program: Program, sizes: Mapping[str, int], double: bool) -> None:
        self.program, self.sizes, self.double = program, sizes, double
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
        self.places: dict[Node, _Place] = {}
        self.kept: dict[Node, _Place] = {}
        self.late: dict[Node, _Place] = {}  # states that are read after the loop
        self.also: dict[Node, _Place] = {}  # pieces of a wanted concatenation: where they stand in it
        self.exchange: dict[int, _Place] = {}
        self.gathered: dict[tuple[Node, int], _Place] = {}
        self.rooms: dict[bool, list[int]] = {False: [], True: []}  # sizes of rows, by whether they are of lanes
        self.pointers: list[str] = []
        self.declared: list[str] = []
        self.assign()

    def size(self, value: Node | Size) -> int:
        dims = (value,) if isinstance(value, Size) else value.type.dims
        return dims[0].value(self.sizes) if dims else 1

    # which operations share a loop over the features

    def only_in_parts(self, n: Node) -> bool:
        """Whether a value is only needed in parts, and so cheap that it is computed where its parts are."""
        users = self.users.get(n, [])
        alone = all(u.op == "slice" and all(v.op in POINTWISE for v in self.users.get(u, [])) for u in users)
        here = n not in self.program.keep and n not in self.program.new
        return n.op in CHEAP and bool(users) and alone and here and not any(u in self.program.keep for u in users)

    def behind(self, n: Node) -> list[Node]:
        """What must be computed before: the arguments, and what they are parts of."""
        return [b for a in n.args for b in (self.behind(a) if a.op in PLACES or a in self.nowhere else [a])]

    def grouped(self, nodes: Iterable[Node]) -> list[list[Node]]:
        """Entry-by-entry operations of one size, as many together as their order allows."""
        waiting = [n for n in nodes if n.op not in PLACES and n not in self.nowhere]
        here, done = set(waiting), set[Node]()
        groups: list[list[Node]] = []
        while waiting:
            able = [n for n in waiting if not any(a in here - done for a in self.behind(n))]
            first = next((n for n in able if n.op not in POINTWISE), able[0])
            group = [first]
            if first.op in POINTWISE:
                group = []
                for n in waiting:
                    fits = n.op in POINTWISE and n.type.dims == first.type.dims
                    whole = [b for a in n.args if a.op in PLACES for b in self.behind(a)]  # of which n reads a part
                    missing = here - done - set(group)
                    if fits and not any(a in here - done for a in whole) and missing.isdisjoint(self.behind(n)):
                        group.append(n)
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
            self.places[n] = _Place(f"q{i}", f"before{i}[i]")
        for i, n in enumerate(p.fixed):
            self.pointers.append(f"const real *const f{i}")
            self.places[n] = _Place(f"f{i}")
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
                self.places[n] = _Place(f"t{self.number[n]}", f"{table.name} + ({token.row})[0] * {self.size(n)}")
        for n in p.nodes:
            x = n.args[-1] if n.op == "matvec" else None
            stage = self.stage[n]
            if x and (x, stage) not in self.gathered and not self.found(x, stage).stride:
                self.gathered[x, stage] = self.room(f"g{self.number[n]}", x, lanes=stage == LOOP)
        for i, (s, n) in enumerate(zip(p.states, p.new, strict=True)):
            if n in p.states and n is not s:
                self.exchange[i] = self.room(f"x{i}", n, lanes=True)

    def found(self, n: Node, stage: int) -> _Place:
        """Where a value is read in a stage."""
        if n.op == "slice":
            return self.found(n.args[0], stage).shifted(self.offset(n))
        place = self.places[n]
        return (self.late.get(n) or self.kept[n]) if stage == AFTER and place.lanes else place

    def offset(self, part: Node) -> int:
        return sum(self.size(s) for s in part["sizes"][: part["index"]])

    def series(self, name: str, n: Node, type: str) -> _Place:
        self.pointers.append(f"{type} *const {name}_")
        return _Place(name, f"{name}_ + at[i]" + ("" if n.type.kind == TOKEN else f" * {self.size(n)}"), type)

    def room(self, name: str, n: Node, lanes: bool) -> _Place:
        """Room of our own, with whole vectors."""
        size, used = self.size(n), _rows(self.rooms[lanes])
        rows, start = ("R", "lane_room") if lanes else ("MOST_ROWS", "room")
        self.declared.append(f"real *const {name}_ = {start} + (size_t){rows} * ({used});")
        self.rooms[lanes].append(size)
        return _Place(name, f"{name}_ + {'r' if lanes else 'i'} * ROW({size})", "real", f"ROW({size})", lanes)

    def in_place(self, state: Node, new: Node) -> bool:
        """Whether a new value can be written over the state: nothing reads the old one any more."""
        p = self.program
        if new.op not in (*POINTWISE, "matvec") or self.stage.get(new) != LOOP or p.new.count(new) > 1:
            return False
        if state in p.new or new in self.nowhere:
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
        """Pieces of a concatenation that are computed for it stand in it from the start."""
        if n not in self.places:
            self.place(n)
        fits = [a for a in n.args if a.op in POINTWISE and a not in self.places and self.stage.get(a) == self.stage[n]]
        fits = [a for a in fits if all(self.stage[u] == self.stage[n] for u in self.readers(a))]
        offset = 0
        for a in n.args:
            if a in fits and a not in self.places:
                self.places[a] = self.places[n].shifted(offset)
                if n in self.kept and len(set(fits)) == len(n.args):
                    self.also[a] = self.kept[n].shifted(offset)
            offset += self.size(a)

    def place(self, n: Node) -> None:
        outside = [u for u in self.readers(n) if self.group[u] != self.group[n]]
        multiplied = any(u.op == "matvec" for u in outside)
        if n.op in POINTWISE and n in self.kept and not multiplied:
            self.places[n] = self.kept[n]
        elif n.op not in POINTWISE or outside or n in self.program.new:
            stays = self.stage[n] == LOOP and all(self.stage[u] == LOOP or n in self.kept for u in outside)
            self.places[n] = self.room(f"n{self.number[n]}", n, lanes=stays)

    # text

    def text(self) -> str:
        p = self.program
        before, loop, after = (self.rendered(k) for k in (BEFORE, LOOP, AFTER))
        sizes = [self.size(n) for n in p.previous]
        width = sum(size + 16 for size in self.rooms[False]) * (8 if self.double else 4)
        rows = max(2 * LANES, min(ROWS, BUDGET // max(width, 1) // LANES * LANES))
        lines = [
            "/* Rendered from the equations of a step; see prelude.c. */",
            *(["#define REAL_IS_DOUBLE"] if self.double else []),
            f"#define REVERSE {int(p.reverse)}",
            f"#define MOST_LANES {LANES}",
            f"#define MOST_ROWS {rows}",
            prelude(),
            f"#define ROOM ({_rows(self.rooms[False])})",
            f"#define LANE_ROOM ({_rows(self.rooms[True])})",
            "",
            "void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch) {",
            *(f"    {pointer} = p[{i}];" for i, pointer in enumerate(self.pointers)),
            "    real *const room = scratch, *const lane_room = room + (size_t)MOST_ROWS * ROOM;",
            *(f"    {line}" for line in self.declared),
            *(f"    const real *before{i}[MOST_ROWS];" for i in range(len(sizes))),
            *([f"    static const real zero[{max(sizes)}];"] if sizes else []),
            "    stretch s;",
            "    begin_lanes(&s, R, pieces, of_lane);",
            "    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;",
            "    for (int N; (N = next_stretch(&s)) > 0;) {",
            *(f"        PREVIOUS(before{i}, q{i}_, start{i}_, {size})" for i, size in enumerate(sizes)),
            *(f"        {line}" for line in before),
            *(f"        {line}" for line in (self.steps(loop) if p.states else [])),
            *(f"        {line}" for line in after),
            "    }",
            "}",
            "",
            "/* Numbers that a run of R lanes needs for itself. */",
            "int64_t scratch_size(int R) { return (int64_t)MOST_ROWS * ROOM + (int64_t)R * LANE_ROOM; }",
            "",
        ]
        return "\n".join(lines)

    def steps(self, body: list[str]) -> list[str]:
        """The loop over time: row i of the stretch is lane r."""
        p = self.program
        states = [self.places[s] for s in p.states]
        sizes = [self.size(s) for s in p.states]
        each = [f"EACH for (int j = 0; j < {size}; j++)" for size in sizes]
        value = ["0" if p.reverse else f"from[i] < 0 ? 0 : begin{i}[from[i] * {n} + j]" for i, n in enumerate(sizes)]
        begin = [f"{e} {s.at('j')} = {v};" for e, s, v in zip(each, states, value, strict=True)]
        end = [f"{e} end{i}[to[i] * {sizes[i]} + j] = {states[i].at('j')};" for i, e in enumerate(each)]
        old = {**self.kept, **self.late}
        kept = [(old[s], self.places[s], self.size(s)) for s in p.states if s in old]
        lines = [
            *self.rows(LOOP, begin, states, "if (from[i] != INSIDE)"),
            *self.copies(LOOP, kept),
            *body,
            *self.advance(),
            *self.rows(LOOP, end, states, "if (to[i] >= 0)"),
        ]
        return [
            "for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {",
            "    const int R = s.live[step];",
            *(f"    {line}" for line in lines),
            "}",
        ]

    def rendered(self, stage: int) -> list[str]:
        lines: list[str] = []
        for group in self.groups[stage]:
            lines += self.fused(group, stage) if group[0].op in POINTWISE else self.single(group[0], stage)
        parts = [n for n in self.program.keep if n.op in PLACES and self.stage[n] == stage]
        return lines + self.copies(stage, [(self.kept[n], self.found(n, stage), self.size(n)) for n in parts])

    def rows(self, stage: int, body: list[str], places: Iterable[_Place], condition: str = "") -> list[str]:
        """A loop over the rows, with the addresses that it uses."""
        addresses = dict.fromkeys(f"{p.type} *const {p.name} = {p.row};" for p in places if p.row)
        inner = [*addresses, *body]
        if condition:
            inner = [condition + " {", *(f"    {line}" for line in inner), "}"]
        if stage == LOOP:
            return ["for (int r = 0; r < R; r++) {", "    const int i = base + r;", *_indented(inner), "}"]
        return ["for (int i = 0; i < N; i++) {", *_indented(inner), "}"]

    def copies(self, stage: int, pairs: Iterable[tuple[_Place, _Place, int]]) -> list[str]:
        lines: list[str] = []
        for to, source, size in pairs:
            body = f"EACH for (int j = 0; j < {size}; j++) {to.at('j')} = {source.at('j')};"
            lines += self.rows(stage, [body], (to, source))
        return lines

    def fused(self, group: list[Node], stage: int) -> list[str]:
        """One loop over the features for a group of entry-by-entry operations."""
        used: list[_Place] = []
        local: dict[tuple[Node, int], str] = {}
        body: list[str] = []

        def value(a: Node, shift: int = 0) -> str:
            if a.op == "slice":
                return value(a.args[0], shift + self.offset(a))
            if a in self.nowhere and (a, shift) not in local:
                compute(a, shift)
            if (a, shift) in local:
                return local[a, shift]
            if self.is_literal(a):
                return self.literal(a)
            used.append(self.found(a, stage).shifted(shift))
            return used[-1].at("0" if not a.type.dims else "j")

        def compute(n: Node, shift: int = 0) -> None:
            expression = POINTWISE[n.op].format(*[value(a, shift if a.type.dims else 0) for a in n.args])
            local[n, shift] = f"v{self.number[n]}" + (f"_{shift}" if shift else "")
            body.append(f"    const real {local[n, shift]} = {expression};")

        for n in group:
            compute(n)
        for n in group:
            places = [self.places.get(n), self.kept.get(n), self.also.get(n)]
            for place in dict.fromkeys(q for q in places if q):
                used.append(place)
                body.append(f"    {place.at('j')} = {local[n, 0]};")
        return self.rows(stage, [f"EACH for (int j = 0; j < {self.size(group[0])}; j++) {{", *body, "}"], used)

    def is_literal(self, n: Node) -> bool:
        return n.op in LITERALS and n not in self.stage and n not in self.places

    def literal(self, n: Node) -> str:
        """A value of constants or parameters alone, written where it is used."""
        if n.op == "broadcast":
            (a,) = n.args
            return self.literal(a) if self.is_literal(a) else self.places[a].at("0")
        number = n["value"] if n.op == "constant" else n["of"].value(self.sizes)
        return f"(real){float(number)!r}"

    def single(self, n: Node, stage: int) -> list[str]:
        """An operation that is not entry by entry."""
        here, lines = self.places[n], list[str]()
        args = [self.found(a, stage) for a in n.args if a not in self.program.matrices]
        if n.op == "matvec":
            lines += self.product(n, here, stage)
        elif n.op == "concat":
            offset = 0
            for a, place in zip(n.args, args, strict=True):
                if place != here.shifted(offset):
                    lines += self.copies(stage, [(here.shifted(offset), place, self.size(a))])
                offset += self.size(a)
        elif n.op == "pick":
            entry = args[0].at(f"{args[1].name}[0]")
            lines += self.rows(stage, [f"{here.at('0')} = {entry};"], (here, *args))
        elif n.op == "onehot":
            body = f"EACH for (int j = 0; j < {self.size(n)}; j++) {here.at('j')} = j == {args[0].name}[0];"
            lines += self.rows(stage, [body], (here, *args))
        else:
            lines += self.rows(stage, self.reduce(n, here, args[0]), (here, args[0]))
        if n in self.kept and self.kept[n] != here and not any(a in self.also for a in n.args if n.op == "concat"):
            lines += self.copies(stage, [(self.kept[n], here, self.size(n))])
        return lines

    def product(self, n: Node, here: _Place, stage: int) -> list[str]:
        x, lines = n.args[1], list[str]()
        place = self.found(x, stage)
        if room := self.gathered.get((x, stage)):
            first = next(
                m for m in self.program.nodes if m.op == "matvec" and m.args[1] is x and self.stage[m] == stage
            )
            lines += self.copies(stage, [(room, place, self.size(x))]) if first is n else []
            place = room
        matrix = f"w{self.program.matrices.index(n.args[0])}"
        shape = f"{'R' if stage == LOOP else 'N'}, {self.size(n)}, {self.size(x)}"
        ends = f"{place.first(stage)}, {place.stride}, {here.first(stage)}, {here.stride}"
        return [*lines, f"product({shape}, {matrix}, {ends});"]

    def reduce(self, n: Node, here: _Place, x: _Place) -> list[str]:
        size = self.size(n.args[0])
        over = f"for (int j = 0; j < {size}; j++)"
        total = ["real total = 0;", f"ADDED {over} total += {x.at('j')};"]
        entry = x.at("j")  # NaN wins, as in torch
        top = [f"real top = {x.at('0')};", f"{over} top = {entry} > top || {entry} != {entry} ? {entry} : top;"]
        if n.op == "sum":
            return [*total, f"{here.at('0')} = total;"]
        if n.op == "mean":
            return [*total, f"{here.at('0')} = total / {size};"]
        if n.op == "max":
            return [*top, f"{here.at('0')} = top;"]
        if n.op == "logsumexp":
            shift = "const real shift = top - top == 0 ? top : 0;"  # of an infinity nothing is taken off
            exps = f"ADDED {over} total += u_exp({entry} - shift);"
            return [*top, shift, "real total = 0;", exps, f"{here.at('0')} = u_log(total) + shift;"]
        exps = f"EACH {over} {here.at('j')} = u_exp({entry} - top);"
        added = f"ADDED {over} total += {here.at('j')};"
        return [*top, "real total = 0;", exps, added, f"EACH {over} {here.at('j')} /= total;"]

    def advance(self) -> list[str]:
        """The new values become the states; by way of a copy where one state becomes another."""
        p = self.program
        exchanged = [(room, self.found(p.new[i], LOOP), self.size(p.states[i])) for i, room in self.exchange.items()]
        moved = [
            (self.places[s], self.exchange.get(i) or self.found(n, LOOP), self.size(s))
            for i, (s, n) in enumerate(zip(p.states, p.new, strict=True))
        ]
        return self.copies(LOOP, exchanged) + self.copies(LOOP, [m for m in moved if m[0] != m[1]])


def _rows(sizes: list[int]) -> str:
    return " + ".join(f"ROW({size})" for size in sizes) or "0"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
