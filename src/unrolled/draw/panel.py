"""Lines in a panel with two axes, such as a loss against updates."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from .curve import Path, Point
from .labels import Label, width, words
from .marks import Letters, Scene, Stroke

WIDE, HIGH = 230.0, 150.0
TEXT, SMALL = 13.5, 12.0
DASHES: tuple[tuple[float, ...], ...] = ((), (7, 3), (2, 3), (9, 3, 2, 3))
Ticks = Sequence[tuple[float, Label]]


@dataclass(frozen=True)
class Line:
    """One series.

    Attributes:
        name: its name in the legend.
        points: (x, y).
        colour: a name in ``COLOURS``.
        dash: the lengths of dashes and gaps; empty for a solid line.
    """

    name: str
    points: Sequence[Point]
    colour: str
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Series with axes.

    Attributes:
        title: above the panel.
        lines: the series.
        y: values on the y axis with their labels. The first and the last are the ends of the axis.
        x: values on the x axis with their labels.
        farthest: the right end of the x axis, which begins at 0.
        below: what the x axis shows.
    """

    title: str
    lines: Sequence[Line]
    y: Ticks
    x: Ticks
    farthest: float
    below: str


def add_panel(scene: Scene, panel: Panel, corner: Point, wide: float = WIDE, high: float = HIGH) -> None:
    """Add a panel to a scene. ``corner`` is the upper left end of its axes."""
    left, top = corner
    low, top_value = panel.y[0][0], panel.y[-1][0]
    bottom, farthest = top + high, panel.farthest or 1.0

    def at(x: float, y: float) -> Point:
        return left + wide * x / farthest, bottom - high * (min(max(y, low), top_value) - low) / (
            (top_value - low) or 1
        )

    write(scene, words(panel.title), (left, top - 12), TEXT)
    for value, label in panel.y:
        scene.strokes.append(Stroke(line(at(0, value), at(farthest, value)), "block"))
        center = left - 6 - width(label, SMALL) / 2, at(0, value)[1]
        scene.letters.append(Letters(label, center, SMALL, "note"))
    scene.strokes.append(Stroke(line((left, top), (left, bottom), (left + wide, bottom)), "quiet"))
    for value, label in panel.x:
        scene.letters.append(Letters(label, (at(value, 0)[0], bottom + 11), SMALL, "note"))
    write(scene, words(panel.below), (left + wide - width(words(panel.below), SMALL), bottom + 26), SMALL)
    for series in panel.lines:
        if len(points := [at(x, y) for x, y in series.points if y >= low]) > 1:
            scene.strokes.append(Stroke(line(*points), series.colour, 2.0, series.dash))
    _legend(scene, [series for series in panel.lines if series.name != panel.title], (left, bottom + 43))


def _legend(scene: Scene, lines: Sequence[Line], start: Point) -> None:
    """A sample and the name of each line, side by side."""
    x, y = start
    for series in lines:
        scene.strokes.append(Stroke(line((x, y), (x + 22, y)), series.colour, 2.0, series.dash))
        write(scene, words(series.name), (x + 27, y), SMALL)
        x += 27 + width(words(series.name), SMALL) + 12


def ticks(low: float, high: float, most: int = 5) -> list[tuple[float, Label]]:
    """Round values that enclose a range, at most ``most`` of them, with their labels.

    >>> [value for value, _ in ticks(1.62, 4.71)]
    [1.0, 2.0, 3.0, 4.0, 5.0]
    """
    spread = (high - low) or abs(high) or 1.0
    power = 10.0 ** math.floor(math.log10(spread / most))
    for step in (factor * power for factor in (1, 2, 2.5, 5, 10, 20, 25, 50)):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    last = max(last, first + 1)
    return [(k * step, words(f"{k * step:,.10g}".replace("-", "−"))) for k in range(first, last + 1)]


def write(scene: Scene, label: Label, start: Point, size: float) -> None:
    """Add text that begins at a point."""
    scene.letters.append(Letters(label, (start[0] + width(label, size) / 2, start[1]), size, "prose"))


def line(*points: Point) -> Path:
    """Straight lines from point to point."""
    return Path(tuple(pairwise(points)))
