"""What the tasks on whole sequences have in common: parts, batches in a new order each pass, losses over all steps."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor

from ..errors import DataError
from ..nn.model import States
from ..sequence.ragged import Ragged
from ..train.loop import Loss
from .task import Task

EXCERPT = 16  # sequences of an excerpt
EVALUATED = 64  # sequences at a time when nothing is learned; makes no difference to the result


class Example(NamedTuple):
    """One sequence: what is read (steps, ...), what is to be answered, and what it is called."""

    x: Tensor
    y: Tensor
    name: str


class Batch(NamedTuple):
    """Sequences one behind the other, as in a Ragged: ``x`` (steps, ...) and their ``lengths`` (n,). ``y`` is (steps,
    ...) when there is an answer at every step, else (n, ...)."""

    x: Tensor
    y: Tensor
    lengths: Tensor

    @property
    def read(self) -> Ragged:
        return Ragged(values=self.x, lengths=self.lengths)


@dataclass(frozen=True)
class Parts:
    """Examples to learn from, to choose the best model by, and held out."""

    train: list[Example]
    validation: list[Example]
    test: list[Example]

    def check(self, what: str) -> Parts:
        """Refuse parts with nothing in them."""
        for name in ("train", "validation", "test"):
            if not getattr(self, name):
                raise DataError(f"{what}: there is no sequence left for the {name} part. Give more data")
        return self


class SequenceTask(Task):
    """A task whose data are sequences with a beginning and an end. States are not carried from one to the next."""

    batch_type = Batch
    every: ClassVar[bool] = True  # an answer at every step, else one for each sequence

    parts: Parts | None = None

    @abstractmethod
    def cost(self, scores: Tensor, y: Tensor) -> Tensor:
        """The sum of the losses of answers: scores (answers, outputs), y (answers, ...)."""

    @property
    def data(self) -> Parts:
        assert self.parts is not None, "a stored task has no data of its own"
        return self.parts

    def batches(self, epoch: int) -> Iterator[Batch]:
        """All examples of the training part, in an order that follows from the seed and the number of the pass."""
        generator = torch.Generator().manual_seed(self.options.reading.seed + 1_000_003 * (epoch + 1))
        order = torch.randperm(len(self.data.train), generator=generator).tolist()
        size = self.options.reading.batch
        for start in range(0, len(order), size):
            yield self.batch([self.data.train[i] for i in order[start : start + size]])

    def batch(self, examples: Sequence[Example]) -> Batch:
        """Some examples in one batch."""
        read = Ragged([example.x for example in examples])
        answers = [example.y for example in examples]
        return Batch(read.values, torch.cat(answers) if self.every else torch.stack(answers), read.lengths)

    def answers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Scores and what they should be, of all sequences: (answers, outputs), (answers, ...)."""
        scores, _ = self.model(batch.read)
        return scores.values if self.every else scores, batch.y

    def loss(self, batch: Batch, states: States) -> Loss:
        given, wanted = self.answers(batch)
        return Loss(self.cost(given, wanted), len(given))

    def score(self, examples: Sequence[Example]) -> Iterator[tuple[Tensor, Tensor]]:
        """Scores and what they should be, batch by batch, the model as it is used."""
        self.model.eval()
        with torch.no_grad():
            for start in range(0, len(examples), EVALUATED):
                yield self.answers(self.batch(examples[start : start + EVALUATED]))

    def mean_cost(self, examples: Sequence[Example]) -> float:
        """The loss per answer over some examples."""
        pairs = [(self.cost(scores, y).item(), len(y)) for scores, y in self.score(examples)]
        return sum(cost for cost, _ in pairs) / max(sum(count for _, count in pairs), 1)

    @abstractmethod
    def chosen(self, path: Path) -> list[Example]:
        """The examples of some data; of the data it learned from, those by which the best model is chosen."""

    def excerpt(self, path: Path, steps: int) -> Batch:
        """The ends of the longest sequences."""
        longest = sorted(self.chosen(path), key=lambda example: -len(example.x))[:EXCERPT]
        return self.batch([Example(e.x[-steps:], e.y[-steps:] if self.every else e.y, e.name) for e in longest])

    def validate(self) -> float:
        return self.mean_cost(self.data.validation)

    def sizes(self) -> dict[str, Any]:
        parts = {"learned_from": self.data.train, "validation": self.data.validation, "held_out": self.data.test}
        counts = {name: len(examples) for name, examples in parts.items()}
        return {**counts, "steps": sum(len(e.x) for e in self.data.train), "parameters": self.parameters}


def drawn_apart(names: Sequence[str], shares: tuple[float, ...]) -> list[int]:
    """Which part each name belongs to, by the name alone: the same wherever and in whatever company it stands. Only if
    a part would be empty, it gets a name of the largest one.

    >>> drawn_apart(["a.wav", "b.wav", "c.wav"], (0.8, 0.1, 0.1))
    [2, 1, 0]
    """
    digests = [hashlib.sha256(name.encode("utf-8", "surrogatepass")).digest() for name in names]
    numbers = [int.from_bytes(digest[:8], "big") / 2**64 for digest in digests]
    ends = [sum(shares[: k + 1]) for k in range(len(shares) - 1)]
    parts = [sum(number >= end for end in ends) for number in numbers]
    for part in range(len(shares)):
        largest = max(range(len(shares)), key=parts.count)
        if part not in parts and parts.count(largest) > 1:
            last = max((i for i, p in enumerate(parts) if p == largest), key=lambda i: digests[i])
            parts[last] = part
    return parts


def lengths_text(examples: Sequence[Example], unit: str) -> str:
    """The shortest, the middle and the longest."""
    lengths = sorted(len(example.x) for example in examples)
    return f"{lengths[0]:,} to {lengths[-1]:,} {unit}, {lengths[len(lengths) // 2]:,} in the middle"
