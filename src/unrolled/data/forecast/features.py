"""What is read of a series: by the regression, and by the network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy

from ...files.checked import Checked
from ..tables.series import Series
from .calendar import CYCLES, HARMONICS, circles, cycles_of
from .gradual import Values, gradual
from .view import Array, View, filled

LEAST_LAGS, LEAST_WINDOW = 8, 128
RECENT = 24  # of the last values, as many are read by the network
READS = ("view", "values")
OF_EACH = 4  # features of another column


class Rows(NamedTuple):
    """The rows of one series: features (steps, features), of which the first is constant, and targets (steps, ahead).
    A row with a missing target is not learned from."""

    features: Values
    targets: Values


@dataclass(frozen=True)
class Features:
    """What is read of a series at each step.

    ahead: the number of steps to forecast.
    lags: the number of values that are seen, with the last one.
    window: the number of steps over which the size is measured, see ``View``.
    seasons: the lengths of seasons, in steps.
    cycles: of the calendar, see ``calendar.cycles_of``.
    mean, deviation: of the other columns in the training data: the inputs, then those known beyond the end.
    known: how many of these are known beyond the end.
    reads: what the network reads: the 'view', or the last cycle of 'values' in fixed units.
    """

    ahead: int
    lags: int
    window: int
    seasons: tuple[int, ...]
    cycles: tuple[str, ...]
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    known: int = 0
    reads: str = "view"

    @staticmethod
    def learn(training: Sequence[Series], ahead: int, seasons: tuple[int, ...], reads: str = "view") -> Features:
        """The features for some series: the more rows they have, and the longer their seasons, the more lags."""
        lengths = sorted(len(one.y) for one in training)
        usual = lengths[len(lengths) // 2]
        wished = max(LEAST_LAGS, 2 * seasons[0] + 1 if seasons else 0, *(m + 1 for m in seasons))
        window = max(LEAST_WINDOW, 4 * seasons[0] if seasons else 0, *seasons)
        others = training[0].x.shape[1] + training[0].future.shape[1]
        mean, deviation = numpy.zeros(others), numpy.ones(others)
        for number in range(others):
            column = numpy.concatenate([column_of(one, number) for one in training])
            if not numpy.isnan(column).all():
                mean[number], deviation[number] = numpy.nanmean(column), numpy.nanstd(column)
        longest = max(training, key=lambda one: len(one.y))
        return Features(
            ahead,
            max(2, min(wished, usual // 3)),
            window,
            seasons,
            tuple(cycles_of(longest.time)),
            tuple(mean.tolist()),
            tuple(numpy.where(deviation > 1e-12, deviation, 1.0).tolist()),
            training[0].future.shape[1],
            reads,
        )

    @property
    def optional(self) -> int:
        """How many of the regression's features come from other columns; they are the last ones."""
        return OF_EACH * (len(self.mean) - self.known) + (self.ahead + 1) * self.known

    @property
    def count(self) -> int:
        """The number of the regression's features."""
        return self.lags + 1 + 2 * HARMONICS * len(self.cycles) + self.optional

    @property
    def read(self) -> int:
        """The number of values that the network reads at each step."""
        if self.reads == "values":
            return self.cycle
        return self.ahead + len(self._recent) + 3 + 2 * HARMONICS * len(self.cycles) + self.optional

    @property
    def cycle(self) -> int:
        """The length of the first season, or a few steps if there is none."""
        return self.seasons[0] if self.seasons else LEAST_LAGS

    @property
    def _recent(self) -> list[int]:
        """The lags that the network reads: the last values, and those a season before the next ones."""
        near = range(1, min(RECENT, self.lags - 1) + 1)
        return sorted({*near, *(lag for m in self.seasons for lag in range(m - 1, m + 2) if lag < self.lags)})

    def warm(self, steps: int) -> int:
        """The number of first steps that are not learned from, because the past is not complete there."""
        return min(self.lags - 1, steps // 5)

    def view(self, series: Series) -> View:
        """The view of a series, see ``View``."""
        return View.of(series.y, self.lags, self.window, self.ahead)

    def rows(self, series: Series, view: View) -> Rows:
        """The rows of a series for the regression: features (steps, count), targets (steps, ahead)."""
        steps, beside = len(series.y), self._beside(series)

        def features(begin: int, end: int) -> Array:
            part = slice(begin, end)
            own = [numpy.ones((end - begin, 1)), view.past[part], view.mean[part, None]]
            return numpy.concatenate([*own, *beside(begin, end)], 1)

        def targets(begin: int, end: int) -> Array:
            found = view.later[begin:end].copy()
            found[: max(self.warm(steps) - begin, 0)] = numpy.nan
            return found

        return Rows(gradual((steps, self.count), features), gradual((steps, self.ahead), targets))

    def network(self, series: Series, view: View, expected: Array) -> Values:
        """What the network reads of a series: (steps, read). Large values are compressed to their logarithm.

        Args:
            series: the series.
            view: its view.
            expected: the forecasts of the regression, relative and scaled as the view: (steps, ahead).
        """
        beside = self._beside(series)

        def values(begin: int, end: int) -> Array:
            steps = numpy.arange(begin, end)[:, None] + numpy.arange(1 - self.cycle, 1)
            unit = view.size[0] if view.size[0] > 0 else 1.0
            return (view.level[numpy.maximum(steps, 0)] - view.level[0]) / unit

        def seen(begin: int, end: int) -> Array:
            part = slice(begin, end)
            recent = view.past[part][:, [lag - 1 for lag in self._recent]]
            own = [expected[part], recent, numpy.stack([view.mean[part], view.low[part], view.high[part]], 1)]
            found = numpy.concatenate([*own, *beside(begin, end)], 1)
            return numpy.sign(found) * numpy.log1p(numpy.abs(found))

        return gradual((len(view.level), self.read), values if self.reads == "values" else seen)

    def _beside(self, series: Series) -> Callable[[int, int], list[Array]]:
        """The calendar and the other columns, of the steps from one to before another: each (steps, ...)."""
        steps, inputs = len(series.y), len(self.mean) - self.known
        columns = [filled(column_of(series, number)) for number in range(len(self.mean))]
        views = [View.of(column, 3, self.window, 1) for column in columns[:inputs]]

        def scaled(number: int, values: Array) -> Array:
            return (values - self.mean[number]) / self.deviation[number]

        def beside(begin: int, end: int) -> list[Array]:
            part = slice(begin, end)
            times = series.time[part] if series.time is not None else None
            found = [circles(times, list(self.cycles), end - begin)]
            for number, view in enumerate(views):
                own = scaled(number, columns[number][part])[:, None]
                found.append(numpy.concatenate([own, view.past[part], view.mean[part, None]], 1))
            if self.known:
                later = numpy.minimum(numpy.arange(begin, end)[:, None] + numpy.arange(self.ahead + 1), steps - 1)
                known = [scaled(number, columns[number][later]) for number in range(inputs, len(columns))]
                found.append(numpy.stack(known, 2).reshape(end - begin, -1))
            return found

        return beside


def stored_features(description: Checked, ahead: int, inputs: int, known: int) -> Features:
    """The features that a description names.

    Args:
        description: of a kind.
        ahead: the number of steps to forecast.
        inputs, known: the number of other columns, and of those that are known beyond the end.
    """
    lags, window = (description.get(f"features.{name}", int) for name in ("lags", "window"))
    seasons = tuple(description.list_of("features.seasons", int))
    cycles = tuple(description.list_of("features.cycles", str))
    mean, deviation = (
        tuple(description.list_of(f"features.{n}", float, inputs + known)) for n in ("mean", "deviation")
    )
    reads = description.get("features.reads", str)
    if reads not in READS or lags < 2 or window < 1 or min(seasons, default=1) < 1 or not set(cycles) <= set(CYCLES):
        description.refuse("'features' are out of range")
    return Features(ahead, lags, window, seasons, cycles, mean, deviation, known, reads)


def column_of(series: Series, number: int) -> Array:
    """One of the inputs, or of the columns known beyond the end, which come after them: (steps,)."""
    inputs = series.x.shape[1]
    return series.x[:, number] if number < inputs else series.future[:, number - inputs]
