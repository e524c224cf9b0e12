"""The data of the panels in a diagnosis picture: series against lag."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..draw.labels import Label, Run, words
from .layer import Layer

DASHES: tuple[tuple[float, ...], ...] = ((), (7, 3), (2, 3), (9, 3, 2, 3))


@dataclass(frozen=True)
class Line:
    """One series.

    Attributes:
        name: its name in the legend.
        points: (logarithm of the lag, value).
        colour: a name in ``COLOURS``.
        dash: the lengths of dashes and gaps; empty for a solid line.
    """

    name: str
    points: Sequence[tuple[float, float]]
    colour: str
    dash: tuple[float, ...] = ()


@dataclass(frozen=True)
class Panel:
    """Series against the logarithm of the lag to base 10.

    Attributes:
        title: above the panel.
        lines: the series.
        ticks: values on the y axis with their labels. The first and the last are the ends of the axis.
        farthest: the right end of the x axis.
    """

    title: str
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, Label]]
    farthest: float


def panels(layer: Layer) -> list[Panel]:
    """How far back gradients reach, what the parameters learn from, and what the states remember (if measured)."""
    reach = layer.reach
    assert reach is not None
    lags = [math.log10(lag) for lag in reach.lags]
    norms = [
        Line("gradient of the loss", _logs(lags, reach.gradient), "gradient"),
        Line("Jacobian", _logs(lags, reach.jacobian), "parameter", DASHES[1]),
    ]
    learned = {n: reach.per_step(n) for n in reach.parameters}
    top = max((v for parts in learned.values() for v in parts if math.isfinite(v)), default=0.0) or 1.0
    largest = sorted(learned.items(), key=lambda item: -sum(item[1]))[: len(DASHES)]
    shares = [
        Line(n, [(x, v / top) for x, v in zip(lags, parts, strict=False)], "gradient", DASHES[k])
        for k, (n, parts) in enumerate(largest)
    ]
    found = [
        Panel("how far back gradients reach", norms, _decades(norms), lags[-1]),
        Panel("contribution per step of lag to ∂L/∂θ", shares, _ticks({0: "0", 1: f"{top:.2g}"}), lags[-1]),
    ]
    if layer.memory:
        points = [(math.log10(lag), share) for lag, share in zip(layer.memory.lags, layer.memory.shares, strict=True)]
        line = Line("share of x(t-τ) in the states", points, "parameter")
        found.append(Panel("what the states remember", [line], _ticks({0: "0", 0.5: "½", 1: "1"}), points[-1][0]))
    return found


def _logs(lags: Sequence[float], norms: Sequence[float]) -> list[tuple[float, float]]:
    return [(x, math.log10(v)) for x, v in zip(lags, norms, strict=False) if 1e-30 < v < math.inf]


def _ticks(names: dict[float, str]) -> list[tuple[float, Label]]:
    return [(value, words(name)) for value, name in names.items()]


def _decades(lines: Sequence[Line]) -> list[tuple[float, Label]]:
    """The ends of an axis of powers of ten, and some ticks in between."""
    values = [y for line in lines for _, y in line.points] or [0.0]
    low, high = math.floor(max(min(values), max(values) - 12)), math.ceil(max(values))
    high = max(high, low + 1)
    every = max(1, (high - low) // 4)
    low = high - every * -(-(high - low) // every)  # an integer number of intervals
    return [(float(k), _power(k)) for k in range(low, high + 1) if (high - k) % every == 0]


def _power(k: int) -> Label:
    return words("1") if k == 0 else (Run("10"), Run(str(k).replace("-", "−"), "", "sup"))
