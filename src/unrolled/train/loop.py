"""The training loop, from top to bottom: batches in order, states carried, one optimizer, the best model kept.

A training can be stopped between any two updates. ``snapshot`` is then everything it takes to go on, and ``restore``
puts it back: on the CPU the numbers that follow are those of a training that was never stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple, NoReturn, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from ..errors import NumberError
from ..files.failpoints import reach
from ..nn.memory import Snapshots
from ..nn.recurrent import Recurrent
from ..sequence.state import State
from ..sequence.streams import Window
from . import random_states
from .distributed import Ranks
from .fault import Fault, find_fault
from .schedule import Plateau
from .settings import Settings

States = tuple[State, ...]  # one per layer
EXPLODED = 100.0  # a validation loss that is so many times that of the untrained model ends the training


class Loss(NamedTuple):
    """What a batch costs: the sum of its losses, over how many steps, and the states after it (none to be carried)."""

    total: Tensor
    steps: int
    states: States = ()


class Task(Protocol):
    """What the loop is told: a model, where its batches come from, what one costs, and how good the model is."""

    @property
    def model(self) -> nn.Module: ...

    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of one pass over the data, the same ones whenever it is asked for the same pass."""

    def loss(self, batch: Any, states: States) -> Loss:
        """The loss of a batch, read from the states that the batch before it left; () at the start of a pass."""

    def validate(self) -> float:
        """The loss per step on other data; the fewer the better."""


@dataclass(frozen=True)
class Progress:
    """Where the training stands after an update. Losses are in nats per step."""

    update: int
    done: float
    seconds: float
    steps: int  # predicted so far
    loss: float  # on the batch just read
    mean: float  # running mean of the losses, over about 50 updates
    norm: float  # of the gradient, before it was clipped
    rate: float
    validation: float | None  # measured after this update, if it was
    best: bool  # and it is the lowest so far
    stopped: bool  # from outside, before the budget was spent


@dataclass(frozen=True)
class Snapshot:
    """A training between two updates, as tensors and as values that JSON can hold. ``best``: the update after which
    the validation was best, if there has been one."""

    update: int
    best: int | None
    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    progress: dict[str, Any]


ALONE = Ranks()


