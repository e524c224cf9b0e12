"""Launches whose addresses C finds itself, in the memory of tensors in a fixed order (see launch.c)."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from torch import Tensor

from ...graph.node import Node
from ...sequence.rounding import Narrow
from ..call import Call
from .blocks import in_lines, scratch
from .crew import crew
from .lanes import Pieces
from .launch import Launch, leaf, prepare, prepared_for
from .libraries import address, sums
from .narrow import Readings
from .prepared import prepared

Slot = tuple[int, int]  # the number of a tensor, and the byte in it; or -1 and a number
TERM = 8  # slots of a term


class Terms(NamedTuple):
    """The sums that follow a launch. slots: of all terms, as C takes them. pieces: of the rows. parts: for threads."""

    slots: list[Slot]
    pieces: Pieces
    parts: int
    double: bool

    def room(self) -> int:
        """The bytes of scratch memory that a part needs."""
        numbers = array("q", [at if i < 0 else (i << 40) + at + 1 for i, at in self.slots])  # different ones differ
        size: int = sums(self.double).outer_scratch(numbers.buffer_info()[0], len(self.slots) // TERM, self.parts)
        return in_lines(size * (8 if self.double else 4))


@dataclass(frozen=True, eq=False)
class BoundLaunch:
    """A launch, and a table that tells C where to find each address.

    narrow: whether some parameters are narrow. parameters: the names of the others, and the numbers of their tensors.
    table: as C takes it, and owners of the memory that it names; at: its address. bytes: of scratch memory. threads: of
    the launch or the sums.
    """

    launch: Launch
    narrow: bool
    parameters: dict[str, int]
    numbers: tuple[int, ...]
    table: array[int]
    owners: tuple[object, ...]
    at: int
    bytes: int
    threads: int

    def run(self, tensors: Sequence[Tensor], call: Callable[[], Call]) -> None:
        """Run on these tensors. call: makes the same call for other engines, if fixed values have to be prepared."""
        held = [tensors[i].untyped_storage() for i in self.numbers]  # another thread may exchange them
        room, ready, kernel = scratch(self.bytes), None, self.launch.kernel
        if not self.launch.direct:
            if self.narrow:
                ready = prepared_for(kernel, call())
            else:
                given = {n: tensors[i] for n, i in self.parameters.items()}
                ready = prepared(kernel, given, lambda: prepare(kernel, call()))
        bases = array("Q", [t.data_ptr() for t in tensors])
        bases.append(room.at)
        helpers = crew(self.threads) if self.threads > 1 else None
        kernel.launch_bound(helpers, self.at, bases.buffer_info()[0], ready and ready.at)
        del held, ready


def bind_launch(
    launch: Launch,
    first: list[Slot],
    last: list[Slot],
    tensors: int,
    parameters: Mapping[str, int],
    terms: Terms | None = None,
    narrow: Mapping[str, Narrow] = MappingProxyType({}),
) -> BoundLaunch:
    """Bind a launch.

    Args:
        launch: the launch.
        first, last: the slots of its pointers before the fixed values and behind them.
        tensors: the number of tensors; scratch memory comes after them.
        parameters: the numbers of the parameters.
        terms: the sums that follow.
        narrow: the narrow parameters.
    """
    kernel, once, fixed, begin = launch.kernel, launch.kernel.once, list[Slot](), 0
    made, of_once, address_of_once = kernel.schedule, list[Slot](), 0
    readings = Readings([narrow[leaf(n)["name"]] for n in made.matrices]) if launch.direct and narrow else None
    if launch.direct:
        at: dict[Node, Slot] = {}
        if once:
            for n, size in kernel.once_sizes.items():
                at[n] = tensors, begin
                begin += in_lines(size * kernel.item)
            of_once = [(parameters[n["name"]], 0) for n in once.fixed] + [at[n] for n in once.keep]
            address_of_once = kernel.once_address
        fixed = [at.get(n) or (parameters[leaf(n)["name"]], 0) for n in made.fixed]
        if readings:
            fixed += [(-1, where) for where in readings.addresses]
        else:
            fixed += [(parameters[leaf(n)["name"]], 0) for n in made.matrices]
    parts, room = min(launch.threads, len(launch.groups)), terms.room() if terms else 0
    outer = [0] * 6
    if terms:
        outer_sums = address(sums(terms.double).outer_sums)
        count = len(terms.slots) // TERM
        outer = [outer_sums, terms.pieces.at, len(terms.pieces), count, terms.parts, room]
    counts = [len(of_once), len(first), len(made.fixed) + len(made.matrices), len(last)]
    head = [kernel.run_address, address_of_once, kernel.product_address, kernel.turned_address, launch.groups.at]
    head += [len(launch.groups), parts, launch.threads, kernel.scratch_bytes, begin, tensors, *counts, *outer]
    slots = [*of_once, *first, *fixed, *last, *(terms.slots if terms else ())]
    table = array("q", [*head, *(number for slot in slots for number in slot)])
    needed = max(parts * kernel.scratch_bytes, kernel.once_scratch, room * (terms.parts if terms else 0))
    threads = max(launch.threads, terms.parts if terms else 1)
    named, at_table = dict(parameters), table.buffer_info()[0]
    owners, held = (terms, readings), tuple(named.values())
    return BoundLaunch(launch, bool(narrow), named, held, table, owners, at_table, begin + needed, threads)
