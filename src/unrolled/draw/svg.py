"""Marks as SVG text: no scripts, no fonts, no references."""

from __future__ import annotations

import math
import struct
import zlib
from base64 import b64encode
from collections.abc import Sequence
from functools import lru_cache
from unicodedata import normalize
from xml.sax.saxutils import escape

from .colours import COLOURS
from .curve import Path, Point
from .labels import FALL, RISE, SMALL, Label, Run, stacked, width
from .marks import BELOW, Circle, Dot, Letters, Picture, Scene, Square, Stroke, Wire

MARGIN = 18.0
LEFT = ("legend", "key", "prose")  # left-aligned text; other text is centred
SPACE = 0.25  # the width of a space, relative to the size of the letters
HEAD = 9.0  # the length of an arrowhead
LATIN = 0x180  # the first character after the Latin letters that text fonts have
ALONE = {
    "\u0307": "˙",
    "\u030a": "˚",
    "\u030c": "ˇ",
    "\u0302": "ˆ",
    "\u0303": "˜",
    "\u0304": "ˉ",
}  # marks as characters
TALL, ABOVE = 0.27, 0.2  # how far a mark is raised above a tall letter and above another mark, relative to the size
BACK = -0.36  # from the end of a subscript of one character back to the start of the superscript above it

STYLE = """
.unrolled .paper{fill:{paper}}
.unrolled text{font-family:"STIX Two Text","Latin Modern Roman",Cambria,"Times New Roman",Times,serif;
text-anchor:middle;fill:{ink}}
.unrolled .b{font-weight:bold}
.unrolled .i{font-style:italic}
.unrolled .circle{stroke:{ink};stroke-width:1.6}
.unrolled .input{fill:{input}}
.unrolled .fixed{fill:{fixed}}
.unrolled .state{fill:{state};stroke-width:2.6}
.unrolled .output{fill:{output}}
.unrolled .loss{fill:{loss}}
.unrolled .named{fill:{named};stroke:{quiet};stroke-width:1.1}
.unrolled .faint{fill:none;stroke:{quiet};stroke-width:1.3;stroke-dasharray:4 3}
.unrolled .forward{fill:none;stroke:{line};stroke-width:1.4}
.unrolled .forward-head{fill:{line}}
.unrolled .gradient{fill:none;stroke:{gradient};stroke-width:1.6;stroke-dasharray:6 3}
.unrolled .gradient-head{fill:{gradient}}
.unrolled .delay{fill:{delay}}
.unrolled .block{fill:{block};stroke:{line};stroke-width:1.3}
.unrolled .frame{fill:none;stroke:{quiet};stroke-width:1}
.unrolled text.mono{font-family:ui-monospace,"DejaVu Sans Mono",monospace}
.unrolled .nan{fill:{gradient};font-weight:bold}
.unrolled text.parameter,.unrolled text.key{fill:{parameter}}
.unrolled text.note,.unrolled text.legend{fill:{line}}
.unrolled text.legend,.unrolled text.key{text-anchor:start}
.unrolled .dot{stroke-width:1.1}
"""


CHART = ".unrolled text.prose{text-anchor:start}\n" + "".join(
    f".unrolled .stroke-{name}{{fill:none;stroke:{{{name}}}}}\n" for name in ("block", "quiet", "gradient", "parameter")
)


def _style(style: str, dark: bool) -> str:
    for name, pair in COLOURS.items():
        style = style.replace(f"{{{name}}}", pair[dark])
    return style


def _sheet(style: str) -> str:
    """The style in both palettes, of which the reader's browser chooses one."""
    return _style(style, False) + "@media (prefers-color-scheme:dark){" + _style(style, True) + "}\n"


SHEET, CHART_SHEET = _sheet(STYLE), _sheet(STYLE + CHART)


def render(scene: Scene, title: str, description: str) -> str:
    """The scene as a self-contained SVG document."""
    left, top, right, bottom = scene.bounds()
    x, y, w, h = left - MARGIN, top - MARGIN, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="unrolled" role="img" '
        f'width="{w:.0f}" height="{h:.0f}" viewBox="{_n(x)} {_n(y)} {_n(w)} {_n(h)}">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(description)}</desc>",
        f"<style>{CHART_SHEET if scene.strokes else SHEET}</style>",
        f'<rect class="paper" x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}"/>',
    ]
    lines += [f'<path class="block" d="{outline(block)}Z"/>' for block in scene.blocks]
    lines += [_stroke(stroke) for stroke in scene.strokes]
    drawn = {key: _wire(wire) for key, wire in {(id(w.line), w.kind): w for w in scene.wires}.items()}
    lines += [drawn[id(w.line), w.kind].replace("/>", _moved(w.dx)) for w in scene.wires]
    lines += [_square(square) for square in scene.squares]
    lines += [_circle(circle) for circle in scene.circles]
    lines += [_dot(dot) for dot in scene.dots]
    lines += [_picture(picture) for picture in scene.pictures]
    lines += [_letters(mark) for mark in scene.letters]
    return "\n".join([*lines, "</svg>"]) + "\n"


