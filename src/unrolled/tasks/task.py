"""What a task is: a data set, a model, a loss and a metric, for one kind of data."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import torch

from .. import __version__
from ..circuits.circuit import Circuit
from ..errors import UsageError, command_line
from ..files.toml import Sections
from ..nn.model import SequenceModel, States
from ..train.loop import Loss
from ..train.run_folder import Config
from .options import Options


class Task(ABC):
    """One data set to be learned, by the loop of ``train/loop.py``.

    A task is made in two ways: ``Kind.read(path, circuit, options)`` from data, to learn; ``Kind.stored(config)`` from
    a run's description, to evaluate, predict or replay. The latter has no data of its own.

    name: what the task is called in run folders and on the command line.
    unit: what ``validate`` and the bar count, ``scale`` of them to a nat.
    section: the dataclass of the section [data] of its options.
    defaults: options that differ from the usual ones.
    batch_type: what ``batches`` gives, a NamedTuple of tensors.
    """

    name: ClassVar[str]
    unit: ClassVar[str]
    steps: ClassVar[str]
    scale: ClassVar[float] = 1.0
    section: ClassVar[type | None] = None
    defaults: ClassVar[Sections] = {}
    batch_type: ClassVar[Any]

    circuit: Circuit
    options: Options
    model: SequenceModel
    source: dict[str, str]  # path and sha256 of the data

    @classmethod
    @abstractmethod
    def read(cls, path: Path, circuit: Circuit, options: Options) -> Task:
        """The task of learning from the data at a path."""

    @classmethod
    @abstractmethod
    def stored(cls, config: Config) -> Task:
        """The task as a run describes it, without data, its model without parameters of its own."""

    @abstractmethod
    def batches(self, epoch: int) -> Iterable[Any]: ...

    @abstractmethod
    def loss(self, batch: Any, states: States) -> Loss: ...

    @abstractmethod
    def validate(self) -> float: ...

    @abstractmethod
    def result(self) -> dict[str, float]:
        """How good the model is on the test part, and what it has to beat."""

    @abstractmethod
    def summary(self) -> list[tuple[str, str]]:
        """What there is to learn from, line by line: a word, and what is to be said of it."""

    @abstractmethod
    def sizes(self) -> dict[str, Any]:
        """How large everything is."""

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What it takes to read other data in the same way: a vocabulary, classes, scales."""

    @abstractmethod
    def evaluate(self, path: Path) -> dict[str, Any]:
        """How good the model is on other data; of the data it learned from, on the test part."""

    @abstractmethod
    def excerpt(self, path: Path, steps: int) -> Any:
        """A batch of some data, of at most so many steps, to look at the model with; of the data it learned from, of
        the part by which the best model is chosen."""

    def predict(self, path: Path) -> Iterator[dict[str, Any]]:
        """What the model says about data, row by row."""
        see = command_line("sample", "--help")
        raise UsageError(f"a model of the task '{self.name}' predicts nothing for a file. See: {see}")

    def config(self) -> dict[str, Any]:
        """What config.json says beside the circuit."""
        return {
            "task": self.name,
            "cell": self.circuit.name,
            "source": self.source,
            "options": self.options.sections(),
            "versions": {"unrolled": __version__, "torch": torch.__version__},
            "description": self.description(),
        }

    @property
    def parameters(self) -> int:
        return sum(p.numel() for p in self.model.parameters())
