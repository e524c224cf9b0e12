"""One pair as numbers, and batches of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ...sequence.ragged import Ragged
from .rows import Row


class Pair(NamedTuple):
    """One pair: a source (steps,) with its features, and a target (symbols,), as numbers."""

    x: Tensor
    y: Tensor
    row: Row


class Batch(NamedTuple):
    """Pairs in one batch, each side with the layout of a Ragged: x (steps,), y (symbols,), and their lengths (n,)."""

    x: Tensor
    y: Tensor
    lengths: Tensor
    target_lengths: Tensor

    @property
    def source(self) -> Ragged:
        return Ragged(values=self.x, lengths=self.lengths)

    @property
    def target(self) -> Ragged:
        return Ragged(values=self.y, lengths=self.target_lengths)

    @staticmethod
    def of(pairs: Sequence[Pair]) -> Batch:
        """The batch of some pairs, without padding."""
        x, y = Ragged([pair.x for pair in pairs]), Ragged([pair.y for pair in pairs])
        return Batch(x.values, y.values, x.lengths, y.lengths)

    def select(self, rows: Sequence[int]) -> Batch:
        """Some of the pairs."""
        x, y = self.source.select(rows), self.target.select(rows)
        return Batch(x.values, y.values, x.lengths, y.lengths)


def batches_by_length(pairs: Sequence[Pair], size: int, generator: torch.Generator) -> list[list[int]]:
    """All pairs in batches of pairs of similar length: in a random order of the pairs and of the batches.

    Args:
        pairs: all of them.
        size: of a batch.
        generator: decides the order.
    """
    order = torch.randperm(len(pairs), generator=generator).tolist()
    order.sort(key=lambda i: (len(pairs[i].x), len(pairs[i].y)))  # stable: pairs of one length stay shuffled
    found = [order[start : start + size] for start in range(0, len(order), size)]
    return [found[i] for i in torch.randperm(len(found), generator=generator).tolist()]