@lru_cache(maxsize=16384)
def _n(value: float) -> str:
    text = f"{value:.2f}"
    if text[-1] == "0":
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def outline(path: Path) -> str:
    """The path as SVG path data."""
    parts = [f"M{_n(path.start[0])} {_n(path.start[1])}"]
    for piece in path.pieces:
        command = "L" if len(piece) == 2 else "C"
        parts.append(command + " ".join(f"{_n(x)} {_n(y)}" for x, y in piece[1:]))
    return "".join(parts)


def _wire(wire: Wire) -> str:
    """The line and its head, at the position that all copies of the arrow share."""
    corners = "L".join(f"{_n(x)} {_n(y)}" for x, y in head(wire.line))
    return f'<path class="{wire.kind}" d="{outline(wire.line)}"/><path class="{wire.kind}-head" d="M{corners}Z"/>'


def _moved(dx: float) -> str:
    return f' transform="translate({_n(dx)})"/>' if dx else "/>"


def head(path: Path) -> tuple[Point, Point, Point]:
    """The three corners of the arrowhead."""
    (x, y), (ux, uy) = path.end, path.heading()
    bx, by = x - HEAD * ux, y - HEAD * uy
    wide = 0.42 * HEAD
    return (x, y), (bx - wide * uy, by + wide * ux), (bx + wide * uy, by - wide * ux)


def _stroke(stroke: Stroke) -> str:
    dash = f' stroke-dasharray="{" ".join(map(_n, stroke.dash))}"' if stroke.dash else ""
    style = f'class="stroke-{stroke.colour}" stroke-width="{_n(stroke.width)}"{dash}'
    return f'<path {style} d="{outline(stroke.line)}"/>'


def _square(square: Square) -> str:
    (x, y), side = square.center, square.side
    corner = f'x="{_n(x - side / 2)}" y="{_n(y - side / 2)}"'
    return f'<rect class="delay" {corner} width="{_n(side)}" height="{_n(side)}"/>'


def _dot(dot: Dot) -> str:
    (x, y), r = dot.center, dot.radius
    return f'<circle class="circle dot {dot.role}" cx="{_n(x)}" cy="{_n(y)}" r="{_n(r)}"/>'


def _circle(circle: Circle) -> str:
    p = circle.place
    kind = f"circle {circle.role}" + " faint" * circle.faint
    if p.w == p.h:
        shape = f'<circle class="{kind}" cx="{_n(p.x)}" cy="{_n(p.y)}" r="{_n(p.h / 2)}"/>'
    else:
        shape = (
            f'<rect class="{kind}" x="{_n(p.left)}" y="{_n(p.y - p.h / 2)}" width="{_n(p.w)}" '
            f'height="{_n(p.h)}" rx="{_n(p.h / 2)}"/>'
        )
    return shape + "".join(_text(label, p.x, y, size, kind) for label, kind, y, size in lines_of(circle))


def lines_of(circle: Circle) -> list[tuple[Label, str, float, float]]:
    """The text in a circle, line by line: label, kind, y and size."""
    y, size = circle.place.y, circle.size
    if not circle.below:
        return [(circle.label, "value", y, size)]
    many = len(circle.below) > 1
    lines = [(circle.label, "value", y - (0.85 if many else 0.45) * size, 0.94 * size)]
    places = ((0.14, BELOW[0]), (0.96, BELOW[1])) if many else ((0.68, BELOW[0]),)
    below = zip(circle.below, places, strict=False)
    return lines + [(label, kind, y + down * size, part * size) for (label, kind), (down, part) in below]


