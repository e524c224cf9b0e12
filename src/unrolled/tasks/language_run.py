"""A language model from a text to a run folder, and back."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from ..circuits.circuit import Circuit
from ..errors import DataError, UsageError, did_you_mean
from ..nn.model import SequenceModel, States
from ..sequence.streams import Window, overlapping_windows, windows
from ..train import random_states
from ..train.loop import Loss
from ..train.losses import nll
from ..train.run_folder import Config
from ..train.toml import Sections
from .language import bits_per_character
from .options import Options, resolve
from .registry import trained
from .task import Task
from .text import Parts, Vocabulary, frequency_bits, read_text
from .vocabulary import UNITS, Units, stored_units, units_of

WINDOW = 64  # characters that errors go back over
EXCERPT = 16  # pieces of an excerpt, side by side
VALIDATED, PIECE = 100_000, 500  # characters at most and at a time, while training: it happens ten times


@dataclass(frozen=True)
class LanguageData:
    """[data] of a text.

    unit: what it is read as: 'character', 'byte', 'word' or 'subword'.
    vocabulary: how many words or subwords at most.
    """

    unit: str = "character"
    vocabulary: int = 8000

    def __post_init__(self) -> None:
        if self.unit not in UNITS:
            hint = did_you_mean(self.unit, UNITS) or f". There are {', '.join(UNITS)}"
            raise UsageError(f"data.unit cannot be '{self.unit}'{hint}")
        if self.vocabulary < 300:
            raise UsageError(f"data.vocabulary must be a whole number from 300, got {self.vocabulary}")


class Language(Task):
    """Next-character (or byte, word, subword) prediction: one text, read as contiguous pieces side by side, the
    state carried along.

    >>> task = Language.read(path, cells.gru, options_for("language", {"training": {"updates": 500}}))
    >>> for progress in Training(task, task.options.settings).run():
    ...     print(progress.update)
    >>> task.result()["bits_per_character"]
    """

    name: ClassVar[str] = "language"
    unit: ClassVar[str] = "bits per character"
    steps: ClassVar[str] = "characters"
    scale: ClassVar[float] = 1 / math.log(2)
    section: ClassVar[type | None] = LanguageData
    defaults: ClassVar[Sections] = {"reading": {"window": WINDOW}}
    batch_type = Window

    text: str
    parts: Parts

    def __init__(self, vocabulary: Units, circuit: Circuit, options: Options, source: dict[str, str]) -> None:
        self.vocabulary, self.circuit, self.options, self.source = vocabulary, circuit, options, source
        self.piece = options.data.unit
        self.unit, self.steps = f"bits per {self.piece}", f"{self.piece}s"  # type: ignore[misc]
        self.model = options.model.make(circuit, len(vocabulary), len(vocabulary))

    @classmethod
    def read(cls, path: Path, circuit: Circuit, options: Options) -> Language:
        """The task of learning from a text file.

        Raises:
            DataError: no text, or one that is too short.
        """
        text, batch = read_text(path), options.reading.batch
        least = max(40, math.ceil(2 * batch / 0.9) + 2)
        if len(text) < least:
            raise DataError(
                f"'{path.name}' has {len(text)} characters; to read {batch} pieces side by side takes {least} "
                "or more. Give a longer text, or a smaller --batch"
            )
        source = {"path": str(path.absolute()), "sha256": _fingerprint(text)}
        random_states.seed(options.reading.seed)
        vocabulary = units_of(options.data.unit, text, options.data.vocabulary)
        task = cls(vocabulary, circuit, options, source)
        task.text, task.parts = text, Parts.of(task.vocabulary.encode(text))
        return task

    @classmethod
    def stored(cls, config: Config) -> Language:
        options = resolve(config.get("options", dict), cls.section)
        vocabulary = stored_units(options.data.unit, config.get("description", dict).get("vocabulary"))
        return cls(vocabulary, config.circuit(), options, config.get("source", dict))

    def batches(self, epoch: int) -> Iterator[Window]:
        batch = self.options.reading.batch
        if self.stride < self.window:
            return overlapping_windows(self.parts.train, batch, self.window, self.stride)
        return windows(self.parts.train, batch, self.window)

    @property
    def window(self) -> int:
        return self.options.reading.window or WINDOW

    @property
    def stride(self) -> int:
        return self.options.reading.stride or self.window

    def loss(self, batch: Window, states: States) -> Loss:
        """Of a window that repeats steps, only the new ones count, but their errors go back over all of it: BPTT(h; h')
        of Williams and Peng (1990). The next window goes on from where this one is after ``stride`` steps."""
        x, y, steps = batch.x, batch.y, batch.x.shape[1]
        scores, after = self.model(x, states or None, after=min(self.stride, steps))
        if steps > self.stride and states:  # the first window of a pass is all new
            scores, y = scores[:, -self.stride :], y[:, -self.stride :]
        return Loss(nll(scores, y), y.numel(), after)

    def validate(self) -> float:
        return bits_per_character(self.model, self.parts.validation[:VALIDATED], PIECE) * math.log(2)

    def result(self) -> dict[str, float]:
        """Bits per character (or byte, word, ...) of the held-out text, by the model and by frequency alone."""
        bits = bits_per_character(self.model.eval(), self.parts.held_out)
        by_frequency = frequency_bits(self.parts.train, self.parts.held_out, len(self.vocabulary))
        found = {f"bits_per_{self.piece}": bits, "by_frequency_alone": by_frequency}
        return found | ({"perplexity": 2**bits} if self.piece in ("word", "subword") else {})

    def summary(self) -> list[tuple[str, str]]:
        known = f"{len(self.vocabulary):,} different {'ones' if self.piece == 'character' else f'{self.piece}s'}"
        return [("text", f"{len(self.text):,} characters, {known}")]

    def sizes(self) -> dict[str, int]:
        """How large everything is."""
        parts = self.parts
        return {
            "characters": len(self.text),
            "vocabulary": len(self.vocabulary),
            "learned_from": len(parts.train),
            "validation": len(parts.validation),
            "held_out": len(parts.held_out),
            "parameters": self.parameters,
        }

    def description(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary.dump()}

    def evaluate(self, path: Path, skip_unknown: bool = False) -> dict[str, Any]:
        """Bits per character of a text file: of all of it, or of the held-out part if the model learned from it."""
        found = asdict(self.trained().evaluate(path, skip_unknown))
        return {f"bits_per_{self.piece}": found["bits"], **found}

    def excerpt(self, path: Path, steps: int) -> Window:
        series, known, _ = self.trained().read(path, remedy="Take them out")
        if known:
            series = Parts.of(series).validation
        _check_two(path, series)
        rows = max(1, min(EXCERPT, (len(series) - 1) // steps))
        return next(windows(series, rows, steps))

    def trained(self) -> Trained:
        """What a trained model offers: evaluation, and writing."""
        return Trained(self.circuit, self.model, self.vocabulary, self.source.get("sha256", ""))


@dataclass(frozen=True)
class Trained:
    """A language model read from its run folder."""

    circuit: Circuit
    model: SequenceModel
    vocabulary: Units
    fingerprint: str  # of the text it learned from

    def evaluate(self, path: Path, skip_unknown: bool = False) -> Score:
        """Bits per character of a text file: of all of it, or of the held-out part if the model learned from it.

        Raises:
            DataError: characters that the model has never seen, unless they are skipped; less than two characters.
        """
        series, known, skipped = self.read(path, skip_unknown)
        if known:
            series = Parts.of(series).held_out
        _check_two(path, series)
        return Score(bits_per_character(self.model, series), len(series), known, skipped)

    def read(
        self, path: Path, skip_unknown: bool = False, remedy: str = "Take them out, or add --skip-unknown"
    ) -> tuple[torch.Tensor, bool, int]:
        """A text file in numbers, whether the model learned from it, and how many characters were skipped.

        Raises:
            DataError: characters that the model has never seen, unless they are skipped.
        """
        text = read_text(path)
        known = _fingerprint(text) == self.fingerprint
        unknown = self.vocabulary.unknown(text)
        if unknown and not skip_unknown:
            raise DataError(
                f"{path}:{unknown.line}:{unknown.column}: the character {unknown.character!r} is none of the "
                f"{len(self.vocabulary)} that the model has learned; the text has {unknown.count} such. "
                f"{remedy}"
            )
        series = self.vocabulary.encode(self.vocabulary.without_unknown(text) if unknown else text)
        return series, known, unknown.count if unknown else 0

    def opening(self) -> torch.Tensor:
        """What is read first when there is no prompt: the end of a line, if the model knows that."""
        return self.vocabulary.opening()

    def encode(self, prompt: str) -> torch.Tensor:
        """The numbers of a prompt, all of whose characters the model must know."""
        if unknown := self.vocabulary.unknown(prompt):
            raise UsageError(
                f"the prompt's character {unknown.character!r} (line {unknown.line}, column {unknown.column}) is "
                f"none of the {len(self.vocabulary)} that the model has learned:\n"
                f"  {printable(self.vocabulary.dump())}"
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
    task = trained(run)
    if not isinstance(task, Language):
        raise DataError(f"'{run}' is a run of the task '{task.name}', which reads no text and writes none")
    return task.trained()


def _check_two(path: Path, series: torch.Tensor) -> None:
    if len(series) < 2:
        raise DataError(f"'{path}' is too short to predict anything: it has to have two characters to be read")


def printable(characters: str) -> str:
    """Characters in one line, the invisible ones as Python writes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in characters)


def _fingerprint(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def character_model(run: Path) -> tuple[Trained, Vocabulary]:
    """A trained model of characters, and what it knows of them.

    Raises:
        DataError: no run, or a model of bytes, words or subwords.
    """
    trained = load(run)
    if not isinstance(trained.vocabulary, Vocabulary):
        what = type(trained.vocabulary).__name__.lower()
        raise DataError(f"'{run}' reads {what}; this command reads models of characters: train with unit=character")
    return trained, trained.vocabulary
