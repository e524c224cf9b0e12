"""Beam search: the most probable answers of an encoder and decoder, as far as a few continued at each step show."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from ..errors import InputError
from ..sequence.series import Series
from .written import LONGEST, Written, check_longest, in_use

if TYPE_CHECKING:
    from .encoder_decoder import EncoderDecoder, Source
    from .model import States


class Beams(NamedTuple):
    """The beginnings of answers that are continued: ``width`` of each source, one below the other.

    symbols: of all steps so far, (batch · width, steps); once an answer has ended, the end again and again.
    total: the logarithm of the probability of each: (batch, width).
    states: of the decoder, one row per beginning.
    """

    symbols: Tensor
    total: Tensor
    states: States


def search(
    net: EncoderDecoder, source: Series, beam: int = 5, longest: int = LONGEST, length_power: float = 1.0
) -> list[Written]:
    """The best answers for each source: see ``EncoderDecoder.search``."""
    check_longest(longest)
    symbols = net.outputs
    if not 1 <= beam <= symbols:
        raise InputError(f"beam must be from 1 to the number of symbols, {symbols}, got {beam}")
    with in_use(net):
        count = len(source)
        read = net.read_to_write(source)
        read = read.select(torch.arange(count).repeat_interleave(beam))
        first = torch.tensor([0.0] + [-math.inf] * (beam - 1), device=read.device)  # all beams of a source are the same
        begun = torch.zeros(count * beam, 0, dtype=torch.long, device=read.device)
        beams = Beams(begun, first.repeat(count, 1), read.states)
        for _ in range(longest):
            beams = _continued(net, read, beams)
            if bool((beams.symbols[:, -1] == net.end).all()):
                break
        return _ranked(beams, net.end, length_power)


def _continued(net: EncoderDecoder, read: Source, beams: Beams) -> Beams:
    """The best beginnings that are one symbol longer. All of them step together, as one batch."""
    count, width = beams.total.shape
    begun = bool(beams.symbols.shape[1])
    symbol = beams.symbols[:, -1] if begun else beams.symbols.new_full((count * width,), net.begin)
    scores, states = net.decoder(symbol[:, None], beams.states or None, fixed=read.fixed)
    chances = scores[:, 0].log_softmax(-1)
    if begun:
        only_end = torch.full_like(chances[0], -math.inf)
        only_end[net.end] = 0.0
        chances = torch.where((symbol == net.end)[:, None], only_end, chances)
    total, best = (beams.total[..., None] + chances.view(count, width, -1)).flatten(1).topk(width)
    rows = (best // chances.shape[-1] + width * torch.arange(count, device=best.device)[:, None]).flatten()
    symbols = torch.cat([beams.symbols[rows], (best % chances.shape[-1]).view(-1, 1)], 1)
    return Beams(symbols, total, tuple(state.select(rows) for state in states))


def _ranked(beams: Beams, end: int, power: float) -> list[Written]:
    """The answers of each source, best first."""
    count, width = beams.total.shape
    ended = beams.symbols == end
    lengths = torch.where(ended.any(1), ended.int().argmax(1) + 1, ended.shape[1]).view(count, width)
    order = (beams.total / lengths**power).argsort(1, descending=True)
    rows = order + width * torch.arange(count, device=order.device)[:, None]
    return [
        Written.of(beams.symbols[rows[:, k]], end, beams.total.gather(1, order[:, k : k + 1])[:, 0])
        for k in range(width)
    ]
