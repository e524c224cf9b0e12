"""Which steps of which series are for training, for validation and for testing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy

from ...errors import DataError
from ..tables.parts import Parts, Span, by_sequence
from ..tables.series import Series
from .given import Given
from .options import ForecastOptions

Array = numpy.ndarray[Any, Any]
NAMES = ("train", "validation", "test")


class Ends(NamedTuple):
    """The number of steps of a series before the end of each part. A part may be empty."""

    train: int
    validation: int
    test: int


class Origins(NamedTuple):
    """The steps from which forecasts are made: the first one, and the one after the last."""

    first: int
    end: int


def origins(ends: Ends, ahead: int) -> tuple[Origins, Origins, Origins]:
    """The origins of each part: those with all targets in the part.

    >>> origins(Ends(70, 85, 100), ahead=12)
    (Origins(first=0, end=58), Origins(first=69, end=73), Origins(first=84, end=88))
    """
    starts = (0, max(ends.train - 1, 0), max(ends.validation - 1, 0))
    found = [Origins(first, max(end - ahead, first)) for first, end in zip(starts, ends, strict=True)]
    return found[0], found[1], found[2]


def ends_of_all(path: Path, given: Sequence[Given], options: ForecastOptions) -> list[Ends]:
    """The parts of some series: the end of each for testing and what is before that for validation, or whole series.

    A series that is too short for three parts is for training.

    Args:
        path: of the table, for messages.
        given: the series.
        options: how they are divided, where no files decide.

    Raises:
        DataError: no series is long enough.
    """
    series = [one.series for one in given]
    known = [steps_known(one.y) for one in series]
    files = any(one.validation is not None or one.test is not None for one in given)
    if options.split == "sequence" and not files:
        part = {span.series: k for k, spans in enumerate(_whole(path, series, options)) for span in spans}
        return [Ends(*(steps if part[i] <= k else 0 for k in range(3))) for i, steps in enumerate(known)]
    found = []
    for one, steps in zip(given, known, strict=True):
        validation = options.validation if one.validation is None else one.validation
        found.append(_ends(steps, validation, options.test if one.test is None else one.test, options.ahead))
    if not all(any(b > a for a, b in pairs) for pairs in zip(*(_pairs(ends) for ends in found), strict=True)):
        rows = f"{max(known):,} rows" if len(series) == 1 else f"{len(series)} series of up to {max(known):,} rows"
        ahead = f" {options.ahead} steps ahead. Forecast fewer: --ahead N" if options.ahead > 1 else ""
        raise DataError(f"'{path}' has {rows} with a target, too few for training, validation and test data{ahead}")
    return found


def _whole(path: Path, series: Sequence[Series], options: ForecastOptions) -> Parts:
    return by_sequence(path, series, options.validation, options.test, False)


def _ends(steps: int, validation: float, test: float, ahead: int) -> Ends:
    """The parts of a series in time. Whole numbers are numbers of steps, and 0 is for no part."""
    of_test, of_validation = (
        min(share, steps) if _counts(share) else share * (steps - 1) for share in (test, validation)
    )
    before = steps - of_test if _counts(test) else int(steps - 1 - of_test) + 1
    first = before - of_validation if _counts(validation) else int(before - of_validation)
    if not _counts(test) and not _counts(validation):
        first = int((steps - 1) * (1 - validation - test)) + 1
    ends = Ends(max(int(first), 0), int(before), steps)
    sizes = ((ends.train - 1, 1), (ends.validation - ends.train, validation), (ends.test - ends.validation, test))
    alone = ends.train == 0  # all of a file for validation or testing
    return ends if alone or all(size >= ahead for size, share in sizes if share) else Ends(steps, steps, steps)


def _counts(share: float) -> bool:
    return share == 0 or share >= 1


def _pairs(ends: Ends) -> list[tuple[int, int]]:
    """The steps before the beginning and before the end of each part."""
    return [(0, ends.train), (ends.train, ends.validation), (ends.validation, ends.test)]


def spans(ends: Sequence[Ends]) -> Parts:
    """The steps of each part."""
    parts: Parts = ([], [], [])
    for number, one in enumerate(ends):
        for part, first, end in zip(parts, (0, one.train, one.validation), one, strict=True):
            if end > first:
                part.append(Span(number, first, end))
    return parts


def steps_known(y: Array) -> int:
    """The number of steps up to the last known value (steps,)."""
    there = numpy.flatnonzero(~numpy.isnan(y))
    return int(there[-1]) + 1 if len(there) else 0
