"""Ridge regression in closed form (Hoerl and Kennard 1970) on rows that are compressed to a triangle, so that blocks
of rows can be left out without reading them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy

Array = numpy.ndarray[Any, Any]
STRENGTHS = 10.0 ** numpy.arange(-12, 3.1, 0.5)


class CrossFitted(NamedTuple):
    """Coefficients (features, targets) from all blocks of rows; for each block, those from all other blocks; and the
    squared error of the latter over their blocks: (blocks,)."""

    whole: Array
    without: list[Array]
    errors: Array


class Basis(NamedTuple):
    """Directions in which a regression is fitted: (features, directions), of which the first is the constant, and how
    strongly each of the others is penalised: (directions - 1,)."""

    directions: Array
    penalties: Array

    @staticmethod
    def of_all(features: int) -> Basis:
        """All features, penalised alike."""
        return Basis(numpy.eye(features), numpy.ones(features - 1))


def triangle(features: Array, targets: Array) -> Array:
    """The triangle of a QR decomposition of (features, targets) side by side.

    It stands for the rows: for any coefficients, the squared error over the triangle is that over the rows.

    >>> triangle(numpy.ones((100, 3)), numpy.ones((100, 2))).shape
    (5, 5)

    Args:
        features: (rows, features); the first one is constant.
        targets: (rows, targets).
    """
    return merged([numpy.concatenate([features, targets], 1)])


def merged(triangles: Sequence[Array]) -> Array:
    """The triangle of all rows of several triangles, or of rows as they are."""
    found: Array = numpy.linalg.qr(numpy.concatenate(triangles), "r")  # type: ignore[assignment]
    return found


def squared_error(rows: Array, coefficients: Array) -> float:
    """The squared error over the rows of a triangle, for coefficients (features, targets)."""
    features = len(coefficients)
    return float(numpy.square(rows[:, :features] @ coefficients - rows[:, features:]).sum())


def solutions(
    rows: Array, features: int, strengths: Sequence[float] | Array = STRENGTHS, penalties: Array | float = 1.0
) -> list[Array]:
    """The coefficients (features, targets) for each strength of the penalty.

    Features are scaled to a deviation of one before they are penalised, and by ``penalties`` (features - 1,). The
    constant one is not penalised.

    >>> [c.shape for c in solutions(triangle(numpy.random.rand(100, 3), numpy.ones((100, 2))), 3, [0.1, 1.0])]
    [(3, 2), (3, 2)]
    """
    first, inner, targets = rows[0], rows[1:features, 1:features], rows[1:features, features:]
    count = first[0] ** 2
    deviation = numpy.sqrt(numpy.square(inner).sum(0) / count)
    # a constant feature gets no coefficient
    deviation = numpy.where(deviation > 1e-9, deviation * penalties, numpy.inf)
    left, values, right = numpy.linalg.svd(inner / deviation, full_matrices=False)
    projected = left.T @ targets
    found = []
    for strength in strengths:
        shrunk = (values / (values**2 + strength * count))[:, None] * projected
        slopes = (right.T @ shrunk) / deviation[:, None]
        constant = (first[features:] - first[1:features] @ slopes) / first[0]
        found.append(numpy.concatenate([constant[None], slopes]))
    return found


def cross_fitted(blocks: Sequence[Array], basis: Basis) -> CrossFitted:
    """Fit with the strength that has the least error over blocks that were left out (Bergmeir and Benítez 2012).

    >>> blocks = [triangle(numpy.random.rand(20, 3), numpy.ones((20, 2))) for _ in range(5)]
    >>> cross_fitted(blocks, Basis.of_all(3)).whole.shape
    (3, 2)

    Args:
        blocks: triangles of blocks of consecutive rows, two or more.
        basis: the directions in which to fit.
    """
    features, count = basis.directions.shape
    cut = [merged([numpy.concatenate([b[:, :features] @ basis.directions, b[:, features:]], 1)]) for b in blocks]
    others = [merged([b for b in cut if b is not block]) for block in cut]
    without = [solutions(rows, count, penalties=basis.penalties) for rows in others]
    errors = numpy.array(
        [[squared_error(block, one) for one in found] for block, found in zip(cut, without, strict=True)]
    )
    best = int(errors.sum(0).argmin())
    (whole,) = solutions(merged(cut), count, STRENGTHS[best : best + 1], basis.penalties)
    found = [basis.directions @ coefficients for coefficients in (whole, *(found[best] for found in without))]
    return CrossFitted(found[0], found[1:], errors[:, best])


def clearly_less(errors: Array, others: Array, gain: float = 1.0) -> bool:
    """Whether errors (blocks,) are less than others, by more than this many standard errors of the sum of the
    differences."""
    less = others - errors
    return bool(less.sum() > gain * less.std(ddof=1) * len(less) ** 0.5)
