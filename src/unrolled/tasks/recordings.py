"""Recordings as features: reading sound files, and log-mel spectra."""

from __future__ import annotations

import io
import math
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DataError
from ..train.files import read_bytes, reason

MELS, WINDOW, HOP = 40, 0.025, 0.010  # bands; seconds
FLOOR = 1e-6  # power below which all is silence


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


def log_mel(samples: Tensor, rate: int) -> Tensor:
    """Log-mel spectrum (frames, 40): windows of 25 ms (Hann) every 10 ms, their power in 40 triangular bands that are
    evenly spaced on the mel scale of O'Shaughnessy (1987), and its natural logarithm.

    >>> log_mel(torch.randn(8000), rate=8000).shape
    torch.Size([98, 40])
    """
    window, hop = round(WINDOW * rate), round(HOP * rate)
    samples = torch.nn.functional.pad(samples, (0, max(0, window - len(samples))))
    frames = samples.unfold(0, window, hop) * torch.hann_window(window, periodic=False)
    points = 2 ** math.ceil(math.log2(window))
    power = torch.fft.rfft(frames, points).abs().square() / points
    return (power @ _bands(rate, points) + FLOOR).log()


@lru_cache(maxsize=16)
def _bands(rate: int, points: int) -> Tensor:
    """The share of every frequency in every band: (points // 2 + 1, 40)."""
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, MELS + 2) / 2595) - 1)
    frequencies = torch.linspace(0, rate / 2, points // 2 + 1)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return torch.minimum(rising, falling).clamp(min=0)
