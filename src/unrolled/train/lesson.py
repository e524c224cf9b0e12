"""What the training loop learns from, and what it reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from torch import Tensor, nn

from ..sequence.state import State
from ..sequence.streams import Window

States = tuple[State, ...]  # one per layer


class Loss(NamedTuple):
    """The loss of a batch: the sum over its steps, their number, and the states after it (none if none are carried)."""

    total: Tensor
    steps: int
    states: States = ()


class Lesson(Protocol):
    """What a model learns: where its batches come from, the loss of one, and how good the model is on other data."""

    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of one pass over the data, the same ones for the same pass."""

    def loss(self, model: Any, batch: Any, states: States) -> Loss:
        """The loss of a batch, read from the states that the batch before it left; () at the start of a pass."""

    def validate(self, model: Any) -> float:
        """The loss per step on other data."""


@dataclass(frozen=True)
class WindowLesson:
    """A lesson made of functions.

    total: the sum of the losses of a window, from scores and targets.
    passes: gives the windows of one pass over the data.
    validation: gives the loss per step on other data.
    """

    total: Callable[[Tensor, Tensor], Tensor]
    passes: Callable[[], Iterable[Window]]
    validation: Callable[[], float]

    def batches(self, epoch: int) -> Iterable[Window]:
        return self.passes()

    def loss(self, model: nn.Module, batch: Window, states: States) -> Loss:
        scores, after = model(batch.x, states or None)
        return Loss(self.total(scores, batch.y), batch.y.numel(), after)

    def validate(self, model: nn.Module) -> float:
        return self.validation()


@dataclass(frozen=True)
class Progress:
    """A training after an update. Losses are in nats per step."""

    update: int
    done: float  # from 0 to 1
    seconds: float
    steps: int  # predicted so far
    loss: float  # of this update's batch
    mean: float  # running mean of the losses, over about 50 updates
    norm: float  # of the gradient, before clipping
    rate: float
    validation: float | None  # the validation loss, if it was measured after this update
    best: bool  # the validation loss is the lowest so far
    stopped: bool  # the training was stopped before its end
