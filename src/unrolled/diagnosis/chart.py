"""A diagnosis as one picture: for each layer a row with gradients against lag, eigenvalues, contributions to the
gradients of the parameters, and memory. ``draw`` writes it as SVG or as a matplotlib figure."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap

from ..draw.arrange import Place
from ..draw.curve import Path, Point, outline
from ..draw.labels import words
from ..draw.marks import Scene, Stroke
from ..draw.panel import HIGH, SMALL, TEXT, WIDE, add_panel, line, write
from .layer import Layer
from .panels import panels

GAP = 78.0  # between two panels
ROW = HIGH + 100  # from one layer to the next
TITLE = 15.0
COLUMNS = 150  # characters in a line of the verdict
DOT = 4.0  # the diameter of an eigenvalue


def chart(layers: Sequence[Layer], verdict: str) -> Scene:
    """The verdict, and a row of panels for each layer."""
    scene, y = Scene(), 0.0
    for text in wrap(verdict, COLUMNS):
        write(scene, words(text, "b"), (-30.0, y), TITLE)
        y += 19
    scene.strokes.append(Stroke(line((-30.0, y - 4), (4 * (WIDE + GAP) - GAP, y - 4)), "block"))
    for layer in layers:
        name = f"{layer.name + ': ' if layer.name else ''}{layer.circuit}, {layer.units:,} units"
        write(scene, words(name), (-30.0, y + 12), TEXT)
        if layer.problem or layer.reach is None:
            write(scene, words(str(layer.problem)), (-30.0, y + 32), TEXT)
            y += 60
            continue
        first, *others = panels(layer)
        add_panel(scene, first, (0.0, y + 50))
        _plane(scene, layer, (WIDE + GAP, y + 50))
        for number, panel in enumerate(others, 2):
            add_panel(scene, panel, (number * (WIDE + GAP), y + 50))
        y += ROW
    return scene


def _plane(scene: Scene, layer: Layer, corner: Point) -> None:
    """Add the eigenvalues in the complex plane, with the unit circle."""
    left, top = corner
    values = [v for at in layer.eigenvalues for v in at]
    span = max(1.1, *(1.05 * abs(v) for v in values))
    x, y, scale = left + WIDE / 2, top + HIGH / 2, HIGH / 2 / span
    write(scene, words("eigenvalues of the Jacobian of one step"), (left, top - 12), TEXT)
    scene.strokes.append(Stroke(line((left, y), (left + WIDE, y)), "quiet"))
    scene.strokes.append(Stroke(line((x, top), (x, top + HIGH)), "quiet"))
    scene.strokes.append(Stroke(_circle((x, y), 2 * scale), "quiet", 1.0, (3, 3)))
    for v in values:
        scene.strokes.append(Stroke(_circle((x + scale * v.real, y - scale * v.imag), DOT), "parameter", 1.5))
    write(scene, words(f"dashed: |λ| = 1; spectral radius {layer.radius:.3f}"), (left, top + HIGH + 26), SMALL)


def _circle(center: Point, diameter: float) -> Path:
    return outline(Place(*center, diameter, diameter))
