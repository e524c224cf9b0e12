"""Running a rendered loop on torch tensors, read and written in place."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, lru_cache

import torch
from torch import Tensor

from ...graph.node import Node
from ...plan.loop import Loop
from ..call import Call
from .build import load
from .render import render, unsupported

__all__ = ["run_loop", "unsupported"]

ROWS_PER_THREAD = 8


@dataclass(frozen=True, eq=False)
class Kernel:
    """Compiled functions for one loop, its sizes and its precision."""

    library: ctypes.CDLL
    matrices: tuple[Node, ...]
    scratch: int  # numbers that a thread needs for itself

    def run(self, first: int, last: int, steps: int, pointers: ctypes.Array[ctypes.c_void_p], like: Tensor) -> None:
        scratch = like.new_empty(self.scratch + 16)
        i64 = ctypes.c_int64
        self.library.run(i64(first), i64(last), i64(steps), pointers, ctypes.c_void_p(_aligned(scratch)))

    def packed(self, A: Tensor) -> Tensor:
        """A matrix in panels."""
        rows, columns = A.shape
        room = A.new_empty((rows + 64) * columns + 16)
        i64 = ctypes.c_int64
        self.library.pack(
            ctypes.c_void_p(A.data_ptr()),
            i64(A.stride(0)),
            i64(A.stride(1)),
            i64(rows),
            i64(columns),
            ctypes.c_void_p(_aligned(room)),
        )
        return room


def _aligned(room: Tensor) -> int:
    """The first address in a tensor that a vector may have; it has 64 bytes to spare."""
    return (room.data_ptr() + 63) // 64 * 64


@lru_cache(maxsize=256)
def kernel(loop: Loop, sizes: tuple[tuple[str, int], ...], double: bool) -> Kernel:
    rendered = render(loop, dict(sizes), double)
    library = load(rendered.text)
    library.scratch_size.restype = ctypes.c_int64
    return Kernel(library, rendered.matrices, library.scratch_size())


def run_loop(loop: Loop, call: Call, values: Mapping[Node, Tensor], start: list[Tensor]) -> list[Tensor]:
    """The series that are kept, then the final states (see ``planned.RunLoop``)."""
    compiled = kernel(loop, tuple(sorted(call.sizes.items())), call.like.dtype == torch.float64)

    def room(node: Node, *lead: int) -> Tensor:
        return call.like.new_empty(*lead, *([d.value(call.sizes) for d in node.type.dims] or [1]))

    read = [n for n in (*loop.moving, *loop.fixed) if n not in compiled.matrices]
    given = [values[n].to(call.like.dtype).contiguous() for n in read]  # masks become 0 and 1
    packed = [compiled.packed(values[n]) for n in compiled.matrices]
    begin = [s.contiguous() for s in start]
    kept = [room(n, call.batch, call.steps) for n in loop.keep]
    end = [room(n, call.batch) for n in loop.states]
    addresses = [t.data_ptr() for t in given] + [_aligned(t) for t in packed]
    addresses += [t.data_ptr() for t in (*begin, *kept, *end)]
    pointers = (ctypes.c_void_p * len(addresses))(*addresses)

    threads = min(torch.get_num_threads(), -(-call.batch // ROWS_PER_THREAD))
    if threads < 2:
        compiled.run(0, call.batch, call.steps, pointers, call.like)
    else:
        share = -(-call.batch // threads // ROWS_PER_THREAD) * ROWS_PER_THREAD
        parts = [(a, min(a + share, call.batch)) for a in range(0, call.batch, share)]
        list(_pool().map(lambda ab: compiled.run(ab[0], ab[1], call.steps, pointers, call.like), parts))
    return [*kept, *end]


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="unrolled")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
