"""Series that go on in the files that are given for validation and testing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy

from ..tables.series import Series


@dataclass(frozen=True)
class Given:
    """A series, and how many of its last steps are from files for validation and for testing; None without a file."""

    series: Series
    validation: int | None = None
    test: int | None = None


def joined(
    own: Sequence[Series], validation: Sequence[Series] | None = None, test: Sequence[Series] | None = None
) -> list[Given]:
    """Series with what the files for validation and testing add to them.

    A series of a file goes on where the one of the same name ends, if it follows without a gap, or if there are no
    times. Otherwise it is a series by itself; so is one for validation without a file for testing, which would come
    after it.

    >>> joined([monday_to_friday], test=[weekend])[0].test
    2

    Args:
        own: the series of the data.
        validation, test: those of the files.
    """
    nothing = Given(own[0], None if validation is None else 0, None if test is None else 0)
    found = {one.name: replace(nothing, series=one) for one in own}
    alone = []
    for part, series, chained in (("validation", validation, test is not None), ("test", test, True)):
        for one in series or ():
            before = found.get(one.name)
            if chained and before is not None and _goes_on(before.series, one):
                found[one.name] = replace(before, series=_chained(before.series, one), **{part: len(one.y)})
            else:
                alone.append(Given(one, **({"validation": 0, "test": 0} | {part: len(one.y)})))
    return [*found.values(), *alone]


def _goes_on(before: Series, after: Series) -> bool:
    if before.time is None or after.time is None:
        return before.time is None and after.time is None
    if len(before.time) < 2 or not len(after.time):
        return True
    gap, largest = after.time[0] - before.time[-1], numpy.diff(before.time).max()
    return bool(0 * gap < gap <= largest + largest / 2)


def _chained(before: Series, after: Series) -> Series:
    time = None
    if before.time is not None and after.time is not None:
        time = numpy.concatenate([before.time, after.time])
    pairs = ((getattr(before, name), getattr(after, name)) for name in ("x", "y", "future", "rows"))
    x, y, future, rows = map(numpy.concatenate, pairs)
    return Series(before.name, time, x, y, future, rows, before.zone)
