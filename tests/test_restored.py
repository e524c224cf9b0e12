"""The state of a training: dropout masks, learning rates, generators, and everything that a resume restores."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy
import pytest
import torch
from torch import Tensor

from unrolled import cells
from unrolled.nn.model import SequenceModel
from unrolled.nn.weight_drop import run_dropped
from unrolled.run.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from unrolled.sequence import losses
from unrolled.sequence.streams import Window, windows
from unrolled.train import random_states
from unrolled.train.lesson import WindowLesson
from unrolled.train.loop import Training
from unrolled.train.settings import Settings
from unrolled.train.snapshot import Snapshot, capture, restore

SERIES = torch.arange(400) ** 2 % 7


def model(seed: int = 0, layers: int = 2, **options: float) -> SequenceModel:
    torch.manual_seed(seed)
    return SequenceModel(cells.lstm, 7, 7, 6, layers, **options)


def lesson(
    model: SequenceModel, validations: list[float] | None = None, once: Window | None = None
) -> tuple[SequenceModel, WindowLesson]:
    """A lesson with prescribed validation losses that repeats one batch."""
    given = iter(validations or [])

    def passes() -> Iterator[Window]:
        return windows(SERIES, 4, 20) if once is None else iter([once])

    def validate() -> float:
        if validations is not None:
            return next(given)
        with torch.no_grad():
            scores, _ = model(SERIES[None, :-1])
            return float(losses.nll(scores, SERIES[None, 1:])) / (len(SERIES) - 1)

    return model, WindowLesson(losses.nll, passes, validate)


# dropout


@pytest.mark.parametrize(
    "options", [{"dropout": 0.5}, {"weight_dropout": 0.5}, {"zoneout": 0.5}, {"variational": 0.5}, {}]
)
def test_every_update_has_masks_of_its_own(options: dict[str, float]):
    """Repeats one batch at a learning rate of nearly zero, so that only the masks differ."""
    once = next(iter(windows(SERIES, 4, 20)))
    settings = Settings(updates=6, rate=1e-30, optimizer="sgd", validations=1)
    found = [p.loss for p in Training(*lesson(model(**options), [2.0, 1.0], once), settings).run()]
    different = len({round(loss, 6) for loss in found})
    assert different == (6 if options else 1), found


def test_weights_are_dropped_anew_in_each_pass_and_for_all_its_steps():
    net = model(layers=1).first
    x = torch.randn(3, 9, 7)
    masks = []
    for _ in range(30):
        net.zero_grad()
        run_dropped(net, 0.5, x=x).h.square().sum().backward()
        masks.append(net.W.grad != 0)
    assert all((a != b).any() for a, b in pairwise(masks))
    assert torch.stack(masks).any(0).all(), "each weight is there in some pass"
    share = torch.stack(masks).float().mean()
    assert 0.45 < share < 0.55


# rates


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
@pytest.mark.parametrize("warmup", [0.0, 0.3])
def test_every_update_has_the_rate_of_its_middle(schedule: str, warmup: float):
    settings = Settings(updates=10, rate=0.5, schedule=schedule, warmup=warmup)
    found = [p.rate for p in Training(*lesson(model()), settings).run()]
    expected = []
    for update in range(10):
        middle = (update + 0.5) / 10
        rising = min(middle / warmup, 1) if warmup else 1
        expected.append(0.5 * rising * ((1 + math.cos(math.pi * middle)) / 2 if schedule == "cosine" else 1))
    assert found == pytest.approx(expected, rel=1e-12)


def test_the_rate_is_that_of_the_optimizer():
    once = next(iter(windows(SERIES, 4, 20)))
    net = model()
    training = Training(
        *lesson(net, [2.0, 1.0], once), Settings(updates=3, rate=0.01, optimizer="sgd", clip=1e9, validations=1)
    )
    weights = [net.read_out.bias.detach().clone()]
    for p in training.run():
        weights.append(net.read_out.bias.detach().clone() if p.update < 3 else weights[-1])
        if p.update < 3:
            torch.testing.assert_close(weights[-2] - weights[-1], p.rate * net.read_out.bias.grad, rtol=1e-3, atol=1e-8)


# what is restored


def test_every_generator_goes_on_where_it_was():
    random_states.seed(5)
    torch.rand(3), numpy.random.rand(3), random.random(), numpy.random.standard_normal(), random.gauss(0, 1)

    def drawn() -> list[float]:
        numbers = [float(torch.rand(())), float(torch.randn(())), float(numpy.random.rand()), random.random()]
        return [*numbers, float(numpy.random.standard_normal()), random.gauss(0, 1), random.randrange(10**9)]

    tensors, values = random_states.capture()
    values = json.loads(json.dumps(values))
    expected = [drawn(), drawn()]
    random_states.seed(6)
    drawn()
    random_states.restore(tensors, values)
    assert [drawn(), drawn()] == expected
    others = random_states.of_others([tensors[random_states.TORCH], torch.get_rng_state()])
    assert list(others) == ["random.torch.1"]
    at = [float(torch.rand(())) for _ in range(2)]
    random_states.restore(tensors | others, values, rank=1)
    assert [float(torch.rand(())) for _ in range(2)] == at, "a process goes on with the numbers of its own"
    random_states.restore(tensors, values, rank=2)
    assert float(torch.rand(())) != expected[0][0], "a new process has others"


WAYS = [
    {"optimizer": "adam", "schedule": "plateau", "halve_after": 1, "average": 0.5},
    {"optimizer": "sgd", "momentum": 0.9, "patience": 5},
    {"optimizer": "adamw", "weight_decay": 0.1, "schedule": "plateau", "halve_after": 3},
    {"optimizer": "rmsprop", "momentum": 0.5, "schedule": "constant"},
]
FALLING = [9.0, 5.0, 3.0, 4.0, 6.0, 6.5, 6.6, 6.7, 6.8, 6.9, 7.0]  # the first belongs to the untrained model


def equal(a: object, b: object) -> bool:
    """Whether two values are equal, including all tensors in them."""
    if isinstance(a, Tensor) and isinstance(b, Tensor):
        return a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    return a == b


def through_the_disk(folder: Path, snapshot: Snapshot) -> Snapshot:
    write_checkpoint(folder, Checkpoint(snapshot.model, snapshot.optimizer, snapshot.progress, {}))
    found = read_checkpoint(folder)
    return Snapshot(found.model, found.optimizer, found.progress)


@pytest.mark.parametrize("way", WAYS, ids=[way["optimizer"] for way in WAYS])
def test_all_of_a_training_is_restored(way: dict[str, object], tmp_path: Path):
    """Stopped after the best validation, in the middle of a pass over the data: a restored training gives the same
    snapshot, continues with the same numbers, and ends with the same best model."""
    settings = Settings(**{"updates": 20, "rate": 0.05, **way})
    whole = Training(*lesson(model(dropout=0.3, weight_dropout=0.2, zoneout=0.1, variational=0.2), FALLING), settings)
    kept, seen, cut = {}, [], None
    for p in whole.run():
        seen.append((p.update, p.loss, p.mean, p.norm, p.rate, p.validation, p.best, p.steps, p.done))
        if p.best:
            kept = {n: v.clone() for n, v in whole.kept.items()}
        if p.update == 8:  # after a validation, and before an update without one
            cut = through_the_disk(tmp_path / "cut", capture(whole))
    assert cut is not None and cut.progress["best"] == 4 and cut.progress["index"] > 0 and cut.progress["epoch"] > 0
    assert equal(whole.model.state_dict(), kept), "at the end the model is the best one"

    torch.manual_seed(99), numpy.random.seed(99), random.seed(99)
    again = Training(
        *lesson(model(seed=3, dropout=0.3, weight_dropout=0.2, zoneout=0.1, variational=0.2), FALLING[5:]), settings
    )
    restore(again, cut, kept)
    assert equal(vars(through_the_disk(tmp_path / "again", capture(again))), vars(cut))
    found = [(p.update, p.loss, p.mean, p.norm, p.rate, p.validation, p.best, p.steps, p.done) for p in again.run()]
    assert found == seen[8:]
    assert equal(again.model.state_dict(), whole.model.state_dict())
    assert equal(capture(again).progress | {"seconds": 0}, capture(whole).progress | {"seconds": 0})
