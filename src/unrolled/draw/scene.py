"""The picture as marks on a plane: the circuit diagram, the unfolded graph, the arrow from one to the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from . import text
from .arrange import Place, Step, arrange
from .curve import Path, Point
from .letter import SIZE, letters
from .loop import loops
from .reduce import Arrow, Diagram
from .route import Routes, route

TYPE = {"named": 15.0}  # the size of the letters in a circle, else MAIN
MAIN = 18.0
RADIUS = {"named": 22.0}
MAIN_RADIUS = 27.0
SQUARE = 11.0  # the side of the black square
ELSEWHERE = "…"  # the time of a value at some other step
WHOLE, START, END, BETWEEN = "whole", "start", "end", "between"


@dataclass(frozen=True, slots=True)
class Circle:
    """A value at a time. Faint ones stand for the steps that are not drawn."""

    name: str
    time: str | None
    role: str
    place: Place
    label: text.Label
    size: float
    faint: bool = False


@dataclass(frozen=True, slots=True)
class Wire:
    path: Path
    arrow: Arrow | None
    head: bool = True


@dataclass(frozen=True, slots=True)
class Letters:
    """Text around a centre: the parameters on an arrow, or a word."""

    label: text.Label
    center: Point
    size: float
    kind: str = "parameter"


@dataclass(frozen=True, slots=True)
class Square:
    """The delay of one step."""

    center: Point
    side: float = SQUARE


@dataclass
class Scene:
    """Marks, and the rectangle that holds them all."""

    circles: list[Circle] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    letters: list[Letters] = field(default_factory=list)
    squares: list[Square] = field(default_factory=list)
    blocks: list[Path] = field(default_factory=list)

    def bounds(self) -> tuple[float, float, float, float]:
        """left, top, right, bottom."""
        xs, ys = [], []
        for c in self.circles:
            xs += [c.place.left, c.place.right]
            ys += [c.place.y - c.place.h / 2, c.place.y + c.place.h / 2]
        for path in (*(w.path for w in self.wires), *self.blocks):
            points = path.sample()
            xs += [x for x, _ in points]
            ys += [y for _, y in points]
        for s in self.squares:
            xs += [s.center[0] - s.side / 2, s.center[0] + s.side / 2]
            ys += [s.center[1] - s.side / 2, s.center[1] + s.side / 2]
        for mark in self.letters:
            half = text.width(mark.label, mark.size) / 2
            xs += [mark.center[0] - half, mark.center[0] + half]
            ys += [mark.center[1] - 0.6 * mark.size, mark.center[1] + 0.6 * mark.size]
        return min(xs), min(ys), max(xs), max(ys)

    def add(self, other: Scene, dx: float) -> None:
        """Draw another scene into this one, moved to the right."""
        self.circles += [
            Circle(c.name, c.time, c.role, c.place.moved(dx), c.label, c.size, c.faint) for c in other.circles
        ]
        self.wires += [Wire(w.path.moved(dx), w.arrow, w.head) for w in other.wires]
        self.letters += [Letters(m.label, (m.center[0] + dx, m.center[1]), m.size, m.kind) for m in other.letters]
        self.squares += [Square((s.center[0] + dx, s.center[1]), s.side) for s in other.squares]
        self.blocks += [b.moved(dx) for b in other.blocks]


@dataclass(frozen=True, slots=True)
class Column:
    """A step of the unfolded graph, or what stands for steps that are not drawn (``time`` is then …)."""

    kind: str
    time: str


def circuit(diagram: Diagram, step: Step, routes: Routes) -> Scene:
    """One step, and black squares where a value goes into the next."""
    scene = Scene()
    back = loops(diagram, step, routes.inner)
    for name in diagram.values:
        scene.circles.append(circle(diagram, name, step.places[name], None))
    paths = {**routes.inner, **back.paths}
    scene.wires += [Wire(path, arrow) for arrow, path in paths.items()]
    scene.squares += [Square(center) for center in back.squares.values()]
    half = SQUARE / 2 + 2
    stamps = [(x - half, y - half, x + half, y + half) for x, y in back.squares.values()]
    spots = letters(paths, back.own, list(step.places.values()), stamps=stamps)
    for arrow, center in spots.items():
        scene.letters.append(Letters(text.letters(arrow.letters), center, SIZE))
    return scene


def unfolded(diagram: Diagram, step: Step, routes: Routes, columns: Sequence[Column]) -> Scene:
    """The columns from left to right; between them the arrows that the circuit draws through black squares."""
    scene = Scene()
    before = [p.moved(-routes.period) for p in step.places.values()]
    after = [path.moved(routes.period) for path in routes.delayed.values()]
    earlier = [path.moved(-routes.period) for path in routes.inner.values()]
    paths = {**routes.inner, **routes.delayed}
    spots = letters(paths, {}, [*step.places.values(), *before], [*after, *earlier], period=routes.period)
    sources = {a.source for a in diagram.delayed}
    targets = {a.target for a in diagram.delayed}
    shown = {WHOLE: set(diagram.values), START: sources, END: targets, BETWEEN: sources | targets}
    for k, column in enumerate(columns):
        dx = k * routes.period
        arrows = list(routes.inner) if column.kind == WHOLE else []
        arrows += list(routes.delayed) if k else []
        for name in diagram.values:
            if name in shown[column.kind]:
                scene.circles.append(circle(diagram, name, step.places[name].moved(dx), column.time))
        for arrow in arrows:
            scene.wires.append(Wire(paths[arrow].moved(dx), arrow))
            if arrow in spots:
                x, y = spots[arrow]
                scene.letters.append(Letters(text.letters(arrow.letters), (x + dx, y), SIZE))
        if column.kind == BETWEEN and not shown[BETWEEN] & set(step.rows[0]):
            middle = (step.left + step.right) / 2 + dx
            scene.letters.append(Letters(text.words("⋯"), (middle, 0.0), 26, "note"))
    return scene


def circle(diagram: Diagram, name: str, place: Place, time: str | None) -> Circle:
    value = diagram.values[name]
    label = text.value(name, time, value.scalar)
    return Circle(name, time, value.role, place, label, TYPE.get(value.role, MAIN), time == ELSEWHERE)


def sizes(diagram: Diagram, times: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Width and height of every value, wide enough for its name at any of the times."""
    result = {}
    for name, value in diagram.values.items():
        size, height = TYPE.get(value.role, MAIN), 2 * RADIUS.get(value.role, MAIN_RADIUS)
        wide = max(text.width(text.value(name, t, value.scalar), size) for t in times)
        result[name] = (max(height, round(wide + 0.45 * height)) if wide > 0.84 * height else height, height)
    return result


