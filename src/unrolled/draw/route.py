"""Curves for the arrows: among many candidates, the short one that avoids circles and crosses few other arrows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import sqrt

from . import labels
from .arrange import ROW, Place, Step
from .curve import Path, Point, Trace, bow, crossings, rim, rounded, straight, through
from .letter import SIZE
from .reduce import Arrow, Diagram

CLEAR = 9.0  # distance between an arrow and a circle that it passes
CHANNEL = 60.0  # distance between the circles of one step and those of the next
SPACING = 15.0  # distance between the points at which a curve is tested
CROSSING, TOUCHING = 90.0, 5000.0  # their costs, in units of length


@dataclass(frozen=True, slots=True)
class Routes:
    """The arrows within a step, and the arrows into it from the previous step, ``period`` to the left."""

    inner: Mapping[Arrow, Path]
    delayed: Mapping[Arrow, Path]
    period: float


def route(diagram: Diagram, step: Step) -> Routes:
    """The arrows of an unfolded step."""
    inner: dict[Arrow, Path] = {}
    drawn: list[Trace] = []
    for arrow in sorted(diagram.inner, key=lambda a: len(step.bends.get(a, ()))):
        source, target = step.places[arrow.source], step.places[arrow.target]
        others = [p for n, p in step.places.items() if n not in (arrow.source, arrow.target)]
        inner[arrow] = _best(_within(source, target, step.bends.get(arrow, ())), others, drawn)
        drawn.append(Trace(inner[arrow].sample(SPACING)))
    widest = max((labels.width(labels.letters(a.letters), SIZE) for a in diagram.delayed), default=0.0)
    channel = max(CHANNEL, widest + 40)
    period = step.right - step.left + channel + 10 * max(0, len(diagram.delayed) - 1)
    now = list(drawn)
    before = [Trace([(x - period, y) for x, y in trace.points]) for trace in drawn]
    delayed: dict[Arrow, Path] = {}
    for arrow in sorted(diagram.delayed, key=lambda a: _climb(step, a)):
        source, target = step.places[arrow.source].moved(-period), step.places[arrow.target]
        others = [p for n, p in step.places.items() if n != arrow.target]
        others += [p.moved(-period) for n, p in step.places.items() if n != arrow.source]
        middle = (step.left + step.right - period) / 2
        candidates = _across(source, target, middle)
        delayed[arrow] = _best(candidates, others, now + before)
        now.append(Trace(delayed[arrow].sample(SPACING)))
    return Routes(inner, delayed, period)


def _climb(step: Step, arrow: Arrow) -> float:
    return abs(step.places[arrow.source].y - step.places[arrow.target].y)


def _within(source: Place, target: Place, bends: Sequence[Point]) -> Iterator[Path]:
    """Candidates from a row to a higher or lower one."""
    yield straight(source, target)
    if bends:
        yield through(source, target, bends)
    up = 90.0 if target.y < source.y else -90.0
    for lean in (0, 20, -20, 40, -40, 60, -60):
        yield bow(source, target, up - lean, lean - up, 0.4)
    for lean, pull in product((30, -30, 50, -50, 70, -70), (0.3, 0.45, 0.6)):
        yield bow(source, target, up - lean, -up + lean, pull)


def _across(source: Place, target: Place, middle: float) -> Iterator[Path]:
    """Candidates from a step to the next."""
    yield straight(source, target)
    out, into = (0, 35, -35, 70, -70), (180, 145, 215, 110, 250)
    for leaving, arriving, pull in product(out, into, (0.35, 0.55)):
        yield bow(source, target, leaving, arriving, pull)
    for above, below in product((-ROW / 2, ROW / 2), repeat=2):
        y0, y1 = source.y + above, target.y + below
        points = [rim(source, 0, above), (source.x, y0), (middle, y0)]
        points += [(middle, y1), (target.x, y1), rim(target, 0, below)]
        yield rounded(points, 18)


def _best(candidates: Iterable[Path], others: Sequence[Place], drawn: Sequence[Trace]) -> Path:
    priced = []
    around = [(p.left - CLEAR, p.y - p.h / 2 - CLEAR, p.right + CLEAR, p.y + p.h / 2 + CLEAR, p) for p in others]
    for k, path in enumerate(candidates):
        trace = Trace(path.sample(SPACING))
        if not k and not any(_touching(p, trace) for p in others) and not any(crossings(trace, d) for d in drawn):
            return path  # nothing is in the way of the straight line
        priced.append((_effort(trace.points) + 0.01 * k, k, path, trace))
    priced.sort(key=lambda p: p[:2])
    best, lowest = priced[0][2], float("inf")
    for price, _, path, trace in priced:
        if price >= lowest:
            break
        left, top, right, bottom = trace.box
        near = [p for x0, y0, x1, y1, p in around if left <= x1 and right >= x0 and top <= y1 and bottom >= y0]
        price += TOUCHING * sum([_touching(place, trace) for place in near])
        for other in drawn:
            if price >= lowest:
                break
            price += CROSSING * crossings(trace, other)
        if price < lowest:
            best, lowest = path, price
    return best


def _touching(place: Place, trace: Trace) -> float:
    """How far a path enters the neighbourhood of a circle; 0 if it stays clear."""
    wide, high = place.w / 2 + CLEAR, place.h / 2 + CLEAR
    left, top, right, bottom = trace.box
    if left > place.x + wide or right < place.x - wide or top > place.y + high or bottom < place.y - high:
        return 0.0
    x0, x1, y0, y1 = place.x - wide, place.x + wide, place.y - high, place.y + high
    near = [place.distance(x, y) for x, y in trace.points if x0 < x < x1 and y0 < y < y1]
    return (CLEAR - min(CLEAR, *near)) / CLEAR if near else 0.0


def _effort(points: Sequence[Point]) -> float:
    """The length of a path, plus about 40 for each radian by which it turns."""
    (x0, y0), (x1, y1) = points[:2]
    ux, uy = x1 - x0, y1 - y0
    u = sqrt(ux * ux + uy * uy)
    total, turned = u, 0.0
    for x2, y2 in points[2:]:
        vx, vy = x2 - x1, y2 - y1
        v = sqrt(vx * vx + vy * vy)
        total += v
        turned += abs(ux * vy - uy * vx) / (u * v or 1.0)
        x1, y1, ux, uy, u = x2, y2, vx, vy, v
    return total + 40 * turned
