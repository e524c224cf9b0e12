"""One sequence and its targets, and how sequences are divided into training, validation and test data."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy
from torch import Tensor


class Example(NamedTuple):
    """One sequence.

    x: what is read: (steps, ...).
    y: what is to be predicted: a target per step (answers, ...), which may be known for the first steps alone; or one
        target for the whole sequence, a scalar.
    name: of the sequence.
    rows: the row of the table that each step comes from.
    """

    x: Tensor
    y: Tensor
    name: str
    rows: Sequence[int] | numpy.ndarray[Any, Any] = ()

    @property
    def read(self) -> Tensor:
        """The steps of x that training reads: as many as have a target, or all for a single one."""
        return self.x[: len(self.y)] if self.y.ndim else self.x


def divided(names: Sequence[str], shares: tuple[float, ...]) -> list[int]:
    """The part that each name belongs to. It follows from the name alone, so it is the same on every machine and with
    any other names. Only a part that would be empty, though its share is not 0, gets a name of the largest one.

    >>> divided(["a.wav", "b.wav", "c.wav"], (0.8, 0.1, 0.1))
    [2, 1, 0]
    """
    parts = [part_of(name, shares) for name in names]
    for part in range(len(shares)):
        largest = max(range(len(shares)), key=parts.count)
        if shares[part] and part not in parts and parts.count(largest) > 1:
            last = max((i for i, p in enumerate(parts) if p == largest), key=lambda i: _digest(names[i]))
            parts[last] = part
    return parts


def part_of(name: str, shares: tuple[float, ...]) -> int:
    """The part that a name belongs to, if there are many.

    >>> [part_of(name, (0.8, 0.1, 0.1)) for name in ("a.wav", "b.wav")]
    [0, 1]
    """
    number = int.from_bytes(_digest(name)[:8], "big") / 2**64
    return sum(number >= sum(shares[: k + 1]) for k in range(len(shares) - 1))


def _digest(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest()
