"""A character language model: what it is made of, how good it is, and what it writes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import UsageError
from ..nn.model import SequenceModel
from ..sequence.losses import nll
from ..sequence.ragged import Ragged
from ..sequence.streams import Piece, Window, document_rest, document_windows, predicted, rest, windows

WINDOW = 256  # steps at a time when nothing is learned; makes no difference to the result


class LanguageModel(SequenceModel):
    """Scores for the next character: layers of a circuit, the first of which reads characters.

    >>> model = LanguageModel(cells.gru, characters=65, hidden=128)
    >>> scores, states = model(torch.randint(65, (16, 64)))
    >>> scores.shape, states[0].h.shape
    (torch.Size([16, 64, 65]), torch.Size([16, 128]))

    Args:
        characters: size of the vocabulary.
        circuit, hidden, layers, options: as for ``SequenceModel``, but for ``bidirectional``.
    """

    def __init__(
        self,
        circuit: Circuit,
        characters: int,
        hidden: int | Sequence[int] | None = None,
        layers: int = 1,
        **options: Any,
    ) -> None:
        if options.get("bidirectional"):
            raise UsageError("bidirectional=True: the backward direction reads the character that is to be predicted")
        super().__init__(circuit, characters, characters, hidden, layers, **options)


def bits_per_character(model: SequenceModel, series: Tensor | Ragged, piece: int = 2000) -> float:
    """How many bits the model needs for each character of a text, on average.

    The text (characters,) is read as contiguous pieces side by side, at most 64 of at least ``piece`` characters.
    Each starts from the state of zeros, so short ones make it faster and the result a little worse. Every character
    but the first of the text is predicted once; of a Ragged of documents, every one but the first of each document.
    """
    pieces: Iterable[Window | Piece]
    left: Window | Piece | None
    if isinstance(series, Ragged):
        rows = max(1, min(64, predicted(series) // piece))
        pieces, left = document_windows(series, rows, WINDOW), document_rest(series, rows)
    else:
        rows = max(1, min(64, len(series) // piece))
        pieces, left = windows(series, rows, WINDOW), rest(series, rows)
    total, states = 0.0, None
    with torch.no_grad():
        for x, y, *reset in pieces:
            scores, states = model(x, states, *reset)
            total += nll(scores, y).item()
        if left and states:
            x, y, *reset = left
            scores, _ = model(x, tuple(state.select([-1]) for state in states), *reset)
            total += nll(scores, y).item()
    return total / predicted(series) / math.log(2)


def write(
    model: SequenceModel,
    start: Tensor,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    top_p: float = 1.0,
    border: int | None = None,
) -> Iterator[int]:
    """Characters one by one, each drawn from what the model expects after those before it.

    Args:
        start: the characters (at least one,) that are read first, and not given back.
        temperature: scores are divided by it: below 1 favours likely characters, above 1 gives more varied
            text; 0 takes the likeliest.
        seed: the same seed gives the same text.
        top_p: draw only among the likeliest characters that have this probability together (Holtzman et al. 2020).
        border: the character with which a document ends and the next one begins, with a new state.
    """
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        scores, states = model(start[None], None, None if border is None else start[None] == border)
        for _ in range(length):
            last = scores[0, -1].double()
            if temperature == 0:
                drawn = last.argmax()[None]
            else:
                shares = likeliest(torch.softmax(last / temperature, 0), top_p)
                drawn = torch.multinomial(shares, 1, generator=generator)
            yield int(drawn)
            scores, states = model(drawn[None], None if drawn == border else states)


def likeliest(shares: Tensor, top_p: float) -> Tensor:
    """Probabilities of which only the largest are left: as few as have ``top_p`` together.

    >>> likeliest(torch.tensor([0.1, 0.5, 0.4]), 0.8)
    tensor([0.0000, 0.5000, 0.4000])
    """
    if top_p >= 1:
        return shares
    ordered, order = shares.sort(descending=True)
    before = ordered.cumsum(0) - ordered
    return torch.zeros_like(shares).scatter(0, order, torch.where(before < top_p, ordered, 0.0))


def check_seed(seed: int) -> None:
    """Refuse what torch's generators do not take."""
    if not 0 <= seed < 2**63:
        raise UsageError(f"the seed must be a whole number from 0 to 2**63 - 1, got {seed}")
