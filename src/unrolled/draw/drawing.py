"""Pictures of a recurrence, in the visual language of Goodfellow, Bengio and Courville (2016), chapter 10."""

from __future__ import annotations

from pathlib import Path

from ..errors import InputError
from ..graph.recurrence import Recurrence
from ..transform.unfold import Unfolded
from . import scene, text
from .reduce import Diagram, reduce
from .scene import BETWEEN, ELSEWHERE, END, START, WHOLE, Column
from .svg import render

MANY = 6  # more steps are abbreviated to the FIRST and the LAST of them
FIRST, LAST = 3, 2
RELATIVE = 3  # up to so many steps are drawn as steps around t, more are numbered


class Drawing:
    """A picture: ``.svg`` is the document, ``.save("elman.svg")`` writes it, notebooks show it.

    ``.text`` says in words what is drawn; the document carries it for those who cannot see.
    """

    def __init__(self, svg: str, text: str) -> None:
        self.svg = svg
        self.text = text

    def save(self, path: str | Path) -> None:
        """Write the picture to a file whose name ends in .svg.

        Raises InputError for another ending, and for a place that cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".svg":
            raise InputError(f"a drawing is saved as .svg, got '{path}'. Name it '{path.with_suffix('.svg')}'")
        if not path.parent.is_dir():
            raise InputError(f"cannot save '{path}': there is no folder '{path.parent}'")
        try:
            path.write_text(self.svg, encoding="utf-8", newline="\n")
        except OSError as problem:
            raise InputError(f"cannot save '{path}': {problem.strerror or problem}") from None

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<drawing: {self.text.splitlines()[0]}>"


def draw_recurrence(recurrence: Recurrence, unfolded: Unfolded) -> Drawing:
    """Side by side: the circuit diagram, where a black square is a delay of one step, and the unfolded graph.

    Up to three steps are drawn as any steps of a long sequence (t-1, t, t+1); more are numbered from 1.
    """
    diagram, steps = reduce(recurrence), _steps(unfolded)
    if steps < 1:
        raise InputError(f"a drawing of '{recurrence.name}' shows at least 1 step, got {steps}")
    columns = around_t(steps) if steps <= RELATIVE else numbered(unfolded)
    title = f"Circuit {recurrence.name} and its graph unfolded for {_count(steps)}"
    return _drawing(scene.side_by_side(diagram, columns), title, diagram)


def draw_unfolded(unfolded: Unfolded) -> Drawing:
    """The unfolded graph: a copy of each value per step, from the initial state on. Long ones are abbreviated."""
    diagram = reduce(unfolded.recurrence)
    title = f"Circuit {unfolded.recurrence.name} unfolded for {_count(_steps(unfolded))}"
    return _drawing(scene.alone(diagram, numbered(unfolded)), title, diagram)


def _drawing(picture: scene.Scene, title: str, diagram: Diagram) -> Drawing:
    description = "\n".join([title + ".", *describe(diagram)])
    return Drawing(render(picture, title, description), description)


def _steps(unfolded: Unfolded) -> int:
    """How many steps were asked for: an autonomous circuit is at its first before anything is computed."""
    return len(unfolded.times) + unfolded.start_time


def _count(steps: int) -> str:
    return f"{steps} step{'s' * (steps != 1)}"


def around_t(steps: int) -> list[Column]:
    """Steps around t, as from the middle of a sequence."""
    first = -(steps // 2)
    times = [f"t{k:+d}" if k else "t" for k in range(first, first + steps)]
    return [Column(START, ELSEWHERE), *(Column(WHOLE, t) for t in times), Column(END, ELSEWHERE)]


def numbered(unfolded: Unfolded) -> list[Column]:
    """The initial state and the steps from the first to the last."""
    columns = [Column(WHOLE, str(t)) for t in unfolded.times]
    if len(columns) > MANY:
        columns = [*columns[:FIRST], Column(BETWEEN, ELSEWHERE), *columns[-LAST:]]
    return [Column(START, str(unfolded.start_time)), *columns]


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
