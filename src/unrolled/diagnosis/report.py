"""The report of a diagnosis: the verdict, and the numbers as text, as JSON and as a picture."""

from __future__ import annotations

import io
import json
import math
from dataclasses import dataclass
from functools import cached_property
from html import escape
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..draw.drawing import Drawing
from ..errors import InputError
from ..train.files import write_bytes, write_text
from .chart import chart
from .layer import Layer
from .reach import Reach
from .verdict import Finding, count_of, findings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ORDER = ("nan", "explode", "vanish", "dead", "saturated", "healthy")
DRAWN = (".png", ".pdf")
KINDS = (".svg", *DRAWN, ".html", ".json")
ANY_KIND = f"{', '.join(KINDS[:-1])} or {KINDS[-1]}"
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Diagnosis:
    """The report on a network, layer by layer. Notebooks show its picture.

    >>> report = unrolled.diagnose(net, x)
    >>> report.kind
    'healthy'
    >>> report.save("report.html")

    Attributes:
        layers: the measurements of each layer.
    """

    layers: tuple[Layer, ...]

    @cached_property
    def findings(self) -> tuple[tuple[Layer, Finding], ...]:
        """All conclusions, the most serious first, each with its layer."""
        found = [(layer, finding) for layer in self.layers for finding in findings(layer)]
        return tuple(sorted(found, key=lambda pair: ORDER.index(pair[1].kind)))

    @property
    def kind(self) -> str:
        """The kind of the most serious finding: 'nan', 'explode', 'vanish', 'dead', 'saturated' or 'healthy'."""
        return self.findings[0][1].kind

    @property
    def verdict(self) -> str:
        """The most serious finding in words, with a remedy."""
        layer, finding = self.findings[0]
        return f"{self._where(layer)}{finding}"

    def _where(self, layer: Layer) -> str:
        return f"{layer.name}: " if len(self.layers) > 1 else ""

    def lines(self) -> list[str]:
        """The other findings and the numbers of all layers, as lines of text."""
        found = [f"{self._where(layer)}{finding}" for layer, finding in self.findings[1:] if finding.kind != "healthy"]
        for layer in self.layers:
            found += ["", *_about(layer)]
        return found

    def __str__(self) -> str:
        return "\n".join([self.verdict, *self.lines()])

    def as_dict(self) -> dict[str, Any]:
        """All numbers as plain values, for JSON."""
        return {"verdict": self.verdict, "kind": self.kind, "layers": [_plain(layer) for layer in self.layers]}

    def summary(self) -> dict[str, Any]:
        """The main numbers of each layer, for a log."""
        kept = ("name", "findings", "reach", "rate", "radius", "exponent", "memory")
        layers = [{key: value for key, value in _main(layer).items() if key in kept} for layer in self.layers]
        return {"kind": self.kind, "layers": layers}

    @cached_property
    def drawing(self) -> Drawing:
        """The picture: for each layer a row of charts."""
        return Drawing(chart(self.layers, self.verdict), "Diagnosis", f"Diagnosis.\n{self}")

    @property
    def svg(self) -> str:
        """The picture as the text of an SVG file."""
        return self.drawing.svg

    def figure(self, *, dark: bool = False) -> Figure:
        """The picture as a matplotlib figure, to combine with others or to restyle.

        Args:
            dark: use the colours for dark paper.

        Raises:
            EngineError: matplotlib is missing.
        """
        return self.drawing.figure(dark=dark)

    def save(self, path: str | Path) -> None:
        """Write the report to a file. The ending decides what is written.

        Args:
            path: the picture (.svg, .png or .pdf), a page with picture and text (.html), or the numbers (.json).

        Raises:
            InputError: the file has another ending.
            DataError: the file cannot be written.
            EngineError: .png and .pdf need matplotlib, which is missing.
        """
        path = Path(path)
        if path.suffix not in KINDS:
            raise InputError(f"a diagnosis can be saved as {ANY_KIND}, got '{path}'")
        if path.suffix in DRAWN:
            content = io.BytesIO()
            self.figure().savefig(content, format=path.suffix[1:], dpi=192)
            write_bytes(path, content.getvalue())
            return
        as_json = path.suffix == ".json"
        text = json.dumps(self.as_dict(), indent=1) + "\n" if as_json else self.svg
        write_text(path, _page(self.svg, str(self)) if path.suffix == ".html" else text)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        return f"<diagnosis: {self.verdict}>"


def _page(svg: str, text: str) -> str:
    """An HTML page with the picture and the text."""
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Diagnosis</title>'
        "<style>:root{color-scheme:light dark}body{margin:1.5em;font-family:sans-serif}svg{max-width:100%;height:auto}"
        f"pre{{white-space:pre-wrap}}</style>\n{svg}<pre>{escape(text)}</pre></html>\n"
    )


