"""The recurrent arrows of the circuit diagram: from a state, through a black square, back into the step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from . import labels
from .arrange import ROW, Place, Step
from .curve import Path, Point, Trace, crossings, length, rim, rounded
from .letter import SIZE
from .reduce import Arrow, Diagram

ASIDE = 34.0  # distance from the circles, or from another loop, to a loop
CORNER = 20.0
CROSSING, RIGHT = 60.0, 40.0  # the costs of crossing an arrow and of going round on the right, in units of length

Wall = tuple[float, float, float]  # an obstacle: its left edge x, and its extent in y


@dataclass
class Loops:
    """The path of each delayed arrow, the part of it that no other arrow shares, and the black square of each state."""

    paths: dict[Arrow, Path] = field(default_factory=dict)
    own: dict[Arrow, Path] = field(default_factory=dict)
    squares: dict[str, Point] = field(default_factory=dict)

    def flipped(self) -> Loops:
        """The mirror image, right for left."""
        paths, own = ({a: path.flipped() for a, path in group.items()} for group in (self.paths, self.own))
        return Loops(paths, own, {s: (-x, y) for s, (x, y) in self.squares.items()})


@dataclass
class _Side:
    """One side of a step, seen from the left: positions, obstacles, and the values that can be reached directly."""

    places: Mapping[str, Place]
    walls: list[Wall]
    free: set[str]


def loops(diagram: Diagram, step: Step, inner: Mapping[Arrow, Path]) -> Loops:
    """Loops beside a step, the shorter ones inside the longer ones. If a state has several delayed arrows, they share
    one black square and separate after it."""
    sides = (_side(step, list(inner.values()), False), _side(step, list(inner.values()), True))
    drawn = [Trace(path.sample(15)) for path in inner.values()]
    made = Loops()
    states = dict.fromkeys(a.source for a in diagram.delayed)
    of = {s: [a for a in diagram.delayed if a.source == s] for s in states}
    for state in sorted(states, key=lambda s: _span(step, of[s])):
        tries = []
        for k, side in enumerate(sides):
            loop, wall = _loop(side, of[state])
            loop = loop.flipped() if k else loop
            traces = [Trace(path.sample(15)) for path in loop.paths.values()]
            price = sum(length(t.points) + CROSSING * sum(crossings(t, d) for d in drawn) for t in traces) + RIGHT * k
            tries.append((price, k, loop, wall, traces))
        _, k, loop, wall, traces = min(tries, key=lambda t: t[:2])
        made.paths |= loop.paths
        made.own |= loop.own
        made.squares |= loop.squares
        drawn += traces
        sides[k].walls.append(wall)
        sides[k].free -= {a.target for a in of[state]}
    return made


def _side(step: Step, inner: Sequence[Path], flip: bool) -> _Side:
    places = {n: p.flipped() if flip else p for n, p in step.places.items()}
    walls = [(p.left, p.y - p.h / 2, p.y + p.h / 2) for p in places.values()]
    for path in inner:
        points = (path.flipped() if flip else path).sample()
        walls += [(min(a[0], b[0]), min(a[1], b[1]), max(a[1], b[1])) for a, b in pairwise(points)]
    return _Side(places, walls, {row[-1 if flip else 0] for row in step.rows if row})


def _span(step: Step, arrows: Sequence[Arrow]) -> float:
    ys = [step.places[n].y for a in arrows for n in (a.source, a.target)]
    return max(ys) - min(ys)


def _leftmost(walls: Sequence[Wall], top: float, bottom: float) -> float:
    return min(left for left, y0, y1 in walls if y1 >= top and y0 <= bottom)


def _loop(side: _Side, arrows: Sequence[Arrow]) -> tuple[Loops, Wall]:
    """The loop of one state, and the obstacle that it is for other loops."""
    state = arrows[0].source
    if [a.target for a in arrows] == [state] and state in side.free:
        return _small(side, arrows[0])
    return _trunk(side, arrows)


def _small(side: _Side, arrow: Arrow) -> tuple[Loops, Wall]:
    """A loop from a value directly back to itself."""
    place = side.places[arrow.source]
    a, d = rim(place, -0.8, -0.6), rim(place, -0.8, 0.6)
    reach = (a[0] - _leftmost(side.walls, place.y - 20, place.y + 20) + ASIDE + 8) / 0.6
    path = Path(((a, (a[0] - 0.8 * reach, a[1] - 0.6 * reach), (d[0] - 0.8 * reach, d[1] + 0.6 * reach), d),))
    square = min(path.sample(4))
    made = Loops({arrow: path}, {arrow: path}, {arrow.source: square})
    return made, (square[0] - 6, place.y - 30, place.y + 30)


def _trunk(side: _Side, arrows: Sequence[Arrow]) -> tuple[Loops, Wall]:
    """A loop to the left, up or down a common line, and back at the height of each target."""
    made, state = Loops(), arrows[0].source
    place = side.places[state]
    targets = [side.places[a.target] for a in arrows]
    direct = state in side.free and all(t.y > place.y for t in targets)
    level = place.y if direct else place.y - ROW / 2
    entries = [t.y if a.target in side.free else t.y + ROW / 2 for a, t in zip(arrows, targets, strict=True)]
    top, bottom = min(level, *entries), max(level, *entries)
    widest = max(labels.width(labels.letters(a.letters), SIZE) for a in arrows)
    x = _leftmost(side.walls, top - 8, bottom + 8) - max(ASIDE, (widest + 26) * (len(arrows) > 1))
    out: list[Point] = [rim(place, -1, 0)] if direct else [rim(place, 0, -1), (place.x, level)]
    below = all(e > level for e in entries)
    made.squares[state] = (x, (level + min(entries)) / 2) if below else (x + ASIDE - 8, level)
    for arrow, target, entry in zip(arrows, targets, entries, strict=True):
        last = [rim(target, -1, 0)] if arrow.target in side.free else _from_below(target, entry)
        points = [*out, (x, level), (x, entry), *last]
        made.paths[arrow] = rounded([points[0], *(q for p, q in pairwise(points) if p != q)], CORNER)
        made.own[arrow] = made.paths[arrow] if len(arrows) == 1 else Path((((x, entry), last[0]),))
    return made, (x - 6, top, bottom)


def _from_below(target: Place, y: float) -> list[Point]:
    end = rim(target, -0.55, 1)
    return [(end[0] - 0.55 * (y - end[1]), y), end]
