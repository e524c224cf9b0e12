"""Marks as SVG text: no scripts, no fonts, no references. Colours after Okabe and Ito, readable in grey too."""

from __future__ import annotations

from xml.sax.saxutils import escape

from .curve import Path
from .scene import Circle, Letters, Scene, Square, Wire
from .text import FALL, RISE, SMALL, Label, stacked, width

MARGIN = 18.0
HEAD = 9.0  # the length of an arrow's head
BACK = -0.36  # from the end of a subscript of one character back to where a superscript above it begins

STYLE = """
.unrolled .paper{fill:#ffffff}
.unrolled text{font-family:"STIX Two Text","Latin Modern Roman",Cambria,"Times New Roman",Times,serif;
text-anchor:middle;fill:#1a1a1a}
.unrolled .b{font-weight:bold}
.unrolled .i{font-style:italic}
.unrolled .circle{stroke:#1a1a1a;stroke-width:1.6}
.unrolled .input{fill:#dcebf7}
.unrolled .state{fill:#fbe3b5;stroke-width:2.6}
.unrolled .output{fill:#cfeadf}
.unrolled .loss{fill:#f3d3e3}
.unrolled .named{fill:#f4f4f4;stroke:#6b6b6b;stroke-width:1.1}
.unrolled .faint{fill:none;stroke:#8a8a8a;stroke-width:1.3;stroke-dasharray:4 3}
.unrolled .wire{fill:none;stroke:#3a3a3a;stroke-width:1.4}
.unrolled .head{fill:#3a3a3a}
.unrolled .delay{fill:#000000}
.unrolled .block{fill:#e9e9e9;stroke:#3a3a3a;stroke-width:1.3}
.unrolled .parameter{fill:#00548a}
.unrolled .note,.unrolled .legend{fill:#3a3a3a}
.unrolled text.legend{text-anchor:start}
@media (prefers-color-scheme:dark){
.unrolled .paper{fill:#16181c}
.unrolled text{fill:#f0f0f0}
.unrolled .circle{stroke:#e4e4e4}
.unrolled .input{fill:#1d3e57}
.unrolled .state{fill:#6a4a0c}
.unrolled .output{fill:#0f4d3b}
.unrolled .loss{fill:#5c2c45}
.unrolled .named{fill:#2b2e34;stroke:#a0a0a0}
.unrolled .faint{fill:none;stroke:#8f8f8f}
.unrolled .wire{stroke:#c8c8c8}
.unrolled .head{fill:#c8c8c8}
.unrolled .delay{fill:#ffffff}
.unrolled .block{fill:#34373d;stroke:#c8c8c8}
.unrolled .parameter{fill:#7cc4f2}
.unrolled .note,.unrolled .legend{fill:#c8c8c8}
}
"""


def render(scene: Scene, title: str, description: str) -> str:
    """The scene as a self-contained SVG document."""
    left, top, right, bottom = scene.bounds()
    x, y, w, h = left - MARGIN, top - MARGIN, right - left + 2 * MARGIN, bottom - top + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="unrolled" role="img" '
        f'width="{w:.0f}" height="{h:.0f}" viewBox="{_n(x)} {_n(y)} {_n(w)} {_n(h)}">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(description)}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="paper" x="{_n(x)}" y="{_n(y)}" width="{_n(w)}" height="{_n(h)}"/>',
    ]
    lines += [f'<path class="block" d="{_d(block)}Z"/>' for block in scene.blocks]
    lines += [_wire(wire) for wire in scene.wires]
    lines += [_square(square) for square in scene.squares]
    lines += [_circle(circle) for circle in scene.circles]
    lines += [_letters(mark) for mark in scene.letters]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _n(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if abs(value) >= 0.005 else "0"


def _d(path: Path) -> str:
    parts = [f"M{_n(path.start[0])} {_n(path.start[1])}"]
    for piece in path.pieces:
        command = "L" if len(piece) == 2 else "C"
        parts.append(command + " ".join(f"{_n(x)} {_n(y)}" for x, y in piece[1:]))
    return "".join(parts)


def _wire(wire: Wire) -> str:
    (x, y), (ux, uy) = wire.path.end, wire.path.heading()
    bx, by = x - HEAD * ux, y - HEAD * uy
    wide = 0.42 * HEAD
    points = ((x, y), (bx - wide * uy, by + wide * ux), (bx + wide * uy, by - wide * ux))
    head = f'<path class="head" d="M{"L".join(f"{_n(a)} {_n(b)}" for a, b in points)}Z"/>'
    return f'<path class="wire" d="{_d(wire.path)}"/>' + head * wire.head


def _square(square: Square) -> str:
    (x, y), side = square.center, square.side
    corner = f'x="{_n(x - side / 2)}" y="{_n(y - side / 2)}"'
    return f'<rect class="delay" {corner} width="{_n(side)}" height="{_n(side)}"/>'


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
    return shape + _text(circle.label, p.x, p.y, circle.size, "value")


def _letters(mark: Letters) -> str:
    x, y = mark.center
    x -= width(mark.label, mark.size) / 2 * (mark.kind == "legend")
    return _text(mark.label, x, y, mark.size, mark.kind)


def _text(label: Label, x: float, y: float, size: float, kind: str) -> str:
    """The label around a centre; superscripts move the line up and what follows moves it back."""
    spans, level = [], 0.0
    for run in label:
        here = {"base": 0.0, "sup": -RISE * size, "sub": FALL * size}[run.shift]
        move = f' dy="{_n(here - level)}"' if here != level else ""
        if run.shift == "sup" and level >= 0:
            move += f' dx="{_n((0.07 if level == 0 else BACK * stacked(label)) * size)}"'
        small = f' font-size="{_n(SMALL * size)}"' if run.shift != "base" else ""
        style = f' class="{" ".join(run.style)}"' if run.style else ""
        spans.append(f"<tspan{style}{small}{move}>{escape(run.text)}</tspan>")
        level = here
    place = f'x="{_n(x)}" y="{_n(y + 0.33 * size)}" font-size="{_n(size)}"'
    return f'<text class="{kind}" {place}>{"".join(spans)}</text>'
