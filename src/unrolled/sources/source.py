"""What a source is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ..errors import InputError


class Source(Protocol):
    """A sequence of known length, any part of which can be read, in any order and with the same result every time."""

    @property
    def length(self) -> int:
        """The number of steps."""

    def read(self, start: int, stop: int) -> Tensor:
        """Steps from start to before stop: (steps, size), or tokens (steps,)."""


def check_range(source: Source, start: int, stop: int) -> None:
    """Refuse a range outside of a source. Raises InputError."""
    if not 0 <= start <= stop <= source.length:
        raise InputError(f"read({start}, {stop}): {type(source).__name__} has the steps 0 to {source.length}")
