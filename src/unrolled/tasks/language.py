"""A character language model: what it is made of, how good it is, and what it writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import UsageError
from ..nn.model import SequenceModel
from ..sequence.streams import rest, windows
from ..train.losses import nll

WINDOW = 256  # steps at a time when nothing is learned; makes no difference to the result


class LanguageModel(SequenceModel):
    """Scores for the next character: layers of a circuit, the first of which reads characters.

    >>> model = LanguageModel(cells.gru, characters=65, hidden=128)
    >>> scores, states = model(torch.randint(65, (16, 64)))
    >>> scores.shape, states[0].h.shape
    (torch.Size([16, 64, 65]), torch.Size([16, 128]))

    Args:
        characters: size of the vocabulary.
        circuit, hidden, layers, options: as for ``SequenceModel``.
    """

    def __init__(
        self,
        circuit: Circuit,
        characters: int,
        hidden: int | Sequence[int] | None = None,
        layers: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(circuit, characters, characters, hidden, layers, **options)


def bits_per_character(model: SequenceModel, series: Tensor, piece: int = 2000) -> float:
    """How many bits the model needs for each character of a text, on average.

    The text (characters,) is read as contiguous pieces side by side, at most 64 of at least ``piece`` characters.
    Each starts from the state of zeros, so short ones make it faster and the result a little worse. Every character
    but the first of the text is predicted once.
    """
    rows = max(1, min(64, len(series) // piece))
    total, states = 0.0, None
    with torch.no_grad():
        for x, y in windows(series, rows, WINDOW):
            scores, states = model(x, states)
            total += nll(scores, y).item()
        if (remaining := rest(series, rows)) and states:
            scores, _ = model(remaining.x, tuple(state.select([-1]) for state in states))
            total += nll(scores, remaining.y).item()
    return total / (len(series) - 1) / math.log(2)


def write(
    model: SequenceModel, start: Tensor, length: int, temperature: float = 1.0, seed: int = 0, top_p: float = 1.0
) -> Iterator[int]:
    """Characters one by one, each drawn from what the model expects after those before it.

    Args:
        start: the characters (at least one,) that are read first, and not given back.
        temperature: scores are divided by it: below 1 bolder, above 1 more varied; 0 takes the likeliest.
        seed: the same seed gives the same text.
        top_p: draw only among the likeliest characters that have this probability together (Holtzman et al. 2020).
    """
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        scores, states = model(start[None])
        for _ in range(length):
            last = scores[0, -1].double()
            if temperature == 0:
                drawn = last.argmax()[None]
            else:
                shares = likeliest(torch.softmax(last / temperature, 0), top_p)
                drawn = torch.multinomial(shares, 1, generator=generator)
            yield int(drawn)
            scores, states = model(drawn[None], states)


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
