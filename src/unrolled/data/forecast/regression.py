"""A regression on lags for one or many series: coefficients that all series share, and what each adds of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy

from .features import Rows
from .ridge import Basis, CrossFitted, clearly_less, cross_fitted, merged, triangle

Array = numpy.ndarray[Any, Any]
BLOCKS = 5
ENOUGH = 10_000  # rows that are joined before they are compressed again


Choose = Callable[[Callable[[Basis], CrossFitted], CrossFitted], CrossFitted]


def everything(fit: Callable[[Basis], CrossFitted], nothing: CrossFitted) -> CrossFitted:
    """The regression on all features, if it is clearly better than none."""
    found = fit(Basis.of_all(len(nothing.whole)))
    return found if clearly_less(found.errors, nothing.errors) else nothing


def fit(rows_of: Callable[[int], Rows], series: int, choose: Choose = everything) -> CrossFitted:
    """Fit a ridge regression to the rows of all series, which count the same.

    Its strength is chosen on blocks of consecutive rows that were left out.

    >>> rows = Rows(numpy.random.rand(50, 4), numpy.random.rand(50, 2))
    >>> fit(lambda number: rows, series=3).whole.shape
    (4, 2)

    Args:
        rows_of: the rows of a series, by its number: only one has to fit in memory.
        series: the number of series.
        choose: the features, given what fits a regression, and what forecasts the last value.
    """
    features, ahead = rows_of(0).features.shape[1], rows_of(0).targets.shape[1]
    blocks = _joined(_blocks(rows_of(number)) for number in range(series))
    return _chosen([merged([rows]) for rows in blocks], features, ahead, choose)


def left_out(rows: Rows, shared: CrossFitted, several: bool) -> Array:
    """The predictions for each block of a series from a regression without it, and for rows after the last known target
    from all blocks: (steps, ahead).

    Args:
        rows: of the series, which were among those that ``shared`` was fitted to.
        shared: the coefficients of all series.
        several: whether the series adds coefficients of its own, fitted to what the shared ones leave of it. So a long
            series has its own coefficients, and a short one those that all share.
    """
    return _with_own(rows, _predicted(rows, shared), several)


def expected(rows: Rows, shared: Array, several: bool) -> Array:
    """The predictions for the rows of a series from coefficients (features, ahead) that others share: (steps, ahead).

    Args:
        rows: of the series.
        shared: the coefficients.
        several: whether the series adds coefficients of its own, see ``left_out``.
    """
    return _with_own(rows, rows.features @ shared, several)


def _with_own(rows: Rows, predicted: Array, several: bool) -> Array:
    """Predictions, with what coefficients of its own add for a series."""
    if not several:
        return predicted
    rest = Rows(rows.features, rows.targets - predicted)
    return predicted + _predicted(rest, _chosen(_blocks(rest), rows.features.shape[1], rows.targets.shape[1]))


def _blocks(rows: Rows) -> list[Array]:
    """The triangle of each block of rows, scaled so that all series count the same."""
    usable = _usable(rows)
    scale = 1 / max(len(usable), 1) ** 0.5
    blocks = numpy.array_split(usable, BLOCKS)
    return [triangle(rows.features[block] * scale, rows.targets[block] * scale) for block in blocks]


def _joined(series: Iterable[list[Array]]) -> list[Array]:
    """The triangles of the blocks of several series."""
    joined: list[Array] = []
    for blocks in series:
        joined = [numpy.concatenate(pair) for pair in zip(joined, blocks, strict=True)] if joined else blocks
        if len(joined[0]) > ENOUGH:
            joined = [merged([rows]) for rows in joined]
    return joined


def _chosen(blocks: list[Array], features: int, ahead: int, choose: Choose = everything) -> CrossFitted:
    """The regression on blocks. All coefficients are zero where it is not clearly better than none."""
    zero = numpy.zeros((features, ahead))
    errors = numpy.array([numpy.square(rows[:, features:]).sum() for rows in blocks])
    nothing = CrossFitted(zero, [zero] * BLOCKS, errors)
    if min(len(rows) for rows in blocks) < 2:
        return nothing
    return choose(lambda basis: cross_fitted(blocks, basis), nothing)


def _predicted(rows: Rows, found: CrossFitted) -> Array:
    """The predictions for each block of rows from those without it, and from all for rows after the last known target:
    (steps, ahead)."""
    usable = _usable(rows)
    end = int(usable[-1]) + 1 if len(usable) else 0
    firsts = [int(block[0]) if len(block) else end for block in numpy.array_split(usable, BLOCKS)[1:]]
    parts = zip(numpy.split(rows.features[:end], firsts), found.without, strict=True)
    return numpy.concatenate([*(part @ of for part, of in parts), rows.features[end:] @ found.whole])


def _usable(rows: Rows) -> Array:
    """The rows that are learned from."""
    return numpy.flatnonzero(numpy.isfinite(rows.targets).all(1))