def side_by_side(diagram: Diagram, columns: Sequence[Column]) -> Scene:
    """The circuit diagram, an arrow that says Unfold, the unfolded graph."""
    step = arrange(diagram, sizes(diagram, [c.time for c in columns]))
    routes = route(diagram, step)
    scene = circuit(diagram, step, routes)
    graph = unfolded(diagram, step, routes, columns)
    left, top, right, bottom = scene.bounds()
    x, y, wide = right + 28, (top + bottom) / 2, 64.0
    scene.blocks.append(_block_arrow(x, y, wide))
    scene.letters.append(Letters(text.words("Unfold"), (x + wide / 2, y - 26), 17, "note"))
    scene.add(graph, x + wide + 28 - graph.bounds()[0])
    legend = text.words("delay of one step")
    scene.squares.append(Square((left + 4, bottom + 30), 8))
    scene.letters.append(Letters(legend, (left + 14 + text.width(legend, 14) / 2, bottom + 30), 14, "legend"))
    return scene


def alone(diagram: Diagram, columns: Sequence[Column]) -> Scene:
    """The unfolded graph by itself."""
    step = arrange(diagram, sizes(diagram, [c.time for c in columns]))
    return unfolded(diagram, step, route(diagram, step), columns)


def _block_arrow(x: float, y: float, wide: float) -> Path:
    """A thick arrow to the right, as an outline."""
    neck = x + wide - 22
    points = [
        (x, y - 6),
        (neck, y - 6),
        (neck, y - 14),
        (x + wide, y),
        (neck, y + 14),
        (neck, y + 6),
        (x, y + 6),
        (x, y - 6),
    ]
    return Path(tuple(pairwise(points)))
