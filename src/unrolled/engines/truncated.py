"""Truncated back-propagation through time, BPTT(h; h') of Williams and Peng (1990): every so many steps the errors of
these go back over a window, and no further. Not the gradient of any loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .call import Call, Engine, Kept
from .pieces import Gradients, Pieces, Series, forward


@dataclass(frozen=True)
class Truncating:
    """Another engine, whose errors go back ``window`` steps from every ``stride``-th."""

    engine: Engine
    window: int
    stride: int

    @property
    def name(self) -> str:
        return self.engine.name

    def forward(self, call: Call, keep: bool) -> tuple[Series, Kept]:
        if not keep:
            return self.engine.forward(call, keep=False)[0], []
        series = forward(self.engine, call, self.window)
        return series, [series]

    def backward(self, call: Call, kept: Kept, grads: Series, wanted: set[str]) -> Series:
        start = {n: torch.zeros_like(s) for n, s in call.state.items()}
        total, pieces = Gradients(call, wanted), Pieces(call.layout, self.stride, self.window)
        for number in range(pieces.count):
            piece = pieces[number]
            part = piece.of(call, kept[0])
            _, again = self.engine.forward(part, keep=True)
            given = {n: g[piece.rows] * piece.new[:, None] for n, g in grads.items()}
            found = self.engine.backward(part, again, given, wanted | set(start))
            total.add(piece, found)
            for n, gradient in start.items():
                gradient[piece.alive] += found[n] * piece.fresh[:, None]
        return total.found | {n: g for n, g in start.items() if n in wanted}
