"""A diagnosis as one SVG picture: for each layer its gradients against lag, the eigenvalues, what the parameters learn
from, and its memory. No scripts; light and dark."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from textwrap import wrap

from ..draw.colours import COLOURS
from .layer import Layer
from .panels import Panel, panels

WIDE, HIGH, LEFT, GAP, TOP = 230.0, 150.0, 52.0, 78.0, 64.0
CSS = """
.diagnosis .paper{fill:{paper}}.diagnosis text{font:12px sans-serif;fill:{ink}}
.diagnosis .title{font-weight:bold;font-size:13px}.diagnosis .small{font-size:10.5px;fill:{quiet}}
.diagnosis .axis{fill:none;stroke:{quiet};stroke-width:1}.diagnosis .grid{fill:none;stroke:{block};stroke-width:1}
.diagnosis path.gradient{fill:none;stroke:{gradient};stroke-width:2}.diagnosis text.gradient{fill:{gradient}}
.diagnosis path.parameter{fill:none;stroke:{parameter};stroke-width:2}.diagnosis text.parameter{fill:{parameter}}
.diagnosis circle{fill:{parameter};fill-opacity:.55}
"""


def _css(dark: bool) -> str:
    css = CSS
    for name, pair in COLOURS.items():
        css = css.replace(f"{{{name}}}", pair[dark])
    return css


SHEET = _css(False) + "@media (prefers-color-scheme:dark){" + _css(True) + "}"


def picture(layers: Sequence[Layer], verdict: str) -> str:
    """The whole picture."""
    lines = wrap(verdict, 150)
    top = TOP + 16 * (len(lines) - 1)
    wide = LEFT + 4 * (WIDE + GAP) - 20
    high = top + len(layers) * (HIGH + 96)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="diagnosis" role="img" width="{wide:.0f}" height="{high:.0f}" '
        f'viewBox="0 0 {wide:.0f} {high:.0f}">',
        f"<title>Diagnosis</title><desc>{escape(verdict)}</desc><style>{SHEET}</style>",
        f'<rect class="paper" width="{wide:.0f}" height="{high:.0f}"/>',
    ]
    parts += [
        f'<text x="{LEFT - 30}" y="{24 + 16 * k}" class="title">{escape(line)}</text>' for k, line in enumerate(lines)
    ]
    for k, layer in enumerate(layers):
        y = top + k * (HIGH + 96)
        name = f"{layer.name + ': ' if layer.name else ''}{layer.circuit}, {layer.units:,} units"
        parts.append(f'<text x="{LEFT - 30}" y="{y - 14}">{escape(name)}</text>')
        if layer.problem or layer.reach is None:
            parts.append(f'<text x="{LEFT - 30}" y="{y + 8}">{escape(str(layer.problem))}</text>')
            continue
        first, *others = (_panel(p) for p in panels(layer))
        for number, panel in enumerate((first, _plane(layer), *others)):
            parts.append(f'<g transform="translate({LEFT + number * (WIDE + GAP):.0f},{y + 12:.0f})">{panel}</g>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def page(svg: str, text: str) -> str:
    """The picture and the text as an HTML page."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Diagnosis</title>'
        "<style>:root{color-scheme:light dark}body{margin:1.5em;font-family:sans-serif}svg{max-width:100%;height:auto}"
        f"pre{{white-space:pre-wrap}}</style>\n{svg}<pre>{escape(text)}</pre></html>\n"
    )


def _panel(panel: Panel) -> str:
    low, high = min(y for y, _ in panel.ticks), max(y for y, _ in panel.ticks)
    farthest = panel.farthest or 1.0

    def x(v: float) -> float:
        return WIDE * v / farthest

    def y(v: float) -> float:
        return HIGH * (1 - (min(max(v, low), high) - low) / ((high - low) or 1))

    parts = [f'<text x="0" y="-8">{escape(panel.title)}</text>']
    for value, name in panel.ticks:
        parts.append(f'<path class="grid" d="M0 {y(value):.1f}H{WIDE}"/>')
        parts.append(f'<text class="small" text-anchor="end" x="-6" y="{y(value) + 4:.1f}">{name}</text>')
    parts.append(f'<path class="axis" d="M0 0V{HIGH}H{WIDE}"/>')
    for power in range(int(farthest) + 1):
        if power <= farthest:
            parts.append(
                f'<text class="small" text-anchor="middle" x="{x(power):.1f}" y="{HIGH + 14}">{10**power:,}</text>'
            )
    parts.append(f'<text class="small" text-anchor="end" x="{WIDE}" y="{HIGH + 27}">lag τ, steps</text>')
    for line in panel.lines:
        shown = [(a, b) for a, b in line.points if low <= b]
        if shown:
            path = "M" + "L".join(f"{x(a):.1f} {y(b):.1f}" for a, b in shown)
            parts.append(f'<path class="{line.role}" stroke-dasharray="{line.dash}" d="{path}"/>')
    parts += _legend([(line.name, line.role, line.dash) for line in panel.lines])
    return "".join(parts)


def _legend(entries: Sequence[tuple[str, str, str]]) -> list[str]:
    """Below a panel, in one line."""
    parts, at = [], 0.0
    for name, role, dash in entries:
        parts.append(f'<path class="{role}" stroke-dasharray="{dash}" d="M{at:.0f} {HIGH + 40}h22"/>')
        parts.append(f'<text class="small" x="{at + 27:.0f}" y="{HIGH + 44}">{escape(name)}</text>')
        at += 27 + 6.2 * len(name) + 14
    return parts


def _plane(layer: Layer) -> str:
    """The eigenvalues in the complex plane, with the circle of radius 1."""
    values = [v for at in layer.eigenvalues for v in at]
    span = max(1.1, *(1.05 * abs(v) for v in values))
    middle, scale = WIDE / 2, HIGH / 2 / span
    parts = [
        '<text x="0" y="-8">eigenvalues of one step</text>',
        f'<path class="axis" d="M0 {HIGH / 2}H{WIDE}M{middle} 0V{HIGH}"/>',
        f'<path class="axis" stroke-dasharray="3 3" d="M{middle - scale:.1f} {HIGH / 2}a{scale:.1f} {scale:.1f} 0 1 0 '
        f'{2 * scale:.1f} 0a{scale:.1f} {scale:.1f} 0 1 0 {-2 * scale:.1f} 0"/>',
    ]
    for v in values:
        parts.append(f'<circle cx="{middle + scale * v.real:.1f}" cy="{HIGH / 2 - scale * v.imag:.1f}" r="2"/>')
    parts.append(
        f'<text class="small" x="0" y="{HIGH + 27}">dashed: |λ| = 1; spectral radius {layer.radius:.3f}</text>'
    )
    return "".join(parts)
