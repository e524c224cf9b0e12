"""A model of characters on a stream of text: its surprise, in bits per character."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from ..data.characters import Vocabulary
from ..errors import DataError
from ..nn.model import SequenceModel
from ..run.trained import load_characters
from ..sequence.state import State
from .bytes import ByteStream
from .characters import Characters
from .format import Columns
from .options import StreamOptions
from .pieces import Pieces
from .records import Passage, RecordCharacters

LAST = "last"  # the character before a piece, from which its first character is predicted


class LanguageStream:
    """A model of characters that writes its surprise -log2 p at each character but the first.

    With ``options.each`` there is a row per character; else one per piece, with the mean over its predictions. With
    ``options.skip_unknown`` characters that the model has never seen are skipped, and have no surprise. A model that
    learned from a field of JSON records reads JSON lines, and starts each record with a new state.

    Args:
        border: the number of the character that ends a document; the next one starts with a new state.
        line_ends: whether the line ends CR LF and CR are read as LF.
        field: of JSON lines that has the texts; '' for a plain text.
    """

    unit = "characters"

    def __init__(
        self,
        model: SequenceModel,
        vocabulary: Vocabulary,
        options: StreamOptions,
        border: int | None = None,
        line_ends: bool = True,
        field: str = "",
    ) -> None:
        self.model: nn.Module = model
        self.vocabulary, self.options, self.border = vocabulary, options, border
        self.line_ends, self.field = line_ends, field

    def pieces(self, path: Path | None, stop: Callable[[], bool]) -> Pieces:
        """See ``Streamed``."""
        if not self.field:
            return Characters(ByteStream(path, "a text (UTF-8)", stop), self.line_ends)
        stream = ByteStream(path, f"JSON lines with the field '{self.field}'", stop)
        return RecordCharacters(stream, path or Path("standard input"), self.field, self.line_ends)

    def advance(
        self, piece: str | Passage, begin: int, carried: dict[str, Tensor]
    ) -> tuple[Columns, dict[str, Tensor]]:
        """See ``Streamed``. Columns have (characters,) or (1,) rows; states have the shapes (1, size)."""
        if isinstance(piece, str):
            return self._read(piece, begin, carried)
        columns, after = self._read(piece.text, begin, {} if piece.opens else carried)
        return {"record": torch.full((len(columns["position"]),), piece.record), **columns}, after

    def _read(self, piece: str, begin: int, carried: dict[str, Tensor]) -> tuple[Columns, dict[str, Tensor]]:
        known = self._known(piece, begin)
        found, after = self._bits(self.vocabulary.encode("".join(itertools.compress(piece, known.tolist()))), carried)
        bits = torch.full((len(piece),), math.nan, dtype=torch.float64)
        bits[known] = found
        if self.options.each:
            positions = torch.arange(begin, begin + len(piece))
            return {"position": positions, "character": list(piece), "bits": bits}, after
        counts = {"position": torch.tensor([begin]), "characters": torch.tensor([len(piece)])}
        counts |= {"unknown": (~known).sum()[None]} if self.options.skip_unknown else {}
        return {**counts, "bits_per_character": bits.nanmean(0, keepdim=True)}, after

    def _known(self, piece: str, begin: int) -> Tensor:
        """Which characters the model knows: booleans (characters,)."""
        unknown = self.vocabulary.unknown(piece)
        if unknown and not self.options.skip_unknown:
            raise DataError(
                f"the model has never seen the character {unknown.character!r} at position "
                f"{begin + piece.index(unknown.character)}. Remove such characters, or add --skip-unknown"
            )
        known = set(self.vocabulary.characters)
        return torch.tensor([character in known for character in piece])

    def _bits(self, y: Tensor, carried: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The surprise (characters,) at each character, NaN at the very first, and what is carried on."""
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


def open_language(run: Path, options: StreamOptions) -> LanguageStream:
    """The model of characters of a run folder, for streams."""
    model, kind, vocabulary = load_characters(run, options.weights)
    return LanguageStream(model, vocabulary, options, kind.border, kind.line_ends, kind.options.field)
