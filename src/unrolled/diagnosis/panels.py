"""What the pictures of a diagnosis show of a layer: series against lag, whoever draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .layer import Layer

DASHES = ("", "7 3", "2 3", "9 3 2 3")


@dataclass(frozen=True)
class Line:
    """A series: what it is called, its points, its role among the colours, its dashes."""

    name: str
    points: Sequence[tuple[float, float]]
    role: str
    dash: str = ""


@dataclass(frozen=True)
class Panel:
    """Series against lag. x is the logarithm of the lag, to base 10; ticks: values of y and what stands beside them."""

    title: str
    lines: Sequence[Line]
    ticks: Sequence[tuple[float, str]]
    farthest: float


def panels(layer: Layer) -> list[Panel]:
    """How far gradients reach; what the parameters learn from; what the states remember, where that is known."""
    reach = layer.reach
    assert reach is not None
    lags = [math.log10(lag) for lag in reach.lags]
    norms = [
        Line("gradient of the loss", _logs(lags, reach.gradient), "gradient"),
        Line("Jacobian", _logs(lags, reach.jacobian), "parameter", DASHES[1]),
    ]
    learned = {n: reach.per_step(n) for n in reach.parameters}
    whole = max((v for parts in learned.values() for v in parts if math.isfinite(v)), default=0.0) or 1.0
    largest = sorted(learned.items(), key=lambda item: -sum(item[1]))[: len(DASHES)]
    shares = [
        Line(n, [(x, v / whole) for x, v in zip(lags, parts, strict=False)], "gradient", DASHES[k])
        for k, (n, parts) in enumerate(largest)
    ]
    found = [
        Panel("how far back gradients reach", norms, _decades(norms), lags[-1]),
        Panel("what a step of each lag adds to ∂L/∂θ", shares, [(0, "0"), (1, f"{whole:.2g}")], lags[-1]),
    ]
    if layer.memory:
        points = [(math.log10(lag), share) for lag, share in zip(layer.memory.lags, layer.memory.shares, strict=True)]
        line = Line("share of x(t-τ) in the states", points, "parameter")
        found.append(Panel("what the states remember", [line], [(0, "0"), (0.5, "½"), (1, "1")], points[-1][0]))
    return found


def _logs(lags: Sequence[float], norms: Sequence[float]) -> list[tuple[float, float]]:
    return [(x, math.log10(v)) for x, v in zip(lags, norms, strict=False) if 1e-30 < v < math.inf]


def _decades(lines: Sequence[Line]) -> list[tuple[float, str]]:
    """The ends of an axis of powers of ten, and some between."""
    values = [y for line in lines for _, y in line.points] or [0.0]
    low, high = math.floor(max(min(values), max(values) - 12)), math.ceil(max(values))
    high = max(high, low + 1)
    every = max(1, (high - low) // 4)
    low = high - every * -(-(high - low) // every)  # a whole number of such steps
    return [(float(k), _power(k)) for k in range(low, high + 1) if (high - k) % every == 0]


def _power(k: int) -> str:
    return "1" if k == 0 else "10" + str(k).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
