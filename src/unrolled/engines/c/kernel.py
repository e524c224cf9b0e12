"""Compiled programs, and what they need to run: packed matrices, room to work in, threads."""

from __future__ import annotations

import ctypes
import math
import os
import threading
import weakref
from array import array
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import torch
from torch import Tensor

from ...graph.node import Node
from .build import load
from .lanes import Lanes
from .program import Program
from .render import LANES, part, render

I64, P = ctypes.c_int64, ctypes.c_void_p


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled program for some sizes and a precision."""

    program: Program
    library: ctypes.CDLL
    common: ctypes.CDLL
    product: int  # address of what multiplies, by matrices in panels or as they are
    room: int  # numbers that the most lanes need
    width: int  # numbers that are computed at a step
    largest: int  # numbers of the largest matrix
    sizes: dict[Node, int]  # of states, and of what is kept

    def run(self, lanes: Lanes, addresses: Sequence[int], dtype: torch.dtype, crew: object = None) -> None:
        """Take some lanes through their steps; with a crew, another thread assists."""
        pointers, room = array("Q", addresses), scratch(self.room, dtype)
        self.library.run(lanes.count, *lanes.addresses, pointers.buffer_info()[0], room, self.product, crew)

    def run_by_two(self, lanes: Lanes, addresses: Sequence[int], dtype: torch.dtype) -> None:
        """The same by two threads, which share each product: for few sequences and large matrices."""
        crew = ctypes.create_string_buffer(self.common.crew_size())

        def lead() -> None:
            try:
                self.run(lanes, addresses, dtype, crew)
            finally:
                self.common.dismiss(crew)

        parallel([lead, partial(self.common.assist, crew)], 2)


@cache
def kernel(program: Program, named: tuple[tuple[str, int], ...], double: bool, direct: bool = False) -> Kernel:
    """The compiled program, for matrices in panels or as they are: from memory, from the cache on disk, or compiled
    now."""
    of = dict(named)
    around = [_pool().submit(compiled, double) for compiled in (products, sums)]  # the first time at the same time
    library = load(render(program, of, double))
    common = around[0].result()
    library.run.argtypes, library.run.restype = [ctypes.c_int, P, P, P, P, P, P], None
    library.scratch_size.argtypes, library.scratch_size.restype = [ctypes.c_int], I64
    product = ctypes.cast(common.product_direct if direct else common.product, P).value or 0
    work = [n.args[0] if n.op == "matvec" else n for n in program.nodes]
    numbers = {n: math.prod(d.value(of) for d in n.type.dims) for n in (*work, *program.matrices)}
    width = sum(numbers[n] for n in work)
    largest = max((numbers[n] for n in program.matrices), default=0)
    sizes = {n: n.type.dims[0].value(of) if n.type.dims else 1 for n in (*program.states, *program.keep)}
    return Kernel(program, library, common, product, library.scratch_size(LANES), width, largest, sizes)


@cache
def products(double: bool) -> ctypes.CDLL:
    """Products, and the packing of matrices: what loops of all circuits need."""
    library = _common("products", double)
    library.digests.argtypes, library.digests.restype = [I64, P, P], ctypes.c_uint64
    library.pack.argtypes = [P, *[I64] * 4, P]
    library.assist.argtypes, library.dismiss.argtypes = [P], [P]
    return library


@cache
def sums(double: bool) -> ctypes.CDLL:
    """Sums over time: what the gradients of all circuits need."""
    library = _common("sums", double)
    library.outer_scratch.argtypes, library.outer_scratch.restype = [P, I64], I64
    library.outer_sums.argtypes = [I64, I64, P, I64, P, I64, P]
    library.scatter_sum.argtypes = [P, P, P, I64, P, P]
    return library


def _common(name: str, double: bool) -> ctypes.CDLL:
    return load("\n".join([*(["#define REAL_IS_DOUBLE"] if double else []), part("prelude"), part(name)]))


# matrices in panels


class Prepared:
    """The packed matrices and other fixed values of a program, for the parameters as they are now."""

    def __init__(self, fixed: list[Tensor], packed: list[Tensor], values: dict[Node, Tensor]) -> None:
        self.fixed, self.packed, self.values = fixed, packed, values
        self.addresses = [t.data_ptr() for t in fixed] + [aligned(t) for t in packed]


class _Remembered:
    """What was prepared for some parameters, and what they were then."""

    def __init__(self, mark: list[int], tensors: Sequence[Tensor], prepared: Prepared) -> None:
        self.mark, self.prepared = mark, prepared
        count = len(tensors)
        self.memory = (
            count,
            (P * count)(*(t.data_ptr() for t in tensors)),
            (I64 * count)(*(t.nbytes for t in tensors)),
        )
        self.bits: int | None = None

    def digest(self) -> int:
        """What tells whether any bit of the parameters has changed."""
        return int(products(False).digests(*self.memory))


_remembered: dict[tuple[Kernel, int], _Remembered] = {}  # by the first of the parameters, as long as that lives


def prepared(kernel: Kernel, parameters: Mapping[str, Tensor], make: Callable[[], Prepared]) -> Prepared:
    """The prepared values of a kernel, made anew whenever a parameter has changed, by whatever way: torch counts most
    changes, and of what it does not see (``.data``, numpy, another process) the bits tell."""
    tensors = list(parameters.values())
    if not tensors:
        return make()
    mark = [number for t in tensors for number in (t.data_ptr(), t._version, t.is_contiguous())]
    key = kernel, id(tensors[0])
    known = _remembered.get(key)
    if known is None or known.mark != mark:
        if not all(mark[2::3]):
            return make()
        if known is None:
            weakref.finalize(tensors[0], _remembered.pop, key, None).atexit = False
        _remembered[key] = known = _Remembered(mark, tensors, make())
    elif known.bits != (now := known.digest()):
        known.bits, known.prepared = now, make()
    return known.prepared


def pack(A: Tensor) -> Tensor:
    """A matrix in panels (see products.c)."""
    rows, columns = A.shape
    room = A.new_empty((rows + 16) * columns + 16)
    products(A.dtype == torch.float64).pack(A.data_ptr(), *A.stride(), rows, columns, aligned(room))
    return room


# room to work in


class _Room(threading.local):
    """Memory of a thread that every run uses again; it grows to the most that was needed."""

    def __init__(self) -> None:
        self.size = 0

    def grow(self, size: int) -> None:
        self.size, self.bytes = size, torch.empty(size, dtype=torch.uint8)
        self.address = aligned(self.bytes)


_room = _Room()


def scratch(count: int, dtype: torch.dtype) -> int:
    """The address of room for so many numbers."""
    need = count * dtype.itemsize + 64
    if _room.size < need:
        _room.grow(need)
    return _room.address


def aligned(room: Tensor) -> int:
    """The first address in a tensor that a vector may have; it has 64 bytes to spare."""
    return (room.data_ptr() + 63) // 64 * 64


# threads


def parallel(tasks: Sequence[Callable[[], None]], threads: int) -> None:
    """Carry out all tasks, on so many threads at most, of which one is this."""

    def share(first: int) -> None:
        for task in tasks[first::threads]:
            task()

    others = [_pool().submit(share, first) for first in range(1, min(threads, len(tasks)))]
    share(0)
    for other in others:
        other.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(thread_name_prefix="unrolled")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # threads do not survive a fork
