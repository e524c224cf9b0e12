"""Compiled programs, and the packed matrices that they need to run."""

from __future__ import annotations

import ctypes
import weakref
from array import array
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import torch
from torch import Tensor

from ...graph.node import Node
from ..lowering.lower import Lowered
from ..lowering.place import place
from ..lowering.schedule import Schedule
from ..lowering.statements import operations
from .blocks import aligned, in_lines, scratch
from .build import load
from .crew import crew
from .lanes import Groups
from .libraries import I64, P, address, products, sums
from .render import LANES, render


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled pass for given sizes and a precision.

    schedule: what it reads and writes. run_address, product_address: the addresses of its function, and of the one that
    multiplies by matrices, in panels or as they are. scratch_bytes: the memory that a run of the most lanes needs.
    work: operations of a step of one sequence. largest: numbers of the largest matrix. sizes: of states and kept
    values, in numbers a row.
    """

    schedule: Schedule
    launch: Callable[..., None]
    run_address: int
    product_address: int
    scratch_bytes: int
    work: int
    largest: int
    sizes: dict[Node, int]

    def run(self, groups: Groups, addresses: Sequence[int], threads: int) -> None:
        """Take all lanes through their steps. Threads share the groups, or the products if there is one group."""
        pointers, parts = array("Q", addresses), min(threads, len(groups))
        at, room = pointers.buffer_info()[0], scratch(self.scratch_bytes * parts)
        functions = crew(threads), self.run_address, self.product_address
        self.launch(*functions, parts, len(groups), groups.at, at, room.at, self.scratch_bytes)


@cache
def kernel(lowered: Lowered, named: tuple[tuple[str, int], ...], double: bool, direct: bool = False) -> Kernel:
    """The compiled pass: from memory, from the cache on disk, or compiled now.

    Args:
        lowered: the pass as statements.
        named: the sizes, by name.
        double: float64 instead of float32.
        direct: whether matrices are read as they are, instead of in panels.
    """
    sizes, made = dict(named), lowered.schedule
    _begin(double)
    library = load(render(place(lowered), sizes, double), "run", "scratch_size")
    common = products(double)
    library.scratch_size.argtypes, library.scratch_size.restype = [ctypes.c_int], I64
    return Kernel(
        made,
        common.launch,
        address(library.run),
        address(common.product_direct if direct else common.product),
        in_lines(library.scratch_size(LANES) * (8 if double else 4)),
        sum(operations(s, sizes) for s in (*lowered.before, *lowered.step, *lowered.after)),
        max((n.type.entries(sizes) for n in made.matrices), default=0),
        {n: n.type.entries(sizes) for n in (*made.states, *made.keep)},
    )


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


class _Memory:
    """Where the parameters stand, for C."""

    def __init__(self, at: list[int], sizes: list[int]) -> None:
        self.given = len(at), (P * len(at))(*at), (I64 * len(at))(*sizes)

    def digest(self) -> ctypes.Array[ctypes.c_char]:
        found = ctypes.create_string_buffer(products(False).digest_size())
        products(False).digest_all(*self.given, found)
        return found

    def has(self, digest: ctypes.Array[ctypes.c_char]) -> bool:
        return bool(products(False).has_digest(*self.given, digest))


class _Remembered(NamedTuple):
    """What was prepared for some parameters, and what they were then. digest: of all their bits, where it is known."""

    first: weakref.ref[Tensor]
    mark: list[int]
    memory: _Memory
    prepared: Prepared
    digest: ctypes.Array[ctypes.c_char] | None


_remembered: dict[tuple[Kernel, int], _Remembered] = {}  # by the first of the parameters, as long as that lives


def prepared(kernel: Kernel, parameters: Mapping[str, Tensor], make: Callable[[], Prepared]) -> Prepared:
    """The prepared values of a kernel, made anew whenever a parameter has changed, by whatever way: torch counts most
    changes, and of what it does not see (``.data``, numpy, another process) the digest tells.

    Threads share what is remembered, so it is replaced as a whole. Who runs with what was there before holds it."""
    tensors = list(parameters.values())
    if not tensors:
        return make()
    held = [t.untyped_storage() for t in tensors]  # another thread may give a parameter other memory (``.data = ...``)
    try:
        mark = [number for t in tensors for number in (t.data_ptr(), t._version, t.is_contiguous())]
    except RuntimeError:  # a tensor that was made in inference mode counts no changes; its bits tell
        mark = [number for t in tensors for number in (t.data_ptr(), 0, t.is_contiguous())]
    key, first = (kernel, id(tensors[0])), tensors[0]
    known = _remembered.get(key)
    mine = known is not None and known.first() is first
    if known and mine and known.mark == mark:
        if known.digest and known.memory.has(known.digest):
            return known.prepared
        digest, now = known.memory.digest(), make()
        # where a thread has written meanwhile, the next call makes them anew
        _remembered[key] = known._replace(prepared=now, digest=digest if known.memory.has(digest) else None)
        return now
    now = make()
    if all(mark[2::3]):
        if not mine:
            weakref.finalize(first, _remembered.pop, key, None).atexit = False
        memory = _Memory(mark[::3], [t.nbytes for t in tensors])
        _remembered[key] = _Remembered(weakref.ref(first), mark, memory, now, None)
    del held
    return now


def pack(A: Tensor) -> Tensor:
    """A matrix in panels (see products.c)."""
    rows, columns = A.shape
    room = A.new_empty((rows + 16) * columns + 16)
    products(A.dtype == torch.float64).pack(A.data_ptr(), *A.stride(), rows, columns, aligned(room))
    return room
