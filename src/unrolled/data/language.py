"""Text: predict the next character, byte, word or subword."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ..errors import DataError, UsageError, check_choice
from ..files.checked import Checked
from ..files.text import with_line_ends
from ..nn.model import SequenceModel, States
from ..sequence.losses import nll
from ..sequence.streams import Piece, Window, document_windows, overlapping_windows, predicted, windows
from ..train.lesson import Loss
from .bits import bits_per_step, frequency_bits
from .defaults import BY_TASK, SHORT, SHORT_TEXT
from .documents import Documents, Series, read_documents, text_files
from .given import described, fingerprint, shares
from .goal import Class, Goal
from .kind import Data, Kind
from .ngrams import MOST, gzip_bits, ngram_bits
from .ngrams import WINDOW as WINDOW_OF_GZIP
from .reading import Reading
from .texts import joined
from .token_documents import TokenDocuments, tokens_of
from .tokens import Tokens
from .units import UNITS, Units, stored_units, units_of

DOCUMENTS = ("file", "line")
WINDOW: int = BY_TASK["language"]["reading"]["window"]
EXCERPT = 16  # pieces of an excerpt, side by side
VALIDATED, PIECE = 100_000, 500  # characters of a validation during training: at most, and per piece


@dataclass(frozen=True)
class LanguageOptions:
    """[data] of a text.

    unit: what is predicted: the next 'character', 'byte', 'word' or 'subword'.
    vocabulary: the largest number of words or subwords.
    document: what starts with a new state: each 'file' (of a folder) or each 'line'.
    field: of JSON records that have the texts. Each record is a document then.
    """

    unit: str = "character"
    vocabulary: int = 8000
    document: str = "file"
    field: str = ""

    @property
    def predicts(self) -> str:
        return f"the next {self.unit}"

    def __post_init__(self) -> None:
        check_choice("data.document", self.document, DOCUMENTS)
        check_choice("data.unit", self.unit, UNITS)
        if self.vocabulary < 300:
            raise UsageError(f"data.vocabulary must be a whole number from 300, got {self.vocabulary}")


def _batch(x: Tensor, y: Tensor, reset: Tensor | None = None) -> Window | Piece:
    return Window(x, y) if reset is None else Piece(x, y, reset)


@dataclass(frozen=True)
class Language(Kind):
    """Prediction of the next character (or byte, word, subword). A text, or documents one after another, is read as
    contiguous pieces side by side, with the state carried on; every document starts with a new state."""

    name: ClassVar[str] = "language"
    Options: ClassVar[type] = LanguageOptions
    batch_type: ClassVar[Any] = staticmethod(_batch)
    scale: ClassVar[float] = 1 / math.log(2)
    windowed: ClassVar[bool] = True
    goal: ClassVar[Goal] = Class()

    options: LanguageOptions
    vocabulary: Units
    line_ends: bool = True  # whether CR LF and CR are read as LF; early versions left them as they are

    @classmethod
    def learn(cls, path: Path, options: LanguageOptions, reading: Reading, line_ends: bool = True) -> Text:
        """Raises DataError where there is no text, or not enough of it."""
        documents = _divided(read_documents(path, options.document == "line", line_ends, options.field), reading)
        _check_length(path, documents.scan.length, reading.batch)
        units = units_of(options.unit, documents.scan.characters, documents.training_pieces, options.vocabulary)
        return cls(options, reading, units, line_ends)._text(documents, path, True, 0).trainable()

    @classmethod
    def learn_again(cls, path: Path, options: LanguageOptions, reading: Reading, description: Checked) -> Text:
        return cls.learn(path, options, reading, "line_ends" in description.values)

    @classmethod
    def suited(cls, path: Path) -> dict[str, dict[str, Any]]:
        """A short text needs dropout, because it is read many times."""
        files = text_files(path) if path.is_dir() else [path] if path.is_file() else []
        return SHORT_TEXT if sum(file.stat().st_size for file in files) < SHORT else {}

    def adapt(self, path: Path) -> Text:
        text = super().adapt(path)
        assert isinstance(text, Text)
        _check_length(path, text.documents.scan.length, self.reading.batch)
        return text.trainable()

    @classmethod
    def stored(cls, options: LanguageOptions, reading: Reading, description: Checked) -> Self:
        vocabulary = description.values.get("vocabulary") if isinstance(description.values, dict) else None
        line_ends = isinstance(description.values, dict) and "line_ends" in description.values
        return cls(options, reading, stored_units(options.unit, vocabulary), line_ends)

    def read(self, path: Path, sha256: str, skip_unknown: bool = False) -> Text:
        """Raises DataError for characters that the model has never seen, unless they are skipped."""
        documents = _divided(self.documents(path), self.reading)
        known, skipped = fingerprint(documents.sha256, self.reading) == sha256, 0
        if self.vocabulary.unknown(documents.scan.characters):
            for name, unknown in documents.unknown(self.vocabulary):
                if not skip_unknown:
                    raise DataError(
                        f"{path / name if path.is_dir() else path}:{unknown.line}:{unknown.column}: the model has "
                        f"never seen the character {unknown.character!r} (unknown characters in the text: "
                        f"{unknown.count}). Remove them, or skip them: --skip-unknown (evaluate)"
                    )
                skipped += unknown.count
            documents = documents.without_unknown(self.vocabulary)
        return self._text(documents, path, known, skipped)

    def documents(self, path: Path) -> Documents:
        """The texts of a file or a folder, as this kind reads them."""
        return read_documents(path, self.options.document == "line", self.line_ends, self.options.field)

    def _text(self, documents: Documents, path: Path, known: bool, skipped: int) -> Text:
        if not known:
            whole = documents.series(self.vocabulary)
            return Text(self, path, documents.sha256, known, documents, whole, whole, whole, skipped)
        train, validation, test = documents.encoded(self.vocabulary)
        if self.reading.validation:
            validation = self.read(Path(self.reading.validation), "").test
        if self.reading.test:
            test = self.read(Path(self.reading.test), "").test
        sha256 = fingerprint(documents.sha256, self.reading)
        return Text(self, path, sha256, known, documents, train, validation, test, skipped)

    def description(self) -> dict[str, Any]:
        return {"vocabulary": self.vocabulary.dump(), **({"line_ends": "LF"} if self.line_ends else {})}

    @property
    def unit(self) -> str:
        return f"bits per {self.options.unit}"

    @property
    def steps(self) -> str:
        return f"{self.options.unit}s"

    @property
    def inputs(self) -> int:
        return len(self.vocabulary)

    @property
    def outputs(self) -> int:
        return len(self.vocabulary)

    @property
    def window(self) -> int:
        return self.reading.window or WINDOW

    @property
    def stride(self) -> int:
        return self.reading.stride or self.window

    def loss(self, model: SequenceModel, batch: Window | Piece, states: States) -> Loss:
        """If windows overlap, only the new steps of a window count, but their gradients reach back over all of it:
        BPTT(h; h') of Williams and Peng (1990). The next window starts from the state after ``stride`` steps."""
        x, y, steps = batch.x, batch.y, batch.x.shape[1]
        reset = batch.reset if isinstance(batch, Piece) else None
        scores, after = model(x, states or None, reset, after=min(self.stride, steps))
        if steps > self.stride and states:  # all steps of the first window are new
            scores, y = scores[:, -self.stride :], y[:, -self.stride :]
        return Loss(nll(scores, y), y.numel(), after)

    def opening(self) -> Tensor:
        """What is read when there is no prompt: a line break, if the model knows it: (1,)."""
        return self.vocabulary.opening()

    @property
    def border(self) -> int | None:
        """The number of the line break, if every line is a document: the state starts anew with it."""
        return int(self.opening()[0]) if self.options.document == "line" else None

    def encode(self, prompt: str) -> Tensor:
        """The numbers (steps,) of a prompt. If every line is a document, a line break comes first.

        Raises:
            UsageError: the prompt has a character that the model has never seen.
        """
        prompt = with_line_ends(prompt) if self.line_ends else prompt
        if unknown := self.vocabulary.unknown(prompt):
            raise UsageError(
                f"the model has never seen the prompt's character {unknown.character!r} (line {unknown.line}, column "
                f"{unknown.column}). It knows these {len(self.vocabulary)}:\n  {printable(self.vocabulary.dump())}"
            )
        numbers = self.vocabulary.encode(prompt)
        return torch.cat([self.opening(), numbers]) if self.options.document == "line" else numbers


@dataclass(frozen=True)
class Text(Data):
    """A text, or documents, in three parts, as numbers in a file.

    skipped: the number of characters that were skipped.
    """

    kind: Language
    documents: Documents
    train: Series
    validation: Series
    test: Series
    skipped: int = 0

    def trainable(self) -> Text:
        """The same text. Raises DataError if one of its parts is too short."""
        batch = self.kind.reading.batch
        for part, rows in ((self.train, batch), (self.validation, 1), (self.test, 1)):
            if predicted(part) < rows:
                raise DataError(
                    f"the documents of '{self.path.name}' are too short: one part of them has nothing to predict, or "
                    f"not enough for a batch of {batch}. Add more documents, or use a smaller --batch"
                )
        return self

    def batches(self, epoch: int) -> Iterator[Window | Piece]:
        """The windows of the whole training text. Documents are read in an order that follows from the seed and the
        number of the pass."""
        reading, window, stride = self.kind.reading, self.kind.window, self.kind.stride
        if isinstance(self.train, TokenDocuments):
            generator = torch.Generator().manual_seed(reading.seed + 1_000_003 * (epoch + 1))
            order = torch.randperm(len(self.train), generator=generator)
            return document_windows(self.train.select(order), reading.batch, window, stride)
        if stride < window:
            return overlapping_windows(self.train, reading.batch, window, stride)
        return windows(self.train, reading.batch, window)

    def validate(self, model: SequenceModel) -> float:
        return bits_per_step(model, _first(self.validation, VALIDATED), PIECE) * math.log(2)

    def result(self, model: SequenceModel) -> dict[str, float]:
        unit, train, test = self.kind.options.unit, tokens_of(self.train), tokens_of(self.test)
        bits = bits_per_step(model.eval(), self.test)
        units, size = self.kind.vocabulary, len(self.kind.vocabulary)
        before, after = (
            joined(units.texts(chain.from_iterable(chunk.tolist() for chunk in part.chunks())))
            for part in (train[-WINDOW_OF_GZIP:], test)
        )
        end = train[-MOST:]
        yardsticks = {
            "by_frequency_alone": frequency_bits(train.chunks(), test.chunks(), size),
            "by_5_grams": ngram_bits(end.read(0, len(end)), test.chunks(), size),
            "by_gzip": gzip_bits("".join(before), after) / len(test),
        }
        perplexity = {"perplexity": 2**bits if bits < 1024 else math.inf} if unit in ("word", "subword") else {}
        return {f"bits_per_{unit}": bits, **yardsticks, **perplexity}

    def evaluate(self, model: SequenceModel) -> dict[str, Any]:
        self._check(self.test)
        bits = bits_per_step(model, self.test)
        counts = {"characters": len(tokens_of(self.test)), "held_out": self.known, "skipped": self.skipped}
        return {f"bits_per_{self.kind.options.unit}": bits, "bits": bits, **counts}

    def excerpt(self, steps: int) -> Window:
        series = self.validation
        self._check(series)
        if isinstance(series, TokenDocuments):
            return _longest(series, steps)
        return next(windows(series, max(1, min(EXCERPT, predicted(series) // steps)), steps))

    def _check(self, series: Series) -> None:
        if not predicted(series):
            raise DataError(f"'{self.path}' is too short: it needs two characters or more")

    def sizes(self) -> dict[str, int]:
        parts = {"learned_from": self.train, "validation": self.validation, "held_out": self.test}
        return {
            "characters": self.documents.scan.length,
            "vocabulary": len(self.kind.vocabulary),
            **{name: len(tokens_of(part)) for name, part in parts.items()},
            **({"documents": self.documents.scan.count} if self.documents.many else {}),
        }

    def describe(self) -> list[tuple[str, str]]:
        unit = self.kind.options.unit
        known = f"{len(self.kind.vocabulary):,} different {'ones' if unit == 'character' else f'{unit}s'}"
        scan = self.documents.scan
        documents = f"{scan.count:,} documents, " if self.documents.many else ""
        parts = described(self.path, list(self.documents.files), self.kind.reading)
        ends = self.documents.line_ends
        left_out = self.documents.left_out
        without = [("records", f"{left_out:,} without a text in '{self.kind.options.field}' are left out")]
        read = without if left_out else []
        read += [("lines", f"the line ends {' and '.join(ends)} are read as LF")] if ends else []
        return [("text", f"{documents}{scan.length:,} characters, {known}"), *read, *parts]


def _check_length(path: Path, characters: int, batch: int) -> None:
    """Refuse a text that is too short for a batch."""
    least = max(40, math.ceil(2 * batch / 0.9) + 2)
    if characters < least:
        raise DataError(
            f"'{path.name}' has {characters} characters; a batch of {batch} needs {least} or more. Use a longer text, "
            "or a smaller --batch"
        )


def _divided(documents: Documents, reading: Reading) -> Documents:
    """Documents with no part of their own where a file is given."""
    return replace(documents, held_out=shares(reading, *documents.held_out))


def _longest(documents: TokenDocuments, steps: int) -> Window:
    """The ends of the longest documents, all of the same length."""
    steps = min(steps, int(documents.lengths.max()) - 1)
    long = documents.select((documents.lengths > steps).nonzero()[:EXCERPT, 0])
    ends = torch.stack([document[-steps - 1 :] for document in long])
    return Window(ends[:, :-1], ends[:, 1:])


def _first(series: Series, most: int) -> Series:
    """The beginning of a text; of documents as many whole ones, but at least one that has something to predict."""
    if isinstance(series, Tokens):
        return series[:most]
    ends = series.lengths.cumsum(0)
    return series.select(ends <= max(most, int(ends[(series.lengths > 1).int().argmax()])))


def printable(characters: str) -> str:
    """Characters in one line, the invisible ones escaped as in Python."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in characters)
