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
from ..lowering.buffers import LANE, PARTIALS, Buffer
from ..lowering.place import Placement
from ..lowering.statements import MatrixProduct, Product, Reduction, RowProduct, Transposed
from .forms import product, text_of, used
from .phases import Phase, phases, waits_at_the_end
from .tasks import tasks

SHARED = 48 * 1024  # bytes of shared memory that a block has on every GPU
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
class Tile:
    """What a block takes: some lanes, each shared by ``width`` threads; ``depth`` lanes are computed at once."""

    lanes: int
    width: int
    depth: int


@dataclass(frozen=True)
class Text:
    """The text of a loop, and what a launch must provide: the bytes of shared memory and of scratch memory that a block
    needs."""

    text: str
    tile: Tile
    shared: int
    room: int


@cache
def prelude() -> str:
    """The text that all loops share."""
    return (Path(__file__).parent / "prelude.cu").read_text(encoding="utf-8")


def render(placement: Placement, totals: int, sizes: Mapping[str, int], double: bool, tile: Tile) -> Text:
    """The text of a placed loop.

    Args:
        placement: the loop.
        totals: how many states, the last ones, are never reset.
        sizes: the sizes, by name.
        double: float64 instead of float32.
        tile: what a block takes.
    """
    say = ByThreads(sizes, double, OPS)
    step, pointers = phases(tasks(placement, totals)), list(_pointers(placement))
    where, shared, room = _scratch(placement, step, say, tile)
    defined = {"LANES": tile.lanes, "WIDTH": tile.width, "DEPTH": tile.depth, "POINTERS": max(len(pointers), 1)}
    defined |= {"REVERSE": int(placement.reverse), "ROOM": room}
    lines = [
        "/* Printed from the equations of a step; see prelude.cu. */",
        *(["#define REAL_IS_DOUBLE"] if double else []),
        *(f"#define {name} {value}" for name, value in defined.items()),
        prelude(),
        part("functions"),
        *([part("matrices")] if _has_matrices(step) else []),
        "extern __shared__ __align__(16) char shared[];",
        "",
        "EXPORT void __launch_bounds__(WIDTH * DEPTH, 1) run(const arguments a) {",
        *indented(f"{kind}*const {name} = ({kind}*)a.p[{i}];" for i, (kind, name) in enumerate(pointers)),
        *indented(where),
        "    const int64_t first = (int64_t)blockIdx.x * LANES, *const lanes = a.lanes + 3 * first;",
        "    int live = a.count - first < LANES ? (int)(a.count - first) : LANES;",
        "    for (int64_t t = 0; t < lanes[1]; t++) {",
        "        while (lanes[3 * live - 2] <= t) live--;",
        *indented(indented(_step(step, say))),
        "    }",
        "}",
        "",
    ]
    return Text("\n".join(lines), tile, shared, room)


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


def _scratch(placement: Placement, step: tuple[Phase, ...], say: Spelling, tile: Tile) -> tuple[list[str], int, int]:
    """The declarations of scratch memory, and the bytes of it that are shared memory and global memory. The smallest
    buffers are in shared memory."""
    item = 8 if say.double else 4
    partials = dict.fromkeys(b for phase in step for task in phase for b in task.partials)

    def bytes_of(b: Buffer) -> int:
        row = tile.width if b.kind == PARTIALS else 2 if b.token else -(-say.number(b.size) // 4) * 4
        return -(-tile.lanes * row * (8 if b.token else item) // 16) * 16

    lines, shared, room = list[str](), 0, 0
    for b in sorted([*placement.scratch, *partials], key=bytes_of):
        assert b.kind in (LANE, PARTIALS)
        kind = numbers(b)
        if shared + bytes_of(b) <= SHARED:
            lines.append(f"{kind} *const {b.name}_ = ({kind} *)(shared + {shared});")
            shared += bytes_of(b)
        else:
            lines.append(f"{kind} *const {b.name}_ = ({kind} *)(a.room + (int64_t)blockIdx.x * ROOM + {room});")
            room += bytes_of(b)
    return lines, shared, room


def _step(step: tuple[Phase, ...], say: Spelling) -> Iterator[str]:
    """The phases of a step. All threads of the block wait between two of them."""
    for number, phase in enumerate(step, 1):
        yield from _phase(phase, say)
        if number < len(step) or waits_at_the_end(step):
            yield "__syncthreads();"


def _phase(phase: Phase, say: Spelling) -> Iterator[str]:
    """The tasks of a phase; neighbours that work on one lane share a loop over the lanes."""
    for is_product, group in groupby(phase, lambda task: isinstance(task.of, Product)):
        found = list(group)
        if is_product:
            yield from (line for task in found for line in product(task.of, say))  # type: ignore[arg-type]
            continue
        rows = dict.fromkeys(row for task in found for b in used(task) if (row := say.row(b)))
        yield "EACH_LANE {"
        yield "    OF_THE_LANE(r);"
        yield from indented([*rows, *(line for task in found for line in text_of(task, say))])
        yield "}"
