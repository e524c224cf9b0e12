"""The kind of data that are pairs: how rows become numbers, the loss of a batch, and how answers are written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ...circuits.circuit import Circuit
from ...errors import UsageError
from ...files.checked import Checked
from ...nn.encoder_decoder import EncoderDecoder
from ...nn.written import Written
from ...sequence.borders import succeeded
from ...sequence.losses import nll
from ...sequence.ragged import Ragged
from ...sequence.series import values_of
from ...train.lesson import Loss, States
from ..given import fingerprint
from ..goal import Class, Goal
from ..kind import Kind
from ..reading import Reading
from .content import Content, read_content
from .data import PairsData
from .example import Batch, Pair
from .options import PairsOptions
from .rows import Row, read_sources
from .symbols import END, UNKNOWN, Symbols

TOGETHER = 256  # sources that are answered at a time


@dataclass(frozen=True)
class Pairs(Kind):
    """Pairs of a source and a target. A network reads the features, if there are any, and the source; another one
    writes the target.

    source, target, features: the symbols that the model knows. No features are an empty one.
    longest: the number of symbols at which an answer is cut.
    """

    name: ClassVar[str] = "pairs"
    Options: ClassVar[type] = PairsOptions
    batch_type: ClassVar[Any] = Batch
    writes: ClassVar[bool] = True
    goal: ClassVar[Goal] = Class()
    unit = "nats per symbol"
    steps = "symbols"

    options: PairsOptions
    source: Symbols
    target: Symbols
    features: Symbols
    longest: int

    @classmethod
    def learn(cls, path: Path, options: PairsOptions, reading: Reading) -> PairsData:
        content = read_content(path)
        parts = content.parts(options, reading)
        train, (of_source, of_target), most = parts[0], options.units, options.vocabulary
        source = Symbols.of(of_source, (row.source for row in train), most)
        target = Symbols.of(of_target, (row.target for row in train), most)
        features = Symbols.of("feature", (row.features for row in train), most)
        longest = 10 + 2 * max((len(target.encode(row.target)) for row in train), default=0)
        return cls(options, reading, source, target, features, longest)._data(content, parts, True)

    @classmethod
    def stored(cls, options: PairsOptions, reading: Reading, description: Checked) -> Self:
        units = (*options.units, "feature")
        source, target, features = (
            Symbols.stored(unit, description, name)
            for unit, name in zip(units, ("source", "target", "features"), strict=True)
        )
        return cls(options, reading, source, target, features, description.get("longest", int))

    def read(self, path: Path, sha256: str) -> PairsData:
        content = read_content(path)
        known = fingerprint(content.sha256, self.reading) == sha256
        parts = content.parts(self.options, self.reading) if known else (content.rows,) * 3
        return self._data(content, parts, known)

    def _data(self, content: Content, parts: Sequence[list[Row]], known: bool) -> PairsData:
        train, validation, test = ([self.pair(row) for row in rows] for rows in parts)
        sha256 = fingerprint(content.sha256, self.reading) if known else content.sha256
        return PairsData(self, content.path, sha256, known, (train, validation, test), content)

    def pair(self, row: Row) -> Pair:
        """A row as numbers."""
        features = len(self.source) + self.features.encode(row.features)
        return Pair(torch.cat([features, self.source.encode(row.source)]), self.target.encode(row.target), row)

    def unknown(self, row: Row) -> list[str]:
        """The symbols of a row that training never had."""
        return [
            *self.source.unknown(row.source),
            *self.target.unknown(row.target),
            *self.features.unknown(row.features),
        ]

    def description(self) -> dict[str, Any]:
        return {
            "source": list(self.source.known),
            "target": list(self.target.known),
            "features": list(self.features.known),
            "longest": self.longest,
        }

    @property
    def inputs(self) -> int:
        return len(self.source) + len(self.features)

    @property
    def outputs(self) -> int:
        return len(self.target)

    def build(self, circuit: Circuit, decoder: Circuit | None, **options: Any) -> EncoderDecoder:
        assert decoder is not None
        return EncoderDecoder(circuit, decoder, self.inputs, self.outputs, **options)

    def loss(self, model: EncoderDecoder, batch: Batch, states: States) -> Loss:
        """Symbols that training never had are no targets."""
        own = self.options.own if model.training else 0.0
        scores = values_of(model(batch.source, batch.target, own))
        answers = values_of(succeeded(batch.target, END))
        known = answers != UNKNOWN
        scores, answers = (scores, answers) if known.all() else (scores[known], answers[known])
        return Loss(nll(scores, answers), len(answers))

    def written(self, model: EncoderDecoder, pairs: Sequence[Pair], beam: int = 1) -> list[list[tuple[Tensor, float]]]:
        """The answers for each source, best first, each with the logarithm of its probability."""
        found: list[list[tuple[Tensor, float]]] = [[] for _ in pairs]
        order = sorted(range(len(pairs)), key=lambda i: len(pairs[i].x))
        for start in range(0, len(order), TOGETHER):
            chosen = order[start : start + TOGETHER]
            for written in self._write(model, Ragged([pairs[i].x for i in chosen]), beam):
                for i, *answer in zip(chosen, written.symbols, written.log_probability.tolist(), strict=True):
                    found[i].append((answer[0], answer[1]))
        return found

    def _write(self, model: EncoderDecoder, source: Ragged, beam: int) -> list[Written]:
        if not 1 <= beam <= self.outputs:
            raise UsageError(f"--beam must be from 1 to {self.outputs}, the number of symbols, got {beam}")
        if beam == 1:
            return [model.write(source, self.longest)]
        return model.search(source, beam, self.longest)

    def predict(self, model: EncoderDecoder, path: Path, beam: int = 1) -> Iterator[dict[str, Any]]:
        """The answer for each source, with the logarithm of its probability; and of a beam the other answers."""
        rows = read_sources(path, bool(self.features.known))
        pairs = [self.pair(row) for row in rows]
        for row, answers in zip(rows, self.written(model, pairs, beam), strict=True):
            found: dict[str, Any] = {"source": row.source}
            if self.features.known:
                found["features"] = row.features
            for number, (symbols, log_probability) in enumerate(answers, 1):
                end = "" if number == 1 else f"_{number}"
                found[f"answer{end}"] = self.target.decode(symbols.tolist())
                found[f"log_probability{end}"] = round(log_probability, 4)
            yield found
