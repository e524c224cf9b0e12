"""Pictures of a recurrence, in the style of Goodfellow, Bengio and Courville (2016), chapter 10."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import InputError
from ..graph.recurrence import Recurrence
from ..transform.unfold import first_time
from . import labels, scene
from .figure import figure
from .legend import explain
from .marks import Scene
from .numbers import Numbers
from .reduce import Diagram, reduce
from .scene import BETWEEN, ELSEWHERE, END, READING, START, WHOLE, Column, Layout
from .svg import render

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MANY = 6  # by default, a graph with more steps is abbreviated to its first and last ones
NODES = 1000  # the largest number of circles in a picture
RELATIVE = 3  # up to this number, steps are drawn as t-1, t, t+1; more steps are numbered


class Drawing:
    """A picture: ``.svg`` is the document, ``.save("elman.svg")`` writes a file, and notebooks display it.

    ``.text`` describes the picture in words. The document contains this text for screen readers.
    """

    def __init__(self, scene: Scene, title: str, text: str) -> None:
        self.scene = scene
        self.text = text
        self.svg = render(scene, title, text)

    def figure(self, *, dark: bool = False) -> Figure:
        """The picture as a matplotlib figure, which you can combine with others or restyle.

        Args:
            dark: True for the colours of a dark background.

        Raises:
            EngineError: matplotlib is not installed.
        """
        return figure(self.scene, dark)

    def save(self, path: str | Path) -> None:
        """Write the picture to a file.

        Args:
            path: a name that ends in .svg, .png or .pdf. PNG and PDF need matplotlib.

        Raises:
            InputError: the name has another ending, or the file cannot be written.
            EngineError: matplotlib is not installed.
        """
        path = Path(path)
        kind = path.suffix.lower()
        if kind not in (".svg", ".png", ".pdf"):
            raise InputError(
                f"a drawing can be saved as .svg, .png or .pdf, got '{path}'. Name it '{path.with_suffix('.svg')}'"
            )
        if not path.parent.is_dir():
            raise InputError(f"cannot save '{path}': folder '{path.parent}' does not exist")
        try:
            if kind == ".svg":
                path.write_text(self.svg, encoding="utf-8", newline="\n")
            else:
                self.figure().savefig(path, dpi=192)
        except OSError as problem:
            raise InputError(f"cannot save '{path}': {problem.strerror or problem}") from None

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<drawing: {self.text.splitlines()[0]}>"


def draw_recurrence(recurrence: Recurrence, steps: int, gates: bool = True, gradient: bool = False) -> Drawing:
    """The circuit diagram, in which a black square is a delay of one step, beside the unfolded graph.

    Up to three steps are drawn as steps from the middle of a sequence (t-1, t, t+1). More steps are numbered from 1.
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
    """The unfolded graph from the initial state on: one copy of each value per step. Long graphs are abbreviated.

    Args:
        recurrence: the recurrence.
        steps: the time of the last step.
        gates: False draws only inputs, states and outputs as circles.
        gradient: True also draws the gradient's arrows.
        most: the largest number of steps to draw.
        last_only: True draws outputs at the last step only.
        numbers: the numbers to write in the circles.
        note: an additional line in the legend.

    Raises:
        InputError: ``most`` is less than 3.
    """
    if not isinstance(most, int) or isinstance(most, bool) or most < 3:
        raise InputError(f"most=, the largest number of steps to draw, must be an integer of at least 3, got {most!r}")
    diagram = reduce(recurrence, gates)
    columns = numbered(first_time(recurrence), steps, max(3, min(most, NODES // len(diagram.values))))
    layout = Layout.of(diagram, [c.time for c in columns], gradient, numbers)
    title = f"Circuit {recurrence.name} unfolded for {_count(steps)}"
    if last_only:
        columns[1:-1] = [replace(c, kind=READING if c.kind == WHOLE else c.kind) for c in columns[1:-1]]
        title += ", with outputs at the last step only"
    notes = [n for n in (left_out(columns), note) if n]
    return _drawing(scene.unfolded(layout, columns), title, layout, False, *notes)


def _drawing(picture: Scene, title: str, layout: Layout, delay: bool, *notes: str) -> Drawing:
    explain(picture, layout, delay, *notes)
    said = [note[0].upper() + note[1:].rstrip(".") + "." for note in notes if note]
    lines = [title + ".", *said, *describe(layout.diagram)]
    if layout.gradient:
        lines += describe_gradient(layout)
    for circle in picture.circles if layout.numbers else ():
        if layout.numbers and circle.below:
            name = labels.plain(labels.value(circle.name, circle.time, False))
            lines.append(f"{name}: {layout.numbers.describe(circle.name, circle.time or '')}.")
    return Drawing(picture, title, "\n".join(lines))


def _count(steps: int) -> str:
    return f"{steps} step{'s' * (steps != 1)}"


def around_t(steps: int) -> list[Column]:
    """The columns of steps around t, from the middle of a sequence."""
    first = -(steps // 2)
    times = [f"t{k:+d}" if k else "t" for k in range(first, first + steps)]
    return [Column(START, ELSEWHERE), *(Column(WHOLE, t) for t in times), Column(END, ELSEWHERE)]


def numbered(start: int, steps: int, most: int = MANY) -> list[Column]:
    """The columns of the initial state, at time ``start``, and of all steps up to ``steps``; if there are more than
    ``most``, of the first and last ones."""
    times: Sequence[int] = range(start + 1, steps + 1)
    left_out = len(times) > most
    last = max(1, most // 3) if left_out else 0
    columns = [Column(WHOLE, str(t)) for t in (times[: most - 1 - last] if left_out else times)]
    columns += [Column(BETWEEN, ELSEWHERE)] * left_out + [Column(WHOLE, str(t)) for t in times[len(times) - last :]]
    return [Column(START, str(start)), *columns]


def left_out(columns: Sequence[Column]) -> str:
    """The steps that are not drawn, in words."""
    for before, column, after in zip(columns, columns[1:], columns[2:], strict=False):
        if column.kind == BETWEEN:
            return f"steps {int(before.time) + 1} to {int(after.time) - 1} are not drawn"
    return ""


def describe(diagram: Diagram) -> list[str]:
    """The picture in words: which value is computed from which others, through which parameters."""
    roles: dict[str, list[str]] = {}
    for name, value in diagram.values.items():
        roles.setdefault(value.role, []).append(labels.plain(labels.value(name, None, value.scalar)))
    what = "; ".join(f"{role}: {', '.join(names)}" for role, names in roles.items())
    lines = [f"Values of a step: {what}."]
    for name, value in diagram.values.items():
        sources = []
        for a in diagram.arrows:
            if a.target == name:
                source = labels.plain(labels.value(a.source, "t-1" if a.delayed else "t", False))
                sources.append(source + (f" through {labels.plain(labels.letters(a.letters))}" if a.letters else ""))
        if sources:
            lines.append(f"{labels.plain(labels.value(name, 't', value.scalar))} from {', '.join(sources)}.")
    return lines


def describe_gradient(layout: Layout) -> list[str]:
    """The arrows of the gradient in words."""
    diagram, lines = layout.diagram, []
    for name in diagram.values:
        into = [a for a in diagram.arrows if a.source == name and layout.back(a)]
        if into:
            into.sort(key=lambda a: not a.delayed)
            found = [labels.plain(labels.gradient(a.target, "t+1" if a.delayed else "t", False)) for a in into]
            lines.append(f"Backward: {labels.plain(labels.gradient(name, 't', False))} from {', '.join(found)}.")
    return lines
