"""How a stream is read and written."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ..errors import UsageError


@dataclass(frozen=True)
class StreamOptions:
    """How a stream is read and written; the same when it is resumed.

    chunk: the number of steps that are read at a time.
    format: 'jsonl' or 'csv'.
    each: of a text, write a row per character instead of one per chunk.
    skip_unknown: of a text, skip characters that the model has never seen.
    weights: 'float32', or rounded to 'bf16' or 'int8'.

    Raises:
        UsageError: a chunk without steps.
    """

    chunk: int = 1000
    format: str = "jsonl"
    each: bool = False
    skip_unknown: bool = False
    weights: str = "float32"

    def __post_init__(self) -> None:
        if self.chunk < 1:
            raise UsageError(f"--chunk must be a whole number from 1, got {self.chunk}")

    def __str__(self) -> str:
        """As options of the command line."""
        flags = [f"--{name.replace('_', '-')}" for name, value in asdict(self).items() if value is True]
        flags += [f"--weights {self.weights}"] if self.weights != "float32" else []
        return " ".join([f"--chunk {self.chunk} --format {self.format}", *flags])
