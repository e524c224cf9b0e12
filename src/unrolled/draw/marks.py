"""Marks on a plane: everything that a picture is made of, before it is written as SVG or drawn by matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from . import labels
from .arrange import Place
from .curve import Path, Point, Trace
from .letter import Box
from .numbers import Lines
from .reduce import Arrow

BELOW = (0.74, 0.66)  # the relative size of the letters on the lines below the name of a value
SQUARE = 11.0  # the side of the black square


@dataclass(frozen=True, slots=True)
class Circle:
    """A value at a time. Faint circles represent steps that are not drawn."""

    name: str
    time: str | None
    role: str
    place: Place
    label: labels.Label
    size: float
    faint: bool = False
    below: Lines = ()  # text below the name: the gradient, or numbers


@dataclass(frozen=True, slots=True)
class Wire:
    """An arrow: ``forward``, or the ``gradient`` that flows back along it. The copies of an arrow at all steps share
    one line; each copy is moved to the right by ``dx``."""

    line: Path
    arrow: Arrow | None
    kind: str = "forward"
    dx: float = 0.0

    @property
    def path(self) -> Path:
        """The line at the position of this copy."""
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
class Stroke:
    """A line without a head, such as a curve or an axis of a chart. ``colour`` is a name in ``COLOURS``; ``dash`` holds
    the lengths of dashes and gaps."""

    line: Path
    colour: str
    width: float = 1.0
    dash: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Picture:
    """A rectangle of pixels (red, green, blue, opacity), row by row from the top."""

    box: Box
    rows: Sequence[Sequence[tuple[int, int, int, int]]]


def _around(center: Point, wide: float, high: float) -> Box:
    x, y = center
    return x - wide, y - high, x + wide, y + high


@dataclass
class Scene:
    """A collection of marks."""

    circles: list[Circle] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    letters: list[Letters] = field(default_factory=list)
    squares: list[Square] = field(default_factory=list)
    blocks: list[Path] = field(default_factory=list)
    dots: list[Dot] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    strokes: list[Stroke] = field(default_factory=list)

    def bounds(self) -> Box:
        """The bounding box of all marks: left, top, right, bottom."""
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
        boxes += [Trace(s.line.sample()).box for s in self.strokes]
        left, top, right, bottom = zip(*boxes, strict=True)
        return min(left), min(top), max(right), max(bottom)

    def add(self, other: Scene, dx: float) -> None:
        """Add another scene, moved to the right."""
        self.circles += [replace(c, place=c.place.moved(dx)) for c in other.circles]
        self.wires += [replace(w, dx=w.dx + dx) for w in other.wires]
        self.letters += [replace(m, center=(m.center[0] + dx, m.center[1])) for m in other.letters]
        self.squares += [replace(s, center=(s.center[0] + dx, s.center[1])) for s in other.squares]
        self.blocks += [b.moved(dx) for b in other.blocks]
