"""Compiled passes."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
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
from .narrow import narrow_products
from .render import LANES, render


@dataclass(frozen=True, eq=False)
class Kernel:
    """A compiled pass for given sizes and a precision.

    schedule: what it reads and writes. run_address, product_address, turned_address: the addresses of its function, and
    of those that multiply by matrices and by transposes of parameters, in panels or as they are. scratch_bytes: the
    memory that a run of the most lanes needs. work: operations of a step of one sequence. largest: numbers of the
    largest matrix. sizes: of states and kept values, in numbers a row. once: the pass of one row that computes the
    fixed values, if there is one; once_address, once_scratch, once_sizes: the same for it. item: the bytes of a number.
    """

    schedule: Schedule
    launch: Callable[..., None]
    launch_bound: Callable[..., None]
    run_address: int
    product_address: int
    turned_address: int
    scratch_bytes: int
    work: int
    largest: int
    sizes: dict[Node, int]
    once: Schedule | None
    once_address: int
    once_scratch: int
    once_sizes: dict[Node, int]
    item: int

    def run(self, groups: Groups, addresses: Sequence[int], threads: int) -> None:
        """Take all lanes through their steps. Threads share the groups, or the products if there is one group."""
        pointers, parts = array("Q", addresses), min(threads, len(groups))
        at, room = pointers.buffer_info()[0], scratch(self.scratch_bytes * parts)
        functions = crew(threads), self.run_address, self.product_address, self.turned_address
        self.launch(*functions, parts, len(groups), groups.at, at, room.at, self.scratch_bytes)

    def with_matrices_as_they_are(self) -> Kernel:
        """The same pass, which reads matrices as they are instead of in panels."""
        common = products(self.item == 8)
        products_of = address(common.product_direct), address(common.product_turned)
        return replace(self, product_address=products_of[0], turned_address=products_of[1])

    def with_narrow_matrices(self) -> Kernel:
        """The same pass, which reads matrices by way of ``Readings``."""
        common = narrow_products()
        products_of = address(common.product_narrow), address(common.turned_narrow)
        return replace(self, product_address=products_of[0], turned_address=products_of[1])


@cache
def kernel(lowered: Lowered, named: tuple[tuple[str, int], ...], double: bool) -> Kernel:
    """The compiled pass: from memory, from the cache on disk, or compiled now.

    Args:
        lowered: the pass as statements.
        named: the sizes, by name.
        double: float64 instead of float32.
    """
    sizes, made = dict(named), lowered.schedule
    _begin(double)
    once = lowered.once.schedule if lowered.once else None
    text = render(place(lowered), sizes, double, place(lowered.once) if lowered.once else None)
    library = load(text, "run", "scratch_size", *(("once", "once_scratch_size") if once else ()))
    common = products(double)

    def scratch_bytes(name: str, lanes: int) -> int:
        size = getattr(library, name)
        size.argtypes, size.restype = [ctypes.c_int], I64
        return in_lines(size(lanes) * (8 if double else 4))

    return Kernel(
        made,
        common.launch,
        common.launch_bound,
        address(library.run),
        address(common.product),
        address(common.product),
        scratch_bytes("scratch_size", LANES),
        sum(operations(s, sizes) for s in (*lowered.before, *lowered.step, *lowered.after)),
        max((n.type.entries(sizes) for n in made.matrices), default=0),
        {n: n.type.entries(sizes) for n in (*made.states, *made.keep)},
        once,
        address(library.once) if once else 0,
        scratch_bytes("once_scratch_size", 1) if once else 0,
        {n: n.type.entries(sizes) for n in once.keep} if once else {},
        8 if double else 4,
    )


@cache
def _begin(double: bool) -> None:
    """Load or compile the functions that all passes share, while the first pass is compiled."""
    pool = ThreadPoolExecutor()
    for shared in (products, sums):
        pool.submit(shared, double)
    pool.shutdown(wait=False)
