"""How well a text is predicted: bits per step, by a model and by frequency alone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from ..nn.model import SequenceModel
from ..sequence.losses import nll
from ..sequence.ragged import Ragged
from ..sequence.streams import Piece, Stored, Window, document_rest, document_windows, predicted, rest, windows
from .token_documents import TokenDocuments

WINDOW = 256  # steps that are evaluated at a time; this does not change the result


def bits_per_step(model: SequenceModel, series: Tensor | Ragged | Stored, piece: int = 2000) -> float:
    """The mean number of bits that a model needs for each step of a text.

    >>> bits_per_step(model, torch.randint(65, (10_000,)))
    6.1

    The text is read as contiguous pieces side by side, at most 64 of at least ``piece`` steps. Each starts from a state
    of zeros, so short pieces are faster and make the result slightly worse. Every step but the first is predicted
    once.

    Args:
        series: tokens (steps,), or documents, each of which starts with a new state; in memory or stored.
    """
    pieces: Iterable[Window | Piece]
    left: Window | Piece | None
    if isinstance(series, (Ragged, TokenDocuments)):
        rows = max(1, min(64, predicted(series) // piece))
        pieces, left = document_windows(series, rows, WINDOW), document_rest(series, rows)
    else:
        rows = max(1, min(64, (predicted(series) + 1) // piece))
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


def frequency_bits(train: Iterable[Tensor], test: Iterable[Tensor], size: int) -> float:
    """Bits per step of guessing by frequency alone.

    Each token of ``test`` costs -log2 p, where p is its share of ``train``, with every token of the vocabulary counted
    once more than it occurs, so that none is impossible.

    >>> frequency_bits([torch.tensor([0] * 511 + [1] * 255 + [2] * 255)], [torch.tensor([0, 0, 1, 2])], size=3)
    1.5

    Args:
        train, test: tokens, in parts (steps,).
        size: of the vocabulary.
    """
    seen, asked = (
        sum((torch.bincount(part, minlength=size) for part in parts), torch.zeros(size, dtype=torch.long))
        for parts in (train, test)
    )
    counts = seen.double() + 1
    cost = -torch.log2(counts / counts.sum())
    return float((cost * asked).sum() / asked.sum())
