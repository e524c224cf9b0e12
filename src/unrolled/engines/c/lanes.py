"""The sequences of a batch dealt to lanes, so that the pass takes few steps and keeps all lanes busy. A lane processes
one piece after another. A piece is a sequence, or a part of one between resets."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ...sequence.layout import Layout

Integers = NDArray[np.int64]
NOWHERE = -1


@dataclass(frozen=True, eq=False)
class Lanes:
    """The lanes of a group, which one thread processes.

    pieces: (pieces, 4), first row, length, from and to of each (see prelude.c), lane after lane. of_lane: the number of
    each lane's first piece, then the number of pieces.
    """

    pieces: Integers
    of_lane: Integers


class Groups:
    """All lanes, in groups. ``at`` is the address of the table of groups that C reads (see launch.c), valid for the
    lifetime of this object."""

    def __init__(self, groups: Iterable[Lanes] = ()) -> None:
        self.groups = tuple(groups)
        rows = [(len(g.of_lane) - 1, g.pieces.ctypes.data, g.of_lane.ctypes.data) for g in self.groups]
        self.table = np.array(rows, np.int64)
        self.at = int(self.table.ctypes.data)

    def __len__(self) -> int:
        return len(self.groups)


class Pieces:
    """The pieces of all sequences in the order of their rows. ``at`` is the address of the table, valid for the
    lifetime of this object."""

    def __init__(self, table: Integers) -> None:
        self.table = np.ascontiguousarray(table, np.int64)
        self.at = int(self.table.ctypes.data)

    def __len__(self) -> int:
        return len(self.table)

    def parts(self, count: int, rows: int) -> list[tuple[int, int]]:
        """The address of the first piece, and the number of pieces, of each of ``count`` equal parts of all rows."""
        ends = np.searchsorted(self.table[:, 0], np.arange(count + 1) * (rows // count)).tolist()
        size = self.table.itemsize * self.table.shape[1]
        return [(self.at + first * size, last - first) for first, last in pairwise(ends)]


@lru_cache(maxsize=64)
def pieces(layout: Layout) -> Pieces:
    """The pieces of a layout: each is a sequence, or a part of one that ends where the sequence is reset."""
    length = np.asarray(layout.lengths, np.int64)
    end = np.cumsum(length)
    number = np.flatnonzero(length)
    first = start = (end - length)[number]
    if layout.resets:
        first = np.array(sorted({*start.tolist(), *layout.resets}), np.int64)
    last = np.append(first[1:], layout.rows)  # the row after the last one
    owner = np.searchsorted(end, first, side="right")
    begins, ends = first == (end - length)[owner], last == end[owner]
    if layout.resets:
        fresh = set(layout.resets)
        begins &= np.array([row not in fresh for row in first.tolist()], bool)
    table = [first, last - first, np.where(begins, owner, NOWHERE), np.where(ends, owner, NOWHERE)]
    return Pieces(np.stack(table, 1))


@lru_cache(maxsize=64)
def deal(layout: Layout, groups: int, most: int, backward: bool) -> Groups:
    """Deal the pieces of a layout to lanes, the longest first, each to the lane that is done first.

    Args:
        layout: the sequences.
        groups: the wanted number of groups, one per thread.
        most: the most lanes of a group.
        backward: for a pass backward, where a gradient is returned for the row that a piece started from.
    """
    table = pieces(layout).table
    if not len(table):
        return Groups()
    length = table[:, 1]
    wanted = min(len(table), -(-int(length.sum()) // int(length.max())))
    groups = max(min(groups, wanted), -(-wanted // most))
    lanes: list[list[int]] = [[] for _ in range(wanted)]
    ends = [(0, lane) for lane in range(wanted)]
    for i in np.argsort(-length, kind="stable"):
        end, lane = heapq.heappop(ends)
        lanes[lane].append(int(i))
        heapq.heappush(ends, (end + int(length[i]), lane))
    lanes.sort(key=lambda lane: -int(length[lane].sum()))
    if backward:
        table = np.stack([table[:, 0], table[:, 1], np.full_like(length, NOWHERE), table[:, 2]], 1)
    return Groups(_group(table, lanes[g::groups]) for g in range(groups))


def _group(table: Integers, lanes: list[list[int]]) -> Lanes:
    of_lane = np.cumsum([0, *map(len, lanes)], dtype=np.int64)
    return Lanes(np.ascontiguousarray(table[[i for lane in lanes for i in lane]]), of_lane)
