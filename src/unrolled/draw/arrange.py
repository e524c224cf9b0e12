"""Positions of the circles of a step: rows from the bottom up by dependence, few crossings, straight columns.

The method is that of Sugiyama, Tagawa and Toda (1981). The longest path determines the row of each value. An arrow over
several rows gets a bend in each row between. Barycentres determine the order in a row, and least squares under that
order the positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from .reduce import INPUTS, Arrow, Diagram

ROW = 96.0  # distance from row to row
APART = 14.0  # distance between neighbours in a row
ROUNDS = 8
SLANT = 20.0  # a horizontal difference up to this is removed

Item = str | tuple[int, int]  # a value's name, or the bend of an arrow, by its number, in a row
Rows = list[list[Item]]
Segments = list[tuple[Item, Item]]  # parts of arrows from one row to the next, the lower end first


@dataclass(frozen=True, slots=True)
class Place:
    """A circle around its centre, or a pill if it is wider than high."""

    x: float
    y: float
    w: float
    h: float

    def distance(self, x: float, y: float) -> float:
        """The distance from a point to the outline; negative inside."""
        half = (self.w - self.h) / 2
        nearest = min(max(x, self.x - half), self.x + half)
        return float(((x - nearest) ** 2 + (y - self.y) ** 2) ** 0.5) - self.h / 2

    def moved(self, dx: float) -> Place:
        """The same circle, moved to the right."""
        return Place(self.x + dx, self.y, self.w, self.h)

    def flipped(self) -> Place:
        """The mirror image, right for left."""
        return Place(-self.x, self.y, self.w, self.h)

    @property
    def left(self) -> float:
        """The x of the left edge."""
        return self.x - self.w / 2

    @property
    def right(self) -> float:
        """The x of the right edge."""
        return self.x + self.w / 2


@dataclass(frozen=True, slots=True)
class Step:
    """The positions of one step. ``bends``: the points that a long arrow passes, starting from its source."""

    places: Mapping[str, Place]
    bends: Mapping[Arrow, tuple[tuple[float, float], ...]]
    rows: tuple[tuple[str, ...], ...]

    @property
    def left(self) -> float:
        """The x of the left edge of the step, including bends."""
        return min(min(p.left for p in self.places.values()), *(x - 12 for b in self.bends.values() for x, _ in b), 0)

    @property
    def right(self) -> float:
        """The x of the right edge of the step, including bends."""
        return max(
            max(p.right for p in self.places.values()),
            *(x + 12 for b in self.bends.values() for x, _ in b),
            0,
        )


def arrange(diagram: Diagram, sizes: Mapping[str, tuple[float, float]]) -> Step:
    """Arrange one step of a diagram, given the width and height of every value."""
    layers = _layers(diagram)
    rows, segments = _rows(diagram, layers)
    rows = _ordered(diagram, rows, segments)
    xs = _positions(rows, segments, sizes, _weights(diagram, segments))
    places = {n: Place(xs[n], -ROW * layers[n], *sizes[n]) for n in diagram.values}
    bends: dict[Arrow, tuple[tuple[float, float], ...]] = {}
    for k, arrow in enumerate(diagram.inner):
        down = layers[arrow.source] > layers[arrow.target]
        levels = sorted((r for r in range(len(rows)) if (k, r) in xs), reverse=down)
        if levels:
            bends[arrow] = tuple((xs[k, r], -ROW * r) for r in levels)
    return Step(places, bends, tuple(tuple(i for i in row if isinstance(i, str)) for row in rows))


def _layers(diagram: Diagram) -> dict[str, int]:
    """The row of every value, 0 at the bottom.

    A value is above all values that it is computed from, and above values of the previous step that do not depend on
    it. Targets, which no state depends on, are above the values that are compared with them. Two values that depend on
    themselves are in different rows, so that both of their delayed arrows can be straight lines."""
    inputs = [n for n, v in diagram.values.items() if v.role in INPUTS]
    after = {n: _after(n, diagram) for n in diagram.values}
    feeding = {a.source for a in diagram.delayed}
    on_top = [n for n in inputs if after[n] and not after[n] & feeding]
    if len(on_top) == len(inputs):
        on_top = []
    upward = [a for a in diagram.arrows if a.source not in on_top]
    upward = [a for a in upward if not a.delayed or a.source not in after[a.target] | {a.target}]
    lowest = {n: int(bool(inputs) and n not in inputs) for n in diagram.values}
    straight = [a.source for a in diagram.delayed if a.source == a.target]
    while True:
        layers = dict(lowest)
        for _ in layers:
            for a in upward:
                layers[a.target] = max(layers[a.target], layers[a.source] + 1)
        crowded = [n for k, n in enumerate(straight) if layers[n] in [layers[m] for m in straight[:k]]]
        if not crowded:
            break
        lowest[crowded[0]] = layers[crowded[0]] + 1
    for name in on_top:
        layers[name] = 1 + max(layers[a.target] for a in diagram.inner if a.source == name)
    return layers


def _after(name: str, diagram: Diagram) -> set[str]:
    """All values that depend on a value, in the same step or later."""
    reached: set[str] = set()
    queue = [name]
    for here in queue:
        fresh = {a.target for a in diagram.arrows if a.source == here} - reached
        reached |= fresh
        queue += sorted(fresh)
    return reached


def _rows(diagram: Diagram, layers: Mapping[str, int]) -> tuple[Rows, Segments]:
    rows: Rows = [[] for _ in range(1 + max(layers.values()))]
    for name in diagram.values:
        rows[layers[name]].append(name)
    segments: Segments = []
    for k, arrow in enumerate(diagram.inner):
        low, high = sorted((arrow.source, arrow.target), key=layers.__getitem__)
        chain: list[Item] = [low]
        for r in range(layers[low] + 1, layers[high]):
            rows[r].append((k, r))
            chain.append((k, r))
        segments += zip(chain, [*chain[1:], high], strict=True)
    return rows, segments


def _ordered(diagram: Diagram, rows: Rows, segments: Segments) -> Rows:
    """The rows, ordered with few crossings by sweeps of barycentres and by swaps."""
    listed = {item: k for row in rows for k, item in enumerate(row)}
    enters = {a.target for a in diagram.delayed}
    leaves = {a.source for a in diagram.delayed}
    near: dict[Item, list[Item]] = {item: [] for row in rows for item in row}
    for low, high in segments:
        near[low].append(high)
        near[high].append(low)

    row_of = {item: r for r, row in enumerate(rows) for item in row}
    groups = [[s for s in segments if row_of[s[0]] == r] for r in range(len(rows))]

    def cost(rows: Rows) -> float:
        place = {item: k for row in rows for k, item in enumerate(row)}
        total = 0.0
        for row in rows:
            before, after = 0, sum([isinstance(i, str) for i in row])  # values on the left and on the right
            for k, item in enumerate(row):
                after -= isinstance(item, str)
                total += 0.3 * before * (item in enters) + 0.1 * after * (item in leaves)
                total += 0.01 * abs(k - listed[item])
                before += isinstance(item, str)
        return total + _crossings(groups, place)

    best, lowest = rows, cost(rows)
    for start in (rows, [row[::-1] for row in rows]):
        now = [list(row) for row in start]
        for sweep in range(ROUNDS):
            for r in range(len(now)) if sweep % 2 == 0 else reversed(range(len(now))):
                place = {item: (k + 0.5) / len(row) for row in now for k, item in enumerate(row)}
                centre = {i: sum(place[n] for n in near[i]) / len(near[i]) if near[i] else place[i] for i in now[r]}
                now[r] = sorted(now[r], key=lambda i: (centre[i], listed[i]))
            price = cost(now)
            if price < lowest - 1e-9:
                best, lowest = [list(row) for row in now], price
    best = _swapped([list(row) for row in best], cost)
    return min(best, [row[::-1] for row in best], key=cost)


def _swapped(rows: Rows, cost: Callable[[Rows], float]) -> Rows:
    lowest = cost(rows)
    for _ in range(ROUNDS):
        before = lowest
        for row in rows:
            for i in range(len(row)):
                for k in range(i + 1, len(row)):
                    row[i], row[k] = row[k], row[i]
                    price = cost(rows)
                    if price < lowest - 1e-9:
                        lowest = price
                    else:
                        row[i], row[k] = row[k], row[i]
        if lowest == before:
            break
    return rows


def _crossings(groups: Iterable[Segments], place: Mapping[Item, int]) -> int:
    """The number of crossings of segments; each group is between the same two rows."""
    total = 0
    for segments in groups:
        pairs = [(place[low], place[high]) for low, high in segments]
        for n, (a, b) in enumerate(pairs):
            total += sum([(a - c) * (b - d) < 0 for c, d in pairs[n + 1 :]])
    return total


def _weights(diagram: Diagram, segments: Segments) -> list[float]:
    """How strongly each segment is pulled vertical: long arrows most, arrows to a value without other arrows least."""
    ends = [n for a in diagram.arrows for n in (a.source, a.target)]
    result = []
    for low, high in segments:
        if isinstance(low, tuple) or isinstance(high, tuple):
            result.append(4.0 if isinstance(low, tuple) and isinstance(high, tuple) else 1.5)
        else:
            result.append(1.0 if ends.count(high) > 1 else 0.05)
    return result


def _positions(
    rows: Rows, segments: Segments, sizes: Mapping[str, tuple[float, float]], weights: Sequence[float]
) -> dict[Item, float]:
    """Horizontal positions: each row as close to the weighted means of its neighbours as its order allows."""
    width = {i: sizes[i][0] if isinstance(i, str) else 8.0 for row in rows for i in row}
    near: dict[Item, list[tuple[Item, float]]] = {item: [] for row in rows for item in row}
    for (low, high), weight in zip(segments, weights, strict=True):
        near[low].append((high, weight))
        near[high].append((low, weight))
    gaps = [[(width[a] + width[b]) / 2 + APART for a, b in pairwise(row)] for row in rows]
    xs: dict[Item, float] = {}
    for row, gap in zip(rows, gaps, strict=True):
        at = -sum(gap) / 2
        for item, step in zip(row, [*gap, 0.0], strict=True):
            xs[item] = at
            at += step
    for sweep in range(6 * ROUNDS):
        for r in range(len(rows)) if sweep % 2 == 0 else reversed(range(len(rows))):
            row = rows[r]
            pull = [sum(w for _, w in near[i]) for i in row]
            wish = [sum(xs[n] * w for n, w in near[i]) / p if p else xs[i] for i, p in zip(row, pull, strict=True)]
            xs.update(zip(row, _separated(wish, [p or 0.01 for p in pull], gaps[r]), strict=True))
    _upright(xs, rows, segments, gaps)
    middle = (min(xs.values()) + max(xs.values())) / 2
    return {item: round(x - middle, 2) for item, x in xs.items()}


def _upright(xs: dict[Item, float], rows: Rows, segments: Segments, gaps: Sequence[Sequence[float]]) -> None:
    """Make nearly vertical segments vertical where the gaps allow it, those of long arrows first."""
    column = {item: {item} for item in xs}
    slant = {s: abs(xs[s[0]] - xs[s[1]]) / (1.5 if any(isinstance(i, tuple) for i in s) else 1) for s in segments}
    for low, high in sorted(segments, key=slant.__getitem__):
        dx = xs[high] - xs[low]
        if column[low] is column[high] or slant[low, high] > SLANT:
            continue
        for moving, shift in ((column[high], -dx), (column[low], dx)):
            moved = {**xs, **{item: xs[item] + shift for item in moving}}
            if all(
                moved[b] - moved[a] > gap - 1e-6
                for row, needed in zip(rows, gaps, strict=True)
                for a, b, gap in zip(row, row[1:], needed, strict=False)
            ):
                xs.update(moved)
                together = column[low] | column[high]
                column.update((item, together) for item in together)
                break


def _separated(wish: Sequence[float], weight: Sequence[float], gap: Sequence[float]) -> list[float]:
    """The positions closest to the wishes that keep the gaps: isotonic regression by pooling violators."""
    shift = [sum(gap[:k]) for k in range(len(wish))]
    blocks: list[tuple[float, float, int]] = []
    for k, w in enumerate(weight):
        mean, total, count = wish[k] - shift[k], w, 1
        while blocks and blocks[-1][0] > mean:
            before, heavy, many = blocks.pop()
            mean = (mean * total + before * heavy) / (total + heavy)
            total, count = total + heavy, count + many
        blocks.append((mean, total, count))
    flat = [mean for mean, _, count in blocks for _ in range(count)]
    return [x + s for x, s in zip(flat, shift, strict=True)]
