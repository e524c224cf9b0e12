"""How long and how a model is trained: the section [training] of the options."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from ..errors import UsageError, check_choice
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
    """How long and how a model is trained.

    updates, minutes: the length of the training: one of the two. Only ``updates`` makes it reproducible.
    rate: the maximum learning rate.
    schedule, warmup: of the learning rate: see ``schedule.shape``.
    halve_after: for the schedule 'plateau', the number of validations without improvement that halves the rate.
    optimizer, momentum, weight_decay: one of torch's optimizers and its parameters (momentum: sgd and rmsprop).
    clip: the maximum norm of the gradient (Pascanu, Mikolov and Bengio 2013).
    validations: the number of validations, evenly spaced over the training; the best model is kept.
    patience: stop after this many validations without improvement; 0 never stops early.
    average: the decay of an exponential moving average of the weights (Polyak and Juditsky 1992), which is then what is
        validated and kept; 0 for no average.
    memory: a limit for the backward pass, such as '500 MB': see ``nn.memory.Snapshots``. No limit by default.
    checkpoint_every: updates between checkpoints, beside those at every validation; 0 for none.
    diagnose: updates between diagnoses, whose main numbers go into the log; 0 for none.

    Raises:
        UsageError: a value out of range, or an unknown schedule or optimizer.
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
            raise UsageError("give either --updates or --minutes, not both")
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
        check_choice("schedule", self.schedule, SCHEDULES)
        check_choice("optimizer", self.optimizer, OPTIMIZERS)
        if self.momentum and self.optimizer not in ("sgd", "rmsprop"):
            raise UsageError(
                f"the optimizer {self.optimizer} has no momentum. Choose sgd or rmsprop, or leave momentum out"
            )

    def done(self, updates: float, seconds: float) -> float:
        """The fraction of the training that is done, from 0 to 1."""
        spent = updates / self.updates if self.updates else seconds / (60 * (self.minutes or 1))
        return min(spent, 1.0)

    def rate_at(self, done: float) -> float:
        """The learning rate when the fraction ``done`` of the training is done."""
        return self.rate * shape(self.schedule, self.warmup, done)

    def make_optimizer(self, parameters: Iterator[nn.Parameter]) -> torch.optim.Optimizer:
        """A new optimizer of some parameters."""
        options = {"momentum": self.momentum} if self.momentum else {}
        make = OPTIMIZERS[self.optimizer]
        return make(parameters, lr=self.rate, weight_decay=self.weight_decay, **options)
