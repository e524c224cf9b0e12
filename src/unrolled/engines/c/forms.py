"""The form of each kind of statement in C.

A product and a prefetch work on all rows at once. All other statements work on one row, inside a loop over the rows
that neighbouring statements share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from ..lowering.buffers import STRETCH, TURNED, Buffer
from ..lowering.place import Ahead, Begin, End, Placed
from ..lowering.statements import (
    Copy,
    Literal,
    Local,
    Loop,
    OneHot,
    Part,
    Pick,
    Product,
    Reduction,
    reads,
    writes,
)
from .spelling import REDUCTIONS, TOTALS, Spelling

Lines = list[str]


# for all rows at once


def _product(s: Product[Buffer], say: Spelling, in_step: bool) -> Lines:
    rows, columns = say.number(s.rows), say.number(s.columns)
    ends = [f"{_first_row(p, say, in_step)}, ROW({say.number(p.of.size)})" for p in (s.x, s.to)]
    product = "turned" if s.matrix.kind == TURNED else "product"
    return [f"{product}(c, {'R' if in_step else 'N'}, {rows}, {columns}, {s.matrix.name}, {', '.join(ends)});"]


def _first_row(part: Part[Buffer], say: Spelling, in_step: bool) -> str:
    """The address of the first of the rows that are multiplied."""
    base = f" + (size_t)base * ROW({say.number(part.of.size)})" if in_step and part.of.kind == STRETCH else ""
    offset = say.number(part.offset)
    return f"{part.of.name}_{base}" + (f" + {offset}" if offset else "")


def _ahead(s: Ahead, say: Spelling, in_step: bool) -> Lines:
    asked = [f"AHEAD({say.row_address(b)}, {say.number(b.size)})" for b in s.series]
    return ["for (int i = base + R; i < base + 2 * R && i < N; i++) {", *indented(asked), "}"]


# for a row


def _loop(s: Loop[Buffer], say: Spelling) -> Lines:
    """Scalars are read before the loop, and totals are written after it. A single entry needs no loop."""
    size, scalars = say.number(s.size), dict[str, str]()
    index = "j" if size > 1 else "0"

    def argument(a: Any) -> str:
        if isinstance(a, Local):
            return f"v{a.line}"
        if isinstance(a, Literal):
            return say.literal(a.value)
        if isinstance(a, Part):
            return say.entry(a, index)
        return scalars.setdefault(f"{a.of.name}[0]", f"{a.of.name}_0")

    computed = [say.ops[line.op].format(*map(argument, line.args)) for line in s.lines]
    body = [f"const real v{i} = {expression};" for i, expression in enumerate(computed)]
    totals = {t.line: f"total{t.line}" for t in s.totals}
    body += [f"{total} += v{line};" for line, total in totals.items()]
    body += [f"{say.entry(store.to, index)} = v{store.line};" for store in s.stores]
    first = [f"const real {name} = {number};" for number, name in scalars.items()]
    first += [f"real {total} = 0;" for total in totals.values()]
    last = [f"{say.entry(t.to, '0')} = {TOTALS[t.op].format(total=totals[t.line], size=size)};" for t in s.totals]
    if size > 1:
        each = f"ADDING({', '.join(totals.values())})" if totals else "EACH"
        body = [f"{each} for (int j = 0; j < {size}; j++) {{", *indented(body), "}"]
    lines = [*first, *body, *last]
    return ["{", *indented(lines), "}"] if first or size == 1 else lines


def _reduction(s: Reduction[Buffer], say: Spelling) -> Lines:
    return [REDUCTIONS[s.op].format(to=say.address(s.to), x=say.address(s.x), size=say.number(s.size))]


def _copy(s: Copy[Buffer], say: Spelling) -> Lines:
    return [say.each(s.size, f"{say.entry(s.to)} = {say.entry(s.x)}")]


def _pick(s: Pick[Buffer], say: Spelling) -> Lines:
    return [f"{say.entry(s.to, '0')} = {say.entry(s.x, say.entry(s.token, '0'))};"]


def _onehot(s: OneHot[Buffer], say: Spelling) -> Lines:
    return [say.each(s.size, f"{say.entry(s.to)} = j == {say.entry(s.token, '0')}")]


def _begin(s: Begin, say: Spelling) -> Lines:
    sizes = [say.number(b.size) for b in s.states]
    first = ["0" if s.at_zero else f"from[i] < 0 ? 0 : begin{i}[from[i] * {n} + j]" for i, n in enumerate(sizes)]
    begins = [say.each(b.size, f"{b.name}[j] = {value}") for b, value in zip(s.states, first, strict=True)]
    return ["if (from[i] != INSIDE) {", *indented(begins), "}"]


def _end(s: End, say: Spelling) -> Lines:
    ends = [say.each(b.size, f"end{i}[to[i] * {say.number(b.size)} + j] = {b.name}[j]") for i, b in enumerate(s.states)]
    return ["if (to[i] >= 0) {", *indented(ends), "}"]


FOR_ALL_ROWS: dict[type, Callable[..., Lines]] = {Product: _product, Ahead: _ahead}
FOR_A_ROW: dict[type, Callable[..., Lines]] = {
    Loop: _loop,
    Reduction: _reduction,
    Copy: _copy,
    Pick: _pick,
    OneHot: _onehot,
    Begin: _begin,
    End: _end,
}


def used(s: Placed) -> Iterator[Buffer]:
    """The buffers of whose current row a statement needs the address."""
    if isinstance(s, Begin | End):
        yield from s.states
    elif not isinstance(s, Ahead):
        yield from (part.of for part in (*reads(s), *writes(s)))


def indented(lines: Iterable[str]) -> Lines:
    """Lines one level deeper."""
    return [f"    {line}" for line in lines]
