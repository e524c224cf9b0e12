"""Forecasts that need no training: every model is compared with them."""

from __future__ import annotations

from typing import Any

import numpy

from .view import filled

Array = numpy.ndarray[Any, Any]


def yardsticks(y: Array, season: int | None, ahead: int) -> dict[str, Array]:
    """The forecasts of a series by each yardstick at each step, for the steps after it: (steps, ahead).

    >>> yardsticks(numpy.array([1.0, 3.0, 5.0]), season=2, ahead=2)["by_the_season"][-1]
    array([3., 5.])

    Args:
        y: values (steps,), NaN where one is missing.
        season: the length of a season in steps, if there is one.
        ahead: the number of steps to forecast.
    """
    level = filled(y)
    steps, later = numpy.arange(len(y))[:, None], numpy.arange(1, ahead + 1)
    found = {"by_the_last_value": numpy.repeat(level[:, None], ahead, 1)}
    if season:
        cycles = -(-later // season)
        found["by_the_season"] = level[numpy.maximum(steps + later - cycles * season, 0)]
    slope = (level - level[0]) / numpy.maximum(numpy.arange(len(y)), 1)
    found["by_the_drift"] = level[:, None] + slope[:, None] * later
    return found
