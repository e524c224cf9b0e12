"""Compiled passes."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache

from ...graph.node import Node
from ..lowering.lower import Lowered
from ..lowering.place import place
from ..lowering.schedule import Schedule
from ..lowering.statements import operations
from .blocks import in_lines, scratch
from .build import load
from .crew import crew
from .lanes import Groups
from .libraries import I64, address, products, sums
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
    """Load or compile the functions that all passes share, while the first pass is compiled."""
    pool = ThreadPoolExecutor()
    for shared in (products, sums):
        pool.submit(shared, double)
    pool.shutdown(wait=False)
