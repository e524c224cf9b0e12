"""A character language model on a stream of text: how surprised it is, in bits per character."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import DataError
from ..sequence.state import State
from .language import LanguageModel
from .language_run import load
from .stream_input import ByteStream, Text
from .stream_output import Table
from .text import Vocabulary

LAST = "last"  # the character before a piece, of which the first prediction is made


class LanguageStream:
    """What a language model gives for a text: its surprise -log2 p at each character but the first.

    Args:
        each: a row for each character; else one for each piece, with the mean.
    """

    unit = "characters"

    def __init__(self, model: LanguageModel, vocabulary: Vocabulary, each: bool) -> None:
        self.model: nn.Module = model
        self.vocabulary, self.each = vocabulary, each

    def pieces(self, path: Path | None, stop: Callable[[], bool]) -> Text:
        return Text(ByteStream(path, "a text (UTF-8)", stop))

    def advance(self, piece: str, begin: int, carried: dict[str, Tensor]) -> tuple[Table, dict[str, Tensor]]:
        if unknown := self.vocabulary.unknown(piece):
            place = begin + piece.index(unknown.character)
            raise DataError(
                f"the character {unknown.character!r} at position {place} is none of the {len(self.vocabulary)} that "
                "the model has learned. Take such characters out, for example with: tr, sed or iconv"
            )
        y = self.vocabulary.encode(piece)
        bits, after = self._bits(y, carried)
        if self.each:
            places = torch.arange(begin, begin + len(piece))
            return {"position": places, "character": list(piece), "bits": bits}, after
        predicted = bits[~bits.isnan()]
        mean = predicted.mean(0, keepdim=True)
        counts = {"position": torch.tensor([begin]), "characters": torch.tensor([len(piece)])}
        return {**counts, "bits_per_character": mean}, after

    def _bits(self, y: Tensor, carried: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The surprise at each character, NaN at the first of all, and what is carried on."""
        before = carried.get(LAST, y[:0])
        x = torch.cat([before, y])[:-1]
        bits = torch.full((len(y),), math.nan, dtype=torch.float64)
        if not len(x):
            return bits, {LAST: y[-1:]}
        scores, states = self.model(x[None], _states(carried))
        found = scores[0].double().log_softmax(-1).gather(1, y[len(y) - len(x) :, None])[:, 0] / -math.log(2)
        bits[len(y) - len(x) :] = found
        after = {f"{layer}.{name}": value for layer, state in enumerate(states) for name, value in state.items()}
        return bits, {**after, LAST: y[-1:]}


def _states(carried: dict[str, Tensor]) -> tuple[State, ...] | None:
    layers: dict[int, dict[str, Tensor]] = {}
    for key, value in carried.items():
        if key != LAST:
            layer, name = key.split(".", 1)
            layers.setdefault(int(layer), {})[name] = value
    return tuple(State(**layers[layer]) for layer in sorted(layers)) or None


def open_language(run: Path, each: bool) -> LanguageStream:
    """The language model of a run folder."""
    trained = load(run)
    return LanguageStream(trained.model, trained.vocabulary, each)
