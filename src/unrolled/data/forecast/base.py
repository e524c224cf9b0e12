"""The forecast that a network starts from: a regression on lags."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy

from ..tables.series import Series
from .case import Case
from .choice import choose
from .features import Features, Rows
from .gradual import gradual
from .regression import expected, fit, left_out
from .ridge import CrossFitted
from .view import LEAST, Array, View


@dataclass(frozen=True)
class Base:
    """A regression on lags.

    features: what it reads.
    shared: its coefficients: (features.count, ahead).
    several: whether each series adds coefficients of its own.
    """

    features: Features
    shared: Array
    several: bool

    def case(self, series: Series, known: int) -> Case:
        """A series with what was expected of it after its first ``known`` steps."""
        view = self.features.view(series)
        rows = rows_of(self.features, series, view, known)
        return self.read(Case(series, view, expected(rows, self.shared, self.several)))

    def read(self, case: Case) -> Case:
        """A case as the network reads it: it starts from the regression, or from the last value if it reads values."""
        if self.features.reads == "view":
            return case
        fixed = View.of(case.series.y, 1, self.features.window, self.features.ahead, fixed=True)
        of_regression = case.real(case.expected, slice(None))
        return Case(case.series, fixed, numpy.zeros_like(case.expected), of_regression)


def learn_base(features: Features, series: Sequence[Series], known: Sequence[int]) -> tuple[Base, CrossFitted]:
    """Fit the regression to the first ``known`` steps of each series, 0 for a series that is left out."""
    learned = [number for number, steps in enumerate(known) if steps > features.ahead]

    def rows(number: int) -> Rows:
        one = series[learned[number]]
        return rows_of(features, one, features.view(one), known[learned[number]])

    found = fit(rows, len(learned), partial(choose, features, len(series) > 1))
    return Base(features, found.whole, len(series) > 1), found


def left_out_case(base: Base, found: CrossFitted, series: Series, known: int) -> Case:
    """A series with what is expected of each of its first ``known`` steps from the other blocks of steps, and after
    them from all."""
    if known <= base.features.ahead:
        return base.case(series, known)
    view = base.features.view(series)
    rows = rows_of(base.features, series, view, known)
    return base.read(Case(series, view, left_out(rows, found, base.several)))


def rows_of(features: Features, series: Series, view: View, known: int) -> Rows:
    """The rows of a series as they were known after its first ``known`` steps."""
    rows = features.rows(series, view)
    unknown = numpy.arange(len(view.size)) >= max(known - features.ahead, 0)
    if known:  # where almost nothing changes, the unit is too small to learn from
        unknown |= view.size < LEAST * numpy.median(view.size[:known])

    def targets(begin: int, end: int) -> Array:
        return numpy.where(unknown[begin:end, None], numpy.nan, rows.targets[begin:end])

    return Rows(rows.features, gradual(rows.targets.shape, targets))
