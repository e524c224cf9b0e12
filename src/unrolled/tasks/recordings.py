"""Recordings as features: whole sound files, and the log-mel features of them."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DataError, reason
from ..files.read import read_bytes
from ..sources import LogMel

MELS = 40  # features of a frame


def read_recording(path: Path) -> tuple[Tensor, int, bytes]:
    """The samples of a sound file (wav, flac, ogg) as one channel in [-1, 1], its rate in hertz, and its bytes.

    Raises:
        DataError: no such file, one that is no sound, or one without samples.
    """
    try:
        import soundfile
    except ImportError:
        raise DataError("to read recordings takes soundfile: pip install 'unrolled[audio]'") from None
    content = read_bytes(path, "a recording (wav, flac, ogg)")
    try:
        samples, rate = soundfile.read(io.BytesIO(content), dtype="float32", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as problem:
        why = str(getattr(problem, "error_string", "") or reason(problem)).rstrip(".").lower()
        raise DataError(f"'{path}' cannot be read as a recording: {why}") from None
    if not len(samples):
        raise DataError(f"'{path}' has no samples")
    mono = torch.from_numpy(samples).mean(1)
    if not torch.isfinite(mono).all():
        raise DataError(f"'{path}' holds samples that are no numbers")
    return mono, rate, content


@dataclass(frozen=True)
class Sound:
    """A recording in memory, as a source of samples (steps, 1)."""

    samples: Tensor
    rate: int
    channels: int = 1

    @property
    def length(self) -> int:
        return len(self.samples)

    def read(self, start: int, stop: int) -> Tensor:
        return self.samples[start:stop, None]


def log_mel(samples: Tensor, rate: int) -> Tensor:
    """The features (frames, 40) of samples (steps,): all that ``LogMel`` gives with its usual parameters.

    >>> log_mel(torch.randn(8000), rate=8000).shape
    torch.Size([100, 40])
    """
    source = LogMel(Sound(samples, rate), mels=MELS)
    return source.read(0, source.length)
