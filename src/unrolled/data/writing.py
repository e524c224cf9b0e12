"""Writing with a model of text or music: each step is drawn from the model's prediction."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ..nn.model import SequenceModel
from ..nn.recurrent import Recurrent
from ..nn.writer import state_of, writer
from .reading import check_seed

PIECES = 16, 256  # tokens of the first piece and of the longest


def write(
    model: SequenceModel,
    start: Tensor,
    length: int,
    temperature: float = 1.0,
    seed: int = 0,
    top_p: float = 1.0,
    border: int | None = None,
) -> Iterator[int]:
    """Draw tokens, each from the model's prediction after those before it. The model writes inside the engine's loop
    over time; with ``top_p`` below 1, or if it cannot be joined into one circuit, it is called once per token.

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
    net = writer(model, border) if top_p >= 1 else None
    if net is None:
        return _by_steps(model, start, length, temperature, generator, top_p, border)
    return _in_pieces(model, net, start, length, temperature, generator, border)


def _in_pieces(
    model: SequenceModel,
    net: Recurrent,
    start: Tensor,
    length: int,
    temperature: float,
    generator: torch.Generator,
    border: int | None,
) -> Iterator[int]:
    """Write inside the engine's loop over time, in pieces that become longer."""
    done, read = 0, start[None, :-1]
    with torch.no_grad():
        _, states = model(read, None, None if border is None else read == border)
        state = state_of(start[-1:], states)
    while done < length:
        count = min(max(PIECES[0], done), PIECES[1], length - done)
        noise = net._like().new_zeros(1, count, net.sizes["noise"])
        if temperature:
            noise[0] = temperature * torch.stack([_gumbel(noise.shape[2], generator) for _ in range(count)])
        with torch.no_grad():
            out = net(noise=noise, state=state)
        state, done = out.state, done + count
        yield from out.symbol[0].tolist()


def _gumbel(size: int, generator: torch.Generator) -> Tensor:
    """Gumbel noise (size,) from the random numbers with which ``torch.multinomial`` draws one token."""
    return -torch.empty(size, dtype=torch.float64).exponential_(generator=generator).log()


def _by_steps(
    model: SequenceModel,
    start: Tensor,
    length: int,
    temperature: float,
    generator: torch.Generator,
    top_p: float,
    border: int | None,
) -> Iterator[int]:
    """Write one token per call of the model, for choices that no circuit expresses."""
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
        with torch.no_grad():
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