class Training:
    """A model learning a task.

    >>> training = Training(task, Settings(updates=1000))
    >>> for progress in training.run():
    ...     print(progress.update, progress.loss)

    ``ranks`` are the processes that share the work: see ``distributed.joined``. Each makes the same task.

    At the end the model is the one of the best validation. Gradients are truncated at the borders of batches; states
    are carried across them, and start at zero with each pass over the data.
    """

    def __init__(self, task: Task, settings: Settings, ranks: Ranks = ALONE) -> None:
        self.task, self.settings, self.model, self.ranks = task, settings, task.model, ranks
        if settings.memory is not None:
            for layer in (m for m in self.model.modules() if isinstance(m, Recurrent)):
                layer.memory = Snapshots(memory=settings.memory)
        self.cost = ranks.parallel(task)
        random_states.set_apart(ranks.rank)
        self.optimizer = settings.make_optimizer(iter(self._parameters()))
        self.average = _averaged(self.model, settings.average) if settings.average else None
        self.plateau = Plateau(settings.halve_after)
        self.update = self.epoch = self.index = self.steps = self.tried = self.waiting = 0
        self.seconds, self.mean, self.early = 0.0, math.nan, False
        self.states: States = ()
        self.best: int | None = None
        self.untrained = math.nan  # the validation loss before the first update; NaN when it is not known
        self.lowest, self.kept = math.inf, _copy(self.model)

    @property
    def done(self) -> float:
        """Which part of the training is behind, from 0 to 1."""
        return 1.0 if self.early else self.settings.done(self.update, self.seconds)

    @property
    def improved(self) -> bool:
        """Whether a validation was better than that of the untrained model; also true when that is not known."""
        return not self.lowest >= self.untrained

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train, and tell after each update.

        Args:
            stop: asked after every update; true ends the training there, to be gone on with later.

        Raises:
            NumberError: a loss or a gradient that is NaN or infinite, with the time step, state or gate, and sequence
                where it was first; the optimizer is not touched. Or a validation loss far above that of the untrained
                model, while the training loss is above it, too.
        """
        begun, before = time.perf_counter(), self.seconds
        if self.update == 0:
            with self.ready():
                self.untrained = self.measure()
        while self.done < 1:
            reach("read")
            for batch in islice(self.task.batches(self.epoch), self.index, None):
                loss, norm, rate = self.learn(batch)
                self.seconds, asked = self.ranks.agreed(before + time.perf_counter() - begun, stop())
                validation, better = self.validate()
                if validation is not None:  # which takes its time
                    asked = self.ranks.agreed(0.0, stop())[1]
                stopped = asked and self.done < 1
                yield Progress(
                    self.update,
                    self.done,
                    self.seconds,
                    self.steps,
                    loss,
                    self.mean,
                    norm,
                    rate,
                    validation,
                    better,
                    stopped,
                )
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
        rate = self.settings.rate_at(self.settings.done(self.update + 0.5, self.seconds)) * self.plateau.factor
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.zero_grad()
        before = torch.get_rng_state()
        reach("forward")
        total, steps, states = self.cost(self.ranks.share(batch), self.states)
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
        """Say where a batch went wrong. The generator is left where it was before the batch."""
        self.optimizer.zero_grad()
        before, states = torch.get_rng_state(), self.ranks.whole(self.states)

        def again() -> Tensor:
            total, steps, _ = self.task.loss(batch, states)
            return total / max(steps, 1)

        fault = find_fault(self.model, again) or Fault("the loss", loss)
        torch.set_rng_state(before)
        self.optimizer.zero_grad()
        problem = NumberError(
            f"update {self.update + 1}: {fault}. Nothing was learned from this batch. {_remedy(self, rate)}"
        )
        problem.batch = batch
        raise problem

    def validate(self) -> tuple[float | None, bool]:
        """The loss on other data when it is time for that, and whether it is the lowest so far."""
        if self.done < 1 and self.done * self.settings.validations < self.tried + 1:
            return None, False
        self.tried = int(self.done * self.settings.validations)
        with self.ready():
            value = self.measure()
            self.check(value)
            if better := value < self.lowest:
                self.lowest, self.best, self.kept = value, self.update, _copy(self.model)
        if self.settings.schedule == "plateau":
            self.plateau.see(better)
        self.waiting = 0 if better else self.waiting + 1
        self.early = self.early or 0 < self.settings.patience <= self.waiting
        return value, better

    def measure(self) -> float:
        """The loss on other data."""
        reach("validate")
        return self.ranks.agreed(self.task.validate(), False)[0]

    def check(self, value: float) -> None:
        """Refuse a validation loss after which there is no point in training on."""
        if not math.isfinite(value):
            raise NumberError(
                f"after update {self.update}: the loss on the validation data is {value}. {_remedy(self)}"
            )
        if 0 < EXPLODED * self.untrained < value and self.mean > self.untrained:
            kept = (
                f"The best model, of update {self.best}, is kept" if self.best else "There was no better model before"
            )
            raise NumberError(
                f"after update {self.update}: the training diverged. The loss on the validation data is {value:.3g}, "
                f"{value / self.untrained:,.0f} times that of the untrained model ({self.untrained:.3g}). {kept}. "
                f"{_remedy(self)}"
            )

    @contextmanager
    def ready(self) -> Iterator[None]:
        """While the block runs, the model is as it would be used: without dropout, with averaged weights if any."""
        raw = _copy(self.model) if self.average else None
        if self.average:
            self.model.load_state_dict(self.average.module.state_dict())
        self.model.eval()
        try:
            yield
        finally:
            if raw is not None:
                self.model.load_state_dict(raw)
            self.model.train()

    def snapshot(self) -> Snapshot:
        """Everything it takes to go on, with as many processes as there will be then. Its model is the one to use: with
        averaged weights if there are any."""
        tensors, states = random_states.capture()
        tensors |= random_states.of_others(self.ranks.gather(torch.get_rng_state()))
        moments = {f"moment.{i}.{n}": v for i, of in self._moments().items() for n, v in of.items()}
        carried = {
            f"carried.{i}.{n}": v for i, state in enumerate(self.ranks.whole(self.states)) for n, v in state.items()
        }
        raw = {f"raw.{n}": v for n, v in _copy(self.model).items()} if self.average else {}
        count = {"averaged": self.average.n_averaged} if self.average else {}
        with self.ready():
            model = _copy(self.model)
        progress = {name: getattr(self, name) for name in COUNTS}
        progress |= {name: _number(getattr(self, name)) for name in ("mean", "lowest", "untrained")} | {
            "random": states
        }
        progress |= {"plateau": [self.plateau.factor, self.plateau.waiting]}
        optimizer = {**moments, **carried, **raw, **count, **tensors}
        return Snapshot(self.update, self.best, model, optimizer, progress)

    def restore(self, snapshot: Snapshot, kept: dict[str, Tensor] | None = None) -> None:
        """Go on from a snapshot. ``kept`` is the model of the best validation, when that was an earlier one."""
        extra, progress = snapshot.optimizer, snapshot.progress
        if self.average:
            self.average.module.load_state_dict(snapshot.model)
            self.average.n_averaged.copy_(extra["averaged"])
        raw = {n.removeprefix("raw."): v for n, v in extra.items() if n.startswith("raw.")}
        self.model.load_state_dict(raw or snapshot.model)
        moments: dict[int, dict[str, Tensor]] = {}
        for _, i, name, value in _split(extra, "moment"):
            moments.setdefault(int(i), {})[name] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        carried: dict[int, dict[str, Tensor]] = {}
        for _, i, name, value in _split(extra, "carried"):
            carried.setdefault(int(i), {})[name] = value
        self.states = self.ranks.own(tuple(State(**carried[i]) for i in sorted(carried)))
        for name in COUNTS:
            setattr(self, name, progress[name])
        self.mean = math.nan if progress["mean"] is None else progress["mean"]
        self.lowest = math.inf if progress["lowest"] is None else progress["lowest"]
        untrained = progress.get("untrained")  # absent in checkpoints of earlier versions
        self.untrained = math.nan if untrained is None else untrained
        self.plateau.factor, self.plateau.waiting = progress["plateau"]
        self.kept = snapshot.model if kept is None else kept
        random_states.restore(extra, progress["random"], self.ranks.rank)

    def _parameters(self) -> list[nn.Parameter]:
        return [p for p in self.model.parameters() if p.requires_grad]

    def _moments(self) -> dict[int, dict[str, Tensor]]:
        state: dict[int, dict[str, Tensor]] = self.optimizer.state_dict()["state"]
        return {i: {n: torch.as_tensor(v) for n, v in of.items() if v is not None} for i, of in state.items()}


COUNTS = ("update", "epoch", "index", "steps", "tried", "waiting", "seconds", "early", "best")


@dataclass
class Lesson:
    """A task made of functions, for a loop in a few lines.

    model: called with a batch and the states, () at first; gives scores and the states after it.
    loss: the total loss of a window, from scores and what came.
    passes: one pass over the data, window by window.
    validate: the loss per step on other data.
    """

    model: nn.Module
    total: Callable[[Tensor, Tensor], Tensor]
    passes: Callable[[], Iterable[Window]]
    validate: Callable[[], float]

    def batches(self, epoch: int) -> Iterable[Window]:
        return self.passes()

    def loss(self, batch: Window, states: States) -> Loss:
        scores, after = self.model(batch.x, states or None)
        return Loss(self.total(scores, batch.y), batch.y.numel(), after)


def train(
    model: nn.Module,
    loss: Callable[[Tensor, Tensor], Tensor],
    passes: Callable[[], Iterable[Window]],
    validate: Callable[[], float],
    settings: Settings,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Progress]:
    """Train a model in place, and tell after each update.

    >>> for progress in train(model, losses.nll, lambda: windows(tokens, rows=16, longest=64), validate, settings):
    ...     print(progress.update, progress.loss)

    The same as ``Training(Lesson(model, loss, passes, validate), settings).run(stop)``.
    """
    return Training(Lesson(model, loss, passes, validate), settings).run(stop)


def _averaged(model: nn.Module, decay: float) -> AveragedModel:
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(decay))


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


def _split(tensors: dict[str, Tensor], kind: str) -> Iterator[tuple[str, str, str, Tensor]]:
    """Tensors named KIND.NUMBER.NAME, apart."""
    for key, value in tensors.items():
        if key.startswith(f"{kind}."):
            first, number, name = key.split(".", 2)
            yield first, number, name, value


def _remedy(training: Training, rate: float | None = None) -> str:
    now = training.settings.rate if rate is None else rate
    clip = training.settings.clip
    return f"Try a learning rate (--rate, now {now:.3g}) ten times smaller, or a smaller clip (now {clip:g})"


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
