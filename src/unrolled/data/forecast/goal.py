"""What a forecast is trained for: quantiles of the next values, by the pinball loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch
from torch import Tensor

from ...graph.node import Node, Type, vector
from ...graph.ops import constant, make
from ...graph.size import Size
from ..example import Example
from ..goal import Answers, Goal, mean_loss


@dataclass(frozen=True)
class Quantiles(Goal):
    """Quantiles of several later values at once: y (answers, ahead), NaN where a value is not known; scores
    (answers, quantiles · ahead), all steps of the first quantile first.

    The loss of an error e for the quantile q is max(q · e, (q - 1) · e) (Koenker and Bassett 1978), the mean over
    steps, summed over quantiles.
    """

    levels: tuple[float, ...]

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        return self.losses(scores, y).sum()

    def losses(self, scores: Tensor, y: Tensor) -> Tensor:
        """The loss of each answer: (answers,)."""
        known = ~torch.isnan(y)
        errors = torch.where(known, y, 0.0)[:, None] - scores.view(len(y), len(self.levels), y.shape[1])
        q = scores.new_tensor(self.levels)[None, :, None]
        return (torch.maximum(q * errors, (q - 1) * errors) * known[:, None]).sum((1, 2)) / y.shape[1]

    def target(self, size: Size) -> Type:
        return vector(size * Fraction(1, len(self.levels)))

    def nodes(self, scores: Node, y: Node) -> tuple[Node | None, Node]:
        """Σ max(q · (y - scores), (q - 1) · (y - scores)), the mean over steps."""
        total, dims = None, y.type.dims
        for index, q in enumerate(self.levels):
            part = make("slice", scores, index=index, sizes=dims * len(self.levels))
            error = make("sub", y, part)
            sides = [make("mul", constant(factor, dims), error) for factor in (q, q - 1)]
            cost = make("mean", make("maximum", *sides))
            total = cost if total is None else make("add", total, cost)
        assert total is not None
        return None, total

    def known(self, y: Tensor) -> Tensor:
        return ~torch.isnan(y).all(1)

    def metric(self, answers: Answers) -> dict[str, float]:
        return {"pinball_loss": mean_loss(self, answers)}

    def baseline(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, float]:
        return {}
