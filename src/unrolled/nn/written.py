"""What an encoder and decoder write: greedily, or with symbols drawn at random; and what both ways of writing share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..sequence.gumbel import gumbel
from ..sequence.ragged import Ragged
from ..sequence.series import Series
from ..sequence.state import State
from .joined import TOTAL
from .result import Result
from .writer import NOISE, SYMBOL, state_of
from .writing import pieces_of

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
        read = net.read_to_write(source)
        begin = torch.full((len(source),), net.begin, device=read.device)
        inputs: dict[str, Any] = {"steps": longest}
        if temperature:
            like = next(net.parameters())
            inputs = {NOISE: gumbel(len(source), longest, net.outputs, generator=generator, dtype=like.dtype)}
            inputs[NOISE] = inputs[NOISE].to(read.device) * temperature
        writer = net.writer("drawn" if temperature else "best")
        steps = inputs.pop("steps", None)
        total = torch.zeros(len(begin), dtype=writer._like().dtype, device=read.device)
        begun = State(**state_of(begin, read.states), **{TOTAL: total})  # whole, so that the checked call is cached
        until = {SYMBOL: net.end}
        found = pieces_of(writer, {**inputs, **read.fixed}, begun, steps, until)
        if len(found.pieces) == 1 and len(begin) == 1:
            return _one(found.pieces[0], int(found.ends[0]), net.end)
        out = found.joined()
        return Written(_without(out[SYMBOL], net.end), out.state[TOTAL], out.state[SYMBOL] == net.end)


def _one(piece: Result, steps: int, end: int) -> Written:
    """One answer that was written in one piece, of which some steps count."""
    symbols = piece[SYMBOL][0, :steps]
    ended = symbols[-1:] == end
    kept = symbols[: steps - int(ended)]
    return Written(Ragged(values=kept, lengths=[len(kept)]), piece[TOTAL][0, steps - 1 : steps], ended)


def _without(written: Ragged, end: int) -> Ragged:
    """Answers without their end, which only the last symbol can be."""
    kept = written.values != end
    ends = (~kept).nonzero().flatten().cpu()
    lengths = written.lengths.clone()
    lengths[torch.searchsorted(written.offsets, ends, right=True) - 1] -= 1
    return Ragged(values=written.values[kept], lengths=lengths)


def check_longest(longest: int) -> None:
    """Refuse a limit of less than one symbol."""
    if longest < 1:
        raise InputError(f"longest must be at least 1 symbol, got {longest}")


@contextmanager
def in_use(net: nn.Module) -> Iterator[None]:
    """While the block runs, the network is as it would be used: without dropout and without gradients."""
    before = net.training
    if before:
        net.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        if before:
            net.train()
