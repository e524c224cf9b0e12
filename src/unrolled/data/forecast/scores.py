"""How good forecasts are, in the units of the series."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy

from .view import filled

Array = numpy.ndarray[Any, Any]
EPSILON = float(numpy.finfo(float).eps)


class Scores(NamedTuple):
    """Errors of forecasts over all series, origins and steps.

    rmse, mae: root mean squared and mean absolute error.
    mase: the mean absolute error in units of that of the seasonal-naive forecast in the past of each series (Hyndman
        and Koehler 2006), the mean over series.
    smape: 200 · |y - f| / (|y| + |f|), in percent, the mean over series (Makridakis et al. 2020).
    """

    rmse: float
    mae: float
    mase: float
    smape: float


def scores(
    actual: Sequence[Array], forecast: Sequence[Array], unit: Sequence[float], least: Sequence[float] | None = None
) -> Scores:
    """The scores of the forecasts of some series.

    >>> scores([numpy.array([[1.0, 2.0]])], [numpy.array([[1.0, 4.0]])], [2.0]).mase
    0.5

    Args:
        actual, forecast: of each series (origins, ahead), NaN where a value is not known.
        unit: of each series, see ``past_error``.
        least: smaller errors of each series are zero, see ``rounding``.
    """
    errors = [numpy.abs(a - f) for a, f in zip(actual, forecast, strict=True)]
    errors = [
        numpy.where(e < smallest, 0.0, e) for e, smallest in zip(errors, least or [0.0] * len(errors), strict=True)
    ]
    joint = numpy.concatenate([e.ravel() for e in errors])
    sizes = [numpy.abs(a) + numpy.abs(f) for a, f in zip(actual, forecast, strict=True)]
    relative = [200 * e / numpy.where(s > 0, s, 1.0) for e, s in zip(errors, sizes, strict=True)]
    scaled = [e / u for e, u in zip(errors, unit, strict=True) if u > 0]
    return Scores(
        float(numpy.sqrt(numpy.nanmean(joint**2))),
        float(numpy.nanmean(joint)),
        _mean_of_means(scaled),
        _mean_of_means(relative),
    )


def past_error(y: Array, season: int | None) -> float:
    """The mean absolute error of the seasonal-naive forecast (of the last value, without a season) in past values
    (steps,); 0 if they never change."""
    lag = season if season and season < len(y) else 1
    change = numpy.abs(y[lag:] - y[:-lag])
    return float(numpy.nanmean(change)) if len(change) and not numpy.isnan(change).all() else 0.0


def rounding(y: Array) -> float:
    """How large the rounding errors of forecasts of a series (steps,) may be.

    They are relative to the values, which a computer stores with 16 digits, and to their changes, which a regression
    finds with fewer.
    """
    level = filled(y)
    change = float(numpy.abs(numpy.diff(level)).mean()) if len(level) > 1 else 0.0
    return 8 * EPSILON * float(numpy.abs(level).max(initial=0.0)) + 1e-9 * change


def coverage(
    actual: Sequence[Array], low: Sequence[Array], high: Sequence[Array], least: Sequence[float] | None = None
) -> float:
    """The share of the known values (origins, ahead) of all series that is within the bounds, or as near as ``least``
    of that series."""
    near = least or [0.0] * len(actual)
    inside = [(a >= b - e) & (a <= c + e) for a, b, c, e in zip(actual, low, high, near, strict=True)]
    known = [~numpy.isnan(a) for a in actual]
    return float(sum(i.sum() for i in inside) / max(sum(k.sum() for k in known), 1))


def _mean_of_means(values: Sequence[Array]) -> float:
    means = [float(numpy.nanmean(v)) for v in values if not numpy.isnan(v).all()]
    return float(numpy.mean(means)) if means else float("nan")
