"""What a compiled pass needs of the parameters as they are now: packed matrices and other fixed values.

They are kept until a parameter changes. torch counts most changes of a tensor. Changes that it does not see (by
``.data``, by numpy, by another process) are found with a digest of the parameters' memory.
"""

from __future__ import annotations

import ctypes
import weakref
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...graph.node import Node
from .blocks import aligned
from .kernel import Kernel
from .libraries import I64, P, products
from .narrow import Readings


class Prepared:
    """The fixed values of a pass. ``addresses`` is their part of what C is given, and ``at`` is where C finds it as a
    table; both are valid while this lives."""

    def __init__(self, fixed: list[Tensor], packed: list[Tensor] | Readings, values: dict[Node, Tensor]) -> None:
        self.fixed, self.packed, self.values = fixed, packed, values
        self.addresses = [t.data_ptr() for t in fixed]
        self.addresses += packed.addresses if isinstance(packed, Readings) else [aligned(t) for t in packed]
        self.table = array("Q", self.addresses)
        self.at = self.table.buffer_info()[0]


class Contents:
    """Several pieces of memory, of which C computes a digest."""

    def __init__(self, addresses: list[int], sizes: list[int]) -> None:
        count = len(addresses)
        self.given = count, (P * count)(*addresses), (I64 * count)(*sizes)

    def digest(self) -> ctypes.Array[ctypes.c_char]:
        """A digest of the contents; other contents have another one."""
        found = ctypes.create_string_buffer(products(False).digest_size())
        products(False).digest_all(*self.given, found)
        return found

    def has(self, digest: ctypes.Array[ctypes.c_char]) -> bool:
        """Whether the contents have this digest."""
        return bool(products(False).has_digest(*self.given, digest))


class _Entry(NamedTuple):
    """The values prepared for some parameters.

    first: the first parameter. mark: address, version and layout of each parameter. digest: of their contents; None
    until it is known.
    """

    first: weakref.ref[Tensor]
    mark: list[int]
    contents: Contents
    prepared: Prepared
    digest: ctypes.Array[ctypes.c_char] | None


# by the identity of the first parameter, while that lives. Threads share it: entries are replaced, never changed
_entries: dict[tuple[Kernel, int], _Entry] = {}


def prepared(
    kernel: Kernel, parameters: Mapping[str, Tensor], make: Callable[[], Prepared], beside: Sequence[Tensor] = ()
) -> Prepared:
    """The prepared values of a kernel; ``make`` computes them again whenever a parameter has changed.

    The caller keeps the result until C has returned: another thread may replace the entry. ``beside``: tensors of which
    the prepared values contain only the addresses.
    """
    tensors = list(parameters.values())
    if not tensors:
        return make()
    held = [t.untyped_storage() for t in tensors]  # another thread may assign other memory (``.data = ...``)
    try:
        mark = [number for t in tensors for number in (t.data_ptr(), t._version, t.is_contiguous())]
    except RuntimeError:  # a tensor created in inference mode has no version; its digest still shows changes
        mark = [number for t in tensors for number in (t.data_ptr(), 0, t.is_contiguous())]
    layouts, addresses = mark[2::3], mark[::3]
    mark += [t.data_ptr() for t in beside]
    key, first = (kernel, id(tensors[0])), tensors[0]
    known = _entries.get(key)
    same_parameter = known is not None and known.first() is first
    if known and same_parameter and known.mark == mark:
        if known.digest and known.contents.has(known.digest):
            return known.prepared
        digest, now = known.contents.digest(), make()
        # if another thread has changed a parameter meanwhile, the next call makes them again
        _entries[key] = known._replace(prepared=now, digest=digest if known.contents.has(digest) else None)
        return now
    now = make()
    if all(layouts):
        if not same_parameter:
            weakref.finalize(first, _entries.pop, key, None).atexit = False
        contents = Contents(addresses, [t.nbytes for t in tensors])
        _entries[key] = _Entry(weakref.ref(first), mark, contents, now, None)
    del held
    return now


def pack(A: Tensor) -> Tensor:
    """A matrix (rows, columns) in panels, as products read it (see products.c); the first panel is aligned."""
    rows, columns = A.shape
    room = A.new_empty((rows + 16) * columns + 16)
    products(A.dtype == torch.float64).pack(A.data_ptr(), *A.stride(), rows, columns, aligned(room))
    return room
