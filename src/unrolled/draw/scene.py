"""The picture as marks on a plane: the circuit diagram, the unfolded graph, the arrow from one to the other."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from . import labels
from .arrange import Place, Step, arrange
from .colours import ROLES
from .curve import Path, Point, Trace
from .letter import SIZE, Box, letters
from .loop import Loops, loops
from .numbers import Lines, Numbers
from .reduce import Arrow, Diagram
from .route import Routes, route

TYPE = {"named": 16.5}  # the size of the letters in a circle, else MAIN
MAIN = 18.0
RADIUS = {"named": 24.0}
MAIN_RADIUS = 28.0
TALLER = 5.0  # the radius grows by this for each line below the name
BELOW = (0.74, 0.66)  # the size of their letters
BESIDE = 6.0  # from an arrow to the gradient that flows back beside it
LEGEND = 14.0
DENSE = 30  # arrows of a step from which on letters stand in the circuit alone
SQUARE = 11.0  # the side of the black square
ELSEWHERE = "…"  # the time of a value at some other step
WHOLE, START, END, BETWEEN = "whole", "start", "end", "between"
READING = "reading"  # a step that gives nothing but its state


@dataclass(frozen=True, slots=True)
class Circle:
    """A value at a time. Faint ones stand for the steps that are not drawn."""

    name: str
    time: str | None
    role: str
    place: Place
    label: labels.Label
    size: float
    faint: bool = False
    below: Lines = ()  # written below the name: its gradient, or its numbers


@dataclass(frozen=True, slots=True)
class Wire:
    """An arrow: ``forward``, or the ``gradient`` that flows back along it. Its line, which the copies of an arrow at
    other steps share, is moved to the right by ``dx``."""

    line: Path
    arrow: Arrow | None
    kind: str = "forward"
    dx: float = 0.0

    @property
    def path(self) -> Path:
        return self.line.moved(self.dx)


@dataclass(frozen=True, slots=True)
class Letters:
    """Text around a centre: the parameters on an arrow, or a word."""

    label: labels.Label
    center: Point
    size: float
    kind: str = "parameter"


@dataclass(frozen=True, slots=True)
class Square:
    """The delay of one step."""

    center: Point
    side: float = SQUARE


@dataclass(frozen=True, slots=True)
class Dot:
    """The colour of a role, in the legend."""

    center: Point
    role: str
    radius: float = 6.0


@dataclass(frozen=True, slots=True)
class Picture:
    """A rectangle of pixels (red, green, blue, opacity), row by row from above."""

    box: Box
    rows: Sequence[Sequence[tuple[int, int, int, int]]]


def _around(center: Point, wide: float, high: float) -> Box:
    x, y = center
    return x - wide, y - high, x + wide, y + high


@dataclass
class Scene:
    """Marks, and the rectangle that holds them all."""

    circles: list[Circle] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    letters: list[Letters] = field(default_factory=list)
    squares: list[Square] = field(default_factory=list)
    blocks: list[Path] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)

    def bounds(self) -> Box:
        """left, top, right, bottom."""
        lines = {id(w.line): w.line for w in self.wires} | {id(block): block for block in self.blocks}
        moved: dict[int, list[float]] = {key: [] for key in lines}
        for wire in self.wires:
            moved[id(wire.line)].append(wire.dx)
        boxes = []
        for key, line in lines.items():
            x0, y0, x1, y1 = Trace(line.sample()).box
            boxes.append((x0 + min(moved[key], default=0.0), y0, x1 + max(moved[key], default=0.0), y1))
        places = [c.place for c in self.circles]
        boxes += [(p.x - p.w / 2, p.y - p.h / 2, p.x + p.w / 2, p.y + p.h / 2) for p in places]
        boxes += [_around(s.center, s.side / 2, s.side / 2) for s in self.squares]
        boxes += [_around(d.center, d.radius, d.radius) for d in self.dots]
        boxes += [_around(m.center, labels.width(m.label, m.size) / 2, 0.6 * m.size) for m in self.letters]
        boxes += [p.box for p in self.pictures]
        left, top, right, bottom = zip(*boxes, strict=True)
        return min(left), min(top), max(right), max(bottom)

    def add(self, other: Scene, dx: float) -> None:
        """Draw another scene into this one, moved to the right."""
        self.circles += [replace(c, place=c.place.moved(dx)) for c in other.circles]
        self.wires += [replace(w, dx=w.dx + dx) for w in other.wires]
        self.letters += [replace(m, center=(m.center[0] + dx, m.center[1])) for m in other.letters]
        self.squares += [replace(s, center=(s.center[0] + dx, s.center[1])) for s in other.squares]
        self.blocks += [b.moved(dx) for b in other.blocks]


@dataclass(frozen=True, slots=True)
class Column:
    """A step of the unfolded graph, or what stands for steps that are not drawn (``time`` is then …)."""

    kind: str
    time: str


@dataclass(frozen=True)
class Layout:
    """Where everything of a step stands, and the ways of its arrows: the same in the circuit and the unfolded graph."""

    diagram: Diagram
    step: Step
    routes: Routes
    gradient: bool = False
    numbers: Numbers | None = None

    @staticmethod
    def of(diagram: Diagram, times: Iterable[str], gradient: bool = False, numbers: Numbers | None = None) -> Layout:
        step = arrange(diagram, sizes(diagram, times, gradient, numbers))
        return Layout(diagram, step, route(diagram, step), gradient, numbers)

    def back(self, arrow: Arrow) -> bool:
        """Whether the gradient flows back along an arrow."""
        ends = self.diagram.carrying.issuperset((arrow.source, arrow.target))
        return self.gradient and arrow.smooth and ends

    def backward(self, arrow: Arrow, path: Path) -> Path:
        """The way of the gradient, beside that of the arrow."""
        source, target = self.step.places[arrow.source], self.step.places[arrow.target]
        source = source.moved(-self.routes.period) if arrow.delayed else source
        return path.beside(BESIDE).outside(source, target).reversed()

    def ways(self) -> tuple[dict[Arrow, Path], dict[Arrow, Path]]:
        """All arrows of an unfolded step, and the gradient's beside them."""
        paths = {**self.routes.inner, **self.routes.delayed}
        return paths, {arrow: self.backward(arrow, path) for arrow, path in paths.items() if self.back(arrow)}

    def circle(self, name: str, dx: float, time: str | None, small: bool = False) -> Circle:
        value = self.diagram.values[name]
        place, size = self.step.places[name].moved(dx), TYPE.get(value.role, MAIN)
        faint = time == ELSEWHERE
        below: Lines = ()
        if self.numbers:
            below = self.numbers.lines(name, time)
        elif self.gradient and not small and not faint and value.role != "loss" and name in self.diagram.carrying:
            below = ((labels.gradient(name, time, value.scalar), "nabla"),)
        return Circle(name, time, value.role, place, labels.value(name, time, value.scalar), size, faint, below)


