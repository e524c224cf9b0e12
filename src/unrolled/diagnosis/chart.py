"""A diagnosis as one picture: for each layer a row with gradients against lag, eigenvalues, contributions to the
gradients of the parameters, and memory. ``draw`` writes it as SVG or as a matplotlib figure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from textwrap import wrap

from ..draw.arrange import Place
from ..draw.curve import Path, Point, outline
from ..draw.labels import Label, width, words
from ..draw.marks import Letters, Scene, Stroke
from .layer import Layer
from .panels import Line, Panel, panels

WIDE, HIGH, GAP = 230.0, 150.0, 78.0  # a panel, and the space between two
ROW = HIGH + 100  # from one layer to the next
TEXT, TITLE, SMALL = 13.5, 15.0, 12.0
COLUMNS = 150  # characters in a line of the verdict
DOT = 4.0  # the diameter of an eigenvalue


def chart(layers: Sequence[Layer], verdict: str) -> Scene:
    """The verdict, and a row of panels for each layer."""
    scene, y = Scene(), 0.0
    for line in wrap(verdict, COLUMNS):
        _write(scene, words(line, "b"), (-30.0, y), TITLE)
        y += 19
    scene.strokes.append(Stroke(_line((-30.0, y - 4), (4 * (WIDE + GAP) - GAP, y - 4)), "block"))
    for layer in layers:
        name = f"{layer.name + ': ' if layer.name else ''}{layer.circuit}, {layer.units:,} units"
        _write(scene, words(name), (-30.0, y + 12), TEXT)
        if layer.problem or layer.reach is None:
            _write(scene, words(str(layer.problem)), (-30.0, y + 32), TEXT)
            y += 60
            continue
        first, *others = panels(layer)
        _panel(scene, first, (0.0, y + 50))
        _plane(scene, layer, (WIDE + GAP, y + 50))
        for number, panel in enumerate(others, 2):
            _panel(scene, panel, (number * (WIDE + GAP), y + 50))
        y += ROW
    return scene


def _panel(scene: Scene, panel: Panel, corner: Point) -> None:
    """Add one panel. ``corner`` is the upper left end of its axes."""
    left, top = corner
    low, high = panel.ticks[0][0], panel.ticks[-1][0]
    bottom, farthest = top + HIGH, panel.farthest or 1.0

    def at(x: float, y: float) -> Point:
        return left + WIDE * x / farthest, bottom - HIGH * (min(max(y, low), high) - low) / ((high - low) or 1)

    _write(scene, words(panel.title), (left, top - 12), TEXT)
    for value, label in panel.ticks:
        scene.strokes.append(Stroke(_line(at(0, value), at(farthest, value)), "block"))
        center = left - 6 - width(label, SMALL) / 2, at(0, value)[1]
        scene.letters.append(Letters(label, center, SMALL, "note"))
    scene.strokes.append(Stroke(_line((left, top), (left, bottom), (left + WIDE, bottom)), "quiet"))
    for power in range(int(farthest) + 1):
        scene.letters.append(Letters(words(f"{10**power:,}"), (at(power, 0)[0], bottom + 11), SMALL, "note"))
    _write(scene, words("lag τ, in steps"), (left + WIDE - width(words("lag τ, in steps"), SMALL), bottom + 26), SMALL)
    for line in panel.lines:
        if len(points := [at(x, y) for x, y in line.points if y >= low]) > 1:
            scene.strokes.append(Stroke(_line(*points), line.colour, 2.0, line.dash))
    _legend(scene, panel.lines, (left, bottom + 43))


def _legend(scene: Scene, lines: Sequence[Line], start: Point) -> None:
    """A sample and the name of each line, side by side."""
    x, y = start
    for line in lines:
        scene.strokes.append(Stroke(_line((x, y), (x + 22, y)), line.colour, 2.0, line.dash))
        _write(scene, words(line.name), (x + 27, y), SMALL)
        x += 27 + width(words(line.name), SMALL) + 12


def _plane(scene: Scene, layer: Layer, corner: Point) -> None:
    """Add the eigenvalues in the complex plane, with the unit circle."""
    left, top = corner
    values = [v for at in layer.eigenvalues for v in at]
    span = max(1.1, *(1.05 * abs(v) for v in values))
    x, y, scale = left + WIDE / 2, top + HIGH / 2, HIGH / 2 / span
    _write(scene, words("eigenvalues of the Jacobian of one step"), (left, top - 12), TEXT)
    scene.strokes.append(Stroke(_line((left, y), (left + WIDE, y)), "quiet"))
    scene.strokes.append(Stroke(_line((x, top), (x, top + HIGH)), "quiet"))
    scene.strokes.append(Stroke(_circle((x, y), 2 * scale), "quiet", 1.0, (3, 3)))
    for v in values:
        scene.strokes.append(Stroke(_circle((x + scale * v.real, y - scale * v.imag), DOT), "parameter", 1.5))
    _write(scene, words(f"dashed: |λ| = 1; spectral radius {layer.radius:.3f}"), (left, top + HIGH + 26), SMALL)


def _write(scene: Scene, label: Label, start: Point, size: float) -> None:
    """Add text that begins at a point."""
    scene.letters.append(Letters(label, (start[0] + width(label, size) / 2, start[1]), size, "prose"))


def _line(*points: Point) -> Path:
    return Path(tuple(pairwise(points)))


def _circle(center: Point, diameter: float) -> Path:
    return outline(Place(*center, diameter, diameter))