def _picture(picture: Picture) -> str:
    """The pixels as an embedded PNG with a frame."""
    x, y, right, bottom = picture.box
    wide, high = math.ceil((right - x) / len(picture.rows[0])), math.ceil((bottom - y) / len(picture.rows))
    data = b64encode(png(picture.rows, wide, high)).decode("ascii")
    place = f'x="{_n(x)}" y="{_n(y)}" width="{_n(right - x)}" height="{_n(bottom - y)}"'
    return (
        f'<image {place} preserveAspectRatio="none" image-rendering="optimizeSpeed" style="image-rendering:pixelated" '
        f'href="data:image/png;base64,{data}"/><rect class="frame" {place}/>'
    )


def png(rows: Sequence[Sequence[tuple[int, int, int, int]]], wide: int = 1, high: int = 1) -> bytes:
    """Pixels as a PNG file (ISO/IEC 15948): size, compressed rows, end. Each pixel is enlarged to ``wide`` × ``high``,
    because some SVG viewers would blur the edges."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    across, down = len(rows[0]) * wide, len(rows) * high
    header = struct.pack(">IIBBBBB", across, down, 8, 6, 0, 0, 0)  # 8 bits each of red, green, blue, opacity
    body = b"".join((b"\0" + b"".join(bytes(pixel) * wide for pixel in row)) * high for row in rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def _letters(mark: Letters) -> str:
    x, y = mark.center
    x -= width(mark.label, mark.size) / 2 * (mark.kind in LEFT)
    return _text(mark.label, x, y, mark.size, mark.kind)


def _text(label: Label, x: float, y: float, size: float, kind: str) -> str:
    """The label at a position."""
    base = y + 0.33 * size
    if any(_marks(run.text) for run in label):
        content = _marked(label, x if kind in LEFT else x - width(label, size) / 2, base, size)
    else:
        content = _spans(label, size)
    return f'<text class="{kind}" x="{_n(x)}" y="{_n(base)}" font-size="{_n(size)}">{content}</text>'


def _marks(text: str) -> str:
    """The marks of a letter for which fonts have no glyph: they place such marks badly."""
    return "" if len(text) == 1 and ord(text) < LATIN else "".join(c for c in normalize("NFD", text) if c in ALONE)


def _marked(label: Label, x: float, y: float, size: float) -> str:
    """The runs of a label that has letters with marks, from x on. Each mark is a character of its own, centred above
    its letter in any font; what follows starts where the letter ends in common fonts."""
    spans, rest = list[str](), list[Run]()

    def span(anchor: str, at: float, rise: float, *runs: Run) -> None:
        place = f'x="{_n(at)}" y="{_n(y - rise * size)}" style="text-anchor:{anchor}"'
        spans.append(f"<tspan {place}>{_spans(runs, size)}</tspan>")

    for run in (*label, Run("")):
        marks = _marks(run.text)
        if (marks or not run.text) and rest:
            span("start", x, 0.0, *rest)
            x += width(tuple(rest), size)
            rest = []
        if not marks:
            rest.append(run)
            continue
        letter = "".join(c for c in normalize("NFD", run.text) if c not in ALONE)
        centre = x + width((run,), size) / 2
        span("middle", centre, 0.0, run._replace(text=letter))
        tall = letter[0].isupper() or letter[0] in "bdfhijklt"
        for k, mark in enumerate(marks):
            span("middle", centre, TALL * tall + ABOVE * k, run._replace(text=ALONE[mark]))
        x += width((run,), size)
    return "".join(spans)


@lru_cache(maxsize=4096)
def _spans(label: Label, size: float) -> str:
    """The runs of a label. A superscript raises the baseline, and the next run lowers it again."""
    spans, level, space = [], 0.0, 0.0
    for run in label:
        written = run.text.strip(" ")
        before = len(run.text) - len(run.text.lstrip(" ")) if written else len(run.text)
        space += SPACE * size * before  # as a distance, because some programs drop a space at the end of a run
        if not written:
            continue
        here = {"base": 0.0, "sup": -RISE * size, "sub": FALL * size}[run.shift]
        move = f' dy="{_n(here - level)}"' if here != level else ""
        if run.shift == "sup" and level >= 0:
            space += (0.07 if level == 0 else BACK * stacked(label)) * size
        move += f' dx="{_n(space)}"' if space or run.shift == "sup" else ""
        small = f' font-size="{_n(SMALL * size)}"' if run.shift != "base" else ""
        style = f' class="{" ".join(run.style)}"' if run.style else ""
        spans.append(f"<tspan{style}{small}{move}>{escape(written)}</tspan>")
        level = here
        space = SPACE * size * (len(run.text) - len(run.text.rstrip(" ")))
    return "".join(spans)
