"""A program as C: a function that takes some lanes through their steps, its body the equations in the order of
computation.

Entry-by-entry operations of the same size are one loop over the features, and what is done for every row one loop over
the rows. places.py says where each value stands.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from ctypes import c_float
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from ...graph.node import TOKEN, Node
from .places import AFTER, BEFORE, LOOP, Place, Places, row_sizes
from .program import ADDING, LITERALS, PLACES, POINTWISE, Program

LANES = 32  # most sequences that go through a step together, so that weights are read from far once for all of them
ROWS = 256  # most rows of a stretch of steps
BUDGET = 2**18  # bytes that the rows of a stretch may take before there are fewer, down to two for each lane


@cache
def part(name: str) -> str:
    """One of the C texts beside this file."""
    return (Path(__file__).parent / f"{name}.c").read_text(encoding="utf-8")


def render(program: Program, sizes: Mapping[str, int], double: bool) -> str:
    """The C text of a program for given sizes, of which all is supported."""
    return _Renderer(program, sizes, double).text()


@dataclass(frozen=True)
class _Rows:
    """What is done for every row, and the places that it uses."""

    body: list[str]
    places: Iterable[Place]


class _Renderer:
    def __init__(self, program: Program, sizes: Mapping[str, int], double: bool) -> None:
        self.program, self.sizes, self.double = program, sizes, double
        self.where = Places(program, sizes)
        # forward, so that a value is the same whatever else is kept of the step (see prelude.c)
        self.spelled = POINTWISE if program.reverse else {**POINTWISE, "mul": "ROUNDED({} * {})"}

    def text(self) -> str:
        p = self.program
        before, loop, after = (self.rendered(k) for k in (BEFORE, LOOP, AFTER))
        sizes = [self.where.size(n) for n in p.previous]
        width = sum(size + 16 for size in self.where.rooms[False]) * (8 if self.double else 4)
        rows = max(2 * LANES, min(ROWS, BUDGET // max(width, 1) // LANES * LANES))
        lines = [
            "/* Rendered from the equations of a step; see prelude.c and lanes.c. */",
            *(["#define REAL_IS_DOUBLE"] if self.double else []),
            part("prelude"),
            f"#define REVERSE {int(p.reverse)}",
            f"#define MOST_LANES {LANES}",
            f"#define MOST_ROWS {rows}",
            part("lanes"),
            f"#define ROOM ({row_sizes(self.where.rooms[False])})",
            f"#define LANE_ROOM ({row_sizes(self.where.rooms[True])})",
            "",
            "void run(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,",
            "         matrix_product *product, crew *c) {",
            *(f"    {pointer} = p[{i}];" for i, pointer in enumerate(self.where.pointers)),
            "    real *const room = scratch, *const lane_room = room + (size_t)MOST_ROWS * ROOM;",
            *(f"    {line}" for line in self.where.declared),
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
        states = [self.where.places[s] for s in p.states]
        sizes = [self.where.size(s) for s in p.states]
        each = [f"EACH for (int j = 0; j < {size}; j++)" for size in sizes]
        value = ["0" if p.reverse else f"from[i] < 0 ? 0 : begin{i}[from[i] * {n} + j]" for i, n in enumerate(sizes)]
        begin = [f"{e} {s.at('j')} = {v};" for e, s, v in zip(each, states, value, strict=True)]
        end = [f"{e} end{i}[to[i] * {sizes[i]} + j] = {states[i].at('j')};" for i, e in enumerate(each)]
        old = {**self.where.kept, **self.where.late}
        kept = [(old[s], self.where.places[s], self.where.size(s)) for s in p.states if s in old]
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
        read = {a for n in self.program.loop for b in n.args for a in self.where.whole(b)}
        series = [n for n in (*self.program.moving, *self.program.previous) if n.type.kind != TOKEN and n in read]
        ask = [f"AHEAD({self.where.places[n].row}, {self.where.size(n)})" for n in series]
        return ["for (int i = base + R; i < base + 2 * R && i < N; i++) {", *_indented(ask), "}"] if ask else []

    def rendered(self, stage: int) -> list[_Rows | str]:
        parts: list[_Rows | str] = []
        for group in self.where.groups[stage]:
            parts += [self.fused(group, stage)] if group[0].op in POINTWISE else self.single(group[0], stage)
        pieces = [n for n in self.program.keep if n.op in PLACES and self.where.stage[n] == stage]
        return [
            *parts,
            *self.copies([(self.where.kept[n], self.where.found(n, stage), self.where.size(n)) for n in pieces]),
        ]

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

    def copies(self, pairs: Iterable[tuple[Place, Place, int]]) -> list[_Rows]:
        return [
            _Rows([f"EACH for (int j = 0; j < {size}; j++) {to.at('j')} = {source.at('j')};"], (to, source))
            for to, source, size in pairs
        ]

    def fused(self, group: list[Node], stage: int) -> _Rows:
        """One loop over the features for a group of entry-by-entry operations. Single numbers are read before it."""
        size = self.where.size(group[0])
        used: list[Place] = []
        local: dict[tuple[Node, int], str] = {}
        single: dict[str, str] = {}
        body: list[str] = []

        def number(place: Place) -> str:
            name = f"{place.name}_0" if size > 1 else place.at("0")
            single.update({name: place.at("0")} if size > 1 else {})
            return name

        def value(a: Node, shift: int = 0) -> str:
            if a.op == "slice" and a in self.where.stage:
                return value(a.args[0], shift + self.where.offset(a))
            if a in self.where.nowhere and (a, shift) not in local:
                compute(a, shift)
            if (a, shift) in local:
                return local[a, shift]
            if self.is_literal(a):
                inner = a.args[0] if a.op == "broadcast" else a
                return self.literal(inner) if self.is_literal(inner) else number(self.where.places[inner])
            used.append(self.where.found(a, stage).shifted(shift))
            return used[-1].at("j") if a.type.dims else number(used[-1])

        def compute(n: Node, shift: int = 0) -> None:
            expression = self.spelled[n.op].format(*[value(a, shift if a.type.dims else 0) for a in n.args])
            local[n, shift] = f"v{self.where.number[n]}" + (f"_{shift}" if shift else "")
            body.append(f"    const real {local[n, shift]} = {expression};")

        first, last, totals = list[str](), list[str](), list[str]()
        for n in group:
            if n.op in ADDING:
                totals.append(f"total{self.where.number[n]}")
                body.append(f"    {totals[-1]} += {local[n.args[0], 0]};")
            else:
                compute(n)
        for n in group:
            places = [self.where.places.get(n), self.where.kept.get(n), *self.where.also.get(n, ())]
            for place in dict.fromkeys(q for q in places if q):
                used.append(place)
                if n.op in ADDING:
                    last.append(f"{place.at('0')} = {_added(n, f'total{self.where.number[n]}', size)};")
                else:
                    body.append(f"    {place.at('j')} = {local[n, 0]};")
        first += [f"const real {n} = {v};" for n, v in single.items()] + [f"real {t} = 0;" for t in totals]
        each = f"ADDING({', '.join(totals)})" if totals else "EACH"
        loop = [*first, f"{each} for (int j = 0; j < {size}; j++) {{", *body, "}", *last]
        return _Rows(["{", *_indented(loop), "}"] if first else loop, used)

    def is_literal(self, n: Node) -> bool:
        return n.op in LITERALS and n not in self.where.stage and n not in self.where.places

    def literal(self, n: Node) -> str:
        """A constant or a size, written where it is used."""
        number = float(n["value"] if n.op == "constant" else n["of"].value(self.sizes))
        if math.isnan(number):
            return "(real)NAN"
        if math.isinf(number if self.double else c_float(number).value):
            return "(real)-INFINITY" if number < 0 else "(real)INFINITY"
        return f"(real){number!r}"

    def single(self, n: Node, stage: int) -> list[_Rows | str]:
        """An operation that is not entry by entry."""
        if n.op == "concat":
            return [*self.concatenated(n, stage)]
        here, parts = self.where.places[n], list[_Rows | str]()
        args = [self.where.found(a, stage) for a in n.args if a not in self.program.matrices]
        if n.op == "matvec":
            parts += self.product(n, here, stage)
        elif n.op == "pick":
            parts.append(_Rows([f"{here.at('0')} = {args[0].at(f'{args[1].name}[0]')};"], (here, *args)))
        elif n.op == "onehot":
            body = f"EACH for (int j = 0; j < {self.where.size(n)}; j++) {here.at('j')} = j == {args[0].name}[0];"
            parts.append(_Rows([body], (here, *args)))
        else:
            parts.append(_Rows(["{", *_indented(self.reduce(n, here, args[0])), "}"], (here, args[0])))
        if n in self.where.kept and self.where.kept[n] != here:
            parts += self.copies([(self.where.kept[n], here, self.where.size(n))])
        return parts

    def concatenated(self, n: Node, stage: int) -> list[_Rows]:
        """The pieces that are not written there from the start."""
        pairs = []
        for to in dict.fromkeys(p for p in (self.where.places[n], self.where.kept.get(n)) if p):
            offset = 0
            for a in n.args:
                if (a, to) not in self.where.joined:
                    pairs.append((to.shifted(offset), self.where.found(a, stage), self.where.size(a)))
                offset += self.where.size(a)
        return self.copies(pairs)

    def product(self, n: Node, here: Place, stage: int) -> list[_Rows | str]:
        x, parts = n.args[1], list[_Rows | str]()
        place = self.where.found(x, stage)
        if room := self.where.gathered.get((x, stage)):
            first = next(
                m for m in self.program.nodes if m.op == "matvec" and m.args[1] is x and self.where.stage[m] == stage
            )
            parts += self.copies([(room, place, self.where.size(x))]) if first is n else []
            place = room
        matrix = f"w{self.program.matrices.index(n.args[0])}"
        shape = f"{'R' if stage == LOOP else 'N'}, {self.where.size(n)}, {self.where.size(x)}"
        ends = f"{place.first(stage)}, {place.stride}, {here.first(stage)}, {here.stride}"
        return [*parts, f"product(c, {shape}, {matrix}, {ends});"]

    def reduce(self, n: Node, here: Place, x: Place) -> list[str]:
        size = self.where.size(n.args[0])
        over = f"for (int j = 0; j < {size}; j++)"
        total = ["real total = 0;", f"ADDING(total) {over} total += {x.at('j')};"]
        entry = x.at("j")  # NaN wins, as in torch
        beats = "<" if n.op == "min" else ">"
        top = [f"real top = {x.at('0')};", f"{over} top = {entry} {beats} top || {entry} != {entry} ? {entry} : top;"]
        if n.op == "cumsum":
            over = f"for (int j = {size - 1}; j >= 0; j--)" if n["reverse"] else over
            return ["real total = 0;", f"{over} {here.at('j')} = total += {entry};"]
        if n.op in ADDING:
            return [*total, f"{here.at('0')} = {_added(n, 'total', size)};"]
        if n.op in ("max", "min"):
            return [*top, f"{here.at('0')} = top;"]
        if n.op == "logsumexp":
            shift = "const real shift = top - top == 0 ? top : 0;"  # of an infinity nothing is taken off
            exps = f"ADDING(total) {over} total += u_exp({entry} - shift);"
            return [*top, shift, "real total = 0;", exps, f"{here.at('0')} = u_log(total) + shift;"]
        exps = f"EACH {over} {here.at('j')} = u_exp({entry} - top);"
        added = f"ADDING(total) {over} total += {here.at('j')};"
        return [*top, "real total = 0;", exps, added, f"EACH {over} {here.at('j')} /= total;"]

    def advance(self) -> list[_Rows]:
        """The new values become the states; by way of a copy where one state becomes another."""
        p = self.program
        exchanged = [
            (room, self.where.found(p.new[i], LOOP), self.where.size(p.states[i]))
            for i, room in self.where.exchange.items()
        ]
        moved = [
            (self.where.places[s], self.where.exchange.get(i) or self.where.found(n, LOOP), self.where.size(s))
            for i, (s, n) in enumerate(zip(p.states, p.new, strict=True))
        ]
        return self.copies([*exchanged, *(m for m in moved if m[0] != m[1])])


def _added(n: Node, total: str, size: int) -> str:
    return total if n.op == "sum" else f"{total} / {size}"


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
