"""What a kind of data is, and the data of a kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from ..circuits.circuit import Circuit
from ..errors import UsageError, command_line
from ..files.checked import Checked
from ..nn.encoder_decoder import Model
from ..nn.model import Answer, SequenceModel, States
from ..train.lesson import Loss
from .given import fingerprint
from .goal import Goal
from .reading import Reading


@dataclass(frozen=True)
class Kind(ABC):
    """One kind of data: how files become sequences of numbers, and scores become predictions.

    A kind is made from training data (``learn``), which determine its classes, scales or vocabulary; or from what a run
    has stored of them (``stored``). It does not depend on a model.

    name: of the task, in config.json and on the command line.
    unit: of the loss that people see, which is ``scale`` times the loss in nats.
    steps: what the predictions are called.
    batch_type: of the batches, a NamedTuple of tensors.
    windowed: whether a batch is a window of longer sequences, with the state carried on to the next one.
    writes: whether its model has a second network, which writes what the first has read.
    """

    name: ClassVar[str]
    Options: ClassVar[type]
    batch_type: ClassVar[Any]
    scale: ClassVar[float] = 1.0
    windowed: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    options: Any  # the section [data]
    reading: Reading

    @classmethod
    @abstractmethod
    def learn(cls, path: Path, options: Any, reading: Reading) -> Data:
        """The data to train on. Raises DataError if they cannot be used."""

    @classmethod
    def suited(cls, path: Path) -> dict[str, dict[str, Any]]:
        """The options, as sections, whose defaults depend on the data."""
        return {}

    @classmethod
    def learn_again(cls, path: Path, options: Any, reading: Reading, description: Checked) -> Data:
        """The data to resume a training with, from a kind that ``description`` described."""
        return cls.learn(path, options, reading)

    @classmethod
    @abstractmethod
    def stored(cls, options: Any, reading: Reading, description: Checked) -> Self:
        """The kind that ``description`` described."""

    @abstractmethod
    def read(self, path: Path, sha256: str) -> Data:
        """Other data, read in the same way. If their fingerprint is ``sha256``, they are the data that the model
        learned from, and are divided into the same parts; else every part is all of them."""

    def adapt(self, path: Path) -> Data:
        """Other data to train on, read as this kind reads, and divided into parts.

        Raises:
            DataError: they have symbols, columns or classes that the kind does not know, or are too few.
        """
        return self.read(path, fingerprint(self.read(path, "").sha256, self.reading))

    @abstractmethod
    def description(self) -> dict[str, Any]:
        """What ``stored`` needs, as JSON."""

    @property
    @abstractmethod
    def unit(self) -> str: ...

    @property
    @abstractmethod
    def steps(self) -> str: ...

    @property
    @abstractmethod
    def inputs(self) -> int:
        """The size of what is read at each step."""

    @property
    @abstractmethod
    def outputs(self) -> int:
        """The number of scores."""

    @property
    def answer(self) -> Answer:
        """Where the scores come from: see ``nn.SequenceModel``."""
        return "every"

    @property
    @abstractmethod
    def goal(self) -> Goal: ...

    def build(self, circuit: Circuit, decoder: Circuit | None, **options: Any) -> Model:
        """A new model of the kind, which all other methods take.

        Args:
            circuit: of the layers, or of those that read.
            decoder: of the layers that write, for a kind that has them.
            options: of the model.
        """
        return SequenceModel(circuit, self.inputs, self.outputs, answer=self.answer, **options)

    @abstractmethod
    def loss(self, model: Any, batch: Any, states: States) -> Loss:
        """The loss of a batch, read from the states that the batch before it left; () at the start of a pass."""

    def start(self, model: Any) -> None:
        """Change the initial parameters of a model."""
        return None

    def report(self, score: Mapping[str, Any]) -> list[str]:
        """A metric and its baselines for people, line by line; empty if they are shown one below the other."""
        return []

    def advice(self, worse_than: Sequence[str], rate: float) -> str:
        """What to do about a model that is worse than some baselines."""
        names = " and ".join(name.replace("_", " ") for name in worse_than)
        return f"The model is worse than {names}. Train it longer, or try another --rate (it was {rate:g})"

    def predict(self, model: Any, path: Path) -> Iterator[dict[str, Any]]:
        """Predictions for a file, row by row. Raises UsageError for a kind that has none."""
        see = command_line("sample", "--help")
        raise UsageError(f"a model of the task '{self.name}' has no predictions for a file. See: {see}")


@dataclass(frozen=True)
class Data(ABC):
    """Data of a kind, in three parts: to train on, to choose the best model by (validation), and to test it on.

    path, sha256: where the data are, and their fingerprint.
    known: whether these are the data that the model learned from.
    """

    kind: Kind
    path: Path
    sha256: str
    known: bool

    @abstractmethod
    def batches(self, epoch: int) -> Iterable[Any]:
        """The batches of one pass over the training data, the same ones for the same pass."""

    def loss(self, model: Any, batch: Any, states: States) -> Loss:
        return self.kind.loss(model, batch, states)

    @abstractmethod
    def validate(self, model: Any) -> float:
        """The loss per step on the validation data, in nats."""

    @abstractmethod
    def result(self, model: Any) -> dict[str, float]:
        """The metric on the test data, followed by baselines, whose names begin with ``by_``."""

    @abstractmethod
    def evaluate(self, model: Any) -> dict[str, Any]:
        """The metric on the test data, and how many they are."""

    @abstractmethod
    def excerpt(self, steps: int) -> Any:
        """A batch of validation data of at most ``steps`` steps, for diagnosis."""

    @abstractmethod
    def sizes(self) -> dict[str, int]:
        """How large everything is, for the log."""

    @abstractmethod
    def describe(self) -> list[tuple[str, str]]:
        """What the data are, line by line, each with a word before it."""

    def pictures(self, model: Any) -> dict[str, str]:
        """Pictures of a trained model's predictions for its run folder: SVG by name."""
        return {}

    @property
    def source(self) -> dict[str, str]:
        """What config.json says about the data."""
        return {"path": str(self.path.absolute()), "sha256": self.sha256}
