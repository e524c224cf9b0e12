"""How a launch shares its work among blocks and threads."""

from __future__ import annotations

from dataclasses import dataclass

TILE, GRID = "tile", "grid"
THREADS = 512  # most threads of a block
WARP = 32  # threads that a GPU runs in step
MOST_LANES = 8  # most sequences of a tile, or of a grid for which a weight is read once
LARGE = 2**18  # numbers of all matrices from which on all processors share them
SHARED = 48 * 1024  # bytes of shared memory that a block has on every GPU


@dataclass(frozen=True)
class Shape:
    """The shape of a launch, which is part of its text.

    - tile: a block takes ``lanes`` sequences through all their steps, and only its own threads wait for each other;
    - grid: all blocks take all sequences, each block computes some entries of every value, and the threads of all
      blocks wait for each other. All blocks must run at the same time.

    width, depth: the threads of a block, ``width`` for the entries of a sequence and ``depth`` for different sequences.
    lanes: of a tile; of a grid, those for which a weight is read once. ``depth`` divides it. blocks: of a grid. shared:
    the bytes of shared memory that a block may use.
    """

    kind: str
    lanes: int
    width: int
    depth: int
    blocks: int = 1
    shared: int = SHARED

    @property
    def owners(self) -> int:
        """The number of blocks that share the entries of a sequence."""
        return self.blocks if self.kind == GRID else 1

    def blocks_for(self, sequences: int) -> int:
        """The number of blocks that a launch needs."""
        return self.blocks if self.kind == GRID else -(-sequences // self.lanes)


def tile(sequences: int, entries: int, processors: int, shared: int) -> Shape:
    """As many sequences a block as keep all processors busy, and threads for the entries of the largest value."""
    lanes = 1
    while lanes < MOST_LANES and sequences > lanes * processors:
        lanes *= 2
    width = _warps(entries)
    return Shape(TILE, lanes, width, min(lanes, THREADS // width), shared=shared)


def grid(sequences: int, entries: int, processors: int, shared: int) -> Shape:
    """A block for each processor, and threads for its part of the largest value and for several sequences."""
    width = _warps(-(-entries // processors))
    lanes = depth = 1
    while depth < sequences and depth * width < THREADS:
        depth *= 2
    while depth * lanes < sequences and lanes < MOST_LANES:
        lanes *= 2
    return Shape(GRID, depth * lanes, width, depth, processors, shared)


def _warps(entries: int) -> int:
    width = WARP
    while width < min(entries, THREADS):
        width *= 2
    return width
