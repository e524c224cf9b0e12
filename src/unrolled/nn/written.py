"""What an encoder and decoder write: greedily, or with symbols drawn at random; and what both ways of writing share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..sequence.ragged import Ragged
from ..sequence.series import Series

if TYPE_CHECKING:
    from .encoder_decoder import EncoderDecoder

LONGEST = 200  # symbols of an answer that does not end by itself


class Written(NamedTuple):
    """One answer per source.

    symbols: the tokens of each answer, without its end.
    log_probability: of each answer with its end: (batch,).
    ended: false for an answer that was cut at the largest number of symbols: (batch,).
    """

    symbols: Ragged
    log_probability: Tensor
    ended: Tensor

    @staticmethod
    def of(symbols: Tensor, end: int, log_probability: Tensor) -> Written:
        """From the symbols (batch, steps) of all steps. What follows the first end does not count."""
        ended = (symbols == end).any(1)
        lengths = torch.where(ended, (symbols == end).int().argmax(1), symbols.shape[1])
        return Written(Ragged.from_padded(symbols, lengths.cpu()), log_probability, ended)


def write(
    net: EncoderDecoder,
    source: Series,
    longest: int = LONGEST,
    temperature: float = 0.0,
    generator: torch.Generator | None = None,
) -> Written:
    """Write an answer for each source, symbol by symbol: see ``EncoderDecoder.write``."""
    check_longest(longest)
    if not temperature >= 0:
        raise InputError(f"temperature must be at least 0, got {temperature}")
    with in_use(net):
        read = net.read(source)
        count = len(source)
        symbol, states = torch.full((count,), net.begin, device=read.device), read.states
        total, found = torch.zeros(count, device=read.device), list[Tensor]()
        ended = torch.zeros(count, dtype=torch.bool, device=read.device)
        for _ in range(longest):
            scores, states = net.decoder(symbol[:, None], states or None, fixed=read.fixed)
            chances = scores[:, 0].log_softmax(-1)
            symbol = _chosen(chances, temperature, generator)
            total = total + chances.gather(1, symbol[:, None])[:, 0].masked_fill(ended, 0.0)
            found.append(symbol.masked_fill(ended, net.end))
            ended = ended | (symbol == net.end)
            if bool(ended.all()):
                break
        return Written.of(torch.stack(found, 1), net.end, total)


def check_longest(longest: int) -> None:
    """Refuse a limit of less than one symbol."""
    if longest < 1:
        raise InputError(f"longest must be at least 1 symbol, got {longest}")


@contextmanager
def in_use(net: nn.Module) -> Iterator[None]:
    """While the block runs, the network is as it would be used: without dropout and without gradients."""
    before = net.training
    net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        net.train(before)


def _chosen(scores: Tensor, temperature: float, generator: torch.Generator | None) -> Tensor:
    """The most probable symbol of each row (batch,), or a drawn one."""
    if not temperature:
        return scores.argmax(-1)
    return (scores / temperature).softmax(-1).multinomial(1, generator=generator)[:, 0]
