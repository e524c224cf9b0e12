"""Memory for series that no user sees. It is used again by the next call, and comes in large pages: to be given small
ones by the system takes longer than to write them."""

from __future__ import annotations

import mmap
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Bytes = NDArray[np.uint8]
IDLE = 2**26  # bytes that wait for the next call, at most
LARGE = 2**22  # bytes for which large pages are asked for
ALIGNED = 64

_idle: dict[int, Bytes] = {}  # by identity


def in_lines(size: int) -> int:
    """Bytes rounded up to whole lines of the cache."""
    return -(-size // ALIGNED) * ALIGNED


def block(size: int) -> Tensor:
    """At least so many bytes, which wait for the next call as soon as nothing refers to the tensor any more."""
    memory = _waiting(size)
    if memory is None:
        _idle.clear()  # sizes have changed
        memory = _fresh(size)
    lent = _Lent(memory.shape, np.uint8, memory)
    lent.owner = _Owner(memory)
    return torch.from_numpy(lent)


class _Lent(np.ndarray[Any, Any]):
    """What a tensor refers to as long as it lives."""

    owner: _Owner


class _Owner:
    def __init__(self, memory: Bytes) -> None:
        self.memory = memory

    def __del__(self, idle: dict[int, Bytes] = _idle, most: int = IDLE) -> None:  # names are gone when Python ends
        if self.memory.nbytes + sum(m.nbytes for m in list(idle.values())) <= most:
            idle[id(self.memory)] = self.memory


def _waiting(size: int) -> Bytes | None:
    """The smallest idle memory that is large enough."""
    while able := [(m.nbytes, key) for key, m in list(_idle.items()) if m.nbytes >= size]:
        memory = _idle.pop(min(able)[1], None)
        if memory is not None:  # no other thread was faster
            return memory
    return None


def _fresh(size: int) -> Bytes:
    if size < LARGE or not hasattr(mmap, "MADV_HUGEPAGE"):
        memory = np.empty(size + ALIGNED, np.uint8)
        start = -memory.ctypes.data % ALIGNED
        return memory[start : start + size]
    region = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    region.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(region, np.uint8)
