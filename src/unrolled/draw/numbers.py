"""Numbers in the circles of an unfolded graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .labels import Label, Run, width, words

Series = Mapping[str, Sequence[float | str]]  # by name, step by step: a number, or the word for a token
Lines = tuple[tuple[Label, str], ...]  # the text below a name, and its kind: number or nan


@dataclass(frozen=True)
class Numbers:
    """Values and gradients of the loss, from step ``first`` on. A vector is shown as its root mean square."""

    first: int
    values: Series
    gradients: Series = field(default_factory=dict)

    def lines(self, name: str, time: str | None) -> Lines:
        """The lines of a circle; none if no number is known."""
        k = int(time) - self.first if time and time.isdigit() else -1
        found = []
        for series, before in ((self.values, ()), (self.gradients, (Run("∇ "),))):
            if name in series and 0 <= k < len(series[name]):
                value = series[name][k]
                bad = isinstance(value, float) and not math.isfinite(value)
                found.append(
                    ((*before, *words(value if isinstance(value, str) else short(value))), "nan" * bad or "number")
                )
        return tuple(found)

    def width(self, name: str, sizes: Sequence[float]) -> float:
        """The width of the widest line in any circle of a name; ``sizes`` are the sizes of its lines."""
        last = max((len(s) for s in self.values.values()), default=0)
        lines = [zip(self.lines(name, str(self.first + k)), sizes, strict=False) for k in range(last)]
        return max((width(label, size) for step in lines for (label, _), size in step), default=0.0)

    def describe(self, name: str, time: str) -> str:
        """The lines of a circle as plain text: 0.412, ∇ 0.0020."""
        return ", ".join("".join(run.text for run in label) for label, _ in self.lines(name, time))


def special(value: float) -> str:
    """The name of a value that is not finite: 'NaN', '∞' or '-∞'."""
    return "NaN" if value != value else "∞" if value > 0 else "-∞"


def short(value: float) -> str:
    """A number in about six characters.

    >>> short(-0.41234), short(12345.0), short(2.5e-7)
    ('−0.412', '1.2e4', '2.5e−7')
    """
    if not math.isfinite(value):
        return special(value).replace("-", "−")
    if value and not 1e-3 <= abs(value) < 1e4:
        digits, power = f"{value:.1e}".split("e")
        return f"{digits}e{int(power)}".replace("-", "−")
    return f"{value:.3g}".replace("-", "−")
