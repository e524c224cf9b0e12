"""How long and how a model learns."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import UsageError, did_you_mean
from ..nn.memory import bytes_of
from .schedule import SCHEDULES, shape

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
}


@dataclass(frozen=True)
class Settings:
    """How long and how a model learns.

    updates, minutes: the budget, one of the two. Only a budget of updates gives the same numbers again.
    rate: the largest learning rate.
    schedule, warmup: how the rate goes over the budget: see ``schedule.shape``.
    halve_after: with the schedule 'plateau', after how many validations without a better one the rate is halved.
    optimizer, momentum, weight_decay: one of torch's, and what it takes (momentum: sgd and rmsprop).
    clip: the largest norm of the gradient (Pascanu, Mikolov and Bengio 2013); longer ones are scaled to it.
    validations: how often, evenly over the budget, the model is tried on other data; the best one is kept.
    patience: stop after so many validations without a better one; 0 never stops early.
    average: decay of an exponential moving average of the weights (Polyak and Juditsky 1992), which is what is then
        validated and kept; 0 keeps the weights themselves.
    memory: what the backward pass may keep, such as '500 MB': see ``nn.memory.Snapshots``; everything unless given.
    checkpoint_every: updates between two checkpoints, beside those at every validation; 0 for none.
    diagnose: updates between two diagnoses, whose main numbers go into the log; 0 for none.
    """

    updates: int | None = None
    minutes: float | None = None
    rate: float = 5e-3
    schedule: str = "cosine"
    warmup: float = 0.02
    halve_after: int = 2
    optimizer: str = "adam"
    momentum: float = 0.0
    weight_decay: float = 0.0
    clip: float = 1.0
    validations: int = 10
    patience: int = 0
    average: float = 0.0
    memory: str | None = None
    checkpoint_every: int = 0
    diagnose: int = 0

    def __post_init__(self) -> None:
        if (self.updates is None) == (self.minutes is None):
            raise UsageError("give the length of the training either in updates or in minutes, not both")
        for name, least in (
            ("updates", 1),
            ("halve_after", 1),
            ("validations", 1),
            ("patience", 0),
            ("checkpoint_every", 0),
            ("diagnose", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"{name} must be a whole number from {least}, got {value}")
        if self.memory is not None:
            bytes_of(self.memory)
        for name in ("minutes", "rate", "clip"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise UsageError(f"{name} must be a number above 0, got {value}")
        for name in ("warmup", "average", "momentum", "weight_decay"):
            if not 0 <= getattr(self, name) < 1:
                raise UsageError(
                    f"{name} must be a number from 0 up to, but not including, 1, got {getattr(self, name)}"
                )
        for name, known in (("schedule", SCHEDULES), ("optimizer", tuple(OPTIMIZERS))):
            value = getattr(self, name)
            if value not in known:
                hint = did_you_mean(value, known) or f". There are {', '.join(known)}"
                raise UsageError(f"there is no {name} '{value}'{hint}")
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise UsageError(
                f"the optimizer {self.optimizer} takes no momentum. Leave it out, or choose sgd or rmsprop"
            )

    def done(self, updates: float, seconds: float) -> float:
        """Which part of the budget is spent, from 0 to 1."""
        spent = updates / self.updates if self.updates else seconds / (60 * (self.minutes or 1))
        return min(spent, 1.0)

    def rate_at(self, done: float) -> float:
        """The learning rate when a part of the budget is spent."""
        return self.rate * shape(self.schedule, self.warmup, done)

    def make_optimizer(self, parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
        """The optimizer over some parameters."""
        options = {"momentum": self.momentum} if self.momentum else {}
        make = OPTIMIZERS[self.optimizer]
        return make(parameters, lr=self.rate, weight_decay=self.weight_decay, **options)
