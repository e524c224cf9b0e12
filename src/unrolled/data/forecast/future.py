"""The rows that a forecast writes: of the values after the end of a series, and of those before it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from ...files.shelf import Shelf
from ...nn.model import SequenceModel
from ..tables.series import BETWEEN, Roles, Series
from ..tables.zones import written
from .base import Base
from .calendar import following, have_clock, is_dates, shown
from .long import scores_at
from .parts import Ends, steps_known
from .view import Array

NAMES = ("training", "validation", "test")
LEAST, MOST = 8, 15  # digits; every float64 has the most


@dataclass(frozen=True)
class ForecastWriter:
    """Writes forecasts of series as rows.

    model: the network.
    base: the regression that it starts from.
    levels: the quantiles.
    roles: of the columns.
    rhythm: the times of the longest series.
    """

    model: SequenceModel
    base: Base
    levels: Sequence[float]
    roles: Roles
    rhythm: Array | None = None

    def after(self, series: Series) -> Iterator[dict[str, Any]]:
        """The forecasts for the steps after the last known value of a series, without an interval if there is no other
        one: how much the series changes is not known."""
        if known := steps_known(series.y):
            values = self.quantiles(series, known, [known - 1])
            if numpy.isfinite(series.y).sum() == 1:
                values[:, numpy.array(self.levels) != 0.5] = numpy.nan
            yield from self._rows(series, known, values[0], {})

    def before(self, series: Series, ends: Ends) -> Iterator[dict[str, Any]]:
        """What would have been forecast of the known values, each from the last origin before it, beside what came."""
        ahead, known = self.base.features.ahead, steps_known(series.y)
        made = list(range(known - 1 - ahead, -1, -ahead))[::-1]
        values = self.quantiles(series, ends.validation, made)
        for origin, one in zip(made, values, strict=True):
            for at, row in enumerate(self._rows(series, origin + 1, one, {"actual": None}), origin + 1):
                part = NAMES[sum(at >= end for end in ends[:2])] if ends.train else ""
                yield row | {"actual": _number(series.y[at])} | ({"part": part} if part else {})

    def quantiles(self, series: Series, known: int, made: Sequence[int]) -> Array:
        """The forecasts from some origins: (origins, levels, ahead), in the units of the series.

        Args:
            series: the series.
            known: the number of steps that its own coefficients are fitted to.
            made: the origins, rising.
        """
        case = self.base.case(series, known)
        if not made:
            return numpy.empty((0, len(self.levels), self.base.features.ahead))
        read = case.network(self.base.features, made[-1] + 1, Shelf())
        return case.forecasts(scores_at(self.model.eval(), read, list(made)), len(self.levels), list(made))

    def _rows(self, series: Series, first: int, values: Array, more: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The forecasts (levels, ahead) for the steps from ``first``."""
        names = series.name.split(BETWEEN, len(self.roles.keys) - 1) if self.roles.keys else []
        keys = dict(zip(self.roles.keys, names, strict=True))
        middle = self.levels.index(0.5)
        for step, time in enumerate(times_from(series, first, values.shape[1], self.rhythm)):
            when = {self.roles.time: time} if self.roles.time else {"row": time}
            digits = _digits(values[:, step])
            of = {
                f"{level:.10%}".rstrip("0%").rstrip(".") + "%": _number(values[k, step], digits)
                for k, level in enumerate(self.levels)
            }
            name = list(of)[middle]
            forecast = of.pop(name)
            yield {**keys, **when, "step": step + 1, "forecast": forecast, **of, **more}


def times_from(series: Series, first: int, count: int, rhythm: Array | None = None) -> list[Any]:
    """The times of some steps of a series, for people; after its end, they go on in its rhythm. They have the
    offset of their time zone if the file has zones. Without times, they are the lines of the file.

    Args:
        series: the series.
        first, count: which steps.
        rhythm: the times of another series, which decide for a series of one row.
    """
    if series.time is None:
        after = int(series.rows.max()) + 1 if len(series.rows) else 0
        numbers = [*series.rows[first:].tolist(), *range(after, after + count)]
        return [number + 2 for number in numbers[:count]]
    past = series.time
    if len(past) == 1 and rhythm is not None and (rhythm[1:] == past).any():
        past = rhythm[rhythm <= past]
    times = numpy.concatenate([series.time[first:], following(past, count, len(past), series.zone)])[:count]
    if not is_dates(times):
        return [_number(time) for time in times]
    if series.zone is not None:
        return [written(time, series.zone) for time in times]
    clock = have_clock(series.time) or have_clock(times)
    return [shown(time, clock) for time in times]


def _digits(quantiles: Array) -> int:
    """The significant digits of a forecast: eight, and more for an interval that is narrow beside its values."""
    width = float(numpy.ptp(quantiles))
    if numpy.isnan(width):
        return LEAST
    wanted = 5 + int(numpy.log10(max(numpy.abs(quantiles).max() / width, 1.0))) if width > 0 else MOST
    return min(max(LEAST, wanted), MOST)


def _number(value: Any, digits: int = MOST) -> Any:
    """A number as JSON, whole if it is; None where it is missing."""
    value = float(value)
    if numpy.isnan(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() and abs(rounded) < 2**53 else rounded
