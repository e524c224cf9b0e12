"""A training between two updates, as values that can be stored and restored. On the CPU, the numbers that follow are
those of a training that was never stopped."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ..sequence.state import State
from . import random_states
from .loop import Training, copy_of

COUNTS = ("update", "epoch", "index", "steps", "tried", "waiting", "seconds", "early", "best")
LOSSES = ("mean", "lowest", "untrained")


@dataclass(frozen=True)
class Snapshot:
    """A training between two updates.

    model: the parameters to use: averaged weights, if there are any.
    optimizer: its moments, the carried states, the states of random generators, and with averaging the raw parameters.
    progress: counts and losses, as JSON.
    """

    model: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    progress: dict[str, Any]

    @property
    def update(self) -> int:
        """The number of updates so far."""
        found: int = self.progress["update"]
        return found


def capture(training: Training) -> Snapshot:
    """Everything needed to resume a training, with any number of processes."""
    ranks, average = training.ranks, training.average
    tensors, states = random_states.capture()
    tensors |= random_states.of_others(ranks.gather(torch.get_rng_state()))
    moments: dict[str, Tensor] = {}
    for i, values in training.optimizer.state_dict()["state"].items():
        moments |= {f"moment.{i}.{n}": torch.as_tensor(v) for n, v in values.items() if v is not None}
    carried: dict[str, Tensor] = {}
    for layer, state in enumerate(ranks.whole(training.states)):
        carried |= {f"carried.{layer}.{n}": v for n, v in state.items()}
    raw = {f"raw.{n}": v for n, v in copy_of(training.model).items()} if average else {}
    count = {"averaged": average.n_averaged} if average else {}
    with training.ready():
        model = copy_of(training.model)
    progress = {name: getattr(training, name) for name in COUNTS}
    losses = {name: getattr(training, name) for name in LOSSES}
    progress |= {name: value if math.isfinite(value) else None for name, value in losses.items()}
    progress |= {"random": states, "plateau": [training.plateau.factor, training.plateau.waiting]}
    if any(training.begun):
        progress["cycle"] = [*training.begun, training.settings.updates, training.settings.minutes]
    return Snapshot(model, {**moments, **carried, **raw, **count, **tensors}, progress)


def restore(training: Training, snapshot: Snapshot, best: dict[str, Tensor] | None = None) -> None:
    """Continue a training from a snapshot. ``best`` is the model of the best validation, when that was an earlier one.

    Raises:
        KeyError, ValueError, TypeError, RuntimeError: the snapshot is of another model.
    """
    tensors, progress = snapshot.optimizer, snapshot.progress
    if training.average:
        training.average.module.load_state_dict(snapshot.model)
        training.average.n_averaged.copy_(tensors["averaged"])
    raw = {n.removeprefix("raw."): v for n, v in tensors.items() if n.startswith("raw.")}
    training.model.load_state_dict(raw or snapshot.model)
    groups = training.optimizer.state_dict()["param_groups"]
    training.optimizer.load_state_dict({"state": _numbered(tensors, "moment"), "param_groups": groups})
    carried = _numbered(tensors, "carried")
    training.states = training.ranks.own(tuple(State(**carried[layer]) for layer in sorted(carried)))
    for name in COUNTS:
        setattr(training, name, progress[name])
    for name, unknown in zip(LOSSES, (math.nan, math.inf, math.nan), strict=True):
        value = progress.get(name)  # early versions did not store the loss of the untrained model
        setattr(training, name, unknown if value is None else value)
    training.plateau.factor, training.plateau.waiting = progress["plateau"]
    if "cycle" in progress:
        update, seconds, updates, minutes = progress["cycle"]
        training.begun = update, seconds
        training.settings = replace(training.settings, updates=updates, minutes=minutes)
    training.kept = snapshot.model if best is None else best
    random_states.restore(tensors, progress["random"], training.ranks.rank)


def _numbered(tensors: Mapping[str, Tensor], kind: str) -> dict[int, dict[str, Tensor]]:
    """Tensors named KIND.NUMBER.NAME, by number and name."""
    found: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{kind}."):
            _, number, name = key.split(".", 2)
            found.setdefault(int(number), {})[name] = value
    return found
