"""Truncated back-propagation through time, BPTT(h; h') of Williams and Peng (1990).

After every ``stride`` steps, the errors of these steps go back over a window of steps and no further. The result is not
the gradient of any loss.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .call import Call, Kept
from .pieces import Gradients, Pieces, Recomputing, Series, beside


@dataclass(frozen=True)
class Truncating(Recomputing):
    """Another engine, whose windows have ``every`` steps and end after every ``stride`` steps."""

    stride: int

    def backward(self, call: Call, kept: Kept, grads: Series, wanted: set[str]) -> Series:
        """See ``Engine.backward``."""
        start = {n: torch.zeros_like(s) for n, s in call.state.items() if s.is_floating_point()}
        total, pieces = Gradients(call, wanted), Pieces(call.layout, self.stride, self.every)
        for number in range(pieces.count):
            piece = pieces[number]
            part = piece.of(call, kept[0])
            _, again = self.engine.forward(part, keep=True)
            given = {n: g[piece.rows] * beside(piece.new, g) for n, g in grads.items()}
            found = self.engine.backward(part, again, given, wanted | set(start))
            total.add(piece, found)
            for n, gradient in start.items():
                gradient[piece.alive] += found[n] * beside(piece.fresh, found[n])
        return total.found | {n: g for n, g in start.items() if n in wanted}
