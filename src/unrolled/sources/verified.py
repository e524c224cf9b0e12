"""A source that is checked: every piece must be the same whenever it is read."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from ..errors import DataError, InputError
from .source import Source


class Verified:
    """A source that refuses a piece that differs from an earlier reading of it.

    >>> source = Verified(ArrayFile("steps.npy"))

    Exact gradients of long sequences read each segment twice: forward, and again to recompute its values. If the second
    reading differs, as with random augmentation or a file that is being written, the gradient is wrong, and nothing
    else would show it. A checksum (CRC-32) of each piece is kept by its position; a piece is compared with an earlier
    one that has the same borders. ``backpropagate`` verifies its source itself.

    Raises:
        InputError: a piece that is not a tensor of the requested steps.
        DataError: a piece that differs from its earlier reading.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._seen: dict[tuple[int, int], int] = {}

    @property
    def length(self) -> int:
        return self.source.length

    def read(self, start: int, stop: int) -> Tensor:
        """Steps start to stop: (steps, size), or tokens (steps,)."""
        piece = self.source.read(start, stop)
        if not isinstance(piece, Tensor) or piece.ndim not in (1, 2) or len(piece) != stop - start:
            given = tuple(piece.shape) if isinstance(piece, Tensor) else type(piece).__name__
            raise InputError(
                f"read({start}, {stop}) must give {stop - start} steps, (steps, size) or (steps,), got {given}"
            )
        content = piece.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
        found = zlib.crc32(content, zlib.crc32(f"{piece.dtype} {tuple(piece.shape)}".encode()))
        if self._seen.setdefault((start, stop), found) != found:
            raise DataError(
                f"the source {type(self.source).__name__} gave other values when steps {start:,} to {stop:,} were read "
                "again, so the gradient would be wrong. read(start, stop) must always return the same: draw random "
                "numbers from a seed that depends on the position alone, and do not change files while they are read"
            )
        return piece
