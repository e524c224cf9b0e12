"""The exact gradient in bounded memory: segments are recomputed during the backward pass.

Chen et al. (2016). Training deep nets with sublinear memory cost. The states at the borders of segments are part of
what the network returns, so they need no extra memory.
"""

from __future__ import annotations

import torch

from .call import Call, Kept
from .pieces import Gradients, Pieces, Recomputing, Series


class Snapshotting(Recomputing):
    """Another engine, with segments of ``every`` steps."""

    def backward(self, call: Call, kept: Kept, grads: Series, wanted: set[str]) -> Series:
        """See ``Engine.backward``."""
        arriving = {n: torch.zeros_like(s) for n, s in call.state.items() if s.is_floating_point()}
        total, pieces = Gradients(call, wanted), Pieces(call.layout, self.every)
        for number in reversed(range(pieces.count)):
            piece = pieces[number]
            part = piece.of(call, kept[0])
            outputs, again = self.engine.forward(part, keep=True)
            given = {n: g[piece.rows] for n, g in grads.items()}
            for n, gradient in arriving.items():
                given[n] = given[n] if n in given else torch.zeros_like(outputs[n])
                given[n][piece.ends] += gradient[piece.alive]
            found = self.engine.backward(part, again, given, wanted | set(arriving))
            total.add(piece, found)
            arriving = {n: gradient.index_copy(0, piece.alive, found[n]) for n, gradient in arriving.items()}
        return total.found | {n: g for n, g in arriving.items() if n in wanted}
