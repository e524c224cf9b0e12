"""Bounded memory: an engine that keeps no values, and runs a segment again when the backward pass comes to it. The
gradient is exact: Chen et al. (2016), Training deep nets with sublinear memory cost. The states at the borders stand
among what the network has returned, so no room is needed for them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from .call import Call, Engine, Kept
from .pieces import Gradients, Pieces, Series, forward


@dataclass(frozen=True)
class Snapshotting:
    """Another engine, run segment by segment of ``every`` steps."""

    engine: Engine
    every: int

    @property
    def name(self) -> str:
        return self.engine.name

    def forward(self, call: Call, keep: bool) -> tuple[Series, Kept]:
        if not keep:
            return self.engine.forward(call, keep=False)[0], []
        series = forward(self.engine, call, self.every)
        return series, [series]

    def backward(self, call: Call, kept: Kept, grads: Series, wanted: set[str]) -> Series:
        arriving = {n: torch.zeros_like(s) for n, s in call.state.items()}
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
