"""The legend below a picture: what its marks mean."""

from __future__ import annotations

from . import labels
from .colours import ROLES
from .curve import Path
from .marks import Dot, Letters, Scene, Square, Wire
from .scene import Layout, dense

SIZE = 14.0  # of the letters


def explain(scene: Scene, layout: Layout, delay: bool, *notes: str) -> None:
    """Add the legend below the picture."""
    left, _, right, bottom = scene.bounds()
    x, y, at = left, bottom + 30, SIZE

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
            entry(role, labels.words(ROLES[role]))
    names = {letter for arrow in layout.diagram.arrows for way in arrow.letters for letter in way}
    if names:
        entry("", labels.words("the same at every step"), key=labels.letters(tuple((n,) for n in sorted(names))))
    if layout.gradient:
        entry("gradient", labels.words("∇: the gradient of the loss, backward in time"), 40.0)
    if dense(layout.diagram):
        entry(
            "",
            labels.words(f"{len(layout.diagram.arrows)} arrows per step: only the circuit names parameters"),
            0.0,
        )
    if layout.numbers:
        entry("", labels.words("numbers: scalars, and root mean squares of vectors"), 0.0)
    for note in notes:
        if note:
            entry("", labels.words(note), 0.0)
