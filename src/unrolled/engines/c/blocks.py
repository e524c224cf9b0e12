"""Memory that the next call uses again: large blocks for series that no user sees, and room to compute in. To be given
fresh pages by the system takes longer than to write them.

C is given addresses. Whoever passes one holds what owns it until C has returned.
"""

from __future__ import annotations

import mmap
import threading
import weakref
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Bytes = NDArray[np.uint8]
MOST = 2**26  # bytes of blocks that are kept for the next call
LARGE = 2**22  # bytes for which large pages are asked for
ALIGNED = 64


def in_lines(size: int) -> int:
    """Bytes rounded up to whole lines of the cache."""
    return -(-size // ALIGNED) * ALIGNED


def aligned(room: Tensor) -> int:
    """The first address in a tensor that a vector may have; it has 64 bytes to spare."""
    return in_lines(room.data_ptr())


# blocks


class _Block(NamedTuple):
    """Memory, and the array that a tensor refers to as long as it lives."""

    memory: Bytes
    lent: weakref.ref[Bytes]


# by identity. No code runs when a block becomes free: it would run at any point of any thread, and while Python ends
_blocks: dict[int, _Block] = {}


def block(size: int) -> Tensor:
    """At least so many bytes, which the next call may have as soon as nothing refers to the tensor any more."""
    memory = _free(size)
    keep = memory is not None
    if memory is None:
        for key, known in _blocks.copy().items():  # sizes have changed
            if known.lent() is None:
                _blocks.pop(key, None)
        memory = _fresh(size)
        keep = memory.nbytes + sum(known.memory.nbytes for known in _blocks.copy().values()) <= MOST
    lent = memory[:]
    if keep:
        _blocks[id(memory)] = _Block(memory, weakref.ref(lent))
    return torch.from_numpy(lent)


def _free(size: int) -> Bytes | None:
    """The smallest free memory that is large enough, taken out of the blocks."""
    seen = _blocks.copy()
    for nbytes, key in sorted((known.memory.nbytes, key) for key, known in seen.items() if known.lent() is None):
        if nbytes >= size and _blocks.pop(key, None) is seen[key]:  # no other thread has taken it out
            return seen[key].memory
    return None


def _fresh(size: int) -> Bytes:
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        memory = np.empty(size + ALIGNED, np.uint8)
        start = -memory.ctypes.data % ALIGNED
        return memory[start : start + size]
    region = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    region.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(region, np.uint8)


# room to compute in


class Room:
    """Aligned memory: ``at`` is its address for as long as this lives."""

    def __init__(self, size: int) -> None:
        self.size, self.bytes = size, np.empty(size + ALIGNED, np.uint8)  # torch's own may be made under a mode
        self.at = in_lines(self.bytes.ctypes.data)


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.room = Room(0)


_of_thread = _OfThread()


def scratch(size: int) -> Room:
    """Room of so many bytes that every call of a thread uses again; it grows to the most that was needed."""
    room: Any = _of_thread.room
    if room.size < size:
        _of_thread.room = room = Room(size)
    return room
