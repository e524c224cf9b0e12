"""A series with what is expected of it: for the network, and in the units of the series."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy
import torch
from torch import Tensor

from ...files.shelf import Shelf
from ..example import Example
from ..tables.series import Series
from .bounds import bounds
from .features import Features
from .gradual import Values, gradual, written
from .parts import Origins
from .view import Array, View, values_after

PIECE = 512  # steps of a piece of a long series
Places = slice | list[int]  # of steps


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

    def light(self, shelf: Shelf) -> Case:
        """The same without what only the network reads."""
        return replace(self, view=self.view.light(shelf), expected=shelf.keep(self.expected))

    @property
    def left(self) -> Values:
        """What is left of the next values, NaN where they are not known, or nothing has changed yet: (steps, ahead)."""
        return gradual(self.expected.shape, lambda begin, end: self.view.later[begin:end] - self.expected[begin:end])

    def example(self, features: Features, origins: Origins, shelf: Shelf) -> Example:
        """The series up to the last origin, with targets from the first: what the regression leaves, NaN where it is
        not known."""
        read = self.network(features, max(origins.end, 0), shelf)
        y = torch.from_numpy(written(self.left, origins.end, "float32", shelf))
        y[: max(origins.first, features.warm(len(self.series.y)))] = torch.nan
        return Example(read, y, self.series.name)

    def network(self, features: Features, end: int | None = None, shelf: Shelf | None = None) -> Tensor:
        """What the network reads in the first steps, or in all: (end, features.read)."""
        values = features.network(self.series, self.view, self.expected)
        return torch.from_numpy(written(values, values.shape[0] if end is None else end, "float32", shelf))

    def later(self, origins: Origins) -> Array:
        """What came after each origin: (origins, ahead)."""
        return values_after(self.series.y, self.expected.shape[1])[slice(*origins)]

    def by_regression(self, origins: Origins) -> Array:
        """The forecasts of the regression, within the bounds of the series: (origins, ahead)."""
        part = slice(*origins)
        found = self.real(self.expected[part], part) if self.regression is None else self.regression[part]
        low, high = (bound[part, None] for bound in bounds(self.series.y))
        return numpy.clip(found, low, high)

    def real(self, values: Array, at: Places) -> Array:
        """Values of some steps (places, ...) in the units of the series."""
        shape = (-1, *([1] * (values.ndim - 1)))
        size = self.view.size[at]
        size = numpy.where(size > 0, size, 1.0).reshape(shape)
        return self.view.level[at].reshape(shape) + size * values

    def forecasts(self, scores: Tensor, levels: int, at: Places) -> Array:
        """The quantiles from the network's scores at some steps (places, levels · ahead), in the units of the series,
        in rising order, and within its bounds: (places, levels, ahead)."""
        values = scores.double().numpy().reshape(len(scores), levels, -1)
        moved = numpy.where(self.view.size[at][:, None, None] > 0, values, 0.0)
        low, high = (bound[at][:, None, None] for bound in bounds(self.series.y))
        return numpy.sort(numpy.clip(self.real(self.expected[at][:, None] + moved, at), low, high), 1)


def pieces(example: Example) -> list[Example]:
    """A long series in pieces, for training: what is read at a step says enough about the steps before.

    >>> [len(piece.read) for piece in pieces(Example(torch.zeros(2000, 9), torch.zeros(2000, 1), "load"))]
    [500, 500, 500, 500]
    """
    steps = len(example.y)
    count = -(-steps // PIECE) if steps > 2 * PIECE else 1
    parts = zip(example.x[:steps].chunk(count), example.y.chunk(count), strict=True)
    return [Example(x, y, example.name) for x, y in parts]
