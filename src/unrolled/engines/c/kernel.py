"""Compiled programs, and what they need to run: packed matrices, and room to work in."""

from __future__ import annotations

import ctypes
import math
import threading
import weakref
from array import array
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ...graph.node import Node
from .blocks import ALIGNED, in_lines
from .build import load
from .crew import with_crew
from .lanes import Groups
from .libraries import I64, P, address, products, sums
from .program import Program
from .render import LANES, render


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled program for some sizes and a precision."""

    program: Program
    launch: Callable[..., None]
    loop: int  # address of the loop
    product: int  # address of what multiplies, by matrices in panels or as they are
    room: int  # bytes that the most lanes need
    width: int  # numbers that are computed at a step
    largest: int  # numbers of the largest matrix
    sizes: dict[Node, int]  # of states, and of what is kept

    def run(self, groups: Groups, addresses: Sequence[int], threads: int) -> None:
        """Take all lanes through their steps. Threads share the groups; of a single one, the products."""
        pointers, parts = array("Q", addresses), min(threads, len(groups))
        given = parts, len(groups), groups.table, pointers.buffer_info()[0], scratch(self.room * parts), self.room
        with_crew(threads, lambda crew: self.launch(crew, self.loop, self.product, *given))


@cache
def kernel(program: Program, named: tuple[tuple[str, int], ...], double: bool, direct: bool = False) -> Kernel:
    """The compiled program, for matrices in panels or as they are: from memory, from the cache on disk, or compiled
    now."""
    of = dict(named)
    _begin(double)
    library = load(render(program, of, double))
    common = products(double)
    library.scratch_size.argtypes, library.scratch_size.restype = [ctypes.c_int], I64
    product = address(common.product_direct if direct else common.product)
    work = [n.args[0] if n.op == "matvec" else n for n in program.nodes]
    numbers = {n: math.prod(d.value(of) for d in n.type.dims) for n in (*work, *program.matrices)}
    width = sum(numbers[n] for n in work)
    largest = max((numbers[n] for n in program.matrices), default=0)
    sizes = {n: n.type.dims[0].value(of) if n.type.dims else 1 for n in (*program.states, *program.keep)}
    room = in_lines(library.scratch_size(LANES) * (8 if double else 4))
    return Kernel(program, common.launch, address(library.run), product, room, width, largest, sizes)


@cache
def _begin(double: bool) -> None:
    """Load, or compile, what all programs share while the first of them is compiled."""
    pool = ThreadPoolExecutor()
    for shared in (products, sums):
        pool.submit(shared, double)
    pool.shutdown(wait=False)


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
    try:
        mark = [number for t in tensors for number in (t.data_ptr(), t._version, t.is_contiguous())]
    except RuntimeError:  # a tensor that was made in inference mode counts no changes; its bits tell
        mark = [number for t in tensors for number in (t.data_ptr(), 0, t.is_contiguous())]
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
        self.size, self.bytes = size, torch.empty(size + ALIGNED, dtype=torch.uint8, device="cpu")
        self.address = aligned(self.bytes)


_room = _Room()


def scratch(size: int) -> int:
    """The address of room of so many bytes."""
    if _room.size < size:
        _room.grow(size)
    return _room.address


def aligned(room: Tensor) -> int:
    """The first address in a tensor that a vector may have; it has 64 bytes to spare."""
    return in_lines(room.data_ptr())
