"""Plain WAV recordings (PCM), read without another library."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy

from ..errors import DataError


def read_plain_wav(name: str, content: bytes) -> tuple[numpy.ndarray[Any, Any], int, int]:
    """The samples (steps, channels) of a WAV file as float32 in [-1, 1], its rate in hertz, and the number of steps
    that its header promises.

    >>> samples, rate, promised = read_plain_wav("a.wav", content)
    >>> samples.shape, rate, promised
    ((8000, 1), 8000, 8000)

    Raises:
        DataError: it is another kind of file. soundfile reads more kinds.
    """
    try:
        with wave.open(io.BytesIO(content)) as file:
            channels, width, rate, promised, *_ = file.getparams()
            data = file.readframes(promised)
    except (wave.Error, EOFError) as problem:
        raise DataError(
            f"'{name}' cannot be read as plain WAV ({problem}). For other recordings: pip install 'unrolled[audio]'"
        ) from None
    whole = len(data) // (width * channels)
    parts = numpy.frombuffer(data[: whole * width * channels], "u1").reshape(-1, width).astype("int64")
    values = (parts << (8 * numpy.arange(width))).sum(1)
    half = 1 << (8 * width - 1)
    signed = values - half if width == 1 else numpy.where(values >= half, values - 2 * half, values)
    return (signed / half).astype("float32").reshape(-1, channels), rate, promised
