"""Which steps of which series are for training, for validation and for testing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy

from ...errors import DataError
from ..example import divided
from .series import Series

SPLITS = ("time", "sequence")
NAMES = ("train", "validation", "test")


class Span(NamedTuple):
    """The steps of a series with targets in a part.

    series: its number.
    first, end: the first step, and the one after the last (None: all).
    """

    series: int
    first: int = 0
    end: int | None = None


Parts = tuple[list[Span], list[Span], list[Span]]  # for training, validation and testing


def by_time(
    path: Path, series: Sequence[Series], validation: float, test: float, ahead: int, to_the_end: bool = False
) -> Parts:
    """The end of each series for testing, what is before that for validation, and the rest for training.

    Args:
        path: of the table, for messages.
        series: at least one.
        validation, test: shares of the steps of each series that have a target.
        ahead: how many steps later the target of a step is.
        to_the_end: count the steps after the last target as well, as version 0.1 did.

    Raises:
        DataError: all series are too short for three parts.
    """
    parts: Parts = ([], [], [])
    for number, one in enumerate(series):
        length = (len(one.x) if to_the_end else _known(one)) - ahead
        ends = [int(length * (1 - validation - test)), int(length * (1 - test)), length]
        sizes = (ends[0], ends[1] - ends[0], ends[2] - ends[1])
        if any(size < 1 for size, share in zip(sizes, (1, validation, test), strict=True) if share):
            if length > 0:
                parts[0].append(Span(number, 0, length))
            continue
        for part, first, end in zip(parts, [0, *ends], ends, strict=False):
            if end > first:
                part.append(Span(number, first, end))
    if not all(part for part, share in zip(parts, (1, validation, test), strict=True) if share):
        longest = max(len(one.x) for one in series)
        rows = f"has {longest} rows" if len(series) == 1 else f"has {len(series)} series of up to {longest} rows"
        raise DataError(f"'{path}' {rows}, too few for training, validation and test data")
    return parts


def _known(series: Series) -> int:
    """The number of steps up to the last one that has a target."""
    if series.y.dtype == object or not len(series.y):
        return len(series.x)
    there = numpy.flatnonzero(~numpy.isnan(series.y))
    return int(there[-1]) + 1 if len(there) else len(series.x)


def by_sequence(path: Path, series: Sequence[Series], validation: float, test: float, one_label: bool) -> Parts:
    """Whole series, by their names.

    Args:
        path: of the table, for messages.
        series: at least one.
        validation, test: shares of the series.
        one_label: whether each series has one label.

    Raises:
        DataError: there are too few for three parts, or a class has one series only.
    """
    if one_label:
        for label, count in Counter(str(one.y[-1]) for one in series).items():
            if count == 1:
                raise DataError(f"'{path}': class '{label}' has one sequence. Add more, or remove the class")
    part = divided([one.name for one in series], (1 - validation - test, validation, test))
    first, second, third = ([Span(i) for i, p in enumerate(part) if p == k] for k in range(3))
    for spans, name, share in zip((first, second, third), NAMES, (1, validation, test), strict=True):
        if share and not spans:
            raise DataError(f"'{path}' has {len(series)} sequences, and none is in the {name} part. Add more")
    return first, second, third
