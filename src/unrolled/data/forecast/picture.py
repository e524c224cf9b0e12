"""forecast.svg: what came, what would have been forecast of the test part, and the future, in real units and dates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy

from ...draw.curve import Path, Point
from ...draw.drawing import Drawing
from ...draw.labels import width, words
from ...draw.marks import Letters, Scene, Stroke
from ..tables.series import Series
from .future import ForecastWriter, times_from
from .parts import steps_known
from .view import Array

PICTURE = "forecast.svg"
SHOWN = 4  # series
LEAST, MOST = 30, 240  # steps of the past
WIDE, HIGH, BETWEEN = 860.0, 220.0, 96.0
TEXT, SMALL = 14.0, 12.0


@dataclass(frozen=True)
class Curve:
    """One series as it is drawn: the steps from ``first``.

    actual: what came (steps,), NaN where it is not known.
    bands: the first step, and the quantiles of it and those after it: (levels, steps).
    times: of all steps, for people.
    """

    name: str
    actual: Array
    bands: list[tuple[int, Array]]
    times: list[Any]


def draw_forecasts(writer: ForecastWriter, series: Sequence[Series], known: Sequence[int], title: str) -> str:
    """The picture of some series as SVG.

    Args:
        writer: of the forecasts.
        series: the first ones are drawn.
        known: of each series, the steps before its test part.
        title: the name of the data.
    """
    scene = Scene()
    curves = [curve_of(writer, one, steps) for one, steps in zip(series[:SHOWN], known, strict=False)]
    for number, curve in enumerate(curves):
        _panel(scene, curve, writer, number * (HIGH + BETWEEN))
    _legend(scene, writer, len(curves) * (HIGH + BETWEEN) - BETWEEN + 52)
    said = [f"{curve.name or title}: {curve.times[0]} to {curve.times[-1]}." for curve in curves]
    return Drawing(scene, f"Forecasts of {writer.roles.target}", "\n".join(said)).svg


def curve_of(writer: ForecastWriter, series: Series, known: int) -> Curve:
    """The end of a series: the test part as it would have been forecast, as many steps at a time, and the future."""
    end, ahead = steps_known(series.y), writer.base.features.ahead
    made = list(range(end - 1 - ahead, known - 2, -ahead))[::-1]
    of_test, of_future = writer.quantiles(series, known, made), writer.quantiles(series, end, [end - 1])
    past = min(max(LEAST, 3 * (end - known + ahead)), MOST)
    first = max(min([*made, end]) - past, 0)
    joint = [(made[0] + 1 - first, numpy.concatenate(list(of_test), 1))] if made else []
    actual = numpy.concatenate([series.y[first:end], numpy.full(ahead, numpy.nan)])
    times = times_from(series, first, len(actual))
    return Curve(series.name, actual, [*joint, (end - first, of_future[0])], times)


def _panel(scene: Scene, curve: Curve, writer: ForecastWriter, top: float) -> None:
    """Add one series below the others."""
    steps = len(curve.actual)
    values = numpy.concatenate([curve.actual, *(band.ravel() for _, band in curve.bands)])
    low, high = float(numpy.nanmin(values)), float(numpy.nanmax(values))
    low, high = (low, high) if high > low else (low - 1, high + 1)

    def at(step: float, value: float) -> Point:
        return WIDE * step / max(steps - 1, 1), top + HIGH * (high - value) / (high - low)

    across = WIDE / max(steps - 1, 1)
    middle = writer.levels.index(0.5)
    for value in _ticks(low, high):
        scene.strokes.append(_line([at(0, value), at(steps - 1, value)], "block"))
        label = words(f"{value:,.6g}")
        scene.letters.append(Letters(label, (-8 - width(label, SMALL) / 2, at(0, value)[1]), SMALL, "note"))
    for first, band in curve.bands:
        for step, (bottom, upper) in enumerate(zip(band[0], band[-1], strict=True), first):
            scene.strokes.append(_line([at(step, upper), at(step, bottom)], "block", across + 0.3))
    known = numpy.flatnonzero(~numpy.isnan(curve.actual))
    for part in numpy.split(known, numpy.flatnonzero(numpy.diff(known) > 1) + 1):
        scene.strokes.append(_line([at(s, curve.actual[s]) for s in part], "quiet", 1.4))
    for first, band in curve.bands:
        points = [at(step, value) for step, value in enumerate(band[middle], first)]
        scene.strokes.append(_line(points, "gradient", 1.6, ()))
    title = f"{curve.name}: {writer.roles.target}" if curve.name else writer.roles.target
    _write(scene, title, (0.0, top - 16), TEXT)
    for step in sorted({0, curve.bands[0][0] - 1, curve.bands[-1][0] - 1, steps - 1}):
        _time(scene, str(curve.times[step]), at(step, low)[0], top + HIGH)


def _time(scene: Scene, time: str, x: float, bottom: float) -> None:
    """Add a time below the panel, unless it would touch the one before it."""
    label = words(time)
    half = width(label, SMALL) / 2
    x = min(max(x, half), WIDE - half)
    beside = [m for m in scene.letters if m.kind == "note" and m.center[1] == bottom + 14]
    if all(abs(m.center[0] - x) > half + width(m.label, SMALL) / 2 + 8 for m in beside):
        scene.letters.append(Letters(label, (x, bottom + 14), SMALL, "note"))


def _legend(scene: Scene, writer: ForecastWriter, y: float) -> None:
    low, high = (f"{100 * level:.3g}" for level in (writer.levels[0], writer.levels[-1]))
    x = 0.0
    kinds = (("what came", "quiet", 1.4), ("forecast", "gradient", 1.6), (f"from {low} % to {high} %", "block", 10.0))
    for name, colour, wide in kinds:
        scene.strokes.append(_line([(x, y), (x + 24, y)], colour, wide))
        _write(scene, name, (x + 30, y), SMALL)
        x += 30 + width(words(name), SMALL) + 22


def _ticks(low: float, high: float) -> list[float]:
    """Three to six round numbers in a range."""
    rough = (high - low) / 4
    power = 10.0 ** numpy.floor(numpy.log10(rough))
    step = next(power * f for f in (1, 2, 2.5, 5, 10) if power * f >= rough)
    return [float(step * k) for k in range(int(numpy.ceil(low / step)), int(numpy.floor(high / step)) + 1)]


def _write(scene: Scene, text: str, start: Point, size: float) -> None:
    """Add text that begins at a point."""
    label = words(text)
    scene.letters.append(Letters(label, (start[0] + width(label, size) / 2, start[1]), size, "prose"))


def _line(points: list[Point], colour: str, wide: float = 1.0, dash: tuple[float, ...] = ()) -> Stroke:
    if len(points) == 1:  # a point is drawn as a short line
        ((x, y),) = points
        points = [(x - 2, y), (x + 2, y)]
    return Stroke(Path(tuple(pairwise(points))), colour, wide, dash)
