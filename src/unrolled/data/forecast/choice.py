"""Which features a regression on lags reads, and how strongly each is penalised: chosen on rows that were left out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy

from .features import Features
from .ridge import Basis, CrossFitted, clearly_less

DECAYS = (None, 0.0, 1.0, 2.0)


@dataclass(frozen=True)
class Choice:
    """What a regression reads beside the constant. With the constant alone, it is the drift.

    Changes that are further back are penalised more, as in the prior of Litterman (1986): with few rows, only the last
    changes count.

    past: whether it reads past values.
    decay: the penalty of the change k steps back grows as k to this power; None to penalise values, all alike.
    calendar: whether it reads where a time is in the day, week and year.
    mean: whether it reads the mean so far, to which a series may return.
    others: whether it reads other columns.
    """

    past: bool = False
    decay: float | None = None
    calendar: bool = False
    mean: bool = False
    others: bool = False

    def basis(self, features: Features) -> Basis:
        """What is read as directions in the space of all features, and their penalties.

        >>> Choice(past=True, decay=1.0).basis(Features(ahead=1, lags=4, window=32, seasons=(), cycles=())).penalties
        array([1., 2., 3.])
        """
        identity = numpy.eye(features.count)
        read, penalties = [identity[:, :1]], [numpy.ones(0)]
        if self.past:
            values, back = identity[:, 1 : features.lags], numpy.arange(1.0, features.lags)
            before = numpy.pad(values, ((0, 0), (1, 0)))[:, :-1]
            read.append(values if self.decay is None else values - before)
            penalties.append(back ** (self.decay or 0))
        others = features.count - features.optional
        for there, first, end in (
            (self.mean, features.lags, features.lags + 1),
            (self.calendar, features.lags + 1, others),
            (self.others, others, features.count),
        ):
            read.append(identity[:, first : end if there else first])
            penalties.append(numpy.ones(read[-1].shape[1]))
        return Basis(numpy.concatenate(read, 1), numpy.concatenate(penalties))


def choose(features: Features, several: bool, fit: Callable[[Basis], CrossFitted], nothing: CrossFitted) -> CrossFitted:
    """The regression with the features that reduce the error of rows that were left out: first the drift, then past
    values with or without the calendar, then the mean, then other columns.

    A regression that returns to a mean is wrong without end where a series grows, and rows between others do not show
    it. So the mean must reduce the error by more. Several series, which grow differently, show it.

    Args:
        features: all features.
        several: whether the rows are those of several series.
        fit: the regression in some directions.
        nothing: the forecast of the last value.
    """
    calendar = (False, True) if features.cycles else (False,)
    stages: tuple[tuple[float, Callable[[Choice], list[Choice]]], ...] = (
        (0.5, lambda best: [best]),
        (0.5, lambda best: [Choice(True, decay, also) for decay in DECAYS for also in calendar]),
        (0.0 if several else 2.0, lambda best: [replace(best, mean=True)]),
        (1.0, lambda best: [one for one in _with_others(best) if features.optional]),
    )
    best, choice = nothing, Choice()
    for gain, choices in stages:
        tried = [(one, fit(one.basis(features))) for one in choices(choice)]
        for one, found in sorted(tried, key=lambda pair: float(pair[1].errors.sum()))[:1]:
            if clearly_less(found.errors, best.errors, gain):
                best, choice = found, one
    return best


def _with_others(best: Choice) -> list[Choice]:
    """Choices with other columns. What they explain of a series may hide how it depends on its past."""
    found = [replace(best, past=True, decay=decay, mean=mean) for decay in DECAYS for mean in (False, True)]
    return [replace(one, others=True) for one in (best, *found)]
