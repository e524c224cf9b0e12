"""Paths in the plane, made of straight lines and cubic Bézier curves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

from .arrange import Place

Point = tuple[float, float]
Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True, slots=True)
class Path:
    """Pieces end to end; a piece is a line (2 points) or a cubic curve (4 points)."""

    pieces: tuple[tuple[Point, ...], ...]

    @property
    def start(self) -> Point:
        """The first point."""
        return self.pieces[0][0]

    @property
    def end(self) -> Point:
        """The last point."""
        return self.pieces[-1][-1]

    def moved(self, dx: float, dy: float = 0.0) -> Path:
        """The same path at another position."""
        return Path(tuple(tuple((x + dx, y + dy) for x, y in piece) for piece in self.pieces))

    def flipped(self) -> Path:
        """The mirror image, right for left."""
        return Path(tuple(tuple((-x, y) for x, y in piece) for piece in self.pieces))

    def beside(self, away: float) -> Path:
        """A parallel path, ``away`` to the right in the direction of travel (y points down)."""
        return Path(tuple(_shifted(piece, away) for piece in self.pieces))

    def reversed(self) -> Path:
        """The path in the opposite direction."""
        return Path(tuple(piece[::-1] for piece in reversed(self.pieces)))

    def outside(self, source: Place, target: Place) -> Path:
        """The part of the path outside two circles, if its ends lie inside them."""
        first, *others = self.pieces
        path = Path((_after(first, source), *others))
        last = path.pieces[-1]
        return Path((*path.pieces[:-1], _after(last[::-1], target)[::-1]))

    def sample(self, spacing: float = 9.0) -> list[Point]:
        """Points along the path, including both ends, about ``spacing`` apart."""
        points = [self.start]
        for piece in self.pieces:
            chord = sum(math.dist(a, b) for a, b in pairwise(piece))
            count = max(2 if len(piece) == 4 else 1, math.ceil(chord / spacing))
            if len(piece) == 2:
                (x0, y0), (x1, y1) = piece
                dx, dy = (x1 - x0) / count, (y1 - y0) / count
                points += [(x0 + k * dx, y0 + k * dy) for k in range(1, count)]
                points.append((x1, y1))
            else:
                (x0, y0), (x1, y1), (x2, y2), (x3, y3) = piece
                points += [
                    (a * x0 + b * x1 + c * x2 + d * x3, a * y0 + b * y1 + c * y2 + d * y3)
                    for a, b, c, d in _bernstein(count)
                ]
        return points

    def heading(self) -> Point:
        """The direction at the end, as a vector of length 1."""
        piece = self.pieces[-1]
        (x1, y1), (x0, y0) = piece[-1], next((p for p in reversed(piece[:-1]) if p != piece[-1]), piece[0])
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        return (x1 - x0) / length, (y1 - y0) / length


def _shifted(piece: tuple[Point, ...], away: float) -> tuple[Point, ...]:
    """A line or curve moved to its right. Control points move with their end, which is accurate for mild curves."""
    ends = []
    for a, b in (piece[:2], piece[-2:]):
        dx, dy = b[0] - a[0], b[1] - a[1]
        size = math.hypot(dx, dy) or 1.0
        ends.append((-away * dy / size, away * dx / size))
    sides = [ends[0]] * (len(piece) // 2) + [ends[1]] * (len(piece) // 2)
    return tuple((x + dx, y + dy) for (x, y), (dx, dy) in zip(piece, sides, strict=True))


def _after(piece: tuple[Point, ...], place: Place) -> tuple[Point, ...]:
    """The rest of a line or curve, from the point where it leaves a circle."""
    for k in range(32):
        rest = _rest(piece, k / 32)
        if place.distance(*rest[0]) >= 0:
            return rest
    return piece


def _rest(points: tuple[Point, ...], t: float) -> tuple[Point, ...]:
    """The line or curve from t on, by de Casteljau's construction."""
    rest = [points[-1]]
    while len(points) > 1:
        points = tuple(_toward(a, b, t) for a, b in pairwise(points))
        rest.append(points[-1])
    return tuple(rest[::-1])


