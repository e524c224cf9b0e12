"""A character language model on a stream of text: how surprised it is, in bits per character."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import DataError
from ..nn.model import SequenceModel
from ..sequence.state import State
from ..tasks.language_run import character_model
from ..tasks.text import Vocabulary
from .input import ByteStream, Text
from .options import Way
from .output import Table

LAST = "last"  # the character before a piece, of which the first prediction is made


class LanguageStream:
    """What a language model gives for a text: its surprise -log2 p at each character but the first.

    With ``way.each`` a row for each character; else one for each piece, with the mean over what was predicted. With
    ``way.skip_unknown`` characters that the model has never seen are passed over, as if they were not there, and have
    no surprise. A model of lines begins anew at the end of each.
    """

    unit = "characters"

    def __init__(self, model: SequenceModel, vocabulary: Vocabulary, way: Way, border: int | None = None) -> None:
        self.model: nn.Module = model
        self.vocabulary, self.way, self.border = vocabulary, way, border

    def pieces(self, path: Path | None, stop: Callable[[], bool]) -> Text:
        return Text(ByteStream(path, "a text (UTF-8)", stop))

    def advance(self, piece: str, begin: int, carried: dict[str, Tensor]) -> tuple[Table, dict[str, Tensor]]:
        known = self._known(piece, begin)
        found, after = self._bits(self.vocabulary.encode("".join(itertools.compress(piece, known.tolist()))), carried)
        bits = torch.full((len(piece),), math.nan, dtype=torch.float64)
        bits[known] = found
        if self.way.each:
            places = torch.arange(begin, begin + len(piece))
            return {"position": places, "character": list(piece), "bits": bits}, after
        counts = {"position": torch.tensor([begin]), "characters": torch.tensor([len(piece)])}
        counts |= {"unknown": (~known).sum()[None]} if self.way.skip_unknown else {}
        return {**counts, "bits_per_character": bits.nanmean(0, keepdim=True)}, after

    def _known(self, piece: str, begin: int) -> Tensor:
        """Which characters the model has learned: booleans (characters,). All of them, unless others are skipped."""
        unknown = self.vocabulary.unknown(piece)
        if unknown and not self.way.skip_unknown:
            raise DataError(
                f"the character {unknown.character!r} at position {begin + piece.index(unknown.character)} is none of "
                f"the {len(self.vocabulary)} that the model has learned. Take such out, or add --skip-unknown"
            )
        known = set(self.vocabulary.characters)
        return torch.tensor([character in known for character in piece])

    def _bits(self, y: Tensor, carried: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The surprise at each character, NaN at the first of all, and what is carried on."""
        x = torch.cat([carried.get(LAST, y[:0]), y])[:-1]
        if not len(x):
            return torch.full((len(y),), math.nan, dtype=torch.float64), {LAST: y[-1:]} if len(y) else carried
        reset = None if self.border is None else x[None] == self.border
        scores, states = self.model(x[None], _states(carried), reset)
        predicted = y[len(y) - len(x) :, None]
        bits = scores[0].double().log_softmax(-1).gather(1, predicted)[:, 0] / -math.log(2)
        after = {f"{layer}.{name}": value for layer, state in enumerate(states) for name, value in state.items()}
        first = bits.new_full((len(y) - len(x),), math.nan)
        return torch.cat([first, bits]), {**after, LAST: y[-1:]}


def _states(carried: dict[str, Tensor]) -> tuple[State, ...] | None:
    layers: dict[int, dict[str, Tensor]] = {}
    for key, value in carried.items():
        if key != LAST:
            layer, name = key.split(".", 1)
            layers.setdefault(int(layer), {})[name] = value
    return tuple(State(**layers[layer]) for layer in sorted(layers)) or None


def open_language(run: Path, way: Way) -> LanguageStream:
    """The language model of a run folder."""
    trained, vocabulary = character_model(run)
    return LanguageStream(trained.model, vocabulary, way, trained.border)
