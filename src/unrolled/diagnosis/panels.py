"""The data of the panels in a diagnosis picture: series against lag."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..draw.labels import Label, Run, words
from ..draw.panel import DASHES, Line, Panel, Ticks
from .layer import Layer


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
        _against_lag("how far back gradients reach", norms, _decades(norms), lags[-1]),
        _against_lag("contribution per step of lag to ∂L/∂θ", shares, _ticks({0: "0", 1: f"{top:.2g}"}), lags[-1]),
    ]
    if layer.memory:
        points = [(math.log10(lag), share) for lag, share in zip(layer.memory.lags, layer.memory.shares, strict=True)]
        line = Line("share of x(t-τ) in the states", points, "parameter")
        found.append(
            _against_lag("what the states remember", [line], _ticks({0: "0", 0.5: "½", 1: "1"}), points[-1][0])
        )
    return found


def _against_lag(title: str, lines: Sequence[Line], y: Ticks, farthest: float) -> Panel:
    """Series against the logarithm of the lag to base 10."""
    x = [(float(power), words(f"{10**power:,}")) for power in range(int(farthest) + 1)]
    return Panel(title, lines, y, x, farthest, "lag τ, in steps")


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
