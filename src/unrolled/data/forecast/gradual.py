"""Values of each step that are computed at once, or, of a long series, part by part when they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy

from ...files.shelf import Shelf

Array = numpy.ndarray[Any, Any]
PART = 1 << 16  # steps that are computed at once


@dataclass(frozen=True)
class Gradual:
    """Values of each step (steps, width). A slice of steps is computed whenever it is asked for."""

    shape: tuple[int, ...]
    compute: Callable[[int, int], Array]

    def __getitem__(self, part: slice) -> Array:
        begin, end, _ = part.indices(self.shape[0])
        return self.compute(begin, max(end, begin))


Values = Array | Gradual


def gradual(shape: tuple[int, ...], compute: Callable[[int, int], Array]) -> Values:
    """Values (steps, width) from a function that computes those of the steps from one to before another.

    >>> gradual((3, 1), lambda begin, end: numpy.arange(begin, end)[:, None])[1:].tolist()
    [[1], [2]]
    """
    return compute(0, shape[0]) if shape[0] <= PART else Gradual(shape, compute)


def parts_of(begin: int, end: int) -> Iterator[slice]:
    """Steps in parts that are computed at once.

    >>> list(parts_of(3, 5))
    [slice(3, 5, None)]
    """
    return (slice(at, min(at + PART, end)) for at in range(begin, max(end, begin + 1), PART))


def written(values: Values, end: int, dtype: str, shelf: Shelf | None = None) -> Array:
    """The values of the first steps: (end, width)."""
    end = min(end, values.shape[0])
    if isinstance(values, numpy.ndarray) and shelf is None:
        return values[:end].astype(dtype)
    found = (shelf or Shelf()).empty((end, values.shape[1]), dtype)
    for part in parts_of(0, end):
        found[part] = values[part]
    return found
