"""A loop as C: a function for some rows of a batch, its body the equations of a step in the order of computation.

Entry-by-entry operations of the same size are fused into one loop over the features; what is used only inside such a
loop is a local variable. Everything else has a place: a buffer, a series that is read or kept, a fixed value, a state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ...graph.node import TOKEN, Node
from ...graph.size import Size
from ...plan.loop import Loop

MOST = 32  # rows of a batch that go through a step together, so that weights are read from far once for all of them

POINTWISE = {
    "neg": "-{}",
    "tanh": "u_tanh({})",
    "sigmoid": "u_sigmoid({})",
    "relu": "u_relu({})",
    "exp": "u_exp({})",
    "log": "u_log({})",
    "sqrt": "u_sqrt({})",
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "less": "({} < {} ? (real)1 : (real)0)",
    "less_equal": "({} <= {} ? (real)1 : (real)0)",
    "equal": "({} == {} ? (real)1 : (real)0)",
    "where": "({} != 0 ? {} : {})",
    "broadcast": "{}",
}
WHOLE = ("matvec", "sum", "mean", "max", "logsumexp", "softmax", "concat", "slice")


@dataclass(frozen=True)
class Rendered:
    """C text, and the order of the pointers that its functions take."""

    text: str
    matrices: tuple[Node, ...]


@cache
def prelude() -> str:
    return (Path(__file__).parent / "prelude.c").read_text(encoding="utf-8")


def matrices(loop: Loop) -> tuple[Node, ...]:
    return tuple(dict.fromkeys(n.args[0] for n in loop.nodes if n.op == "matvec"))


def unsupported(loop: Loop) -> str:
    """What the loop holds that is not written in C; empty if all of it is."""
    for n in loop.nodes:
        if (n.op not in POINTWISE and n.op not in WHOLE) or len(n.type.dims) > 1:
            return f"the loop has '{n.op}' of {' and '.join(f'a {a.type}' for a in n.args)}"
    for n in matrices(loop):
        if n not in loop.fixed:
            return "the loop has a matrix that changes from step to step"
    for n in (*loop.fixed, *loop.moving):
        if n not in matrices(loop) and (len(n.type.dims) > 1 or n.type.kind == TOKEN):
            return f"the loop has a {n.type} other than in a product"
    return ""


def render(loop: Loop, sizes: Mapping[str, int], double: bool) -> Rendered:
    """The C text of a loop for given sizes, of which all is supported."""
    return _Renderer(loop, sizes, double).render()


@dataclass(frozen=True)
class _Place:
    """Where the rows of a value are: row r begins at ``pointer + r * stride``."""

    pointer: str
    stride: str

    def at(self, index: str) -> str:
        return f"{self.pointer}[r * {self.stride} + {index}]" if self.stride != "0" else f"{self.pointer}[{index}]"

    def shifted(self, offset: int) -> _Place:
        return _Place(f"({self.pointer} + {offset})", self.stride) if offset else self


class _Renderer:
    def __init__(self, loop: Loop, sizes: Mapping[str, int], double: bool) -> None:
        self.loop, self.sizes, self.double = loop, sizes, double
        self.matrices = matrices(loop)
        self.groups = self.grouped()
        self.places: dict[Node, _Place] = {}
        self.exchange: dict[Node, _Place] = {}
        self.buffers: list[str] = []

    def size(self, value: Node | Size) -> int:
        dims = (value,) if isinstance(value, Size) else value.type.dims
        return dims[0].value(self.sizes) if dims else 1

    # which operations share a loop over the features

    def grouped(self) -> list[list[Node]]:
        """Entry-by-entry operations of one size, as many together as their order allows."""
        waiting, done = list(self.loop.nodes), {*self.loop.moving, *self.loop.fixed, *self.loop.states}
        groups: list[list[Node]] = []
        while waiting:
            ready = [n for n in waiting if all(a in done for a in n.args)]
            first = next((n for n in ready if n.op not in POINTWISE), ready[0])
            group = [first]
            if first.op in POINTWISE:
                group, inside = [], set(done)
                for n in waiting:
                    if n.op in POINTWISE and n.type.dims == first.type.dims and all(a in inside for a in n.args):
                        group.append(n)
                        inside.add(n)
            done.update(group)
            waiting = [n for n in waiting if n not in done]
            groups.append(group)
        return groups

    # text

    def render(self) -> Rendered:
        setup = self.layout()
        steps: list[str] = []
        for group in self.groups:
            steps += self.fused(group) if group[0].op in POINTWISE else self.single(group[0])
        steps += self.advance()
        lines = [
            "/* Rendered from the equations of a step; see prelude.c. */",
            "#define REAL_IS_DOUBLE" if self.double else "",
            prelude(),
            "static void rows(const int R, const int64_t b, const int64_t T, void **p, real *scratch) {",
            *(f"    {line}" for line in setup),
            f"    for (int64_t i = 0; i < T; i++) {{ const int64_t t = {'T - 1 - i' if self.loop.reverse else 'i'};",
            *(f"        {line}" for line in [*self.per_step(), *steps]),
            "    }",
            *(f"    {line}" for line in self.finish()),
            "}",
            "",
            "/* Sequences first ... last - 1 of the batch. */",
            "void run(int64_t first, int64_t last, int64_t T, void **p, real *scratch) {",
            f"    for (int64_t b = first; b < last; b += {MOST})",
            f"        rows(last - b < {MOST} ? (int)(last - b) : {MOST}, b, T, p, scratch);",
            "}",
            "",
            f"int64_t scratch_size(void) {{ return {self.scratch_text()}; }}",
            "",
        ]
        return Rendered("\n".join(lines), self.matrices)

    def layout(self) -> list[str]:
        """Pointers and buffers, declared before the loop over time."""
        loop, lines = self.loop, []
        names = [f"m{i}" for i in range(len(loop.moving))] + [f"f{i}" for i in range(len(self.vectors))]
        names += [f"w{i}" for i in range(len(self.matrices))] + [f"start{i}" for i in range(len(loop.states))]
        names += [f"k{i}" for i in range(len(loop.keep))] + [f"end{i}" for i in range(len(loop.states))]
        lines += [f"real *const {name}_ = p[{i}];" for i, name in enumerate(names)]
        for i, n in enumerate(self.vectors):
            self.places[n] = _Place(f"f{i}_", "0")
        for i, n in enumerate(loop.moving):
            self.places[n] = _Place(f"m{i}", f"T * {self.size(n)}")
        for i, n in enumerate(loop.states):
            self.places[n] = self.buffer(f"s{i}", self.size(n), lines)
        place_of_kept = {n: _Place(f"k{i}", f"T * {self.size(n)}") for i, n in enumerate(loop.keep)}
        group_of = {n: k for k, group in enumerate(self.groups) for n in group}
        for n in loop.nodes:
            outside = any(n in u.args and group_of[u] != group_of[n] for u in loop.nodes) or n in loop.new
            if n.op == "slice":
                continue
            if n in place_of_kept and n.op in POINTWISE:
                self.places[n] = place_of_kept[n]
            elif outside or n.op not in POINTWISE:
                self.places[n] = self.buffer(f"n{loop.nodes.index(n)}", self.size(n), lines)
        for n in loop.nodes:
            if n.op == "slice":
                offset = sum(self.size(s) for s in n["sizes"][: n["index"]])
                self.places[n] = self.places[n.args[0]].shifted(offset)
        self.kept = place_of_kept
        for i, n in enumerate(loop.new):
            if n in loop.states and n is not loop.states[i]:
                self.exchange[n] = self.buffer(f"x{i}", self.size(n), lines)
        for i, n in enumerate(loop.states):
            lines.append(self.copy(self.places[n], f"start{i}_[(b + r) * {self.size(n)} + j]", self.size(n)))
        return lines

    @property
    def vectors(self) -> tuple[Node, ...]:
        """Fixed values other than the matrices."""
        return tuple(n for n in self.loop.fixed if n not in self.matrices)

    def buffer(self, name: str, size: int, lines: list[str]) -> _Place:
        used = " + ".join(self.buffers) or "0"
        lines.append(f"real *const {name} = scratch + R * ({used});")
        self.buffers.append(f"PAD({size})")
        return _Place(name, f"PAD({size})")

    def scratch_text(self) -> str:
        return f"{MOST} * ({' + '.join(self.buffers) or '0'})"

    def per_step(self) -> list[str]:
        lines = []
        for letter, nodes in (("m", self.loop.moving), ("k", self.loop.keep)):
            lines += [
                f"real *const {letter}{i} = {letter}{i}_ + (b * T + t) * {self.size(n)};" for i, n in enumerate(nodes)
            ]
        return lines + [
            self.copy(self.kept[n], self.places[n].at("j"), self.size(n))
            for n in self.loop.keep
            if n in self.loop.states
        ]

    def each(self, size: int, body: str) -> str:
        return f"for (int r = 0; r < R; r++) EACH for (int j = 0; j < {size}; j++) {{ {body} }}"

    def copy(self, to: _Place, value: str, size: int) -> str:
        return self.each(size, f"{to.at('j')} = {value};")

    def fused(self, group: list[Node]) -> list[str]:
        """One loop over the features for a group of entry-by-entry operations."""
        inside = {n: f"v{self.loop.nodes.index(n)}" for n in group}
        size = self.size(group[0])
        lines = [f"for (int r = 0; r < R; r++) EACH for (int j = 0; j < {size}; j++) {{"]
        for n in group:
            args = [inside.get(a) or self.places[a].at("0" if not a.type.dims else "j") for a in n.args]
            lines.append(f"    const real {inside[n]} = {POINTWISE[n.op].format(*args)};")
            stores = {self.places[n]} if n in self.places else set()
            stores |= {self.kept[n]} if n in self.kept else set()
            lines += [f"    {place.at('j')} = {inside[n]};" for place in sorted(stores, key=lambda q: q.pointer)]
        return [*lines, "}"]

    def single(self, n: Node) -> list[str]:
        """An operation that is not entry by entry."""
        if n.op == "slice":
            return self.keep(n)
        here, x = self.places[n], self.places[n.args[-1]]
        size = self.size(n.args[-1])
        if n.op == "matvec":
            matrix = self.matrices.index(n.args[0])
            args = f"w{matrix}_, {x.pointer}, {x.stride}, {here.pointer}, {here.stride}"
            return [f"product(R, {self.size(n)}, {size}, {args});", *self.keep(n)]
        if n.op == "concat":
            lines, offset = [], 0
            for a in n.args:
                lines.append(self.copy(here.shifted(offset), self.places[a].at("j"), self.size(a)))
                offset += self.size(a)
            return [*lines, *self.keep(n)]
        return [
            "for (int r = 0; r < R; r++) {",
            *(f"    {line}" for line in self.reduce(n, here, x, size)),
            "}",
            *self.keep(n),
        ]

    def reduce(self, n: Node, here: _Place, x: _Place, size: int) -> list[str]:
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

    def keep(self, n: Node) -> list[str]:
        return [self.copy(self.kept[n], self.places[n].at("j"), self.size(n))] if n in self.kept else []

    def advance(self) -> list[str]:
        """The new values become the states; by way of a copy where one state becomes another."""
        pairs = [(s, n) for s, n in zip(self.loop.states, self.loop.new, strict=True) if s is not n]
        first = [self.copy(self.exchange[n], self.places[n].at("j"), self.size(n)) for n in self.exchange]
        last = [self.copy(self.places[s], self.exchange.get(n, self.places[n]).at("j"), self.size(s)) for s, n in pairs]
        return [*first, *last]

    def finish(self) -> list[str]:
        return [
            self.each(self.size(s), f"end{i}_[(b + r) * {self.size(s)} + j] = {self.places[s].at('j')};")
            for i, s in enumerate(self.loop.states)
        ]
