"""A language model from a text to a run folder, and back."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from .. import __version__
from ..circuits.circuit import Circuit
from ..errors import DataError, UsageError
from ..sequence.streams import Window, windows
from ..train import random_states
from ..train.checkpoint import read_checkpoint
from ..train.loop import Lesson, Loss, States, Training
from ..train.losses import nll
from ..train.recorded import replay
from ..train.run_folder import Config, load_model, read_model
from ..train.settings import Settings
from .language import LanguageModel, bits_per_character, check_seed
from .text import Parts, Vocabulary, frequency_bits, read_text

TASK = "language"
VALIDATED, PIECE = 100_000, 500  # characters at most and at a time, while training: it happens ten times


@dataclass(frozen=True)
class Choices:
    """What a user decides about a training: ``batch`` pieces of the text are read side by side, ``window``
    characters between two updates."""

    settings: Settings
    hidden: int | None = None
    layers: int = 1
    batch: int = 16
    window: int = 64
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("batch", "window", "layers"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be a whole number from 1, got {getattr(self, name)}")
        check_seed(self.seed)


class Job:
    """One text, one circuit, one training: a task for the loop.

    >>> job = Job(read_text(path), path, cells.gru, Choices(Settings(updates=500)))
    >>> for progress in Training(job, job.choices.settings).run():
    ...     print(progress.update)
    >>> job.result()["bits_per_character"]

    Raises:
        DataError: a text that is too short.
    """

    def __init__(self, text: str, path: Path, circuit: Circuit, choices: Choices) -> None:
        least = max(40, math.ceil(2 * choices.batch / 0.9) + 2)
        if len(text) < least:
            raise DataError(
                f"'{path.name}' has {len(text)} characters; to read {choices.batch} pieces side by side takes {least} "
                "or more. Give a longer text, or a smaller --batch"
            )
        self.text, self.path, self.circuit, self.choices = text, path, circuit, choices
        self.vocabulary = Vocabulary.of(text)
        self.parts = Parts.of(self.vocabulary.encode(text))
        random_states.seed(choices.seed)
        self.model = LanguageModel(circuit, len(self.vocabulary), choices.hidden, choices.layers)

    @staticmethod
    def again(config: Config, data: Path | None = None) -> Job:
        """The task of a run that is to be gone on with.

        data: where its text is now, if it has moved.

        Raises:
            DataError: a damaged description, a text that is gone or that has changed since.
        """
        _check_task(config)
        path = data or Path(config.get("data.path", str))
        text = read_text(path)
        if _fingerprint(text) != config.get("data.sha256", str):
            raise DataError(
                f"'{path}' is not the text that '{config.run}' was learning from, or has changed since. Name the "
                f"right one: unrolled train TEXT --resume {config.run}"
            )
        try:
            settings = Settings(**config.get("training", dict))
            choices = Choices(settings, config.values["model"]["hidden"], **config.get("reading", dict))
            return Job(text, path, config.circuit(), choices)
        except (TypeError, KeyError, UsageError) as problem:
            config.refuse(str(problem))

    @property
    def frequency_bits(self) -> float:
        """What guessing by frequency alone costs on the held-out text, in bits per character."""
        return frequency_bits(self.parts.train, self.parts.held_out, len(self.vocabulary))

    def sizes(self) -> dict[str, int]:
        """How large everything is."""
        parts = self.parts
        return {
            "characters": len(self.text),
            "vocabulary": len(self.vocabulary),
            "learned_from": len(parts.train),
            "validation": len(parts.validation),
            "held_out": len(parts.held_out),
            "parameters": sum(p.numel() for p in self.model.parameters()),
        }

    def batches(self, epoch: int) -> Iterator[Window]:
        return windows(self.parts.train, self.choices.batch, self.choices.window)

    def loss(self, batch: Window, states: States) -> Loss:
        scores, after = self.model(batch.x, states or None)
        return Loss(nll(scores, batch.y), batch.y.numel(), after)

    def validate(self) -> float:
        return bits_per_character(self.model, self.parts.validation[:VALIDATED], PIECE) * math.log(2)

    def result(self) -> dict[str, float]:
        """How good the model is on the held-out text."""
        bits = bits_per_character(self.model.eval(), self.parts.held_out)
        return {"bits_per_character": bits, "by_frequency_alone": self.frequency_bits}

    def config(self) -> dict[str, Any]:
        """What config.json says beside the circuit."""
        choices = self.choices
        return {
            "task": TASK,
            "cell": self.circuit.name,
            "data": {"path": str(self.path.absolute()), "sha256": _fingerprint(self.text)},
            "model": {"hidden": self.model.hidden},
            "reading": {n: getattr(choices, n) for n in ("layers", "batch", "window", "seed")},
            "training": asdict(choices.settings),
            "versions": {"unrolled": __version__, "torch": torch.__version__},
            "vocabulary": self.vocabulary.characters,
        }


@dataclass(frozen=True)
class Trained:
    """A language model read from its run folder."""

    circuit: Circuit
    model: LanguageModel
    vocabulary: Vocabulary
    fingerprint: str  # of the text it learned from

    def evaluate(self, path: Path, skip_unknown: bool = False) -> Score:
        """Bits per character of a text file: of all of it, or of the held-out part if the model learned from it.

        Raises:
            DataError: characters that the model has never seen, unless they are skipped; less than two characters.
        """
        text = read_text(path)
        known = _fingerprint(text) == self.fingerprint
        unknown = self.vocabulary.unknown(text)
        if unknown and not skip_unknown:
            raise DataError(
                f"{path}:{unknown.line}:{unknown.column}: the character {unknown.character!r} is none of the "
                f"{len(self.vocabulary)} that the model has learned; the text has {unknown.count} such. "
                "Take them out, or add --skip-unknown"
            )
        series = self.vocabulary.encode(self.vocabulary.without_unknown(text) if unknown else text)
        if known:
            series = Parts.of(series).held_out
        if len(series) < 2:
            raise DataError(f"'{path}' is too short to predict anything: it has to have two characters to be read")
        bits = bits_per_character(self.model, series)
        return Score(bits, len(series), known, unknown.count if unknown else 0)

    def opening(self) -> torch.Tensor:
        """What is read first when there is no prompt: the end of a line, if the model knows that."""
        return self.vocabulary.encode("\n" if "\n" in self.vocabulary.characters else self.vocabulary.characters[0])

    def encode(self, prompt: str) -> torch.Tensor:
        """The numbers of a prompt, all of whose characters the model must know."""
        if unknown := self.vocabulary.unknown(prompt):
            raise UsageError(
                f"the prompt's character {unknown.character!r} (line {unknown.line}, column {unknown.column}) is "
                f"none of the {len(self.vocabulary)} that the model has learned:\n"
                f"  {printable(self.vocabulary.characters)}"
            )
        return self.vocabulary.encode(prompt)


@dataclass(frozen=True)
class Score:
    """What an evaluation found: bits per character, over how many of them, whether they are the held-out part of
    the training text, and how many were skipped."""

    bits: float
    characters: int
    held_out: bool
    skipped: int


def load(run: Path) -> Trained:
    """The trained model of a run folder. Runs nobody's code, and needs no file but those of the folder.

    Raises:
        DataError: no run folder, a damaged one, or one of another task.
    """
    config, tensors = read_model(run)
    _check_task(config)
    vocabulary = Vocabulary(config.get("vocabulary", str))
    if not vocabulary.characters or sorted(set(vocabulary.characters)) != list(vocabulary.characters):
        config.refuse("'vocabulary' must hold different characters in their order")
    hidden = config.get("model.hidden", int) if config.get("model", dict).get("hidden") is not None else None
    layers, fingerprint = config.get("reading.layers", int), config.get("data.sha256", str)
    if layers > len(tensors):
        config.refuse(f"it says {layers} layers, more than there are parameters")
    circuit = config.circuit()
    model = load_model(config, tensors, lambda: LanguageModel(circuit, len(vocabulary), hidden, layers))
    try:
        model(torch.zeros(1, 1, dtype=torch.long))
    except Exception as problem:  # the file may say anything: one step shows whether it is a circuit that runs
        config.refuse(f"its circuit does not run ({type(problem).__name__}: {problem})")
    return Trained(circuit, model, vocabulary, fingerprint)


def replay_fault(folder: Path) -> float:
    """Read again a batch that went wrong: see ``recorded.replay``.

    Raises:
        NumberError: it goes wrong again.
        DataError: the folder is no such batch.
    """
    checkpoint = read_checkpoint(folder)
    config = Config(folder, checkpoint.config)
    trained = load(folder)
    settings = Settings(**config.get("training", dict))
    lesson = Lesson(trained.model, nll, lambda: (), lambda: math.nan)
    return replay(checkpoint, Training(lesson, settings), Window)


def _check_task(config: Config) -> None:
    if config.get("task", str) != TASK:
        config.refuse(f"it is a run of the task '{config.get('task', str)}', not of '{TASK}'")


def printable(characters: str) -> str:
    """Characters in one line, the invisible ones as Python writes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in characters)


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