def circuit(layout: Layout) -> Scene:
    """One step, and black squares where a value goes into the next."""
    scene, back = Scene(), loops(layout.diagram, layout.step, layout.routes.inner)
    scene.circles += [layout.circle(name, 0.0, None, small=True) for name in layout.diagram.values]
    scene.wires += [Wire(path, arrow) for arrow, path in {**layout.routes.inner, **back.paths}.items()]
    scene.squares += [Square(center) for center in back.squares.values()]
    for arrow, center in circuit_spots(layout, back).items():
        scene.letters.append(Letters(labels.letters(arrow.letters), center, SIZE))
    return scene


def circuit_spots(layout: Layout, back: Loops) -> dict[Arrow, Point]:
    """Where letters stand in the circuit."""
    half = SQUARE / 2 + 2
    stamps = [(x - half, y - half, x + half, y + half) for x, y in back.squares.values()]
    paths = {**layout.routes.inner, **back.paths}
    return letters(paths, back.own, list(layout.step.places.values()), stamps=stamps)


def unfolded(layout: Layout, columns: Sequence[Column]) -> Scene:
    """The columns from left to right; between them the arrows that the circuit draws through black squares."""
    scene, diagram, step, routes = Scene(), layout.diagram, layout.step, layout.routes
    paths, back = layout.ways()
    spots = {} if dense(diagram) else unfolded_spots(layout, paths, back)
    shown = _shown(diagram)
    marks = [(a, paths[a], back.get(a), spots.get(a), labels.letters(a.letters)) for a in paths]
    inner = {k: [m for m in marks if not m[0].delayed and m[0].target in shown[k]] for k in (WHOLE, READING)}
    delayed = [m for m in marks if m[0].delayed]
    for k, column in enumerate(columns):
        dx = k * routes.period
        scene.circles += [layout.circle(n, dx, column.time) for n in diagram.values if n in shown[column.kind]]
        for arrow, path, gradient, spot, label in inner.get(column.kind, []) + delayed * (k > 0):
            scene.wires.append(Wire(path, arrow, dx=dx))
            if gradient:
                scene.wires.append(Wire(gradient, arrow, "gradient", dx))
            if spot:
                scene.letters.append(Letters(label, (spot[0] + dx, spot[1]), SIZE))
        if column.kind == BETWEEN and not shown[BETWEEN] & set(step.rows[0]):
            middle = (step.left + step.right) / 2 + dx
            scene.letters.append(Letters(labels.words("⋯"), (middle, 0.0), 26, "note"))
    return scene


def dense(diagram: Diagram) -> bool:
    """Whether a step has so many arrows that letters beside them would tell nothing in the unfolded graph."""
    return len(diagram.arrows) > DENSE