def _about(layer: Layer) -> list[str]:
    """The numbers of a layer, line by line."""
    name = f"{layer.name}: " if layer.name else ""
    head = f"{name}{layer.circuit}, {layer.units:,} units in its states, {count_of(layer.steps)}, engine {layer.engine}"
    if layer.problem or layer.reach is None:
        return [head, f"  not finite   {layer.problem}"]
    reach = layer.reach
    lags = f"τ = 1 to {reach.lags[-1]:,}"
    back = f"{count_of(reach.steps)}{'' if reach.seen else ' or more'}"
    beyond = "beyond it, less than 1 % of the gradient" if reach.seen else "as far as was examined"
    lines = [
        head,
        f"  reach        {back:<20} {beyond}",
        f"  gradient     {_spark(reach.gradient)} of the loss, {lags}, down to 1e-4",
        f"  Jacobian     {_spark(reach.jacobian)} ∂s(t)/∂s(t-τ): a factor of {reach.rate:.3f} per step",
        f"  radius       {layer.radius:<20.3f} mean spectral radius of the Jacobian",
        f"  exponents    {' '.join(f'{v:.3f}' for v in layer.exponents):<20} largest Lyapunov exponents, per step",
    ]
    if layer.memory:
        lags = f"τ = 1 to {layer.memory.lags[-1]:,}"
        lines.append(f"  memory       {_bars(layer.memory.shares)} share of x(t-τ) in the states, {lags}")
    for a in layer.activities:
        stuck = (
            f"{len(a.dead)} of {a.units} dead" if a.function == "relu" else f"{len(a.saturated)} of {a.units} saturated"
        )
        lines.append(f"  units        {stuck:<20} {a.name}")
    for n in reach.parameters:
        if max(parts := reach.per_step(n)) > 0:
            bars = _bars([p / max(parts) for p in parts])
            lines.append(f"  ∂L/∂{n:<8} {bars} half of it within {_half(reach, n)}")
    return lines


def _half(reach: Reach, name: str) -> str:
    """The first lag that covers half of all contributions to a parameter's gradient."""
    parts = reach.parameters[name]
    within = zip(reach.lags, accumulate(parts), strict=True)
    lag = next((lag for lag, done in within if done >= sum(parts) / 2), reach.lags[-1])
    return count_of(lag)


def _spark(values: tuple[float, ...]) -> str:
    """Bars on a logarithmic scale, from a ten-thousandth of the first value up to the first value."""
    first = values[0] or 1.0
    return _drawn([1 + math.log10(max(v / first, 1e-30)) / 4 if math.isfinite(v) else 1 for v in values])


def _bars(values: Any) -> str:
    return _drawn(list(values))


def _drawn(heights: list[float], width: int = 20) -> str:
    """At most ``width`` bars for heights from 0 to 1."""
    chosen = [heights[int(k * len(heights) / width)] for k in range(width)] if len(heights) > width else heights
    return "".join(BARS[min(max(int(h * len(BARS)), 0), len(BARS) - 1)] for h in chosen).ljust(width)


def _main(layer: Layer) -> dict[str, Any]:
    """The main numbers of a layer."""
    found: dict[str, Any] = {
        "name": layer.name,
        "circuit": layer.circuit,
        "engine": layer.engine,
        "units": layer.units,
        "steps": layer.steps,
        "findings": [{"kind": f.kind, "words": f.words, "remedy": f.remedy} for f in findings(layer)],
    }
    if layer.problem or layer.reach is None:
        return found | {"problem": vars(layer.problem) if layer.problem else None}
    return found | {
        "reach": layer.reach.steps,
        "vanished_there": layer.reach.seen,
        "rate": _finite(layer.reach.rate),
        "radius": _finite(layer.radius),
        "exponent": _finite(layer.exponents[0]),
        "memory": layer.memory.steps if layer.memory else None,
    }


def _plain(layer: Layer) -> dict[str, Any]:
    found = _main(layer)
    if layer.problem or layer.reach is None:
        return found
    reach = layer.reach
    return found | {
        "lags": list(reach.lags),
        "gradient": [_finite(v) for v in reach.gradient],
        "jacobian": [_finite(v) for v in reach.jacobian],
        "parameters": {n: [_finite(v) for v in parts] for n, parts in reach.parameters.items()},
        "exponents": [_finite(v) for v in layer.exponents],
        "eigenvalues": [[[v.real, v.imag] for v in values] for values in layer.eigenvalues],
        "units_by_function": [vars(a) for a in layer.activities],
        "unmoved": layer.unmoved,
        "linear_memory": {"lags": list(layer.memory.lags), "shares": list(layer.memory.shares)}
        if layer.memory
        else None,
    }


def _finite(value: float) -> float | str:
    """The value, as text if it is not finite: JSON has no infinity."""
    return value if math.isfinite(value) else str(value)
