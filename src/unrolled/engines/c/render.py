"""A placed pass as C text: a function that takes some lanes through their steps. Nothing is decided here but how many
rows a stretch has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from itertools import groupby
from pathlib import Path

from ..lowering.buffers import LANE, STRETCH, Buffer
from ..lowering.place import Placed, Placement
from ..lowering.statements import MatrixProduct, Reduction, RowProduct, Transposed
from .forms import FOR_A_ROW, FOR_ALL_ROWS, indented, used
from .spelling import OPS, ROUNDED, Spelling, numbers

LANES = 32  # most sequences that take a step together: the weights are read from memory once for all of them
ROWS = 256  # most rows of a stretch of steps
BUDGET = 2**18  # bytes of scratch memory for the rows of a stretch, unless two steps of all lanes need more


@cache
def part(name: str) -> str:
    """One of the C texts beside this file."""
    return (Path(__file__).parent / f"{name}.c").read_text(encoding="utf-8")


def render(placement: Placement, sizes: Mapping[str, int], double: bool, once: Placement | None = None) -> str:
    """The C text of a pass for given sizes, and of the pass of one row that computes fixed values from parameters."""
    spelling = Spelling(sizes, double, OPS if placement.reverse else ROUNDED)
    exact = Spelling(sizes, double, ROUNDED)
    functions = [*_function("run", placement, spelling), *(_function("once", once, exact) if once else ())]
    return "\n".join(
        [
            "/* Printed from the equations of a step; see prelude.c and lanes.c. */",
            *(["#define REAL_IS_DOUBLE"] if double else []),
            part("prelude"),
            part("functions"),
            f"#define REVERSE {int(placement.reverse)}",
            f"#define MOST_LANES {LANES}",
            f"#define MOST_ROWS {_most_rows(placement, spelling)}",
            *(["#define EACH_SEQUENCE"] if placement.each else []),
            part("lanes"),
            *([part("matrices")] if _has_matrices(placement) else []),
            *functions,
            "",
            "/* Scratch memory for R lanes, in numbers. */",
            *_scratch_size("scratch_size", placement, spelling),
            *(_scratch_size("once_scratch_size", once, exact) if once else ()),
            "",
        ]
    )


def _function(name: str, placement: Placement, say: Spelling) -> Iterator[str]:
    previous = [
        f"before_{b.name}, {b.name}_, start_{b.name}, {say.number(b.size)}, {_zero(b)}" for b in placement.previous
    ]
    yield f"void {name}(const int R, const piece *pieces, const int64_t *of_lane, void **p, real *scratch,"
    yield "         matrix_product *product, matrix_product *turned, crew *c) {"
    yield from (f"    {pointer} = p[{i}];" for i, pointer in enumerate(_pointers(placement)))
    yield from (f"    {line}" for line in _scratch(placement, say))
    yield from (f"    {numbers(b)} *before_{b.name}[MOST_ROWS];" for b in placement.previous)
    if sizes := [say.number(b.size) for b in placement.previous if not b.token]:
        yield f"    static const real zero[{max(sizes)}];"
    if any(b.token for b in placement.previous):
        yield "    static const int64_t zero_token[1];"
    yield "    stretch s;"
    yield "    begin_lanes(&s, R, pieces, of_lane);"
    yield "    const int64_t *const at = s.at, *const from = s.from, *const to = s.to;"
    yield from ["    const int64_t *const of = s.of;"] if placement.each else []
    yield "    for (int N; (N = next_stretch(&s)) > 0;) {"
    yield from (f"        PREVIOUS({given})" for given in previous)
    yield from (f"        {line}" for line in _rows(placement.before, say, in_step=False))
    yield from (f"        {line}" for line in _steps(placement.step, say))
    yield from (f"        {line}" for line in _rows(placement.after, say, in_step=False))
    yield "    }"
    yield "}"


def _zero(b: Buffer) -> str:
    return "zero_token" if b.token else "zero"


def _has_matrices(placement: Placement) -> bool:
    """Whether a statement works on matrices that differ from row to row of the batch."""
    statements = (*placement.before, *placement.step, *placement.after)
    of_matrices = RowProduct | MatrixProduct | Transposed
    return any(isinstance(s, of_matrices) or (isinstance(s, Reduction) and s.columns) for s in statements)


def _pointers(placement: Placement) -> Iterator[str]:
    """The declarations of the pointers that a run is given, in their order."""
    yield from (f"{numbers(b)} *const {b.name}_" for b in placement.moving)
    for b in placement.previous:
        yield from (f"{numbers(b)} *const {b.name}_", f"{numbers(b)} *const start_{b.name}")
    yield from (f"{numbers(b)} *const {b.name}_" for b in placement.each)
    yield from (f"{numbers(b)} *const {b.name}" for b in (*placement.fixed, *placement.matrices))
    states = list(enumerate(placement.states))
    yield from () if placement.reverse else (f"const {numbers(b)} *const begin{i}" for i, b in states)
    yield from (f"{numbers(b)} *const end{i}" for i, b in states)
    yield from (f"{numbers(b)} *const {b.name}_" for b in placement.kept)


def _scratch(placement: Placement, say: Spelling) -> Iterator[str]:
    """The declarations of scratch memory: each buffer begins where the last one ends."""
    begin = "scratch"
    for b in sorted(placement.scratch, key=lambda b: b.kind == LANE):
        yield f"{numbers(b)} *const {b.name}_ = {f'(int64_t *)({begin})' if b.token else begin};"
        rows = "R" if b.kind == LANE else "MOST_ROWS"
        begin = f"{'(real *)' * b.token}{b.name}_ + (size_t){rows} * ROW({say.number(b.size)})"


def _scratch_size(name: str, placement: Placement, say: Spelling) -> Iterator[str]:
    """The function that returns the size of the scratch memory, in numbers."""
    sums = {
        kind: " + ".join(f"ROW({say.number(b.size)})" for b in placement.scratch if b.kind == kind) or "0"
        for kind in (STRETCH, LANE)
    }
    yield f"int64_t {name}(int R) {{"
    yield f"    return (int64_t)MOST_ROWS * ({sums[STRETCH]}) + (int64_t)R * ({sums[LANE]});"
    yield "}"


def _most_rows(placement: Placement, say: Spelling) -> int:
    """The rows of a stretch: as many as the budget allows, in whole steps of the most lanes."""
    width = sum(say.number(b.size) + 16 for b in placement.scratch if b.kind == STRETCH) * (8 if say.double else 4)
    return max(2 * LANES, min(ROWS, BUDGET // max(width, 1) // LANES * LANES))


def _steps(step: Iterable[Placed], say: Spelling) -> Iterator[str]:
    """The loop over time: row i of the stretch is lane r."""
    lines = list(_rows(step, say, in_step=True))
    if lines:
        yield "for (int step = 0, base = 0; step < s.steps; base += s.live[step++]) {"
        yield "    const int R = s.live[step];"
        yield from indented(lines)
        yield "}"


def _rows(statements: Iterable[Placed], say: Spelling, in_step: bool) -> Iterator[str]:
    """Statements. Neighbours that work on one row share a loop over the rows: the results of one are then still in the
    nearest cache when the next one reads them."""
    for of_a_row, group in groupby(statements, lambda s: type(s) in FOR_A_ROW):
        if not of_a_row:
            yield from (line for s in group for line in FOR_ALL_ROWS[type(s)](s, say, in_step))
            continue
        shared = list(group)
        rows = dict.fromkeys(row for s in shared for b in used(s) if (row := say.row(b)))
        body = [*rows, *(line for s in shared for line in FOR_A_ROW[type(s)](s, say))]
        if in_step:
            yield from ("for (int r = 0; r < R; r++) {", "    const int i = base + r;", *indented(body), "}")
        else:
            yield from ("for (int i = 0; i < N; i++) {", *indented(body), "}")
