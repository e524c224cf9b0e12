"""A regression on lags for one or many series: coefficients that all series share, and what each adds of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy

from .features import Rows
from .gradual import Values, gradual, parts_of
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
    steps = rows.features.shape[0]
    return _with_own(rows, _products(rows.features, [(slice(0, steps), shared)]), several)


def _with_own(rows: Rows, predicted: Array, several: bool) -> Array:
    """Predictions, with what coefficients of its own add for a series."""
    if not several:
        return predicted

    def targets(begin: int, end: int) -> Array:
        return rows.targets[begin:end] - predicted[begin:end]

    rest = Rows(rows.features, gradual(rows.targets.shape, targets))
    return predicted + _predicted(rest, _chosen(_blocks(rest), rows.features.shape[1], rows.targets.shape[1]))


def _blocks(rows: Rows) -> list[Array]:
    """The triangle of each block of rows, scaled so that all series count the same."""
    usable = _usable(rows)
    scale = 1 / max(len(usable), 1) ** 0.5
    return [_triangle(rows, block, scale) for block in numpy.array_split(usable, BLOCKS)]


def _triangle(rows: Rows, block: Array, scale: float) -> Array:
    """The triangle of a block of rows, given by their rising numbers."""
    found = []
    for part in parts_of(int(block[0]), int(block[-1]) + 1) if len(block) else [slice(0, 0)]:
        inside = block[(block >= part.start) & (block < part.stop)] - part.start
        found.append(triangle(rows.features[part][inside] * scale, rows.targets[part][inside] * scale))
    return found[0] if len(found) == 1 else merged(found)


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
    spans = [*map(slice, [0, *firsts], [*firsts, end]), slice(end, rows.features.shape[0])]
    return _products(rows.features, list(zip(spans, [*found.without, found.whole], strict=True)))


def _products(features: Values, spans: Sequence[tuple[slice, Array]]) -> Array:
    """The products of features with the coefficients of each span of steps, one span after the other."""
    parts = ((part, of) for span, of in spans for part in parts_of(span.start, span.stop))
    return numpy.concatenate([features[part] @ of for part, of in parts])


def _usable(rows: Rows) -> Array:
    """The rows that are learned from."""
    parts = parts_of(0, rows.targets.shape[0])
    known = numpy.concatenate([numpy.isfinite(rows.targets[part]).all(1) for part in parts])
    return numpy.flatnonzero(known)
