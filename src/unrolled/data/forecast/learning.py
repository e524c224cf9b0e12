"""What a forecast learns from series before the network is trained."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy
import torch

from ...errors import DataError
from ..example import Example
from ..reading import Reading
from ..tables.read import read_sheet
from ..tables.series import Roles, Series, read_series
from .calendar import step_of
from .features import Features, column_of
from .given import Given, joined
from .options import ForecastOptions
from .parts import Ends, steps_known
from .season import seasons_of
from .view import Array, filled

SAME = 0.999  # correlation


def with_files(series: Sequence[Series], roles: Roles, options: ForecastOptions, reading: Reading) -> list[Given]:
    """Series with those of the files for validation and testing."""
    files = [
        read_series(read_sheet(Path(name), options), roles) if name else None
        for name in (reading.validation, reading.test)
    ]
    return joined(series, *files)


def gaps_of(path: Path, series: Sequence[Series], roles: Roles, options: ForecastOptions) -> list[tuple[str, str]]:
    """How many values are missing, for people.

    Raises:
        DataError: some are, and data.missing=refuse.
    """
    known = [one.until(steps_known(one.y)) for one in series]
    missing = {roles.target: sum(int(numpy.isnan(one.y).sum()) for one in known)}
    for number, name in enumerate((*roles.inputs, *roles.future)):
        missing[name] = sum(int(numpy.isnan(column_of(one, number)).sum()) for one in known)
    gaps = {name: count for name, count in missing.items() if count}
    if gaps and options.missing == "refuse":
        name, count = next(iter(gaps.items()))
        raise DataError(f"'{path}': column '{name}' has {count} missing values, and data.missing=refuse")
    text = ", ".join(f"{name} {count:,}" for name, count in gaps.items())
    return [("missing", f"{text}; read as the previous value, not a target")] if gaps else []


def doubts_of(series: Sequence[Series], roles: Roles) -> list[tuple[str, str]]:
    """Columns that say nothing, or too much to be known beforehand, for people."""
    y, found = numpy.concatenate([one.y for one in series]), []
    for number, name in enumerate((*roles.inputs, *roles.future)):
        column = numpy.concatenate([column_of(one, number) for one in series])
        known = numpy.isfinite(y) & numpy.isfinite(column)
        if known.any() and not numpy.ptp(column[known]):
            found.append(f"'{name}' never changes, so it says nothing about '{roles.target}'")
        elif name in roles.future and numpy.ptp(y[known]) and abs(numpy.corrcoef(y[known], column[known])[0, 1]) > SAME:
            same = f"'{name}' is almost the same as '{roles.target}'"
            found.append(f"{same}. Is it known beforehand? If not, leave it out of --future")
    return [("note", text) for text in found]


def features_of(
    path: Path, series: Sequence[Series], ends: Sequence[Ends], roles: Roles, options: ForecastOptions
) -> Features:
    """What is read of series, as their training parts decide.

    Raises:
        DataError: a column has no number there, or the target never changes.
    """
    names = (*roles.inputs, *roles.future)
    past = [one.until(end.train) for one, end in zip(series, ends, strict=True) if end.train > options.ahead]
    for number, name in enumerate(names):
        if all(numpy.isnan(column_of(one, number)).all() for one in past):
            raise DataError(
                f"'{path}': column '{name}' has no number in the training data. Leave it out of data.inputs"
            )
    if not any(numpy.ptp(filled(one.y)) for one in past):
        raise DataError(
            f"'{path}': column '{roles.target}' never changes in the training data, so nothing can be learned"
        )
    if options.season is None:
        seasons = seasons_of([one.y for one in past], step_of(past[0].time))
    else:
        seasons = (options.season,) if options.season else ()
    return Features.learn(past, options.ahead, seasons, options.reads)


def spread_of(examples: Sequence[Example], options: ForecastOptions) -> Array:
    """The quantiles of what the regression leaves of known values, relative to the median: (quantiles, ahead).

    The quantile q of n values is at place q · (n + 1) of them, so that the next value is below it with probability q
    (Lei et al. 2018, for values in any order).
    """
    steps = []
    for step in range(options.ahead):
        left = torch.cat([example.y[:, step] for example in examples]).double().numpy()
        steps.append(numpy.nanquantile(left, options.quantiles, method="weibull"))
    found = numpy.stack(steps, 1)
    return found - found[options.quantiles.index(0.5)]
