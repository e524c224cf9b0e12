"""The form of each kind of task in CUDA C.

A product computes its entries for several lanes at once, so that a weight is read once for all of them. All other tasks
work on one lane.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator

from ..c.forms import FOR_A_ROW, for_an_entry, indented
from ..c.spelling import OF_MATRICES, REDUCTIONS, Spelling
from ..c.spelling import TOTALS as OF_TOTALS
from ..lowering.buffers import Buffer
from ..lowering.place import Begin, End
from ..lowering.statements import Choose, Loop, Pick, Product, Reduction
from .tasks import COLUMNS, ENTRIES, EXPONENTIALS, RESULT, ROWS, TOP, TOTALS, Restart, Task

Lines = list[str]
FOLDS = {  # the first value of a thread's part, and the part with one more entry
    "sum": ("0", "part + {x}"),
    "mean": ("0", "part + {x}"),
    "max": ("{first}", "({x} > part || {x} != {x} ? {x} : part)"),
    "min": ("{first}", "({x} < part || {x} != {x} ? {x} : part)"),
}
FOLDS |= {"logsumexp": FOLDS["max"], "softmax": FOLDS["max"]}
RESULTS = {
    "sum": "u_sum({parts})",
    "mean": "u_sum({parts}) / {size}",
    "max": "u_max({parts})",
    "min": "u_min({parts})",
}


def product(s: Product[Buffer], say: Spelling, staged: Container[str]) -> Lines:
    """A matrix times the vectors of the lanes of a thread. The matrix is stored column by column, so that threads that
    are neighbours read entries that are neighbours. staged: the matrices that are in shared memory."""
    rows, columns = say.number(s.rows), say.number(s.columns)
    x, to = (f"{p.of.name}_ + r * ROW({say.number(p.of.size)}) + {say.number(p.offset)}" for p in (s.x, s.to))
    weight = "STAGED" if s.matrix.name in staged else "WEIGHT"
    return [
        "EACH_GROUP(base) {",
        f"    ENTRIES(j, {rows}) {{",
        "        real total[OF_THREAD] = {0};",
        "        const real *x[OF_THREAD];",
        f"        LANES_OF_THREAD(q, r) x[q] = {x};",
        f"        SOME_AT_ONCE for (int k = 0; k < {columns}; k++) {{",
        f"            const real weight = {weight}({s.matrix.name}, {rows});",
        "            LANES_OF_THREAD(q, r) total[q] = FMA(weight, x[q][k], total[q]);",
        "        }",
        f"        LANES_OF_THREAD(q, r) if (r < live) ({to})[j] = total[q];",
        "    }",
        "}",
    ]


def text_of(task: Task, say: Spelling) -> Lines:
    """A task for one lane."""
    s = task.of
    if isinstance(s, Begin | End | Restart):
        return OF_STATES[type(s)](s, say)
    if isinstance(s, Loop):
        return LOOPS[task.part](s, task, say)
    if isinstance(s, Reduction) and s.columns:
        to, x = say.address(s.to), say.address(s.x)
        rows, columns = say.number(s.size), say.number(s.columns)
        return [OF_MATRICES.format(op=s.op, axis=s.axis, to=to, x=x, rows=rows, columns=columns)]
    if isinstance(s, Reduction) and task.part:
        return _reduction(s, task, say)
    if isinstance(s, Reduction):
        alone = REDUCTIONS[s.op].format(to=say.address(s.to), x=say.address(s.x), size=say.number(s.size))
        return [f"ALONE {alone}"]
    lines = FOR_A_ROW[type(s)](s, say)
    return [f"ALONE {line}" for line in lines] if isinstance(s, Pick | Choose) else lines


def used(task: Task) -> Iterator[Buffer]:
    """The buffers of whose current lane a task needs the address."""
    if not isinstance(task.of, Product):
        yield from (touch.buffer for touch in task.touches)


# states


def _begin(s: Begin, say: Spelling) -> Lines:
    """In a pass forward, a state is zero where a sequence is reset, also at its first step."""
    value = "begin{i}[of * {n} + j]" if s.at_zero else "fresh ? 0 : begin{i}[of * {n} + j]"
    condition = "t == 0" if s.at_zero else "t == 0 || fresh"
    return [f"if ({condition}) {{", *indented(_every_state(s, "{b}[j] = " + value, say)), "}"]


def _end(s: End, say: Spelling) -> Lines:
    return ["if (t == length - 1) {", *indented(_every_state(s, "end{i}[of * {n} + j] = {b}[j]", say)), "}"]


def _restart(s: Restart, say: Spelling) -> Lines:
    return ["if (fresh) {", *indented(_every_state(s, "{b}[j] = 0", say)), "}"]


def _every_state(s: Begin | End | Restart, assignment: str, say: Spelling) -> Lines:
    return [say.each(b.size, assignment.format(b=b.name, i=i, n=say.number(b.size))) for i, b in enumerate(s.states)]


OF_STATES: dict[type, Callable[..., Lines]] = {Begin: _begin, End: _end, Restart: _restart}


# loops


def _entries(s: Loop[Buffer], task: Task, say: Spelling) -> Lines:
    """The stores, and each thread's part of the sums of all entries."""
    columns = say.number(s.columns) if s.columns else 0
    index = "e" if columns else "j"
    totals = dict.fromkeys(t.line for t in s.totals if t.axis is None)
    body = [f"const int k = e / {columns}, j = e % {columns};"] if columns else []
    body += [*_lines(s, say, index), *(f"part{line} += v{line};" for line in totals)]
    body += [f"{say.entry(store.to, index)} = v{store.line};" for store in s.stores]
    return [
        "{",
        *(f"    real part{line} = 0;" for line in totals),
        f"    ENTRIES({index}, {say.number(task.entries)}) {{",
        *indented(indented(body)),
        "    }",
        *(f"    {b.name}[OF_LANE] = part{line};" for line, b in zip(totals, task.partials, strict=True)),
        "}",
    ]


