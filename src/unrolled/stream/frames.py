"""A stream of the frames of a recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from ..errors import DataError, UsageError
from ..sources import AudioFile, LogMel
from .pieces import Pieces


class Frames(Pieces):
    """Log-mel features of a recording, as tensors (frames, mels)."""

    def __init__(self, path: Path | None, rate: int, mel: dict[str, Any]) -> None:
        if path is None:
            raise UsageError("a recording cannot be read from standard input; save it to a file first")
        self.position, self._source = 0, LogMel(AudioFile(path, rate=rate, channels=1), **mel)

    @property
    def done(self) -> float:
        return self.position / self._source.length

    @property
    def mark(self) -> str:
        return f"{self._source.length} frames"

    def next(self, steps: int) -> Tensor | None:
        begin, end = self.position, min(self.position + steps, self._source.length)
        try:
            frames = self._source.read(begin, end)
        except DataError as fault:
            if fault.sound is None or fault.sound <= begin:
                raise
            frames = self._source.read(begin, min(end, fault.sound))
        self.position += len(frames)
        return frames if len(frames) else None

    def skip(self, steps: int) -> None:
        self.position = min(self.position + steps, self._source.length)