def unfolded_spots(layout: Layout, paths: Mapping[Arrow, Path], back: Mapping[Arrow, Path]) -> dict[Arrow, Point]:
    """Where letters stand in a step of the unfolded graph, clear also of the steps before and after it."""
    step, routes = layout.step, layout.routes
    places = [*step.places.values(), *(p.moved(-routes.period) for p in step.places.values())]
    others = [path.moved(routes.period) for path in routes.delayed.values()]
    others += [path.moved(-routes.period) for path in routes.inner.values()]
    for arrow, path in back.items():
        others += [path, path.moved(routes.period if arrow.delayed else -routes.period)]
    return letters(paths, {}, places, others, period=routes.period)


def _shown(diagram: Diagram) -> dict[str, set[str]]:
    """Which values each kind of column shows."""
    sources = {a.source for a in diagram.delayed}
    targets = {a.target for a in diagram.delayed}
    needed = set(sources)
    while more := {a.source for a in diagram.arrows if a.target in needed} - needed:
        needed |= more
    return {
        WHOLE: set(diagram.values), READING: needed, START: sources, END: targets, BETWEEN: sources | targets
    }  # fmt: skip


def sizes(
    diagram: Diagram, times: Iterable[str], gradient: bool = False, numbers: Numbers | None = None
) -> dict[str, tuple[float, float]]:
    """Width and height of every value, wide enough for its name at any of the times, and for its numbers."""
    result = {}
    lines = 1 + bool(numbers.gradients) if numbers else int(gradient)
    times = {t if len(t) < 3 else "0" * len(t) if t.isdigit() else t for t in times}
    for name, value in diagram.values.items():
        size, height = TYPE.get(value.role, MAIN), 2 * RADIUS.get(value.role, MAIN_RADIUS) + 2 * TALLER * lines
        wide = max(labels.width(labels.value(name, t, value.scalar), size) for t in times) + 10 * lines
        if numbers:
            wide = max(wide, 0.85 * numbers.width(name, [part * size for part in BELOW]) + 6 * lines)
        result[name] = (max(height, round(wide + 0.45 * height)) if wide > 0.84 * height else height, height)
    return result


def side_by_side(layout: Layout, columns: Sequence[Column]) -> Scene:
    """The circuit diagram, an arrow that says Unfold, the unfolded graph."""
    scene = circuit(layout)
    graph = unfolded(layout, columns)
    _, top, right, bottom = scene.bounds()
    x, y, wide = right + 28, (top + bottom) / 2, 64.0
    scene.blocks.append(_block_arrow(x, y, wide))
    scene.letters.append(Letters(labels.words("Unfold"), (x + wide / 2, y - 26), 17, "note"))
    scene.add(graph, x + wide + 28 - graph.bounds()[0])
    return scene


def explain(scene: Scene, layout: Layout, delay: bool, *notes: str) -> None:
    """Add the legend below: what the marks mean."""
    left, _, right, bottom = scene.bounds()
    x, y, at = left, bottom + 30, LEGEND

    def entry(mark: str, label: labels.Label, wide: float = 16.0, key: labels.Label = ()) -> None:
        nonlocal x, y
        wide = labels.width(key, at) + 8 if key else wide
        whole = wide + labels.width(label, at)
        if x > left and x + whole > right:
            x, y = left, y + 22
        if mark == "delay":
            scene.squares.append(Square((x + 5, y), 9))
        elif mark == "gradient":
            scene.wires.append(Wire(Path((((x + wide - 6, y), (x, y)),)), None, "gradient"))
        elif mark:
            scene.dots.append(Dot((x + 6, y), mark))
        if key:
            scene.letters.append(Letters(key, (x + wide / 2 - 4, y), at, "key"))
        scene.letters.append(Letters(label, (x + (wide + whole) / 2, y), at, "legend"))
        x += whole + 20

    if delay:
        entry("delay", labels.words("delay of one step"))
    roles = [value.role for value in layout.diagram.values.values()]
    for role in dict.fromkeys(roles):
        if role in ROLES:
            entry(role, labels.words(role))
    names = {letter for arrow in layout.diagram.arrows for way in arrow.letters for letter in way}
    if names:
        entry("", labels.words("the same at every step"), key=labels.letters(tuple((n,) for n in sorted(names))))
    if layout.gradient:
        entry("gradient", labels.words("∇: the gradient of the loss, backward in time"), 40.0)
    if dense(layout.diagram):
        entry(
            "",
            labels.words(f"{len(layout.diagram.arrows)} arrows a step: only the circuit names their parameters"),
            0.0,
        )
    if layout.numbers:
        entry("", labels.words("numbers: scalars, and root mean squares of vectors"), 0.0)
    for note in notes:
        if note:
            entry("", labels.words(note), 0.0)


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