def _totals(s: Loop[Buffer], task: Task, say: Spelling) -> Lines:
    size = say.number(s.size) * (say.number(s.columns) if s.columns else 1)
    of_line = dict(zip(dict.fromkeys(t.line for t in s.totals if t.axis is None), task.partials, strict=True))
    return [
        f"ALONE {say.entry(t.to, '0')} = "
        + OF_TOTALS[t.op].format(total=f"u_sum({of_line[t.line].name}, PARTS({size}))", size=size)
        + ";"
        for t in s.totals
        if t.axis is None
    ]


def _over(axis: int, s: Loop[Buffer], say: Spelling) -> Lines:
    """The sums over the rows (axis 0) or over the columns (axis 1) of a matrix, one thread for each."""
    assert s.columns
    rows, columns = f"k, {say.number(s.size)}", f"j, {say.number(s.columns)}"
    outer, inner, index = (rows, columns, "k") if axis else (columns, rows, "j")
    size = say.number(s.columns if axis else s.size)
    sums = [t for t in s.totals if t.axis == axis]
    lines = dict.fromkeys(t.line for t in sums)
    of_all = f"k * {say.number(s.columns)} + j"
    return [
        f"ENTRIES({outer}) {{",
        *(f"    real part{line} = 0;" for line in lines),
        f"    ONE_BY_ONE({inner}) {{",
        *indented(indented([*_lines(s, say, of_all), *(f"part{line} += v{line};" for line in lines)])),
        "    }",
        *(f"    {say.entry(t.to, index)} = {OF_TOTALS[t.op].format(total=f'part{t.line}', size=size)};" for t in sums),
        "}",
    ]


def _lines(s: Loop[Buffer], say: Spelling, index: str) -> Lines:
    scalars, of_rows, body = for_an_entry(s, say, index)
    read = {name: number for number, name in (*scalars.items(), *of_rows.items())}
    return [*(f"const real {name} = {number};" for name, number in read.items()), *body]


LOOPS: dict[str, Callable[..., Lines]] = {
    ENTRIES: _entries,
    TOTALS: _totals,
    ROWS: lambda s, _, say: _over(1, s, say),
    COLUMNS: lambda s, _, say: _over(0, s, say),
}


# reductions of vectors


def _reduction(s: Reduction[Buffer], task: Task, say: Spelling) -> Lines:
    """A part of a reduction: the threads' sums or maxima; for a softmax, those of exponentials; then the result."""
    size, first, *second = say.number(s.size), *task.partials
    x, to, parts = say.entry(s.x), say.entry(s.to), f"{first.name}, PARTS({size})"
    if task.part == TOP:
        start, fold = FOLDS[s.op]
        start = start.format(first=say.entry(s.x, f"OF_LANE < {size} ? OF_LANE : 0"))
        return _part(first, start, [f"part = {fold.format(x=x)};"], size)
    if task.part == EXPONENTIALS:
        shift = "top" if s.op == "softmax" else "(top - top == 0 ? top : 0)"  # an infinity is not subtracted
        stored = [f"{to} = exponential;"] if s.op == "softmax" else []
        body = [f"const real exponential = u_exp({x} - {shift});", "part += exponential;", *stored]
        return ["{", f"    const real top = u_max({parts});", *indented(_part(second[0], "0", body, size)), "}"]
    assert task.part == RESULT
    if s.op == "softmax":
        total = f"u_sum({second[0].name}, PARTS({size}))"
        return ["{", f"    const real total = {total};", f"    {say.each(s.size, f'{to} /= total')}", "}"]
    if s.op == "logsumexp":
        total = f"u_log(u_sum({second[0].name}, PARTS({size})))"
        shift = f"const real top = u_max({parts});"
        return [f"ALONE {{ {shift} {say.entry(s.to, '0')} = {total} + (top - top == 0 ? top : 0); }}"]
    return [f"ALONE {say.entry(s.to, '0')} = {RESULTS[s.op].format(parts=parts, size=size)};"]


def _part(partial: Buffer, start: str, body: Lines, size: int) -> Lines:
    return [
        "{",
        f"    real part = {start};",
        f"    ENTRIES(j, {size}) {{",
        *indented(indented(body)),
        "    }",
        f"    {partial.name}[OF_LANE] = part;",
        "}",
    ]
