"""Positions of the letters of arrows: beside their arrow, clear of circles, of other arrows and of each other."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product

from . import labels
from .arrange import Place
from .curve import Path, Point
from .reduce import Arrow

SIZE = 16.0
BESIDE = (6.0, 13.0)  # distances from the arrow; the second clears a black square
ALONG = (0.5, 0.43, 0.57, 0.36, 0.64, 0.29, 0.71, 0.22, 0.78)
ANYWHERE = tuple(k / 32 for k in range(2, 31))  # tried when the middle is crowded
FURTHER = (5.0, 9.0, 14.0, 20.0)
COVERED = 60.0  # a position is crowded from this price on
NEAR = 8.0  # letters this close to an arrow seem to belong to it

Box = tuple[float, float, float, float]  # left, top, right, bottom


def letters(
    paths: Mapping[Arrow, Path],
    own: Mapping[Arrow, Path],
    places: Sequence[Place],
    others: Iterable[Path] = (),
    stamps: Sequence[Box] = (),
    period: float = 0.0,
) -> dict[Arrow, Point]:
    """The centre of the letters of every arrow that has letters.

    Args:
        paths: the arrows.
        own: the parts of the arrows beside which letters may be placed.
        places: the circles to avoid.
        others: other arrows to avoid.
        stamps: boxes to avoid.
        period: the distance to the next copy of the step, or 0 if there is none.
    """
    taken = list(stamps)
    lines = {arrow: path.sample(8) for arrow, path in paths.items()}
    strange = [path.sample(8) for path in others]
    found: dict[Arrow, Point] = {}
    for arrow in paths:
        if arrow.letters:
            w, h = labels.width(labels.letters(arrow.letters), SIZE), SIZE * 0.9
            along = {**paths, **own}[arrow].sample(4)
            reach = _around(along, max(w, h) + 24)
            near = [p for line in (*strange, *(l for a, l in lines.items() if a is not arrow)) for p in line]
            near = [p for p in near if _inside(p, reach)]
            circles = [p for p in places if _inside((p.x, p.y), _around(along, max(w, h) + 24 + p.w / 2))]
            for parts, aways in ((ALONG, BESIDE[: 1 + bool(stamps)]), (ANYWHERE, FURTHER)):
                best = (math.inf, 0, 0.0, 0.0)
                options = [_option(along, w, h, *how) for how in product(parts, (-1, 1), aways)]
                for least, k, x, y in sorted((e, k, x, y) for k, (e, x, y) in enumerate(options)):
                    if least > best[0]:
                        break
                    price = least + _price(_box(x, y, w, h), circles, near, lines[arrow], taken)
                    best = min(best, (price, k, x, y))
                if best[0] < COVERED:
                    break
            _, _, x, y = best
            found[arrow] = (round(x, 2), round(y, 2))
            taken += [_box(x + dx, y, w, h) for dx in ((-period, 0.0, period) if period else (0.0,))]
    return found


def _option(
    points: Sequence[Point], w: float, h: float, part: float, side: int, beside: float
) -> tuple[float, float, float]:
    """A position beside a path: its extra cost over the best one (in the middle; above, or to the left), and x and
    y."""
    k = min(max(1, round(part * (len(points) - 1))), len(points) - 2)
    (x0, y0), (x, y), (x1, y1) = points[k - 1], points[k], points[k + 1]
    size = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5 or 1.0
    nx, ny = side * (y1 - y0) / size, -side * (x1 - x0) / size
    away = abs(nx) * w / 2 + abs(ny) * h / 2 + beside
    return 30 * abs(part - 0.5) + 3 * (ny > 0.3) + 2 * (nx > 0.3) + beside, x + nx * away, y + ny * away


def _box(x: float, y: float, w: float, h: float) -> Box:
    return x - w / 2, y - h / 2, x + w / 2, y + h / 2


def _around(points: Sequence[Point], space: float) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs) - space, min(ys) - space, max(xs) + space, max(ys) + space


def _inside(point: Point, box: Box) -> bool:
    return box[0] < point[0] < box[2] and box[1] < point[1] < box[3]


def _price(
    box: Box, places: Sequence[Place], lines: Sequence[Point], own: Sequence[Point], taken: Sequence[Box]
) -> float:
    left, top, right, bottom = box
    price = 0.0
    for place in places:
        corners = (
            (left, top),
            (right, top),
            (left, bottom),
            (right, bottom),
            ((left + right) / 2, (top + bottom) / 2),
        )
        price += 20 * max(0.0, 4 - min(place.distance(*corner) for corner in corners))
    for a, b, c, d in taken:
        price += 400 * (left < c + 2 and a - 2 < right and top < d + 2 and b - 2 < bottom)
        price += 24 * (left < c + 14 and a - 14 < right and top < d + 4 and b - 4 < bottom)
    x0, y0, x1, y1 = left - NEAR, top - NEAR, right + NEAR, bottom + NEAR
    near = [(x, y) for x, y in lines if x0 < x < x1 and y0 < y < y1]
    x0, y0, x1, y1 = left - 1, top - 1, right + 1, bottom + 1
    touched = len([1 for points in (near, own) for x, y in points if x0 < x < x1 and y0 < y < y1])
    return price + 3 * len(near) + 12 * touched
