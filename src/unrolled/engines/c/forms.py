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
    Choose,
    Copy,
    Literal,
    Local,
    Loop,
    MatrixProduct,
    OneHot,
    Part,
    Pick,
    Product,
    Reduction,
    RowProduct,
    Take,
    Total,
    Transposed,
    reads,
    writes,
)
from .spelling import OF_MATRICES, REDUCTIONS, TOTALS, Spelling

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
    size, columns = say.number(s.size), say.number(s.columns) if s.columns else 0
    index = f"k * {columns} + j" if columns else "j" if size > 1 else "0"
    scalars, of_rows, body = for_an_entry(s, say, index)
    totals = {axis: {t.line: f"total{t.line}" for t in s.totals if t.axis == axis} for axis in (None, 1)}
    body += [f"{total} += v{line};" for of_axis in totals.values() for line, total in of_axis.items()]
    body += [f"{say.entry(t.to)} += v{t.line};" for t in s.totals if t.axis == 0]
    body += [f"{say.entry(store.to, index)} = v{store.line};" for store in s.stores]
    first = [f"const real {name} = {number};" for number, name in scalars.items()]
    first += [f"real {total} = 0;" for total in totals[None].values()]
    entries = size * (columns or 1)
    last = [_total(t, totals[None][t.line], "0", entries, say) for t in s.totals if t.axis is None]
    names = [*totals[None].values(), *totals[1].values()]
    each = f"ADDING({', '.join(names)})" if names else "EACH"
    if s.columns:
        over_rows = [t for t in s.totals if t.axis == 0]
        first += [say.each(s.columns, f"{say.entry(t.to)} = 0") for t in over_rows]
        inner = [f"const real {name} = {entry};" for entry, name in of_rows.items()]
        inner += [f"real {total} = 0;" for total in totals[1].values()]
        inner += [f"{each} for (int j = 0; j < {columns}; j++) {{", *indented(body), "}"]
        inner += [_total(t, totals[1][t.line], "k", columns, say) for t in s.totals if t.axis == 1]
        body = [f"for (int k = 0; k < {size}; k++) {{", *indented(inner), "}"]
        last += [say.each(s.columns, f"{say.entry(t.to)} /= {size}") for t in over_rows if t.op == "mean"]
    elif size > 1:
        body = [f"{each} for (int j = 0; j < {size}; j++) {{", *indented(body), "}"]
    lines = [*first, *body, *last]
    return ["{", *indented(lines), "}"] if first or (size == 1 and not columns) else lines


def for_an_entry(s: Loop[Buffer], say: Spelling, index: str) -> tuple[dict[str, str], dict[str, str], Lines]:
    """The lines of a loop for one entry: the names of the scalars that they read, those of the entries of a vector of
    rows (each by the number that it names), and the lines themselves.

    Args:
        s: the loop.
        say: how to spell it.
        index: the index of the entry; in a matrix it is in row k and column j.
    """
    scalars, of_rows = dict[str, str](), dict[str, str]()

    def argument(a: Any) -> str:
        if isinstance(a, Local):
            return f"v{a.line}"
        if isinstance(a, Literal):
            return say.literal(a.value)
        if isinstance(a, Part) and a.along == 1:
            return of_rows.setdefault(say.entry(a, "k"), f"{a.of.name}_{say.number(a.offset)}_k")
        if isinstance(a, Part):
            return say.entry(a, index if a.along is None else "j")
        return scalars.setdefault(f"{a.of.name}[0]", f"{a.of.name}_0")

    computed = [say.ops[line.op].format(*map(argument, line.args)) for line in s.lines]
    return scalars, of_rows, [f"const real v{i} = {expression};" for i, expression in enumerate(computed)]


def _total(t: Total[Buffer], total: str, index: str, size: int, say: Spelling) -> str:
    return f"{say.entry(t.to, index)} = {TOTALS[t.op].format(total=total, size=size)};"


def _row_product(s: RowProduct[Buffer], say: Spelling) -> Lines:
    function = "u_turned_product" if s.turned else "u_product"
    operands = ", ".join((say.address(s.to), say.address(s.by), say.address(s.x)))
    return [f"{function}({operands}, {say.number(s.rows)}, {say.number(s.columns)});"]


def _matrix_product(s: MatrixProduct[Buffer], say: Spelling) -> Lines:
    rows, inner, columns = (say.number(size) for size in (s.rows, s.inner, s.columns))
    steps_of_by = (1, rows) if s.by_turned else (inner, 1)
    steps_of_x = (1, inner) if s.x_turned else (columns, 1)
    operands = [say.address(s.to), say.address(s.by), *steps_of_by, say.address(s.x), *steps_of_x]
    return [f"u_matrix_product({', '.join(map(str, operands))}, {rows}, {inner}, {columns});"]


def _transposed(s: Transposed[Buffer], say: Spelling) -> Lines:
    return [f"u_transpose({say.address(s.to)}, {say.address(s.x)}, {say.number(s.rows)}, {say.number(s.columns)});"]


def _reduction(s: Reduction[Buffer], say: Spelling) -> Lines:
    if s.columns:
        rows, columns = say.number(s.size), say.number(s.columns)
        to, x = say.address(s.to), say.address(s.x)
        return [OF_MATRICES.format(op=s.op, axis=s.axis, to=to, x=x, rows=rows, columns=columns)]
    return [REDUCTIONS[s.op].format(to=say.address(s.to), x=say.address(s.x), size=say.number(s.size))]


def _copy(s: Copy[Buffer], say: Spelling) -> Lines:
    return [say.each(s.size, f"{say.entry(s.to)} = {say.entry(s.x)}")]


def _pick(s: Pick[Buffer], say: Spelling) -> Lines:
    return [f"{say.entry(s.to, '0')} = {say.entry(s.x, say.entry(s.token, '0'))};"]


def _onehot(s: OneHot[Buffer], say: Spelling) -> Lines:
    return [say.each(s.size, f"{say.entry(s.to)} = j == {say.entry(s.token, '0')}")]


def _take(s: Take[Buffer], say: Spelling) -> Lines:
    row = f"{say.entry(s.token, '0')} * {say.number(s.size)}"
    return [say.each(s.size, f"{say.entry(s.to)} = {say.entry(s.x, f'{row} + j')}")]


def _choose(s: Choose[Buffer], say: Spelling) -> Lines:
    to, condition, token, other = (say.entry(part, "0") for part in (s.to, s.x, s.token, s.other))
    return [f"{to} = {condition} != 0 ? {token} : {other};"]


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
    RowProduct: _row_product,
    MatrixProduct: _matrix_product,
    Transposed: _transposed,
    Copy: _copy,
    Pick: _pick,
    OneHot: _onehot,
    Take: _take,
    Choose: _choose,
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
