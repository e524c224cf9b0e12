"""What a model is trained for: one of several classes, several at once, or numbers. A goal has one loss, on tensors for
training and as nodes of a graph for the explorer; a metric for people; and a baseline to beat."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..graph.node import Node, Type, token, vector
from ..graph.ops import constant, make
from ..graph.size import Size
from ..sequence.losses import bce, nll, squared_error
from .example import Example

Answers = Iterable[tuple[Tensor, Tensor]]  # scores (answers, outputs) and targets (answers, ...), batch by batch


class Goal(ABC):
    """What scores are compared with."""

    @abstractmethod
    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        """The sum of the losses of scores (answers, outputs) for targets y (answers, ...): a scalar, in nats for
        probabilities."""

    @abstractmethod
    def target(self, size: Size) -> Type:
        """The type of a target for scores of a size."""

    @abstractmethod
    def nodes(self, scores: Node, y: Node) -> tuple[Node | None, Node]:
        """The same loss in a graph: the node of the probabilities, if there are any, and the node of the loss."""

    @abstractmethod
    def known(self, y: Tensor) -> Tensor:
        """Which targets (answers, ...) are known: booleans (answers,)."""

    @abstractmethod
    def metric(self, answers: Answers) -> dict[str, float]:
        """How good scores are, under the name of the metric."""

    @abstractmethod
    def baseline(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, float]:
        """The same metric of a guess that needs no model, under its name, which begins with ``by_``."""


@dataclass(frozen=True)
class Class(Goal):
    """One of several classes: y is its number (answers,), or -1 where it is not known."""

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        return nll(scores, y)

    def target(self, size: Size) -> Type:
        return token(size)

    def nodes(self, scores: Node, y: Node) -> tuple[Node | None, Node]:
        """-log softmax(scores)[y]."""
        return make("softmax", scores), make("sub", make("logsumexp", scores), make("pick", scores, y))

    def known(self, y: Tensor) -> Tensor:
        return y >= 0

    def metric(self, answers: Answers) -> dict[str, float]:
        pairs = [(int((scores.argmax(-1) == y).sum()), len(y)) for scores, y in answers]
        return {"accuracy": sum(right for right, _ in pairs) / max(sum(count for _, count in pairs), 1)}

    def baseline(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, float]:
        """The accuracy of the most common class."""
        y = torch.cat([example.y.reshape(-1) for example in test])
        y = y[self.known(y)]
        return {"by_the_commonest_class": float(torch.bincount(y).max()) / len(y)}


@dataclass(frozen=True)
class Binary(Goal):
    """Several classes at once: y (answers, classes) holds zeros and ones."""

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        return bce(scores, y)

    def target(self, size: Size) -> Type:
        return vector(size)

    def nodes(self, scores: Node, y: Node) -> tuple[Node | None, Node]:
        """-log p(y) with p = σ(scores): Σ (1 - y) · scores - log σ(scores), finite for all scores."""
        rest = make("mul", make("sub", constant(1.0, y.type.dims), y), scores)
        p = make("sigmoid", scores)
        return p, make("sum", make("sub", rest, make("log", p)))

    def known(self, y: Tensor) -> Tensor:
        return torch.ones(len(y), dtype=torch.bool)

    def metric(self, answers: Answers) -> dict[str, float]:
        return {"nats_per_frame": mean_loss(self, answers)}

    def baseline(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, float]:
        """The loss of each class's frequency in the training data (with one frame more of each kind, so that nothing is
        impossible)."""
        seen, y = (torch.cat([example.y for example in part]).double() for part in (train, test))
        share = (seen.sum(0) + 1) / (len(seen) + 2)
        total = nn.functional.binary_cross_entropy(share.expand_as(y), y, reduction="sum")
        return {"by_frequency_alone": float(total) / len(y)}


@dataclass(frozen=True)
class Number(Goal):
    """A number: y (answers, 1), scaled, or NaN where it is not known.

    column: the feature of the input that holds its current value.
    deviation: what the scaled value is multiplied by for people.
    """

    column: int = 0
    deviation: float = 1.0

    def loss(self, scores: Tensor, y: Tensor) -> Tensor:
        return squared_error(scores, y)

    def target(self, size: Size) -> Type:
        return vector(size)

    def nodes(self, scores: Node, y: Node) -> tuple[Node | None, Node]:
        """Σ (scores - y)²."""
        error = make("sub", scores, y)
        return None, make("sum", make("mul", error, error))

    def known(self, y: Tensor) -> Tensor:
        return ~torch.isnan(y[:, 0])

    def metric(self, answers: Answers) -> dict[str, float]:
        return {"root_mean_squared_error": mean_loss(self, answers) ** 0.5 * self.deviation}

    def baseline(self, train: Sequence[Example], test: Sequence[Example]) -> dict[str, float]:
        """The error of the last known value."""
        errors = [(e.y - e.read[:, self.column : self.column + 1])[~torch.isnan(e.y)] for e in test]
        return {"by_the_last_value": float(torch.cat(errors).square().mean().sqrt()) * self.deviation}


def mean_loss(goal: Goal, answers: Answers) -> float:
    """The loss per answer."""
    pairs = [(goal.loss(scores, y).item(), len(y)) for scores, y in answers]
    return sum(loss for loss, _ in pairs) / max(sum(count for _, count in pairs), 1)
