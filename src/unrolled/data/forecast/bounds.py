"""Bounds of a series: a lowest or highest value that it has come back to, such as zero or the capacity of a store."""

from __future__ import annotations

from typing import Any

import numpy

from .view import filled

Array = numpy.ndarray[Any, Any]
VISITS = 3


def bounds(y: Array) -> tuple[Array, Array]:
    """The lower and the upper bound of a series as it is known at each step (steps,); infinite where it has none.

    A bound is the lowest (or highest) value so far, where the series was there at least three times, and left in
    between. So a series that falls, or rests at its lowest value, has none.

    >>> bounds(numpy.array([0.0, 3.0, 0.0, 5.0, 0.0]))[0]
    array([-inf, -inf, -inf, -inf,   0.])
    """
    level = filled(y)
    return _lowest(level), -_lowest(-level)


def _lowest(level: Array) -> Array:
    low = numpy.minimum.accumulate(level)
    arrived = (level == low) & (numpy.diff(level, prepend=numpy.inf) != 0)
    total = numpy.cumsum(arrived)
    fresh = numpy.diff(low, prepend=numpy.inf) != 0  # a new lowest value: visits are counted from here
    before = numpy.maximum.accumulate(numpy.where(fresh, total - 1, 0))
    return numpy.where(total - before >= VISITS, low, -numpy.inf)
