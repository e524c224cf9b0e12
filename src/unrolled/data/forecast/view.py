"""A series as a forecast sees it: the recent past, relative to its last value and in units of its recent changes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy

from ...files.shelf import Shelf
from .gradual import Values, gradual

Array = numpy.ndarray[Any, Any]
LEAST = 0.1  # the recent size is at least this share of the size since the beginning


@dataclass(frozen=True)
class View:
    """What is seen of a series at each step, and what comes after it.

    Adding a number to a series, or multiplying it by one, changes nothing here but ``level`` and ``size``.

    level: the last known value: (steps,).
    size: the mean absolute change from step to step, over a window that ends here; 0 where nothing has changed yet:
        (steps,).
    past: the values before, relative to the level, in units of the size: (steps, lags - 1).
    mean, low, high: of all values so far, in the same units: (steps,).
    later: the values of the next steps, in the same units, NaN where unknown, or without a unit: (steps, ahead).
    """

    level: Array
    size: Array
    past: Values
    mean: Array
    low: Array
    high: Array
    later: Values

    def light(self, shelf: Shelf) -> View:
        """The same with levels and sizes only."""
        nothing = numpy.empty((len(self.level), 0))
        return View(shelf.keep(self.level), shelf.keep(self.size), nothing, nothing, nothing, nothing, nothing)

    @staticmethod
    def of(y: Array, lags: int, window: int, ahead: int, fixed: bool = False) -> View:
        """The view of a series.

        >>> View.of(numpy.array([1.0, 3.0, 7.0]), lags=2, window=8, ahead=1).past[:, 0]
        array([ 0.        , -1.        , -1.33333333])

        Args:
            y: values (steps,), NaN where one is missing.
            lags: the number of values that are seen, with the last one.
            window: the number of steps over which changes are measured.
            ahead: the number of steps to look ahead.
            fixed: use the size at the end of the first window at all steps.
        """
        steps, level = len(y), filled(y)
        size = changes(level, window)
        if fixed:
            size = numpy.full(steps, next((s for s in size[min(window, steps) - 1 :] if s > 0), 0.0))
        unit = numpy.where(size > 0, size, numpy.nan)

        def relative(values: Array, begin: int = 0, end: int | None = None) -> Array:
            part, shape = slice(begin, end), (-1, *([1] * (values.ndim - 1)))
            return (values - level[part].reshape(shape)) / unit[part].reshape(shape)

        def past(begin: int, end: int) -> Array:
            before = numpy.maximum(numpy.arange(begin, end)[:, None] - numpy.arange(1, lags), 0)
            return numpy.nan_to_num(relative(level[before], begin, end))

        def later(begin: int, end: int) -> Array:
            return relative(values_after(y, ahead, begin, end), begin, end)

        mean = numpy.cumsum(level) / numpy.arange(1, steps + 1)
        low, high = numpy.minimum.accumulate(level), numpy.maximum.accumulate(level)
        mean, low, high = (numpy.nan_to_num(relative(values)) for values in (mean, low, high))
        before, after = gradual((steps, lags - 1), past), gradual((steps, ahead), later)
        return View(level, size, before, mean, low, high, after)


def values_after(y: Array, ahead: int, begin: int = 0, end: int | None = None) -> Array:
    """The next values of some steps, NaN after the end: (steps, ahead).

    >>> values_after(numpy.array([1.0, 2.0]), 1)
    array([[ 2.],
           [nan]])
    """
    end = len(y) if end is None else end
    steps = numpy.arange(end - begin)[:, None] + numpy.arange(1, ahead + 1)
    return numpy.concatenate([y[begin : end + ahead], numpy.full(ahead, numpy.nan)])[steps]


def filled(y: Array) -> Array:
    """Values (steps,) with each missing one replaced by the one before it; at the beginning, by the first known one.

    >>> filled(numpy.array([numpy.nan, 2.0, numpy.nan]))
    array([2., 2., 2.])
    """
    known = ~numpy.isnan(y)
    if not known.any():
        return numpy.zeros(len(y))
    last = numpy.maximum.accumulate(numpy.where(known, numpy.arange(len(y)), int(known.argmax())))
    return y[last]


def changes(level: Array, window: int) -> Array:
    """The mean absolute change over the last ``window`` steps, at each step (steps,)."""
    steps = numpy.arange(len(level))
    total = numpy.cumsum(numpy.abs(numpy.diff(level, prepend=level[:1])))
    first = numpy.maximum(steps - window, 0)
    recent = (total - total[first]) / numpy.maximum(steps - first, 1)
    return numpy.maximum(recent, LEAST * total / numpy.maximum(steps, 1))
