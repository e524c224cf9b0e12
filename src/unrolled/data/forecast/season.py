"""How long the seasons of a series are: from the time from row to row, or from the values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy

from .view import filled

Array = numpy.ndarray[Any, Any]
LEAST_CYCLES = 3  # that a season must have in the series
LONGEST = 400
CLEAR = 0.3  # of the autocorrelation of changes
RISE = 0.04  # of it from one cycle to a later one: the cycles have cycles, as days have weeks
BY_STEP = {  # seconds from row to row: the seasons, in rows
    60: (60, 1440),
    300: (288,),
    600: (144,),
    900: (96, 672),
    1800: (48, 336),
    3600: (24, 168),
    86400: (7, 365),
    604800: (52,),
    2629800: (12,),  # a month
    7889400: (4,),  # a quarter
}


def seasons_of(series: Sequence[Array], step: float | None) -> tuple[int, ...]:
    """The lengths of the seasons of some series, in steps; the shortest first, at most two.

    >>> seasons_of([numpy.sin(numpy.arange(200) * 2 * numpy.pi / 12)], step=None)
    (12,)

    Args:
        series: values (steps,), NaN where one is missing.
        step: the time from row to row in seconds, if it is known. Then the calendar says how long a season may be.
    """
    longest = max((len(y) for y in series), default=0)
    if step is not None:
        near = min(BY_STEP, key=lambda seconds: abs(numpy.log(seconds / step)))
        known = BY_STEP[near] if abs(numpy.log(near / step)) < 0.1 else ()
        return tuple(m for m in known if m * LEAST_CYCLES <= longest and m <= LONGEST)[:2]
    found = autocorrelation(series, min(longest // LEAST_CYCLES, LONGEST))
    least = max(CLEAR, 4 / max(longest, 1) ** 0.5)  # noise has a deviation of 1 / sqrt(steps)
    peaks = [k for k in range(2, len(found) - 1) if found[k] >= max(found[k - 1], found[k + 1])]
    clear = [k for k in peaks if found[k] > least and found[k] - found[1:k].min() > least]
    if not clear:
        return ()
    first = next(k for k in clear if found[k] > 0.8 * found[clear].max())
    cycles = numpy.arange(first, len(found), first)
    of_cycles = found[cycles]
    risen = numpy.where(of_cycles > of_cycles[0] - RISE, of_cycles - numpy.minimum.accumulate(of_cycles), 0)
    longer = int(risen.argmax())
    return (first, int(cycles[longer])) if risen[longer] > RISE else (first,)


def autocorrelation(series: Sequence[Array], lags: int) -> Array:
    """The autocorrelation of the changes from step to step, the mean over all series: (lags + 1,)."""
    total = numpy.zeros(max(lags, 0) + 1)
    for y in series:
        change = numpy.diff(filled(y))
        change = change - change.mean() if len(change) else change
        if not numpy.any(change):
            continue
        spectrum = numpy.fft.rfft(change, 2 * len(change))
        found = numpy.fft.irfft(spectrum * spectrum.conj())[: min(lags + 1, len(change))]
        pairs = len(change) - numpy.arange(len(found))
        total[: len(found)] += found / found[0] * len(change) / pairs
    return total / max(len(series), 1)
