"""Pictures of a recurrence, in the visual language of Goodfellow, Bengio and Courville (2016), chapter 10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..files.write import write_bytes, write_text
from ..graph.recurrence import Recurrence
from ..transform.unfold import first_time
from . import scene, text
from .figure import figure
from .numbers import Numbers
from .reduce import Diagram, reduce
from .scene import BETWEEN, ELSEWHERE, END, READING, START, WHOLE, Column, Layout, Scene
from .svg import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY = 6  # more steps are abbreviated to the first and the last of them, unless asked for
NODES = 1000  # nor are more circles drawn than this
RELATIVE = 3  # up to so many steps are drawn as steps around t, more are numbered


class Drawing:
    """A picture: ``.svg`` is the document, ``.save("elman.svg")`` writes it, notebooks show it.

    ``.text`` says in words what is drawn; the document carries it for those who cannot see.
    """

    def __init__(self, scene: Scene, title: str, text: str) -> None:
        self.scene = scene
        self.text = text
        self.svg = render(scene, title, text)

    def figure(self, *, dark: bool = False) -> Figure:
        """The picture as a matplotlib figure, to be combined with others or restyled.

        Raises EngineError where matplotlib is missing.
        """
        return figure(self.scene, dark)

    def save(self, path: str | Path) -> None:
        """Write the picture to a file whose name ends in .svg, .png or .pdf. The latter two take matplotlib.

        Raises InputError for another ending, DataError for a place that cannot be written, and EngineError where
        matplotlib is missing.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind not in (".svg", ".png", ".pdf"):
            raise InputError(
                f"a drawing is saved as .svg, .png or .pdf, got '{path}'. Name it '{path.with_suffix('.svg')}'"
            )
        if kind == ".svg":
            write_text(path, self.svg)
            return
        picture = BytesIO()
        self.figure().savefig(picture, dpi=192, format=kind[1:])
        write_bytes(path, picture.getvalue())

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<drawing: {self.text.splitlines()[0]}>"


def draw_recurrence(recurrence: Recurrence, steps: int, gates: bool = True, gradient: bool = False) -> Drawing:
    """Side by side: the circuit diagram, where a black square is a delay of one step, and the unfolded graph.

    Up to three steps are drawn as any steps of a long sequence (t-1, t, t+1); more are numbered from 1.
    """
    columns = around_t(steps) if steps <= RELATIVE else numbered(first_time(recurrence), steps)
    layout = Layout.of(reduce(recurrence, gates), [c.time for c in columns], gradient)
    title = f"Circuit {recurrence.name} and its graph unfolded for {_count(steps)}"
    return _drawing(scene.side_by_side(layout, columns), title, layout, True, left_out(columns))


def draw_unfolded(
    recurrence: Recurrence,
    steps: int,
    gates: bool = True,
    gradient: bool = False,
    most: int = MANY,
    last_only: bool = False,
    numbers: Numbers | None = None,
    note: str = "",
) -> Drawing:
    """The unfolded graph: a copy of each value per step, from the initial state on. Long ones are abbreviated.

    numbers: what is written in the circles; note: what else is to be said.
    """
    if not isinstance(most, int) or isinstance(most, bool) or most < 3:
        raise InputError(f"most= is the number of steps to draw, a whole number from 3, got {most!r}")
    diagram = reduce(recurrence, gates)
    columns = numbered(first_time(recurrence), steps, max(3, min(most, NODES // len(diagram.values))))
    layout = Layout.of(diagram, [c.time for c in columns], gradient, numbers)
    title = f"Circuit {recurrence.name} unfolded for {_count(steps)}"
    if last_only:
        columns[1:-1] = [replace(c, kind=READING if c.kind == WHOLE else c.kind) for c in columns[1:-1]]
        title += ", with outputs at the last step alone"
    notes = [n for n in (left_out(columns), note) if n]
    return _drawing(scene.unfolded(layout, columns), title, layout, False, *notes)


def _drawing(picture: Scene, title: str, layout: Layout, delay: bool, *notes: str) -> Drawing:
    scene.explain(picture, layout, delay, *notes)
    said = [note[0].upper() + note[1:].rstrip(".") + "." for note in notes if note]
    lines = [title + ".", *said, *describe(layout.diagram)]
    if layout.gradient:
        lines += describe_gradient(layout)
    for circle in picture.circles if layout.numbers else ():
        if layout.numbers and circle.below:
            name = text.plain(text.value(circle.name, circle.time, False))
            lines.append(f"{name}: {layout.numbers.describe(circle.name, circle.time or '')}.")
    return Drawing(picture, title, "\n".join(lines))


def _count(steps: int) -> str:
    return f"{steps} step{'s' * (steps != 1)}"


def around_t(steps: int) -> list[Column]:
    """Steps around t, as from the middle of a sequence."""
    first = -(steps // 2)
    times = [f"t{k:+d}" if k else "t" for k in range(first, first + steps)]
    return [Column(START, ELSEWHERE), *(Column(WHOLE, t) for t in times), Column(END, ELSEWHERE)]


def numbered(start: int, steps: int, most: int = MANY) -> list[Column]:
    """The initial state, at time ``start``, and the steps up to the last; of more than ``most``, the first and the
    last."""
    times: Sequence[int] = range(start + 1, steps + 1)
    left_out = len(times) > most
    last = max(1, most // 3) if left_out else 0
    columns = [Column(WHOLE, str(t)) for t in (times[: most - 1 - last] if left_out else times)]
    columns += [Column(BETWEEN, ELSEWHERE)] * left_out + [Column(WHOLE, str(t)) for t in times[len(times) - last :]]
    return [Column(START, str(start)), *columns]


def left_out(columns: Sequence[Column]) -> str:
    """Which steps are not drawn, in words."""
    for before, column, after in zip(columns, columns[1:], columns[2:], strict=False):
        if column.kind == BETWEEN:
            return f"steps {int(before.time) + 1} to {int(after.time) - 1} are not drawn"
    return ""


def describe(diagram: Diagram) -> list[str]:
    """The picture in words: what is computed from what, and through which parameters."""
    roles: dict[str, list[str]] = {}
    for name, value in diagram.values.items():
        roles.setdefault(value.role, []).append(text.plain(text.value(name, None, value.scalar)))
    what = "; ".join(f"{role}: {', '.join(names)}" for role, names in roles.items())
    lines = [f"Values of a step: {what}."]
    for name, value in diagram.values.items():
        sources = []
        for a in diagram.arrows:
            if a.target == name:
                source = text.plain(text.value(a.source, "t-1" if a.delayed else "t", False))
                sources.append(source + (f" through {text.plain(text.letters(a.letters))}" if a.letters else ""))
        if sources:
            lines.append(f"{text.plain(text.value(name, 't', value.scalar))} from {', '.join(sources)}.")
    return lines


def describe_gradient(layout: Layout) -> list[str]:
    """The gradient's arrows in words."""
    diagram, lines = layout.diagram, []
    for name in diagram.values:
        into = [a for a in diagram.arrows if a.source == name and layout.back(a)]
        if into:
            into.sort(key=lambda a: not a.delayed)
            found = [text.plain(text.gradient(a.target, "t+1" if a.delayed else "t", False)) for a in into]
            lines.append(f"Backward: {text.plain(text.gradient(name, 't', False))} from {', '.join(found)}.")
    return lines
