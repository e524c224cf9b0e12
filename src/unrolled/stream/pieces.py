"""What an input of a stream is."""

from __future__ import annotations

from typing import Any, Protocol


class Pieces(Protocol):
    """An input that is read once, from beginning to end."""

    position: int  # steps read or skipped so far

    @property
    def done(self) -> float | None:
        """The fraction that was read, from 0 to 1; None if the size is not known."""

    @property
    def mark(self) -> str:
        """A checksum of what was read so far."""

    def next(self, steps: int) -> Any:
        """The next steps, fewer at the end, None after it. Where the input is damaged, the steps before come first."""

    def skip(self, steps: int) -> None:
        """Skip steps, at most to the end."""
