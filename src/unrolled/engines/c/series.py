"""The series of a call in memory: in tensors of their own, or in one block that the next call uses again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from ...graph.node import Node
from .blocks import ALIGNED, in_lines

Tensors = dict[Any, Tensor]  # by node: series (rows, size), fixed values (size,); by Block: its memory, in bytes
Addresses = dict[Node, int]


@dataclass(frozen=True, eq=False)
class Block:
    """How a block of memory is divided.

    series: by node, its first byte and the numbers of a row. ends: the first byte of each of the last states. size: in
    bytes.
    """

    series: dict[Node, tuple[int, int]]
    ends: tuple[int, ...]
    size: int

    @staticmethod
    def of(series: Mapping[Node, int], rows: int, ends: Sequence[int], item: int) -> Block:
        """A block for series of ``rows`` rows and final states of the sizes ``ends``; ``item`` is bytes per number."""
        numbers = [rows * size for size in series.values()] + list(ends)
        first = list(accumulate((max(in_lines(n * item), ALIGNED) for n in numbers), initial=0))
        inside = {n: (at, width) for (n, width), at in zip(series.items(), first, strict=False)}
        return Block(inside, tuple(first[len(series) : -1]), size_of(numbers, item))


def size_of(numbers: Sequence[int], item: int) -> int:
    """The bytes that a block reserves for values with these numbers of entries, each in whole cache lines."""
    return sum(numbers) * item + len(numbers) * ALIGNED


def addresses(tensors: Tensors) -> Addresses:
    """The address of each series, also of those in blocks."""
    at = {n: t.data_ptr() for n, t in tensors.items()}
    for block in [n for n in at if isinstance(n, Block)]:
        base = at.pop(block)
        at |= {n: base + first for n, (first, _) in block.series.items()}
    return at


def opened(tensors: Tensors, rows: int, kind: torch.dtype, sizes: Mapping[str, int]) -> Tensors:
    """The same with the series in blocks as tensors (rows, ...)."""
    found = dict(tensors)
    for block in [n for n in tensors if isinstance(n, Block)]:
        memory = found.pop(block)
        for n, (first, width) in block.series.items():
            part = memory[first : first + rows * width * kind.itemsize]
            found[n] = part.view(kind).view(rows, *n.type.shape(sizes))
    return found
