"""Pairs in three parts: batches of similar length, scores of written answers, and what they are in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ...nn.encoder_decoder import EncoderDecoder
from ..given import described
from ..kind import Data
from .content import Content, overlap
from .example import Batch, Pair, batches_by_length
from .scores import Scores
from .symbols import Symbols, parted

if TYPE_CHECKING:
    from .kind import Pairs

EXCERPT = 16  # pairs of an excerpt


@dataclass(frozen=True)
class PairsData(Data):
    """Pairs in three parts.

    content: the files as they are.
    """

    kind: Pairs
    parts: tuple[list[Pair], list[Pair], list[Pair]]
    content: Content

    @property
    def test(self) -> list[Pair]:
        """The pairs to test on."""
        return self.parts[2]

    def batches(self, epoch: int) -> Iterator[Batch]:
        """All training pairs, in an order that follows from the seed and the number of the pass."""
        reading, train = self.kind.reading, self.parts[0]
        generator = torch.Generator().manual_seed(reading.seed + 1_000_003 * (epoch + 1))
        for rows in batches_by_length(train, reading.batch, generator):
            yield Batch.of([train[i] for i in rows])

    def validate(self, model: EncoderDecoder) -> float:
        model.eval()
        pairs, total, steps = sorted(self.parts[1], key=lambda pair: len(pair.x)), 0.0, 0
        with torch.no_grad():
            for start in range(0, len(pairs), 256):
                loss = self.kind.loss(model, Batch.of(pairs[start : start + 256]), ())
                total, steps = total + loss.total.item(), steps + loss.steps
        return total / max(steps, 1)

    def scores(self, model: EncoderDecoder, beam: int = 1) -> Scores:
        """How good the answers for the test sources are."""
        possible = self._possible()
        sources = list({pair.row.key: pair for pair in self.test}.values())
        answers = self.kind.written(model, sources, beam)
        return Scores.of(
            (found[0][0].tolist(), possible[pair.row.key]) for pair, found in zip(sources, answers, strict=True)
        )

    def _possible(self) -> dict[tuple[str, str], list[list[int | str]]]:
        """All right answers for each test source. A symbol that training never had stays a text, unlike any number."""
        found: dict[tuple[str, str], list[list[int | str]]] = {}
        target = self.kind.target
        for pair in self.test:
            symbols = [target.numbers.get(s, s) for s in parted(target.unit, pair.row.target)]
            found.setdefault(pair.row.key, []).append(symbols)
        return found

    def baseline(self) -> dict[str, float]:
        """The symbol errors of the source as its own answer if both sides have the same unit, else of the commonest
        target."""
        kind, possible = self.kind, self._possible()
        same = kind.source.unit == kind.target.unit
        common = Counter(tuple(pair.y.tolist()) for pair in self.parts[0]).most_common(1)[0][0]
        guesses = {
            key: [kind.target.numbers.get(s, s) for s in parted(kind.target.unit, key[0])] if same else common
            for key in possible
        }
        rate = Scores.of((guesses[key], answers) for key, answers in possible.items()).symbol_error_rate
        return {"by_copying_the_source" if same else "by_the_commonest_target": rate}

    def result(self, model: EncoderDecoder) -> dict[str, float]:
        found = self.scores(model)
        rate = {"symbol_error_rate": found.symbol_error_rate}
        return rate | self.baseline() | {"exact_matches": found.exact_matches}

    def evaluate(self, model: EncoderDecoder, beam: int = 1) -> dict[str, Any]:
        found = self.scores(model, beam)
        return {
            "symbol_error_rate": found.symbol_error_rate,
            "exact_matches": found.exact_matches,
            "sources": found.sources,
            "pairs": len(self.test),
            "unknown_symbols": sum(len(self.kind.unknown(pair.row)) for pair in self.test),
            "held_out": self.known,
        }

    def excerpt(self, steps: int) -> Batch:
        """The validation pairs with the longest sources, cut to their ends."""
        longest = sorted(self.parts[1], key=lambda pair: -len(pair.x))[:EXCERPT]
        return Batch.of([Pair(pair.x[-steps:], pair.y[:steps], pair.row) for pair in longest])

    def sizes(self) -> dict[str, int]:
        named = zip(("learned_from", "validation", "held_out"), self.parts, strict=True)
        symbols = {"source_symbols": self.kind.inputs, "target_symbols": self.kind.outputs}
        return {**{name: len(part) for name, part in named}, **symbols}

    def describe(self) -> list[tuple[str, str]]:
        (train, validation, test), rows = self.parts, self.content.rows
        sources = len({row.key for row in rows})
        parts = f"{len(train):,} for training, {len(validation):,} for validation, {len(test):,} for testing"
        first = rows[0]
        found = [
            ("pairs", f"{len(rows):,} of {sources:,} sources; {parts}"),
            ("source", _side("source", self.kind.source, [pair.row.source for pair in train], first.source)),
            ("target", _side("target", self.kind.target, [pair.row.target for pair in train], first.target)),
        ]
        if self.kind.features.known:
            found.append(("extra", f"features in the third column, {len(self.kind.features.known):,} different ones"))
        return [*found, *self._warnings(), *described(self.content.path, list(self.content.files), self.kind.reading)]

    def _warnings(self) -> Iterator[tuple[str, str]]:
        """What may surprise: repeated pairs, sources that are tested though they were trained on, unknown symbols."""
        if count := self.content.repeated:
            yield "note", f"{count:,} pairs are there more than once; each is read once"
        train = [pair.row for pair in self.parts[0]]
        for name, part in zip(("validation", "test"), self.parts[1:], strict=True):
            if self.known and (count := overlap(train, [pair.row for pair in part])):
                yield "note", f"{count:,} sources of the {name} data are in the training data, too"
            strange = [symbol for pair in part for symbol in self.kind.unknown(pair.row)]
            if strange:
                yield "note", f"{len(strange):,} symbols of the {name} data are not in training, such as {strange[0]!r}"


def _side(name: str, symbols: Symbols, texts: Sequence[str], first: str) -> str:
    """One side in words: its unit, how many symbols there are, and the symbols of the first text."""
    lengths = [len(parted(symbols.unit, text)) for text in texts]
    shown = " ".join(parted(symbols.unit, first)[:12])
    text = (
        f"{len(symbols.known):,} different {symbols.unit}s, {min(lengths):,} to {max(lengths):,} each; first: {shown}"
    )
    spaced = sum(" " in text for text in texts)
    if symbols.unit == "character" and spaced > len(texts) / 2:
        text += f". Most have spaces: for symbols separated by them, --set data.{name}_unit=word"
    return text
