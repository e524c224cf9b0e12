"""What a source is."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from ..errors import InputError


class Source(Protocol):
    """A sequence of known length that hands out pieces on demand, in any order, as often as asked, always the same."""

    @property
    def length(self) -> int:
        """How many steps there are."""

    def read(self, start: int, stop: int) -> Tensor:
        """Steps from start up to, not including, stop: (steps, feature), or whole numbers (steps,) for tokens."""


def check_range(source: Source, start: int, stop: int) -> None:
    """Refuse what lies outside."""
    if not 0 <= start <= stop <= source.length:
        raise InputError(f"read({start}, {stop}): {type(source).__name__} has the steps 0 to {source.length}")
