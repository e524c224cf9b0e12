"""A diagnosis as a matplotlib figure: for PNG and PDF, and for those who compose their own figures."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from ..draw.colours import COLOURS
from ..draw.figure import blank
from .layer import Layer
from .panels import Panel, panels

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WIDE, HIGH = 3.2, 2.9  # inches of a panel with all around it


def plot(layers: Sequence[Layer], verdict: str, dark: bool) -> Figure:
    """One row of panels for each layer."""
    colour = {name: pair[dark] for name, pair in COLOURS.items()}
    paper = blank((4 * WIDE, len(layers) * HIGH + 0.7), colour["paper"], layout="constrained")
    paper.suptitle("\n".join(wrap(verdict, 140)), color=colour["ink"], fontsize=10, fontweight="bold")
    for layer, row in zip(layers, paper.subplots(len(layers), 4, squeeze=False), strict=True):
        for axes in row:
            axes.set_facecolor(colour["paper"])
            axes.tick_params(colors=colour["quiet"], labelsize=8)
            axes.spines[:].set_color(colour["quiet"])
        name = f"{layer.name + ': ' if layer.name else ''}{layer.circuit}, {layer.units:,} units"
        row[0].set_ylabel(name, color=colour["ink"], fontsize=9)
        if layer.problem or layer.reach is None:
            row[0].set_title(str(layer.problem), color=colour["ink"], fontsize=9, loc="left")
            shown: list[Panel] = []
        else:
            shown = panels(layer)
            _plane(row[3], layer, colour)
        for axes, panel in zip(row[:3], shown, strict=False):
            _panel(axes, panel, colour)
        for axes in row[len(shown) or 1 : 3 if shown else 4]:
            axes.set_visible(False)
    return paper


def _panel(axes: Any, panel: Panel, colour: dict[str, str]) -> None:
    low, high = min(y for y, _ in panel.ticks), max(y for y, _ in panel.ticks)
    for line in panel.lines:
        dash = (0, [float(n) / 2 for n in line.dash.split()]) if line.dash else "-"
        points = [(10**x, y) for x, y in line.points if y >= low]
        axes.plot(*zip(*points, strict=True) if points else ([], []), color=colour[line.role], ls=dash, label=line.name)
    axes.set(xscale="log", xlim=(1, 10 ** (panel.farthest or 1)), ylim=(low, high))
    axes.set_yticks([y for y, _ in panel.ticks], [name for _, name in panel.ticks])
    axes.set_title(panel.title, color=colour["ink"], fontsize=9, loc="left")
    axes.set_xlabel("lag τ, steps", color=colour["quiet"], fontsize=8)
    axes.grid(color=colour["block"], lw=0.8)
    axes.legend(frameon=False, fontsize=8, labelcolor=colour["ink"])


def _plane(axes: Any, layer: Layer, colour: dict[str, str]) -> None:
    """The eigenvalues in the complex plane, with the circle of radius 1."""
    from matplotlib.patches import Circle

    values = [v for at in layer.eigenvalues for v in at]
    axes.add_patch(Circle((0, 0), 1, fill=False, ls="--", ec=colour["quiet"]))
    axes.plot([v.real for v in values], [v.imag for v in values], ".", ms=4, alpha=0.55, color=colour["parameter"])
    span = max(1.1, *(1.05 * abs(v) for v in values))
    axes.set(xlim=(-span, span), ylim=(-span, span), aspect="equal")
    axes.set_title("eigenvalues of one step", color=colour["ink"], fontsize=9, loc="left")
    axes.set_xlabel(f"dashed: |λ| = 1; spectral radius {layer.radius:.3f}", color=colour["quiet"], fontsize=8)
