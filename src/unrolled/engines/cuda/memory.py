"""Where a text keeps scratch values and weights: in shared memory as far as it goes, the rest in global memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..c.spelling import Spelling, numbers
from ..lowering.buffers import LANE, PARTIALS, Buffer
from .shape import GRID, Shape

Matrix = tuple[Buffer, int, int]  # with its rows and columns
LINE = 16  # bytes at which buffers begin


@dataclass(frozen=True)
class Memory:
    """Memory of a text.

    lines: its declarations. shared: the bytes of shared memory of a block. room: the bytes of global scratch memory for
    each block of a tile, or for each sequence of a grid. staged: the matrices of which a block copies its part to
    shared memory.
    """

    lines: list[str]
    shared: int
    room: int
    staged: frozenset[str]

    def room_for(self, shape: Shape, sequences: int) -> int:
        """The bytes of global scratch memory of a launch."""
        lanes = -(-sequences // shape.lanes) * shape.lanes
        return self.room * (lanes if shape.kind == GRID else shape.blocks_for(sequences))


def memory(
    scratch: Iterable[Buffer], matrices: Iterable[tuple[Buffer, int, int]], say: Spelling, shape: Shape
) -> Memory:
    """Divide memory.

    The smallest scratch buffers of a tile go to shared memory first, then weights. In a grid, the threads of other
    blocks read scratch values, so only weights are in shared memory: a block reads the same ones at every step.

    Args:
        scratch: scratch buffers and parts of sums.
        matrices: the matrices of products, each with its rows and columns.
        say: how the text is spelled.
        shape: of the launch.
    """
    item, lines, shared, room = 8 if say.double else 4, list[str](), 0, 0

    def bytes_of(b: Buffer) -> int:
        """The bytes for one sequence."""
        assert b.kind in (LANE, PARTIALS)
        row = shape.width * shape.owners if b.kind == PARTIALS else 2 if b.token else -(-say.number(b.size) // 4) * 4
        return _lines(row * (8 if b.token else item))

    for b in sorted(scratch, key=bytes_of):
        kind, size = numbers(b), bytes_of(b) * (shape.lanes if shape.kind != GRID else 1)
        if shape.kind == GRID:
            place = f"a.room + padded * {room}"
        elif shared + size <= shape.shared:
            place = f"shared + {shared}"
        else:
            place = f"a.room + (int64_t)blockIdx.x * ROOM + {room}"
        if place.startswith("shared"):
            shared += size
        else:
            room += size
        lines.append(f"{kind} *const {b.name}_ = ({kind} *)({place});")
    staged = set()
    for b, rows, columns in matrices:
        size = _lines(-(-rows // shape.owners) * columns * item)
        if shared + size <= shape.shared:
            staged.add(b.name)
            lines.append(f"real *const {b.name}_staged = (real *)(shared + {shared});")
            shared += size
    return Memory(lines, shared, room, frozenset(staged))


def _lines(size: int) -> int:
    return -(-size // LINE) * LINE
