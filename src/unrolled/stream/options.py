"""How a stream is read and written."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..errors import UsageError


@dataclass(frozen=True)
class Way:
    """What a user decides about a stream; the same again when it is gone on with.

    chunk: steps that are read at a time.
    format: 'jsonl' or 'csv'.
    each: of a text, a row for each character instead of one for each chunk.
    skip_unknown: of a text, pass over characters that the model has never seen.
    """

    chunk: int = 1000
    format: str = "jsonl"
    each: bool = False
    skip_unknown: bool = False

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise UsageError(f"--chunk must be a whole number from 1, got {self.chunk}")

    def __str__(self) -> str:
        """As options of the command line."""
        flags = [f"--{name.replace('_', '-')}" for name, value in asdict(self).items() if value is True]
        return " ".join([f"--chunk {self.chunk} --format {self.format}", *flags])
