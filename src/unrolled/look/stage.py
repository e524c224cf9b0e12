"""The picture of the explorer as data: one layout from which both the circuit and the unfolded graph are drawn."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from ..draw.curve import Path, Point
from ..draw.delays import loops
from ..draw.drawing import describe, describe_gradient
from ..draw.labels import Label, letters, value
from ..draw.letter import SIZE
from ..draw.reduce import Arrow, reduce
from ..draw.scene import Layout, circuit_spots, unfolded_spots
from ..draw.svg import head, outline
from ..graph.recurrence import Recurrence

POINTS = 49  # points of an arrow that changes its shape


def stage(recurrence: Recurrence) -> dict[str, Any]:
    """Circles, arrows and letters of a step.

    A recurrent arrow has two shapes: a loop in the circuit, and in the unfolded graph a path from the previous step,
    which is drawn ``period`` to the left.
    """
    layout = Layout.of(reduce(recurrence), ["t", "99"], gradient=True)
    step, routes = layout.step, layout.routes
    back = loops(layout.diagram, step, routes.inner)
    paths, gradients = layout.ways()
    folded, flat = circuit_spots(layout, back), unfolded_spots(layout, paths, gradients)
    circles = [layout.circle(n, 0.0, None) for n in layout.diagram.values]
    traces = [p for path in (*back.paths.values(), *routes.inner.values()) for p in path.sample()]
    spots = [*folded.values(), *flat.values()]
    ys = [y for _, y in (*traces, *spots)] + [c.place.y + s * c.place.h / 2 for c in circles for s in (-1, 1)]
    xs = [x for x, _ in traces] + [s for c in circles for s in (c.place.left, c.place.right)]

    def arrow(a: Arrow) -> dict[str, Any]:
        found: dict[str, Any] = {"source": a.source, "target": a.target}
        if a.letters:
            found |= {"letters": _runs(letters(a.letters)), "folded": folded[a], "flat": flat[a]}
        if a in gradients:
            found["back"] = {"line": outline(gradients[a]), "head": _head(gradients[a])}
        return found

    return {
        "period": routes.period,
        "box": [min(xs), min(ys), max(xs), max(ys)],
        "size": SIZE,
        "circles": [
            {
                "name": c.name,
                "role": c.role,
                "place": [c.place.x, c.place.y, c.place.w, c.place.h],
                "label": _runs(value(c.name, None, layout.diagram.values[c.name].scalar)),
                "size": c.size,
            }
            for c in circles
        ],
        "inner": [arrow(a) | {"line": outline(p), "head": _head(p)} for a, p in routes.inner.items()],
        "delayed": [
            arrow(a) | {"loop": _even(back.paths[a]), "across": _even(p), "square": back.squares[a.source]}
            for a, p in routes.delayed.items()
        ],
        "words": [*describe(layout.diagram), *describe_gradient(layout)],
    }


def _runs(label: Label) -> list[tuple[str, str, str]]:
    return [(run.text, run.style, run.shift) for run in label]


def _head(path: Path) -> str:
    return "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in head(path)) + "Z"


def _even(path: Path) -> list[Point]:
    """Points along a path at equal distances, including both ends."""
    points = path.sample(3)
    along = [0.0]
    for a, b in pairwise(points):
        along.append(along[-1] + math.dist(a, b))
    return [_at(points, along, along[-1] * k / (POINTS - 1)) for k in range(POINTS)]


def _at(points: Sequence[Point], along: Sequence[float], far: float) -> Point:
    k = next((k for k in range(1, len(along)) if along[k] >= far - 1e-9), len(along) - 1)
    part = (far - along[k - 1]) / ((along[k] - along[k - 1]) or 1.0)
    (ax, ay), (bx, by) = points[k - 1], points[k]
    return round(ax + part * (bx - ax), 2), round(ay + part * (by - ay), 2)
