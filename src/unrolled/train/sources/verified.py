"""A source that is held to its word."""

from __future__ import annotations

import zlib

import torch
from torch import Tensor

from ...errors import DataError
from .source import Source


class Verified:
    """A source whose pieces must be the same whenever they are read again.

    >>> source = Verified(ArrayFile("steps.npy"))

    Exact gradients of long sequences read each segment twice, forward and again when it is computed anew. If the second
    reading differs, as with random augmentation or a file that is being written, the gradient is of no function at
    all, and nothing else would show it. Kept is a checksum (CRC-32) of each piece, by its place; a piece is compared
    with an earlier one that has the same borders.

    Raises:
        DataError: when a piece is read again and differs.
    """

    def __init__(self, source: Source) -> None:
        self.source = source
        self._seen: dict[tuple[int, int], int] = {}

    @property
    def length(self) -> int:
        return self.source.length

    def read(self, start: int, stop: int) -> Tensor:
        piece = self.source.read(start, stop)
        content = piece.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data
        found = zlib.crc32(content, zlib.crc32(f"{piece.dtype} {tuple(piece.shape)}".encode()))
        if self._seen.setdefault((start, stop), found) != found:
            raise DataError(
                f"the source {type(self.source).__name__} gave other values when its steps {start} to {stop} were read "
                "again, so no gradient can be exact. read(start, stop) must always give the same: draw random "
                "numbers from a seed that depends on the place alone, and leave files as they are while they are read"
            )
        return piece
