"""Memory that later calls reuse: large blocks for series that users do not see, and scratch memory. The system takes
longer to provide new pages than C takes to fill them.

C works on addresses. A caller keeps a reference to the owner of each address until C has returned.
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
MOST = 2**28  # bytes of blocks that are kept for later calls
LARGE = 2**22  # bytes from which on large pages are requested
ALIGNED = 64


def in_lines(size: int) -> int:
    """A number of bytes, rounded up to whole cache lines."""
    return -(-size // ALIGNED) * ALIGNED


def aligned(room: Tensor) -> int:
    """The first address in a tensor at which a vector may be stored; the tensor has 64 bytes to spare."""
    return in_lines(room.data_ptr())


# blocks


class _Block(NamedTuple):
    """Memory, and a weak reference to the array that a tensor keeps alive."""

    memory: Bytes
    lent: weakref.ref[Bytes]


# by identity. No callback frees a block: it would run at any point of any thread, and while Python shuts down
_blocks: dict[int, _Block] = {}


def block(size: int) -> Tensor:
    """A tensor of at least ``size`` bytes. Its memory is free for later calls once nothing refers to the tensor."""
    memory = _free(size)
    keep = memory is not None
    if memory is None:
        for key, known in _blocks.copy().items():  # free blocks are too small for this call: sizes have changed
            if known.lent() is None:
                _blocks.pop(key, None)
        memory = _fresh(size)
        keep = memory.nbytes + sum(known.memory.nbytes for known in _blocks.copy().values()) <= MOST
    lent = memory[:]
    if keep:
        _blocks[id(memory)] = _Block(memory, weakref.ref(lent))
    return torch.from_numpy(lent)


def _free(size: int) -> Bytes | None:
    """The smallest free memory that is large enough, removed from the blocks."""
    seen = _blocks.copy()
    for nbytes, key in sorted((known.memory.nbytes, key) for key, known in seen.items() if known.lent() is None):
        if nbytes >= size and _blocks.pop(key, None) is seen[key]:  # no other thread took it
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


# scratch memory


class Room:
    """Aligned memory. ``at`` is its address, valid for the lifetime of this object."""

    def __init__(self, size: int) -> None:
        self.size, self.bytes = size, np.empty(size + ALIGNED, np.uint8)  # not torch.empty: a mode may intercept it
        self.at = in_lines(self.bytes.ctypes.data)


class _OfThread(threading.local):
    def __init__(self) -> None:
        self.room = Room(0)


_of_thread = _OfThread()


def scratch(size: int) -> Room:
    """Scratch memory of at least ``size`` bytes. All calls of a thread share it; it grows as needed."""
    room: Any = _of_thread.room
    if room.size < size:
        _of_thread.room = room = Room(size)
    return room