@cache
def _bernstein(count: int) -> list[tuple[float, float, float, float]]:
    """The weights of a cubic curve's four points at ``count`` positions along it; the last position is its end."""
    ts = [k / count for k in range(1, count + 1)]
    return [((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t * t, t**3) for t in ts]


def length(points: Sequence[Point]) -> float:
    """The length of a polygon."""
    return sum(math.dist(a, b) for a, b in pairwise(points))


def rim(place: Place, dx: float, dy: float, gap: float = 0.0) -> Point:
    """The point where a ray from the centre of a circle or pill leaves it, plus ``gap``."""
    size = math.hypot(dx, dy) or 1.0
    dx, dy = dx / size, dy / size
    r, half = place.h / 2 + gap, (place.w - place.h) / 2
    far = r / abs(dy) if dy else math.inf  # the flat side of a pill
    if far * abs(dx) > half:  # its round end
        far = half * abs(dx) + math.sqrt(r * r - (half * dy) ** 2)
    return round(place.x + dx * far, 2), round(place.y + dy * far, 2)


def straight(source: Place, target: Place) -> Path:
    """The line between the centres, from rim to rim."""
    dx, dy = target.x - source.x, target.y - source.y
    return Path(((rim(source, dx, dy), rim(target, -dx, -dy)),))


def bow(source: Place, target: Place, leaving: float, arriving: float, pull: float) -> Path:
    """One curve that leaves at an angle and arrives from an angle, in degrees, 0 to the right and 90 up."""
    (ux, uy), (vx, vy) = ((math.cos(math.radians(a)), -math.sin(math.radians(a))) for a in (leaving, arriving))
    a, d = rim(source, ux, uy), rim(target, vx, vy)
    reach = pull * math.dist(a, d)
    return Path(((a, (a[0] + ux * reach, a[1] + uy * reach), (d[0] + vx * reach, d[1] + vy * reach), d),))


def through(source: Place, target: Place, bends: Sequence[Point]) -> Path:
    """A curve up or down through the bends, vertical at each of them."""
    up = -1.0 if target.y < source.y else 1.0
    first, last = bends[0], bends[-1]
    points = [
        rim(source, 0.7 * (first[0] - source.x), first[1] - source.y),
        *bends,
        rim(target, 0.7 * (last[0] - target.x), last[1] - target.y),
    ]
    pieces = []
    for k, (a, b) in enumerate(pairwise(points)):
        reach = 0.45 * abs(b[1] - a[1])
        p = (a[0], a[1] + up * reach) if k else _toward(a, first, 0.35)
        q = (b[0], b[1] - up * reach) if k < len(points) - 2 else _toward(b, last, 0.35)
        pieces.append((a, p, q, b))
    return Path(tuple(pieces))


def _toward(a: Point, b: Point, part: float) -> Point:
    return a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1])


def rounded(points: Sequence[Point], radius: float) -> Path:
    """Straight lines from point to point with rounded corners."""
    pieces: list[tuple[Point, ...]] = []
    here = points[0]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        r = min(radius, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        enter = _toward(corner, before, r / (math.dist(before, corner) or 1))
        leave = _toward(corner, after, r / (math.dist(corner, after) or 1))
        if here != enter:
            pieces.append((here, enter))
        pieces.append((enter, _toward(enter, corner, 0.55), _toward(leave, corner, 0.55), leave))
        here = leave
    pieces.append((here, points[-1]))
    return Path(tuple(pieces))


def outline(place: Place) -> Path:
    """The circle or pill itself: four quarters, each a cubic curve, and two lines."""
    r, half = place.h / 2, (place.w - place.h) / 2
    k = 0.5523 * r  # the usual approximation of a quarter of a circle
    pieces: list[tuple[Point, ...]] = []
    for sx, sy in ((1, -1), (1, 1), (-1, 1), (-1, -1)):
        x, y = place.x + sx * half, place.y
        top, side = ((x, y + sy * r), (x + sx * k, y + sy * r)), ((x + sx * r, y + sy * k), (x + sx * r, y))
        quarter = (*top, *side)
        quarter = quarter if sx * sy < 0 else quarter[::-1]
        if pieces and pieces[-1][-1] != quarter[0]:
            pieces.append((pieces[-1][-1], quarter[0]))
        pieces.append(quarter)
    return Path((*pieces, (pieces[-1][-1], pieces[0][0])))


CHUNK = 6  # segments of a path whose boxes are compared before they are


class Trace:
    """Points along a path, and their bounding box. ``chunks``: the same piece by piece, each with its own box."""

    __slots__ = ("box", "chunks", "points")

    def __init__(self, points: Sequence[Point]) -> None:
        self.points, self.box = points, _box(points)
        pieces = [points[k : k + CHUNK + 1] for k in range(0, max(len(points) - 1, 1), CHUNK)]
        self.chunks = [(_box(piece), piece) for piece in pieces]


def _box(points: Sequence[Point]) -> Box:
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def crossings(one: Trace, other: Trace) -> int:
    """The number of crossings of two paths."""
    x0, y0, x1, y1 = other.box
    left, top, right, bottom = one.box
    if right < x0 or left > x1 or bottom < y0 or top > y1:
        return 0
    total = 0
    for (left, top, right, bottom), points in one.chunks:
        if right < x0 or left > x1 or bottom < y0 or top > y1:
            continue
        for (u0, v0, u1, v1), others in other.chunks:
            if not (right < u0 or left > u1 or bottom < v0 or top > v1):
                total += _crossings(points, others, (u0, v0, u1, v1))
    return total


def _crossings(some: Sequence[Point], points: Sequence[Point], box: Box) -> int:
    """The crossings of two pieces; the second one has a bounding box."""
    x0, y0, x1, y1 = box
    total = 0
    for (ax, ay), (bx, by) in pairwise(some):
        if (ax < x0 and bx < x0) or (ax > x1 and bx > x1) or (ay < y0 and by < y0) or (ay > y1 and by > y1):
            continue
        dx, dy = bx - ax, by - ay
        sides = [dx * (y - ay) > dy * (x - ax) for x, y in points]  # on which side of the line each point lies
        if all(sides) or not any(sides):
            continue
        for k, (one_side, other_side) in enumerate(pairwise(sides)):
            if one_side != other_side:
                (cx, cy), (ex, ey) = points[k], points[k + 1]
                across = (ex - cx) * (ay - cy) - (ey - cy) * (ax - cx), (ex - cx) * (by - cy) - (ey - cy) * (bx - cx)
                total += across[0] * across[1] < 0
    return total
