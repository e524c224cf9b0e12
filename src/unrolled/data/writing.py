"""Writing with a model of text or music: each step is drawn from the model's prediction."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..nn.model import SequenceModel
from .reading import check_seed


def write(
    model: SequenceModel,
    start: Tensor,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    top_p: float = 1.0,
    border: int | None = None,
) -> Iterator[int]:
    """Draw tokens one by one, each from the model's prediction after those before it.

    >>> for token in write(model, kind.encode("The "), length=400):
    ...     print(token)

    Args:
        start: tokens (steps,), at least one, that are read first.
        length: number of tokens to draw.
        temperature: scores are divided by it: below 1 favours likely tokens, above 1 gives more varied text; 0 always
            takes the most likely token.
        seed: the same seed gives the same text.
        top_p: draw only from the most likely tokens that together have this probability (Holtzman et al. 2020).
        border: the token that ends a document; the next one starts with a new state.

    Raises:
        UsageError: a seed out of range.
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


def play(model: SequenceModel, start: Tensor, length: int, temperature: float = 1.0, seed: int = 0) -> Tensor:
    """Draw frames of music one by one, each key with the probability that the model predicts: (length, keys).

    >>> play(model, torch.zeros(1, 88), length=64).shape
    torch.Size([64, 88])

    Args:
        start: frames (steps, keys), at least one, that are read first.
        length: number of frames to draw.
        temperature: scores are divided by it; 0 takes every key that is more likely than not.
        seed: the same seed gives the same music.

    Raises:
        UsageError: a seed out of range.
    """
    check_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    frames = []
    with torch.no_grad():
        scores, states = model(start[None])
        for _ in range(length):
            last = scores[0, -1].double()
            p = torch.sigmoid(last / temperature) if temperature else (last > 0).double()
            frames.append(torch.bernoulli(p, generator=generator).float())
            scores, states = model(frames[-1][None, None], states)
    return torch.stack(frames)


def likeliest(shares: Tensor, top_p: float) -> Tensor:
    """Probabilities (tokens,) with all but the largest set to zero: as few as together have ``top_p``.

    >>> likeliest(torch.tensor([0.1, 0.5, 0.4]), 0.8)
    tensor([0.0000, 0.5000, 0.4000])
    """
    if top_p >= 1:
        return shares
    ordered, order = shares.sort(descending=True)
    before = ordered.cumsum(0) - ordered
    return torch.zeros_like(shares).scatter(0, order, torch.where(before < top_p, ordered, 0.0))
