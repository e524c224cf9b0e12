"""A series with what is expected of it: for the network, and in the units of the series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy
import torch
from torch import Tensor

from ..example import Example
from ..tables.series import Series
from .bounds import bounds
from .features import Features
from .parts import Origins
from .view import Array, View, values_after

PIECE = 512  # steps of a piece of a long series


@dataclass(frozen=True)
class Case:
    """One series.

    series: its values.
    view: what is seen of it at each step.
    expected: what the network starts from, relative and scaled as the view: (steps, ahead).
    regression: the forecasts of the regression in the units of the series, if that is something else: (steps, ahead).
    """

    series: Series
    view: View
    expected: Array
    regression: Array | None = None

    def light(self) -> Case:
        """The same without what only the network reads."""
        return replace(self, view=self.view.light())

    @property
    def left(self) -> Array:
        """What is left of the next values, NaN where they are not known, or nothing has changed yet: (steps, ahead)."""
        return self.view.later - self.expected

    def example(self, features: Features, origins: Origins) -> Example:
        """The series up to the last origin, with targets from the first: what the regression leaves, NaN where it is
        not known."""
        read = self.network(features)[: max(origins.end, 0)]
        y = torch.from_numpy(self.left[: origins.end].astype("float32"))
        y[: max(origins.first, features.warm(len(self.series.y)))] = torch.nan
        return Example(read, y, self.series.name)

    def network(self, features: Features) -> Tensor:
        """What the network reads: (steps, features.read)."""
        return torch.from_numpy(features.network(self.series, self.view, self.expected).astype("float32"))

    def later(self, origins: Origins) -> Array:
        """What came after each origin: (origins, ahead)."""
        return values_after(self.series.y, self.expected.shape[1])[slice(*origins)]

    def by_regression(self, origins: Origins) -> Array:
        """The forecasts of the regression, within the bounds of the series: (origins, ahead)."""
        found = self.real(self.expected, origins) if self.regression is None else self.regression[slice(*origins)]
        low, high = (bound[slice(*origins), None] for bound in bounds(self.series.y))
        return numpy.clip(found, low, high)

    def real(self, values: Array, origins: Origins) -> Array:
        """Values of each step (steps, ...) in the units of the series: (origins, ...)."""
        part = slice(*origins)
        shape = (-1, *([1] * (values.ndim - 1)))
        size = numpy.where(self.view.size > 0, self.view.size, 1.0)[part].reshape(shape)
        return self.view.level[part].reshape(shape) + size * values[part]

    def forecasts(self, scores: Tensor, levels: int, origins: Origins) -> Array:
        """The quantiles from the network's scores at each step (steps, levels · ahead), in the units of the series, in
        rising order, and within its bounds: (origins, levels, ahead)."""
        values = scores.double().numpy().reshape(len(scores), levels, -1)
        moved = numpy.where(self.view.size[: len(values), None, None] > 0, values, 0.0)
        expected = self.expected[: len(values), None]
        low, high = (bound[slice(*origins), None, None] for bound in bounds(self.series.y))
        return numpy.sort(numpy.clip(self.real(expected + moved, origins), low, high), 1)


def pieces(example: Example) -> list[Example]:
    """A long series in pieces, for training: what is read at a step says enough about the steps before.

    >>> [len(piece.read) for piece in pieces(Example(torch.zeros(2000, 9), torch.zeros(2000, 1), "load"))]
    [500, 500, 500, 500]
    """
    steps = len(example.y)
    count = -(-steps // PIECE) if steps > 2 * PIECE else 1
    parts = zip(example.x[:steps].chunk(count), example.y.chunk(count), strict=True)
    return [Example(x, y, example.name) for x, y in parts]
