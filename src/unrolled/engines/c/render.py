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
from itertools import groupby
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


@dataclass(frozen=True)
class _Rows:
    """What is done for every row, and the places that it uses."""

    body: list[str]
    places: Iterable[_Place]


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
        self.also: dict[Node, list[_Place]] = {}  # pieces of concatenations: where else they are written
        self.joined: set[tuple[Node, _Place]] = set()  # a piece, and the place of a concatenation that it is written to
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

    def whole(self, n: Node) -> list[Node]:
        """What a value is a part of, or computed from where it is used."""
        inside = n in self.nowhere or (n.op in PLACES and n in self.stage)
        return [b for a in n.args for b in self.whole(a)] if inside else [n]

    def behind(self, n: Node) -> list[Node]:
        """What must be computed before: the arguments, and what they are parts of."""
        return [b for a in n.args for b in self.whole(a)]

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
        if n.op == "slice" and n in self.stage:
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
        multiplied = any(u.op == "matvec" for u in outside)
        if n in self.kept and (n.op in POINTWISE or (n.op == "concat" and not outside)) and not multiplied:
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
            *(f"        {line}" for line in self.looped(BEFORE, before)),
            *(f"        {line}" for line in (self.steps(loop) if p.states else [])),
            *(f"        {line}" for line in self.looped(AFTER, after)),
            "    }",
            "}",
            "",
            "/* Numbers that a run of R lanes needs for itself. */",
            "int64_t scratch_size(int R) { return (int64_t)MOST_ROWS * ROOM + (int64_t)R * LANE_ROOM; }",
            "",
        ]
        return "\n".join(lines)

    def steps(self, body: list[_Rows | str]) -> list[str]:
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
        lines = self.looped(
            LOOP,
            [
                *self.ahead(),
                _Rows(["if (from[i] != INSIDE) {", *_indented(begin), "}"], states),
                *self.copies(kept),
                *body,
                *self.advance(),
                _Rows(["if (to[i] >= 0) {", *_indented(end), "}"], states),
            ],
        )
        return [
            "for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {",
            "    const int R = s.live[step];",
            *(f"    {line}" for line in lines),
            "}",
        ]

    def ahead(self) -> list[str]:
        """Asks for the rows of series that the next step reads, which come while this one computes."""
        read = {a for n in self.program.loop for b in n.args for a in self.whole(b)}
        series = [n for n in (*self.program.moving, *self.program.previous) if n.type.kind != TOKEN and n in read]
        ask = [f"AHEAD({self.places[n].row}, {self.size(n)})" for n in series]
        return ["for (int i = base + R; i < base + 2 * R && i < N; i++) {", *_indented(ask), "}"] if ask else []

    def rendered(self, stage: int) -> list[_Rows | str]:
        parts: list[_Rows | str] = []
        for group in self.groups[stage]:
            parts += [self.fused(group, stage)] if group[0].op in POINTWISE else self.single(group[0], stage)
        pieces = [n for n in self.program.keep if n.op in PLACES and self.stage[n] == stage]
        return [*parts, *self.copies([(self.kept[n], self.found(n, stage), self.size(n)) for n in pieces])]

    def looped(self, stage: int, parts: Iterable[_Rows | str]) -> list[str]:
        """Lines, where neighbours that are done for every row share a loop over the rows: what one of them computes is
        still near when the next one reads it."""
        lines: list[str] = []
        for rows, group in groupby(parts, lambda part: isinstance(part, _Rows)):
            if not rows:
                lines += group  # type: ignore[arg-type]
                continue
            shared: list[_Rows] = list(group)  # type: ignore[arg-type]
            places = dict.fromkeys(p for part in shared for p in part.places if p.row)
            addresses = dict.fromkeys(f"{p.type} *const {p.name} = {p.row};" for p in places)
            inner = [*addresses, *(line for part in shared for line in part.body)]
            if stage == LOOP:
                lines += ["for (int r = 0; r < R; r++) {", "    const int i = base + r;", *_indented(inner), "}"]
            else:
                lines += ["for (int i = 0; i < N; i++) {", *_indented(inner), "}"]
        return lines

    def copies(self, pairs: Iterable[tuple[_Place, _Place, int]]) -> list[_Rows]:
        return [
            _Rows([f"EACH for (int j = 0; j < {size}; j++) {to.at('j')} = {source.at('j')};"], (to, source))
            for to, source, size in pairs
        ]

    def fused(self, group: list[Node], stage: int) -> _Rows:
        """One loop over the features for a group of entry-by-entry operations. Single numbers are read before it."""
        size = self.size(group[0])
        used: list[_Place] = []
        local: dict[tuple[Node, int], str] = {}
        single: dict[str, str] = {}
        body: list[str] = []

        def number(place: _Place) -> str:
            name = f"{place.name}_0" if size > 1 else place.at("0")
            single.update({name: place.at("0")} if size > 1 else {})
            return name

        def value(a: Node, shift: int = 0) -> str:
            if a.op == "slice" and a in self.stage:
                return value(a.args[0], shift + self.offset(a))
            if a in self.nowhere and (a, shift) not in local:
                compute(a, shift)
            if (a, shift) in local:
                return local[a, shift]
            if self.is_literal(a):
                inner = a.args[0] if a.op == "broadcast" else a
                return self.literal(inner) if self.is_literal(inner) else number(self.places[inner])
            used.append(self.found(a, stage).shifted(shift))
            return used[-1].at("j") if a.type.dims else number(used[-1])

        def compute(n: Node, shift: int = 0) -> None:
            expression = POINTWISE[n.op].format(*[value(a, shift if a.type.dims else 0) for a in n.args])
            local[n, shift] = f"v{self.number[n]}" + (f"_{shift}" if shift else "")
            body.append(f"    const real {local[n, shift]} = {expression};")

        for n in group:
            compute(n)
        for n in group:
            places = [self.places.get(n), self.kept.get(n), *self.also.get(n, ())]
            for place in dict.fromkeys(q for q in places if q):
                used.append(place)
                body.append(f"    {place.at('j')} = {local[n, 0]};")
        loop = [f"EACH for (int j = 0; j < {size}; j++) {{", *body, "}"]
        if single:
            loop = ["{", *_indented([*(f"const real {n} = {v};" for n, v in single.items()), *loop]), "}"]
        return _Rows(loop, used)

    def is_literal(self, n: Node) -> bool:
        return n.op in LITERALS and n not in self.stage and n not in self.places

    def literal(self, n: Node) -> str:
        """A constant or a size, written where it is used."""
        number = n["value"] if n.op == "constant" else n["of"].value(self.sizes)
        return f"(real){float(number)!r}"

    def single(self, n: Node, stage: int) -> list[_Rows | str]:
        """An operation that is not entry by entry."""
        if n.op == "concat":
            return [*self.concatenated(n, stage)]
        here, parts = self.places[n], list[_Rows | str]()
        args = [self.found(a, stage) for a in n.args if a not in self.program.matrices]
        if n.op == "matvec":
            parts += self.product(n, here, stage)
        elif n.op == "pick":
            parts.append(_Rows([f"{here.at('0')} = {args[0].at(f'{args[1].name}[0]')};"], (here, *args)))
        elif n.op == "onehot":
            body = f"EACH for (int j = 0; j < {self.size(n)}; j++) {here.at('j')} = j == {args[0].name}[0];"
            parts.append(_Rows([body], (here, *args)))
        else:
            parts.append(_Rows(["{", *_indented(self.reduce(n, here, args[0])), "}"], (here, args[0])))
        if n in self.kept and self.kept[n] != here:
            parts += self.copies([(self.kept[n], here, self.size(n))])
        return parts

    def concatenated(self, n: Node, stage: int) -> list[_Rows]:
        """The pieces that are not written there from the start."""
        pairs = []
        for to in dict.fromkeys(p for p in (self.places[n], self.kept.get(n)) if p):
            offset = 0
            for a in n.args:
                if (a, to) not in self.joined:
                    pairs.append((to.shifted(offset), self.found(a, stage), self.size(a)))
                offset += self.size(a)
        return self.copies(pairs)

    def product(self, n: Node, here: _Place, stage: int) -> list[_Rows | str]:
        x, parts = n.args[1], list[_Rows | str]()
        place = self.found(x, stage)
        if room := self.gathered.get((x, stage)):
            first = next(
                m for m in self.program.nodes if m.op == "matvec" and m.args[1] is x and self.stage[m] == stage
            )
            parts += self.copies([(room, place, self.size(x))]) if first is n else []
            place = room
        matrix = f"w{self.program.matrices.index(n.args[0])}"
        shape = f"{'R' if stage == LOOP else 'N'}, {self.size(n)}, {self.size(x)}"
        ends = f"{place.first(stage)}, {place.stride}, {here.first(stage)}, {here.stride}"
        return [*parts, f"product({shape}, {matrix}, {ends});"]

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

    def advance(self) -> list[_Rows]:
        """The new values become the states; by way of a copy where one state becomes another."""
        p = self.program
        exchanged = [(room, self.found(p.new[i], LOOP), self.size(p.states[i])) for i, room in self.exchange.items()]
        moved = [
            (self.places[s], self.exchange.get(i) or self.found(n, LOOP), self.size(s))
            for i, (s, n) in enumerate(zip(p.states, p.new, strict=True))
        ]
        return self.copies([*exchanged, *(m for m in moved if m[0] != m[1])])


def _rows(sizes: list[int]) -> str:
    return " + ".join(f"ROW({size})" for size in sizes) or "0"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
