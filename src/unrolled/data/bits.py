"""How well a text is predicted: bits per step, by a model and by frequency alone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from ..nn.model import SequenceModel
from ..sequence.losses import nll
from ..sequence.ragged import Ragged
from ..sequence.streams import Piece, Window, document_rest, document_windows, predicted, rest, windows

WINDOW = 256  # steps that are evaluated at a time; this does not change the result


def bits_per_step(model: SequenceModel, series: Tensor | Ragged, piece: int = 2000) -> float:
    """The mean number of bits that a model needs for each step of a text.

    >>> bits_per_step(model, torch.randint(65, (10_000,)))
    6.1

    The text is read as contiguous pieces side by side, at most 64 of at least ``piece`` steps. Each starts from a state
    of zeros, so short pieces are faster and make the result slightly worse. Every step but the first is predicted
    once.

    Args:
        series: tokens (steps,), or a Ragged of documents, each of which starts with a new state.
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


def frequency_bits(train: Tensor, test: Tensor, size: int) -> float:
    """Bits per step of guessing by frequency alone.

    Each token of ``test`` (steps,) costs -log2 p, where p is its share of ``train``, with every token of the vocabulary
    counted once more than it occurs, so that none is impossible.
    """
    counts = torch.bincount(train, minlength=size).double() + 1
    cost = -torch.log2(counts / counts.sum())
    return float(cost[test].mean())
