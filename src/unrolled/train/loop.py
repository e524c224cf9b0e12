"""The training loop, from top to bottom: windows in order, the state carried, Adam, the best model kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from ..errors import UnrolledError, UsageError
from ..sequence.state import State
from ..sequence.streams import Window

States = tuple[State, ...]  # one per layer


class Model(Protocol):
    """What the loop trains: reads a window from a state, and gives scores and the state behind it."""

    def __call__(self, x: Tensor, states: States | None) -> tuple[Tensor, States]: ...
    def parameters(self) -> Iterator[nn.Parameter]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: dict[str, Any]) -> Any: ...


@dataclass(frozen=True)
class Settings:
    """How long and how fast to learn.

    updates, minutes: the budget, one of the two. Only a budget of updates gives the same numbers again.
    rate: the largest learning rate. It rises from zero during the first 2 % of the budget, and falls to zero along half
    a cosine.
    clip: the largest norm of the gradient (Pascanu, Mikolov and Bengio 2013); longer ones are scaled to it.
    validations: how often, evenly over the budget, the model is tried on other data; the best one is kept.
    """

    updates: int | None = None
    minutes: float | None = None
    rate: float = 5e-3
    clip: float = 1.0
    validations: int = 10

    def __post_init__(self) -> None:
        if (self.updates is None) == (self.minutes is None):
            raise UsageError("give the length of the training either in updates or in minutes, not both")
        if self.updates is not None and self.updates < 1:
            raise UsageError(f"updates must be a whole number from 1, got {self.updates}")
        for name in ("minutes", "rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{name} must be a number above 0, got {value}")

    def done(self, updates: float, seconds: float) -> float:
        """Which part of the budget is spent, from 0 to 1."""
        spent = updates / self.updates if self.updates else seconds / (60 * (self.minutes or 1))
        return min(spent, 1.0)

    def rate_at(self, done: float) -> float:
        """The learning rate when a part of the budget is spent."""
        return self.rate * min(done / 0.02, 1.0) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class Progress:
    """Where the training stands after an update. Losses are in nats per step."""

    update: int
    done: float
    seconds: float
    steps: int  # predicted so far
    loss: float  # on the window just read
    validation: float | None  # measured after this update, if it was
    best: bool  # and it is the lowest so far


def train(
    model: Model,
    loss: Callable[[Tensor, Tensor], Tensor],
    passes: Callable[[], Iterable[Window]],
    validate: Callable[[], float],
    settings: Settings,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Train in place, and tell after each update. At the end the model is the one of the best validation.

    >>> for progress in train(model, losses.nll, lambda: windows(tokens, rows=16, longest=64), validate, settings):
    ...     print(progress.update, progress.loss)

    Gradients are truncated at the borders of windows; states are carried across them, and start at zero with
    each pass over the data.

    Args:
        loss: the total loss of a window, from scores and what came.
        passes: one pass over the data, window by window; called again when it ends.
        validate: the loss per step on other data.
        stop: asked after every update; true ends the training as if the budget were spent.

    Raises:
        UnrolledError: a loss that is not a number any more.
    """
    parameters = list(model.parameters())
    optimiser = torch.optim.Adam(parameters, lr=settings.rate)
    best, kept = math.inf, _copy(model)
    update, steps, tried, seconds, started = 0, 0, 0, 0.0, time.perf_counter()
    while True:
        states = None
        for x, y in passes():
            for group in optimiser.param_groups:
                group["lr"] = settings.rate_at(settings.done(update + 0.5, seconds))
            optimiser.zero_grad()
            scores, states = model(x, states)
            states = tuple(state.detach() for state in states)
            mean = loss(scores, y) / y.numel()
            mean.backward()
            nn.utils.clip_grad_norm_(parameters, settings.clip)
            optimiser.step()

            update, steps = update + 1, steps + y.numel()
            seconds = time.perf_counter() - started
            done = 1.0 if stop() else settings.done(update, seconds)
            value, validation = _finite(mean.item(), update, settings), None
            if done == 1 or done * settings.validations >= tried + 1:
                tried = int(done * settings.validations)
                validation = _finite(validate(), update, settings)
            if better := validation is not None and validation < best:
                best, kept = validation or 0.0, _copy(model)
            yield Progress(update, done, seconds, steps, value, validation, better)
            if done == 1:
                model.load_state_dict(kept)
                return


def _copy(model: Model) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _finite(loss: float, update: int, settings: Settings) -> float:
    if not math.isfinite(loss):
        raise UnrolledError(
            f"update {update}: the loss is {loss}, which nothing can be learned from. "
            f"Try a learning rate (now {settings.rate:g}) ten times smaller"
        )
    return loss
