"""Data that are sequences with a beginning and an end: batches in a new order for each pass, no state carried over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..errors import DataError
from ..nn.model import SequenceModel, States
from ..sequence.ragged import Ragged
from ..sequence.series import values_of
from ..train.lesson import Loss
from .example import Example
from .goal import Answers, mean_loss
from .kind import Data, Kind

EXCERPT = 16  # sequences of an excerpt
Parts = tuple[list[Example], list[Example], list[Example]]  # for training, validation and testing
TOGETHER = 64  # sequences that are evaluated at a time; this does not change the result


class Batch(NamedTuple):
    """Sequences in one batch, with the layout of a Ragged: x (steps, ...) and their lengths (n,). y is (steps, ...)
    with a target per step, else (n, ...)."""

    x: Tensor
    y: Tensor
    lengths: Tensor

    @property
    def read(self) -> Ragged:
        return Ragged(values=self.x, lengths=self.lengths)

    @staticmethod
    def of(examples: Sequence[Example]) -> Batch:
        """The batch of some sequences, without padding."""
        read = Ragged([example.read for example in examples])
        y = [example.y for example in examples]
        return Batch(read.values, torch.cat(y) if y[0].ndim else torch.stack(y), read.lengths)

    def select(self, rows: Sequence[int]) -> Batch:
        """Some of the sequences, in the given order."""
        read = self.read.select(rows)
        if len(self.y) == len(self.x):
            return Batch(read.values, Ragged(values=self.y, lengths=self.lengths).select(rows).values, read.lengths)
        return Batch(read.values, self.y[torch.as_tensor(rows, dtype=torch.long)], read.lengths)


@dataclass(frozen=True)
class SequenceKind(Kind):
    """A kind of data that are sequences with a beginning and an end. ``read_steps``: what their steps are called."""

    read_steps: ClassVar[str]
    batch_type: ClassVar[Any] = Batch

    def vary(self, example: Example, generator: torch.Generator) -> Example:
        """A sequence as it is trained on in one pass; ``generator`` decides what is random. By default unchanged."""
        return example

    def with_given(self, parts: Parts, known: bool) -> Parts:
        """The parts of data, with those that are given as files."""
        if not known:
            return parts
        train, validation, test = parts
        if self.reading.validation:
            validation = _of_file(self, self.reading.validation)
        if self.reading.test:
            test = _of_file(self, self.reading.test)
        return train, validation, test

    def answers(self, model: SequenceModel, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores (answers, outputs) and targets (answers, ...) of a batch, where the targets are known."""
        scores, y = values_of(model(batch.read)[0]), batch.y
        known = self.goal.known(y)
        return (scores, y) if known.all() else (scores[known], y[known])

    def loss(self, model: SequenceModel, batch: Batch, states: States) -> Loss:
        scores, y = self.answers(model, batch)
        return Loss(self.goal.loss(scores, y), len(scores))

    def score(self, model: SequenceModel, examples: Sequence[Example]) -> Answers:
        """Scores and targets of some sequences, batch by batch, without dropout."""
        model.eval()
        with torch.no_grad():
            for start in range(0, len(examples), TOGETHER):
                yield self.answers(model, Batch.of(examples[start : start + TOGETHER]))


@dataclass(frozen=True)
class ScoredKind(SequenceKind):
    """A kind of sequences whose predictions follow from the scores of each."""

    @abstractmethod
    def examples(self, path: Path) -> list[Example]:
        """All sequences of other data, to predict from; targets may be missing."""

    @abstractmethod
    def rows(self, example: Example, scores: Tensor) -> Iterator[dict[str, Any]]:
        """The predictions for a sequence, from its scores (answers, outputs)."""

    def predict(self, model: SequenceModel, path: Path) -> Iterator[dict[str, Any]]:
        for example in self.examples(path):
            with torch.no_grad():
                scores, _ = model.eval()(Ragged([example.x]))
            yield from self.rows(example, values_of(scores))


def _of_file(kind: SequenceKind, path: str) -> list[Example]:
    """All sequences of a file that is given for validation or testing."""
    data = kind.read(Path(path), "")
    assert isinstance(data, Sequences)
    return data.test


@dataclass(frozen=True)
class Sequences(Data):
    """Sequences in three parts.

    counts: what an evaluation counts beside its metric.
    about: what is special about the data, for people; the first line also has the sizes of the parts.
    """

    kind: SequenceKind
    parts: Parts
    counts: dict[str, int]
    about: tuple[tuple[str, str], ...]

    def __post_init__(self) -> None:
        for name, part in zip(("train", "validation", "test"), self.parts, strict=True):
            if not part:
                raise DataError(f"'{self.path}': no sequence is left for the {name} part. Add more data")

    @property
    def train(self) -> list[Example]:
        return self.parts[0]

    @property
    def validation(self) -> list[Example]:
        return self.parts[1]

    @property
    def test(self) -> list[Example]:
        return self.parts[2]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """All training sequences, in an order that follows from the seed and the number of the pass."""
        reading = self.kind.reading
        generator = torch.Generator().manual_seed(reading.seed + 1_000_003 * (epoch + 1))
        order = torch.randperm(len(self.train), generator=generator).tolist()
        for start in range(0, len(order), reading.batch):
            yield Batch.of([self.kind.vary(self.train[i], generator) for i in order[start : start + reading.batch]])

    def validate(self, model: SequenceModel) -> float:
        return mean_loss(self.kind.goal, self.kind.score(model, self.validation))

    def result(self, model: SequenceModel) -> dict[str, float]:
        goal = self.kind.goal
        return goal.metric(self.kind.score(model, self.test)) | goal.baseline(self.train, self.test)

    def evaluate(self, model: SequenceModel) -> dict[str, Any]:
        found = self.kind.goal.metric(self.kind.score(model, self.test))
        return {**found, **self.counts, "held_out": self.known}

    def excerpt(self, steps: int) -> Batch:
        """The ends of the longest validation sequences."""
        longest = sorted(self.validation, key=lambda example: -len(example.read))[:EXCERPT]
        return Batch.of([Example(e.read[-steps:], e.y[-steps:] if e.y.ndim else e.y, e.name) for e in longest])

    def sizes(self) -> dict[str, int]:
        parts = {"learned_from": self.train, "validation": self.validation, "held_out": self.test}
        return {**{name: len(part) for name, part in parts.items()}, "steps": sum(len(e.read) for e in self.train)}

    def describe(self) -> list[tuple[str, str]]:
        (word, text), *others = self.about
        lengths = sorted(len(example.read) for example in self.train)
        middle = f"{lengths[0]:,} to {lengths[-1]:,} {self.kind.read_steps}, median {lengths[len(lengths) // 2]:,}"
        return [(word, f"{self._divided()}; {text}"), ("lengths", middle), *others]

    def _divided(self) -> str:
        """How many sequences are in each part. The line 'parts' has the dates of sequences that are divided in time."""
        files = ("", self.kind.reading.validation, self.kind.reading.test)
        names = [{e.name for e in part} for part, file in zip(self.parts, files, strict=True) if not file]
        if any(names[0] & others for others in names[1:]):
            return f"{len(set.union(*names)):,} series, divided in time"
        train, validation, test = map(len, self.parts)
        return f"{train} for training, {validation} for validation, {test} for testing"
