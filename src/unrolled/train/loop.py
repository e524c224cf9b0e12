"""The training loop, from top to bottom: batches in order, states carried on, one optimizer, the best model kept."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import NumberError, UsageError
from ..files.failpoints import reach
from ..nn.memory import Snapshots
from ..nn.recurrent import Recurrent
from ..sequence.streams import Window
from . import random_states
from .distributed import ALONE, Ranks
from .fault import Fault, find_fault
from .lesson import Lesson, Loss, Progress, States, WindowLesson
from .schedule import Plateau
from .settings import Settings

__all__ = ["Loss", "Progress", "Training", "train"]

EXPLODED = 100.0  # the training stops when the validation loss is this many times that of the untrained model


class Training:
    """A model that learns a lesson.

    >>> training = Training(model, data, Settings(updates=1000))
    >>> for progress in training.run():
    ...     print(progress.update, progress.loss)

    At the end, the model is the one with the best validation loss. Gradients stop at the borders of batches; states are
    carried across them, and start at zero with each pass over the data.

    A training can be stopped between any two updates: see ``snapshot.capture``.

    Args:
        model: trained in place.
        lesson: the data, and the loss of a batch.
        settings: how long and how to train.
        ranks: the processes that share the work: see ``distributed.joined``. Each has the same model and lesson.
    """

    def __init__(self, model: nn.Module, lesson: Lesson, settings: Settings, ranks: Ranks = ALONE) -> None:
        self.model, self.lesson, self.settings, self.ranks = model, lesson, settings, ranks
        _check_memory(model, settings)
        self.loss = ranks.parallel(model, lesson.loss)
        random_states.set_apart(ranks.rank)
        self.optimizer = settings.make_optimizer(iter(self._parameters()))
        ema = get_ema_multi_avg_fn(settings.average)
        self.average = AveragedModel(model, multi_avg_fn=ema) if settings.average else None
        self.plateau = Plateau(settings.halve_after)
        self.update = self.epoch = self.index = self.steps = self.tried = self.waiting = 0
        self.seconds, self.mean, self.early = 0.0, math.nan, False
        self.begun = 0, 0.0  # the update and the seconds at which the present cycle of the learning rate began
        self.states: States = ()
        self.best: int | None = None  # the update after which the validation loss was lowest
        self.untrained = math.nan  # the validation loss before the first update; NaN when it is not known
        self.lowest, self.kept = math.inf, copy_of(model)

    @property
    def done(self) -> float:
        """The fraction of the training that is done, from 0 to 1."""
        return 1.0 if self.early else self._cycle(self.update)

    def _cycle(self, updates: float) -> float:
        """The fraction of the present cycle that is done after a number of updates."""
        return self.settings.done(updates - self.begun[0], self.seconds - self.begun[1])

    @property
    def improved(self) -> bool:
        """Whether a validation loss was lower than that of the untrained model, or that is useful, or not known."""
        return self.useful or not self.lowest >= self.untrained

    @property
    def useful(self) -> bool:
        """Whether the untrained model is useful, and is kept if no other one is better."""
        return bool(getattr(self.lesson, "starts_useful", False))

    def extend(self, updates: int | None = None, minutes: float | None = None) -> None:
        """Go on with a finished training, for more updates or more minutes, with a new cycle of the learning rate (warm
        restart: Loshchilov and Hutter 2017). The optimizer, the position in the data and the best model are kept.

        >>> training.extend(updates=500)
        >>> for progress in training.run():
        ...     print(progress.update, progress.loss)

        Raises:
            UsageError: the training is not finished, or not exactly one of the two lengths is given.
        """
        if self.done < 1:
            raise UsageError(f"the training is not finished ({self.done:.0%} done), so it cannot be extended yet")
        self.settings = replace(self.settings, updates=updates, minutes=minutes)
        self.begun = self.update, self.seconds
        self.tried, self.waiting, self.early = 0, 0, False
        self.plateau = Plateau(self.settings.halve_after)

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train, and report after each update.

        Args:
            stop: called after every update; true stops the training, which can be resumed later.

        Raises:
            NumberError: a loss or a gradient is NaN or infinite; the message names the time step, the state or gate and
                the sequence where it first was, and the optimizer is not changed. Or the training diverged: the
                validation loss is far above that of the untrained model, and so is the training loss.
        """
        begun, before = time.perf_counter(), self.seconds
        if self.update == 0:
            with self.ready():
                self.untrained = self.measure()
            if self.useful:
                self.lowest, self.best = self.untrained, 0
        while self.done < 1:
            reach("read")
            for batch in islice(self.lesson.batches(self.epoch), self.index, None):
                loss, norm, rate = self.learn(batch)
                self.seconds, asked = self.ranks.agreed(before + time.perf_counter() - begun, stop())
                validation, better = self.validate()
                if validation is not None:  # which takes time
                    asked = self.ranks.agreed(0.0, stop())[1]
                stopped = asked and self.done < 1
                figures = (self.seconds, self.steps, loss, self.mean, norm, rate)
                yield Progress(self.update, self.done, *figures, validation, better, stopped)
                if stopped:
                    return
                if self.done == 1:
                    break
                reach("read")
            else:
                self.epoch, self.index, self.states = self.epoch + 1, 0, ()
        self.model.load_state_dict(self.kept)

    def learn(self, batch: Any) -> tuple[float, float, float]:
        """One update: the loss per step of a batch, the norm of its gradient, and the learning rate."""
        self.model.train()
        rate = self.settings.rate_at(self._cycle(self.update + 0.5)) * self.plateau.factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        before = torch.get_rng_state()
        reach("forward")
        total, steps, states = self.loss(self.ranks.share(batch), self.states)
        reach("backward")
        value, steps = self.ranks.backward(total, steps, self._parameters())
        norm = nn.utils.clip_grad_norm_(self._parameters(), self.settings.clip)
        if not (math.isfinite(value) and math.isfinite(norm.item())):
            torch.set_rng_state(before)
            self.fail(batch, value, rate)
        reach("step")
        self.optimizer.step()
        if self.average:
            self.average.update_parameters(self.model)
        self.states = tuple(state.detach() for state in states)
        self.update, self.index, self.steps = self.update + 1, self.index + 1, self.steps + steps
        share = max(0.02, 1 / self.update)
        self.mean = value if self.update == 1 else self.mean + share * (value - self.mean)
        return value, norm.item(), rate

    def fail(self, batch: Any, loss: float, rate: float) -> NoReturn:
        """Raise an error that says where a batch went wrong. The generator is left as it was before the batch."""
        self.optimizer.zero_grad()
        before, states = torch.get_rng_state(), self.ranks.whole(self.states)

        def again() -> Tensor:
            total, steps, _ = self.lesson.loss(self.model, batch, states)
            return total / max(steps, 1)

        fault = find_fault(self.model, again) or Fault("the loss", loss)
        torch.set_rng_state(before)
        self.optimizer.zero_grad()
        problem = NumberError(
            f"update {self.update + 1}: {fault}. The model was not changed by this batch. {self._remedy(rate)}"
        )
        problem.batch = batch
        raise problem

    def validate(self) -> tuple[float | None, bool]:
        """The validation loss when it is due, and whether it is the lowest so far."""
        if self.done < 1 and self.done * self.settings.validations < self.tried + 1:
            return None, False
        self.tried = int(self.done * self.settings.validations)
        with self.ready():
            value = self.measure()
            self.check(value)
            if better := value < self.lowest:
                self.lowest, self.best, self.kept = value, self.update, copy_of(self.model)
        if self.settings.schedule == "plateau":
            self.plateau.see(better)
        self.waiting = 0 if better else self.waiting + 1
        self.early = self.early or 0 < self.settings.patience <= self.waiting
        return value, better

    def measure(self) -> float:
        """The validation loss."""
        reach("validate")
        return self.ranks.agreed(self.lesson.validate(self.model), False)[0]

    def check(self, value: float) -> None:
        """Refuse a validation loss after which more training is pointless."""
        if not math.isfinite(value):
            raise NumberError(f"after update {self.update}: the validation loss is {value}. {self._remedy()}")
        if 0 < EXPLODED * self.untrained < value and self.mean > self.untrained and not self.useful:
            kept = f"The best model, of update {self.best}, is kept" if self.best else "No earlier model was better"
            raise NumberError(
                f"after update {self.update}: the training diverged. The validation loss is {value:.3g}, "
                f"{value / self.untrained:,.0f} times that of the untrained model ({self.untrained:.3g}). {kept}. "
                f"{self._remedy()}"
            )

    @contextmanager
    def ready(self) -> Iterator[None]:
        """While the block runs, the model is as it would be used: without dropout, and with averaged weights if any."""
        raw = copy_of(self.model) if self.average else None
        if self.average:
            self.model.load_state_dict(self.average.module.state_dict())
        self.model.eval()
        try:
            yield
        finally:
            if raw is not None:
                self.model.load_state_dict(raw)
            self.model.train()

    def _parameters(self) -> list[nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def _remedy(self, rate: float | None = None) -> str:
        now, clip = self.settings.rate if rate is None else rate, self.settings.clip
        return f"Try a learning rate (--rate, now {now:.3g}) ten times smaller, or a smaller clip (now {clip:g})"


def train(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    passes: Callable[[], Iterable[Window]],
    validate: Callable[[], float],
    settings: Settings,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Train a model in place, and report after each update.

    >>> for progress in train(model, losses.nll, lambda: windows(tokens, rows=16, longest=64), validate, settings):
    ...     print(progress.update, progress.loss)

    Args:
        model: called with x (rows, steps, ...) and the states, None at first; returns scores and the states after it.
        loss: the total loss of a window, from scores and targets.
        passes: gives the windows of one pass over the data.
        validate: gives the loss per step on other data.
        settings, stop: as for ``Training`` and its ``run``.

    Raises:
        NumberError: see ``Training.run``.
        UsageError: settings.memory, for a model that was built without that limit.
    """
    return Training(model, WindowLesson(loss, passes, validate), settings).run(stop)


def _check_memory(model: nn.Module, settings: Settings) -> None:
    """Refuse a memory limit that the model was not built with: a training does not change how a model computes."""
    limit = Snapshots(memory=settings.memory) if settings.memory is not None else None
    if limit and any(layer.memory != limit for layer in model.modules() if isinstance(layer, Recurrent)):
        raise UsageError(f"build the model with the memory limit of its training: memory={limit}")


def copy_of(model: nn.Module) -> dict[str, Tensor]:
    """The parameters and buffers of a model, copied."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
