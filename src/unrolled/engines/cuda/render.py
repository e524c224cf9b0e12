"""A loop as CUDA text: a function that takes all sequences of a batch through their steps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from ..c.forms import indented
from ..c.render import part
from ..c.spelling import ADDRESSES, OPS, Spelling, numbers
from ..lowering.buffers import PARTIALS, Buffer
from ..lowering.place import Placement
from ..lowering.statements import MatrixProduct, Product, Reduction, RowProduct, Transposed
from .forms import product, text_of, used
from .memory import Memory, memory
from .phases import Phase, phases, waits_at_the_end
from .shape import GRID, Shape
from .tasks import tasks

MATRICES = RowProduct | MatrixProduct | Transposed
BY_LANE = {
    **{kind: address.replace("at[i]", "row").replace("of[i]", "of") for kind, address in ADDRESSES.items()},
    PARTIALS: "{name}_ + r * WIDTH",
}


class ByThreads(Spelling):
    """How CUDA spells a loop: threads share the entries of a lane."""

    addresses = BY_LANE
    entries = "ENTRIES(j, {size})"


@dataclass(frozen=True)
class Text:
    """The text of a loop, the shape of its launch, and the memory that a launch must provide."""

    text: str
    shape: Shape
    memory: Memory


@cache
def prelude() -> str:
    """The text that all loops share."""
    return (Path(__file__).parent / "prelude.cu").read_text(encoding="utf-8")


def render(placement: Placement, totals: int, sizes: Mapping[str, int], double: bool, shape: Shape) -> Text:
    """The text of a placed loop.

    Args:
        placement: the loop.
        totals: how many states, the last ones, are never reset.
        sizes: the sizes, by name.
        double: float64 instead of float32.
        shape: of the launch.
    """
    say = ByThreads(sizes, double, OPS)
    step, pointers = phases(tasks(placement, totals)), list(_pointers(placement))
    matrices = {t.of.matrix: t.of for phase in step for t in phase if isinstance(t.of, Product)}
    scratch = [*placement.scratch, *dict.fromkeys(b for phase in step for task in phase for b in task.partials)]
    given = [(b, say.number(s.rows), say.number(s.columns)) for b, s in matrices.items()]
    made = memory(scratch, given, say, shape)
    staging = [f"STAGE({b.name}, {rows}, {columns});" for b, rows, columns in given if b.name in made.staged]
    defined = {"LANES": shape.lanes, "THREADS": shape.width, "DEPTH": shape.depth, "BLOCKS": shape.owners}
    defined |= {"POINTERS": max(len(pointers), 1), "REVERSE": int(placement.reverse), "ROOM": made.room}
    lines = [
        "/* Printed from the equations of a step; see prelude.cu. */",
        *(["#define REAL_IS_DOUBLE"] if double else []),
        *(["#define GRID"] if shape.kind == GRID else []),
        *(f"#define {name} {value}" for name, value in defined.items()),
        prelude(),
        part("functions"),
        *(["#undef INLINE", "#define INLINE CALLED", part("matrices")] if _has_matrices(step) else []),
        "EXPORT void __launch_bounds__(THREADS * DEPTH, 1) run(const arguments a) {",
        "    SEQUENCES;",
        *indented(f"{kind}*const {name} = ({kind}*)a.p[{i}];" for i, (kind, name) in enumerate(pointers)),
        *indented([*made.lines, *staging, *(["__syncthreads();"] if staging else [])]),
        "    for (int64_t t = 0; t < lanes[1]; t++) {",
        "        while (lanes[3 * live - 2] <= t) live--;",
        *indented(indented(_step(step, say, made))),
        "    }",
        "}",
        "",
    ]
    return Text("\n".join(lines), shape, made)


def _has_matrices(step: tuple[Phase, ...]) -> bool:
    """Whether a task works on matrices that differ from lane to lane."""
    found = [task.of for phase in step for task in phase]
    return any(isinstance(s, MATRICES) or (isinstance(s, Reduction) and s.columns) for s in found)


def _pointers(placement: Placement) -> Iterator[tuple[str, str]]:
    """The type and the name of each pointer that a launch gives, in their order."""

    def of(b: Buffer, name: str) -> tuple[str, str]:
        return numbers(b) + " ", name

    yield from (of(b, f"{b.name}_") for b in (*placement.moving, *placement.each))
    yield from (of(b, b.name) for b in (*placement.fixed, *placement.matrices))
    yield from ((f"const {numbers(b)} ", f"begin{i}") for i, b in enumerate(placement.states))
    yield from (of(b, f"end{i}") for i, b in enumerate(placement.states))
    yield from (of(b, f"{b.name}_") for b in placement.kept)


def _step(step: tuple[Phase, ...], say: Spelling, made: Memory) -> Iterator[str]:
    """The phases of a step. All threads that share a sequence wait between two of them."""
    for number, phase in enumerate(step, 1):
        yield from _phase(phase, say, made)
        if number < len(step) or waits_at_the_end(step):
            yield "WAIT;"


def _phase(phase: Phase, say: Spelling, made: Memory) -> Iterator[str]:
    """The tasks of a phase; neighbours that work on one lane share a loop over the lanes."""
    for is_product, group in groupby(phase, lambda task: isinstance(task.of, Product)):
        found = list(group)
        if is_product:
            yield from (line for task in found for line in product(task.of, say, made.staged))  # type: ignore[arg-type]
            continue
        rows = dict.fromkeys(row for task in found for b in used(task) if (row := say.row(b)))
        yield "EACH_LANE {"
        yield "    OF_THE_LANE(r);"
        yield from indented([*rows, *(line for task in found for line in text_of(task, say))])
        yield "}"
