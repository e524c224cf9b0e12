"""A language model from a text to a run folder, and back."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import DataError, UsageError, did_you_mean
from ..files.toml import Sections
from ..nn.model import SequenceModel, States
from ..sequence.losses import nll
from ..sequence.ragged import Ragged
from ..sequence.series import values_of
from ..sequence.streams import Piece, Window, document_windows, overlapping_windows, predicted, windows
from ..train import random_states
from ..train.loop import Loss
from ..train.run_folder import Config
from .defaults import BY_TASK
from .documents import Documents, read_documents
from .language import bits_per_character
from .options import Options, resolve
from .registry import trained
from .task import Task
from .text import Parts, Vocabulary, frequency_bits
from .vocabulary import UNITS, Units, stored_units, units_of

DOCUMENTS = ("file", "line")
WINDOW: int = BY_TASK["language"]["reading"]["window"]  # characters that errors go back over
EXCERPT = 16  # pieces of an excerpt, side by side
VALIDATED, PIECE = 100_000, 500  # characters at most and at a time, while training: it happens ten times


@dataclass(frozen=True)
class LanguageData:
    """[data] of a text.

    unit: what it is read as: 'character', 'byte', 'word' or 'subword'.
    vocabulary: how many words or subwords at most.
    document: what begins with a new state: a 'file' (of a folder of texts) or a 'line'.
    """

    unit: str = "character"
    vocabulary: int = 8000
    document: str = "file"

    @property
    def predicts(self) -> str:
        return f"the next {self.unit}"

    def __post_init__(self) -> None:
        if self.document not in DOCUMENTS:
            hint = did_you_mean(self.document, DOCUMENTS) or f". There are {', '.join(DOCUMENTS)}"
            raise UsageError(f"data.document cannot be '{self.document}'{hint}")
        if self.unit not in UNITS:
            hint = did_you_mean(self.unit, UNITS) or f". There are {', '.join(UNITS)}"
            raise UsageError(f"data.unit cannot be '{self.unit}'{hint}")
        if self.vocabulary < 300:
            raise UsageError(f"data.vocabulary must be a whole number from 300, got {self.vocabulary}")


def _batch(x: Tensor, y: Tensor, reset: Tensor | None = None) -> Window | Piece:
    return Window(x, y) if reset is None else Piece(x, y, reset)


class Language(Task):
    """Next-character (or byte, word, subword) prediction: one text, or many documents one behind the other, read as
    contiguous pieces side by side, the state carried along; with each document it begins anew.

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
    defaults: ClassVar[Sections] = BY_TASK["language"]
    batch_type = staticmethod(_batch)

    documents: Documents
    parts: Parts

    def __init__(self, vocabulary: Units, circuit: Circuit, options: Options, source: dict[str, str]) -> None:
        self.vocabulary, self.circuit, self.options, self.source = vocabulary, circuit, options, source
        self.piece = options.data.unit
        self.unit, self.steps = f"bits per {self.piece}", f"{self.piece}s"  # type: ignore[misc]
        self.model = options.model.make(circuit, len(vocabulary), len(vocabulary))

    @classmethod
    def read(cls, path: Path, circuit: Circuit, options: Options) -> Language:
        """The task of learning from a text file, or from a folder of them.

        Raises:
            DataError: no text, or one that is too short; too few documents.
        """
        data, batch = options.data, options.reading.batch
        documents = read_documents(path, data.document == "line")
        least = max(40, math.ceil(2 * batch / 0.9) + 2)
        if len(documents.text) < least:
            size = len(documents.text)
            raise DataError(
                f"'{path.name}' has {size} characters; to read {batch} pieces side by side takes {least} "
                "or more. Give a longer text, or a smaller --batch"
            )
        source = {"path": str(path.absolute()), "sha256": documents.sha256}
        random_states.seed(options.reading.seed)
        vocabulary = units_of(data.unit, documents.text, documents.learned, data.vocabulary)
        task = cls(vocabulary, circuit, options, source)
        task.documents, task.parts = documents, documents.encoded(vocabulary)
        for part, rows in ((task.parts.train, batch), (task.parts.validation, 1), (task.parts.held_out, 1)):
            if predicted(part) < rows:
                raise DataError(
                    f"the documents of '{path.name}' are too short: in those of one part there is nothing to predict, "
                    f"or not enough for {batch} pieces side by side. Give more of them, or a smaller --batch"
                )
        return task

    @classmethod
    def stored(cls, config: Config) -> Language:
        options = resolve(config.get("options", dict), cls.section)
        vocabulary = stored_units(options.data.unit, config.get("description", dict).get("vocabulary"))
        return cls(vocabulary, config.circuit(), options, config.get("source", dict))

    def batches(self, epoch: int) -> Iterator[Window | Piece]:
        """All of a text; documents in an order that follows from the seed and the number of the pass."""
        reading, series = self.options.reading, self.parts.train
        if isinstance(series, Ragged):
            generator = torch.Generator().manual_seed(reading.seed + 1_000_003 * (epoch + 1))
            order = torch.randperm(len(series), generator=generator)
            return document_windows(series.select(order), reading.batch, self.window, self.stride)
        if self.stride < self.window:
            return overlapping_windows(series, reading.batch, self.window, self.stride)
        return windows(series, reading.batch, self.window)

    @property
    def window(self) -> int:
        return self.options.reading.window or WINDOW

    @property
    def stride(self) -> int:
        return self.options.reading.stride or self.window

    def loss(self, batch: Window | Piece, states: States) -> Loss:
        """Of a window that repeats steps, only the new ones count, but their errors go back over all of it: BPTT(h; h')
        of Williams and Peng (1990). The next window goes on from where this one is after ``stride`` steps."""
        x, y, steps = batch.x, batch.y, batch.x.shape[1]
        reset = batch.reset if isinstance(batch, Piece) else None
        scores, after = self.model(x, states or None, reset, after=min(self.stride, steps))
        if steps > self.stride and states:  # the first window of a pass is all new
            scores, y = scores[:, -self.stride :], y[:, -self.stride :]
        return Loss(nll(scores, y), y.numel(), after)

    def validate(self) -> float:
        return bits_per_character(self.model, _first(self.parts.validation, VALIDATED), PIECE) * math.log(2)

    def result(self) -> dict[str, float]:
        """Bits per character (or byte, word, ...) of the held-out text, by the model and by frequency alone."""
        bits = bits_per_character(self.model.eval(), self.parts.held_out)
        by_frequency = frequency_bits(values_of(self.parts.train), values_of(self.parts.held_out), len(self.vocabulary))
        found = {f"bits_per_{self.piece}": bits, "by_frequency_alone": by_frequency}
        return found | (
            {"perplexity": 2**bits if bits < 1024 else math.inf} if self.piece in ("word", "subword") else {}
        )

    def summary(self) -> list[tuple[str, str]]:
        known = f"{len(self.vocabulary):,} different {'ones' if self.piece == 'character' else f'{self.piece}s'}"
        documents = f"{len(self.documents.texts):,} documents, " if self.documents.many else ""
        return [("text", f"{documents}{len(self.documents.text):,} characters, {known}")]

    def sizes(self) -> dict[str, int]:
        """How large everything is."""
        parts = self.parts
        return {
            "characters": len(self.documents.text),
            "vocabulary": len(self.vocabulary),
            "learned_from": len(values_of(parts.train)),
            "validation": len(values_of(parts.validation)),
            "held_out": len(values_of(parts.held_out)),
            "parameters": self.parameters,
            **({"documents": len(self.documents.texts)} if self.documents.many else {}),
        }

    def description(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary.dump()}

    def evaluate(self, path: Path, skip_unknown: bool = False) -> dict[str, Any]:
        """Bits per character of a text file: of all of it, or of the held-out part if the model learned from it."""
        found = asdict(self.trained().evaluate(path, skip_unknown))
        return {f"bits_per_{self.piece}": found["bits"], **found}

    def excerpt(self, path: Path, steps: int) -> Window:
        documents, known, _ = self.trained().read(path, remedy="Take them out")
        series = documents.encoded(self.vocabulary).validation if known else documents.series(self.vocabulary)
        _check_two(path, series)
        if isinstance(series, Ragged):
            return _longest(series, steps)
        return next(windows(series, max(1, min(EXCERPT, predicted(series) // steps)), steps))

    def trained(self) -> Trained:
        """What a trained model offers: evaluation, and writing."""
        by_line = self.options.data.document == "line"
        return Trained(self.circuit, self.model, self.vocabulary, self.source.get("sha256", ""), by_line)


@dataclass(frozen=True)
class Trained:
    """A language model read from its run folder."""

    circuit: Circuit
    model: SequenceModel
    vocabulary: Units
    fingerprint: str  # of the text it learned from
    by_line: bool = False  # each line of it was a document

    def evaluate(self, path: Path, skip_unknown: bool = False) -> Score:
        """Bits per character of a text file, or of a folder of them: of all of it, or of the held-out part if the model
        learned from it.

        Raises:
            DataError: characters that the model has never seen, unless they are skipped; less than two characters.
        """
        documents, known, skipped = self.read(path, skip_unknown)
        series = documents.encoded(self.vocabulary).held_out if known else documents.series(self.vocabulary)
        _check_two(path, series)
        return Score(bits_per_character(self.model, series), len(values_of(series)), known, skipped)

    def read(
        self, path: Path, skip_unknown: bool = False, remedy: str = "Take them out, or add --skip-unknown"
    ) -> tuple[Documents, bool, int]:
        """A text, whether the model learned from it, and how many characters were skipped.

        Raises:
            DataError: characters that the model has never seen, unless they are skipped.
        """
        documents = read_documents(path, self.by_line)
        known, skipped = documents.sha256 == self.fingerprint, 0
        for name, text in documents.files.items():
            unknown = self.vocabulary.unknown(text)
            if unknown and not skip_unknown:
                raise DataError(
                    f"{path / name if path.is_dir() else path}:{unknown.line}:{unknown.column}: the character "
                    f"{unknown.character!r} is none of the {len(self.vocabulary)} that the model has learned; the text "
                    f"has {unknown.count} such. {remedy}"
                )
            skipped += unknown.count if unknown else 0
        return documents.without_unknown(self.vocabulary) if skipped else documents, known, skipped

    def opening(self) -> torch.Tensor:
        """What is read first when there is no prompt: the end of a line, if the model knows that."""
        return self.vocabulary.opening()

    @property
    def border(self) -> int | None:
        """The end of a line where each line was a document: the state begins anew with it."""
        return int(self.opening()[0]) if self.by_line else None

    def encode(self, prompt: str) -> torch.Tensor:
        """The numbers of a prompt, all of whose characters the model must know; as a document begins."""
        if unknown := self.vocabulary.unknown(prompt):
            raise UsageError(
                f"the prompt's character {unknown.character!r} (line {unknown.line}, column {unknown.column}) is "
                f"none of the {len(self.vocabulary)} that the model has learned:\n"
                f"  {printable(self.vocabulary.dump())}"
            )
        numbers = self.vocabulary.encode(prompt)
        return torch.cat([self.opening(), numbers]) if self.by_line else numbers


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


def _longest(documents: Ragged, steps: int) -> Window:
    """The ends of the longest documents, all equally long."""
    steps = min(steps, int(documents.lengths.max()) - 1)
    ends = torch.stack([document[-steps - 1 :] for document in documents if len(document) > steps][:EXCERPT])
    return Window(ends[:, :-1], ends[:, 1:])


def _first(series: Tensor | Ragged, most: int) -> Tensor | Ragged:
    """The beginning of a text; of documents as many whole ones, but one at least that has something to predict."""
    if not isinstance(series, Ragged):
        return series[:most]
    enough = series.lengths.cumsum(0) <= max(most, int(series.lengths.cumsum(0)[(series.lengths > 1).int().argmax()]))
    return series.select(enough)


def _check_two(path: Path, series: Tensor | Ragged) -> None:
    if not predicted(series):
        raise DataError(f"'{path}' is too short to predict anything: it has to have two characters to be read")


def printable(characters: str) -> str:
    """Characters in one line, the invisible ones as Python writes them."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in characters)


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
