"""Marks as a matplotlib figure: for PNG and PDF, and for users who compose their own figures."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING, Any

from ..errors import EngineError
from ..graph.notation import ACCENTS, MARKS
from .colours import COLOURS
from .curve import Path as Curve
from .curve import outline
from .labels import Label, Run, width
from .marks import Circle, Letters, Scene
from .svg import LEFT, MARGIN, head, lines_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DOTS = 96.0  # units of the picture per inch
POINT = 72 / DOTS
# of accents in mathtext, which has no check
COMMANDS = {mark: command for mark, command in (*ACCENTS.values(), *MARKS.items())} | {"\u030c": r"\breve"}
PLAIN = {"mono": "sans-serif", "prose": "STIXGeneral"}  # fonts of text that is not mathematics


def figure(scene: Scene, dark: bool = False) -> Figure:
    """The scene at its natural size: a unit is 1/96 inch, as in a browser.

    Raises:
        EngineError: matplotlib is not installed.
    """
    left, top, right, bottom = scene.bounds()
    left, top, right, bottom = left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN
    colour = {name: pair[dark] for name, pair in COLOURS.items()}
    paper = blank(((right - left) / DOTS, (bottom - top) / DOTS), colour["paper"])
    axes = paper.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    _marks(axes, scene, colour)
    axes.set(xlim=(left, right), ylim=(bottom, top))
    return paper


def blank(inches: tuple[float, float], colour: str, **options: Any) -> Figure:
    """An empty figure.

    Raises:
        EngineError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EngineError(
            "PNG, PDF and figures need matplotlib, which is not installed. "
            'Install it with: pip install "unrolled[plots]", or save the drawing as .svg'
        ) from None
    return Figure(figsize=inches, facecolor=colour, **options)


def _marks(axes: Axes, scene: Scene, colour: dict[str, str]) -> None:
    from matplotlib.patches import Circle as Round
    from matplotlib.patches import PathPatch, Polygon, Rectangle

    for block in scene.blocks:
        axes.add_patch(PathPatch(_path(block), facecolor=colour["block"], edgecolor=colour["line"], lw=1.3 * POINT))
    for stroke in scene.strokes:
        dashes = (0, [d / stroke.width for d in stroke.dash]) if stroke.dash else "-"
        ink, wide = colour[stroke.colour], stroke.width * POINT
        axes.add_patch(PathPatch(_path(stroke.line), facecolor="none", edgecolor=ink, lw=wide, linestyle=dashes))
    for wire in scene.wires:
        back = wire.kind == "gradient"
        ink = colour["gradient" if back else "line"]
        style: dict[str, Any] = {"linestyle": (0, (4, 2))} if back else {}
        axes.add_patch(PathPatch(_path(wire.path), facecolor="none", edgecolor=ink, lw=1.4 * POINT, **style))
        axes.add_patch(Polygon(head(wire.path), facecolor=ink, edgecolor="none"))
    for picture in scene.pictures:
        x0, y0, x1, y1 = picture.box
        axes.imshow(picture.rows, extent=(x0, x1, y1, y0), interpolation="nearest", aspect="auto", resample=False)
        axes.add_patch(Rectangle((x0, y0), x1 - x0, y1 - y0, facecolor="none", edgecolor=colour["quiet"], lw=POINT))
    for s in scene.squares:
        corner = s.center[0] - s.side / 2, s.center[1] - s.side / 2
        axes.add_patch(Rectangle(corner, s.side, s.side, facecolor=colour["delay"], edgecolor="none"))
    for dot in scene.dots:
        axes.add_patch(Round(dot.center, dot.radius, facecolor=colour[dot.role], edgecolor=colour["ink"], lw=0.8))
    for circle in scene.circles:
        _circle(axes, circle, colour)
    for mark in scene.letters:
        if mark.kind in PLAIN:
            _plain_text(axes, mark, colour["ink"])
            continue
        ink = colour["parameter"] if mark.kind in ("parameter", "key") else colour["line"]
        x, y = mark.center
        if mark.kind in LEFT:
            _text(axes, mark.label, x - width(mark.label, mark.size) / 2, y, mark.size, ink, "left")
        else:
            _text(axes, mark.label, x, y, mark.size, ink)


def _circle(axes: Axes, circle: Circle, colour: dict[str, str]) -> None:
    from matplotlib.patches import PathPatch

    p, wide = circle.place, 2.6 if circle.role == "state" else 1.1 if circle.role == "named" else 1.6
    style: dict[str, Any] = {"facecolor": colour[circle.role], "edgecolor": colour["ink"], "lw": wide * POINT}
    if circle.role == "named":
        style["edgecolor"] = colour["quiet"]
    if circle.faint:
        style |= {"facecolor": "none", "edgecolor": colour["quiet"], "linestyle": (0, (4, 3)), "lw": 1.3 * POINT}
    axes.add_patch(PathPatch(_path(outline(p)), **style))
    for label, kind, y, size in lines_of(circle):
        _text(axes, label, p.x, y, size, colour["gradient" if kind == "nan" else "ink"])


def _path(curve: Curve) -> Any:
    from matplotlib.path import Path

    points, codes = [curve.start], [Path.MOVETO]
    for piece in curve.pieces:
        points += piece[1:]
        codes += [Path.LINETO] if len(piece) == 2 else [Path.CURVE4] * 3
    return Path(points, codes)


def _plain_text(axes: Axes, mark: Letters, ink: str) -> None:
    """Text as it is, not set as mathematics: names and sentences may hold any character."""
    x, y = mark.center
    x -= width(mark.label, mark.size) / 2 * (mark.kind in LEFT)
    written, bold = "".join(run.text for run in mark.label), mark.label[0].style == "b"
    font: dict[str, Any] = {
        "fontfamily": PLAIN[mark.kind],
        "fontweight": "bold" if bold else "normal",
        "parse_math": False,
    }
    side = "left" if mark.kind in LEFT else "center"
    axes.text(x, y + 0.33 * mark.size, written, fontsize=mark.size * POINT, color=ink, ha=side, **font)


def _text(axes: Axes, label: Label, x: float, y: float, size: float, ink: str, side: str = "center") -> None:
    base = y + 0.33 * size
    axes.text(x, base, _math(label), fontsize=size * POINT, color=ink, ha=side, va="baseline", math_fontfamily="stix")


def _math(label: Label) -> str:
    """The label in matplotlib's mathtext."""
    parts, shift = [], "base"
    for run in label:
        if run.shift != shift:
            parts.append("}" * (shift != "base") + {"base": "", "sup": "^{", "sub": "_{"}[run.shift])
            shift = run.shift
        parts.append(_styled(run))
    return "$" + "".join(parts) + "}" * (shift != "base") + "$"


def _styled(run: Run) -> str:
    text = run.text.replace("_", r"\_").replace(" ", r"\ ").replace("⋯", r"\cdots ").replace("…", r"\ldots ")
    face = "mathbfit" if "b" in run.style and "i" in run.style else "mathbf" if "b" in run.style else ""
    face = face or ("mathit" if "i" in run.style else "mathrm")
    if run.text == "∇":
        return r"\nabla "
    spread = unicodedata.normalize("NFD", text)
    accents = [c for c in spread if c in COMMANDS]  # fonts have few letters with an accent
    styled = rf"\{face}{{{''.join(c for c in spread if c not in COMMANDS)}}}"
    for accent in accents:
        styled = rf"{COMMANDS[accent]}{{{styled}}}"
    return styled
