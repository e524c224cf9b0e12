"""The circuit diagram, the unfolded graph, and the arrow between them, as marks on a plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from . import labels
from .arrange import Step, arrange
from .curve import Path, Point
from .delays import Loops, loops
from .letter import SIZE, letters
from .marks import BELOW, SQUARE, Circle, Letters, Scene, Square, Wire
from .numbers import Lines, Numbers
from .reduce import Arrow, Diagram
from .route import Routes, route

TYPE = {"named": 16.5}  # the size of the letters in a circle; MAIN for other roles
MAIN = 18.0
RADIUS = {"named": 24.0}
MAIN_RADIUS = 28.0
TALLER = 5.0  # the radius grows by this for each line below the name
BESIDE = 6.0  # distance from an arrow to the gradient arrow beside it
DENSE = 30  # with more arrows per step than this, only the circuit has letters
ELSEWHERE = "…"  # the time of a value at a step that is not drawn
WHOLE, START, END, BETWEEN = "whole", "start", "end", "between"
READING = "reading"  # a step without outputs


@dataclass(frozen=True, slots=True)
class Column:
    """A step of the unfolded graph, or a placeholder for steps that are not drawn (``time`` is then …)."""

    kind: str
    time: str


@dataclass(frozen=True)
class Layout:
    """The positions and arrows of a step. The circuit diagram and the unfolded graph use the same ones."""

    diagram: Diagram
    step: Step
    routes: Routes
    gradient: bool = False
    numbers: Numbers | None = None

    @staticmethod
    def of(diagram: Diagram, times: Iterable[str], gradient: bool = False, numbers: Numbers | None = None) -> Layout:
        """Arrange a diagram and route its arrows, with circles wide enough for these times and numbers."""
        step = arrange(diagram, sizes(diagram, times, gradient, numbers))
        return Layout(diagram, step, route(diagram, step), gradient, numbers)

    def back(self, arrow: Arrow) -> bool:
        """Whether the gradient flows back along an arrow."""
        ends = self.diagram.carrying.issuperset((arrow.source, arrow.target))
        return self.gradient and arrow.smooth and ends

    def backward(self, arrow: Arrow, path: Path) -> Path:
        """The path of the gradient, beside the path of its arrow."""
        source, target = self.step.places[arrow.source], self.step.places[arrow.target]
        source = source.moved(-self.routes.period) if arrow.delayed else source
        return path.beside(BESIDE).outside(source, target).reversed()

    def ways(self) -> tuple[dict[Arrow, Path], dict[Arrow, Path]]:
        """The paths of all arrows of an unfolded step, and of the gradients beside them."""
        paths = {**self.routes.inner, **self.routes.delayed}
        return paths, {arrow: self.backward(arrow, path) for arrow, path in paths.items() if self.back(arrow)}

    def circle(self, name: str, dx: float, time: str | None, small: bool = False) -> Circle:
        """The circle of a value at a time, moved to the right by ``dx``. Unless ``small``, it also shows the
        gradient."""
        value = self.diagram.values[name]
        place, size = self.step.places[name].moved(dx), TYPE.get(value.role, MAIN)
        faint = time == ELSEWHERE
        shown = None if value.role == "fixed" else time
        below: Lines = ()
        if self.numbers:
            below = self.numbers.lines(name, time)
        elif self.gradient and not small and not faint and value.role != "loss" and name in self.diagram.carrying:
            below = ((labels.gradient(name, time, value.scalar), "nabla"),)
        return Circle(name, time, value.role, place, labels.value(name, shown, value.scalar), size, faint, below)


def circuit(layout: Layout) -> Scene:
    """The circuit diagram: one step, with black squares where a value enters the next step."""
    scene, back = Scene(), loops(layout.diagram, layout.step, layout.routes.inner)
    scene.circles += [layout.circle(name, 0.0, None, small=True) for name in layout.diagram.values]
    scene.wires += [Wire(path, arrow) for arrow, path in {**layout.routes.inner, **back.paths}.items()]
    scene.squares += [Square(center) for center in back.squares.values()]
    for arrow, center in circuit_spots(layout, back).items():
        scene.letters.append(Letters(labels.letters(arrow.letters), center, SIZE))
    return scene


def circuit_spots(layout: Layout, back: Loops) -> dict[Arrow, Point]:
    """The positions of letters in the circuit diagram."""
    half = SQUARE / 2 + 2
    stamps = [(x - half, y - half, x + half, y + half) for x, y in back.squares.values()]
    paths = {**layout.routes.inner, **back.paths}
    return letters(paths, back.own, list(layout.step.places.values()), stamps=stamps)


def unfolded(layout: Layout, columns: Sequence[Column]) -> Scene:
    """The unfolded graph: the columns from left to right, joined by the delayed arrows."""
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
    """Whether a step has so many arrows that letters in the unfolded graph would be unreadable."""
    return len(diagram.arrows) > DENSE


def unfolded_spots(layout: Layout, paths: Mapping[Arrow, Path], back: Mapping[Arrow, Path]) -> dict[Arrow, Point]:
    """The positions of letters in a step of the unfolded graph, clear of the steps before and after it, too."""
    step, routes = layout.step, layout.routes
    places = [*step.places.values(), *(p.moved(-routes.period) for p in step.places.values())]
    others = [path.moved(routes.period) for path in routes.delayed.values()]
    others += [path.moved(-routes.period) for path in routes.inner.values()]
    for arrow, path in back.items():
        others += [path, path.moved(routes.period if arrow.delayed else -routes.period)]
    return letters(paths, {}, places, others, period=routes.period)


def _shown(diagram: Diagram) -> dict[str, set[str]]:
    """The values that each kind of column shows."""
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
        shown = {None} if value.role == "fixed" else times
        wide = max(labels.width(labels.value(name, t, value.scalar), size) for t in shown) + 10 * lines
        if numbers:
            wide = max(wide, 0.85 * numbers.width(name, [part * size for part in BELOW]) + 6 * lines)
        result[name] = (max(height, round(wide + 0.45 * height)) if wide > 0.84 * height else height, height)
    return result


def side_by_side(layout: Layout, columns: Sequence[Column]) -> Scene:
    """The circuit diagram, an arrow labelled Unfold, and the unfolded graph."""
    scene = circuit(layout)
    graph = unfolded(layout, columns)
    _, top, right, bottom = scene.bounds()
    x, y, wide = right + 28, (top + bottom) / 2, 64.0
    scene.blocks.append(_block_arrow(x, y, wide))
    scene.letters.append(Letters(labels.words("Unfold"), (x + wide / 2, y - 26), 17, "note"))
    scene.add(graph, x + wide + 28 - graph.bounds()[0])
    return scene


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
