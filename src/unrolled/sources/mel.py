"""Log-mel features of a recording: the energy in each band of frequencies, a hundred times per second."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from ..errors import DataError, InputError
from .source import Source, check_range

BLOCK = 512  # frames are always computed in the same blocks, so that they always have the same bits


class Samples(Source, Protocol):
    """A source of samples (steps, channels)."""

    @property
    def rate(self) -> int:
        """Samples per second."""

    @property
    def channels(self) -> int: ...


class LogMel:
    """Log-mel features of samples, computed while they are read: (frames, mels), float32.

    >>> source = LogMel(AudioFile("recording.flac"))
    >>> source.read(0, 100).shape  # the first second
    torch.Size([100, 40])

    Frame t is computed from the ``window`` seconds from t · ``hop``, times a Hann window; the samples are padded with
    silence, so that every hop has a frame. Its power spectrum ``|X(f)|²`` (with an FFT of the next power of two) is
    weighted by ``mels`` triangles of equal height, evenly spaced between ``low`` and ``high`` on the mel scale
    2595 log10(1 + f / 700). The feature is the natural logarithm of the sum plus ``floor``, so silence is log(floor).

    Every frame has the same bits in whatever range it is read. Only the samples of the range are read, rounded to
    blocks of 512 frames.

    Args:
        audio: samples of one channel.
        hop, window: of frames, in seconds.
        mels: the number of features.
        low, high: the lowest and the highest frequency, in Hz; by default 0 and half the sample rate.
        floor: is added to the power.

    Raises:
        DataError: there are several channels.
        InputError: parameters out of range, such as a frequency above half the sample rate.

    Reference: Davis and Mermelstein 1980, Comparison of parametric representations for monosyllabic word recognition
    in continuously spoken sentences, IEEE Transactions on Acoustics, Speech, and Signal Processing 28(4).
    """

    def __init__(
        self,
        audio: Samples,
        *,
        hop: float = 0.010,
        window: float = 0.025,
        mels: int = 40,
        low: float = 0.0,
        high: float | None = None,
        floor: float = 1e-6,
    ) -> None:
        high = audio.rate / 2 if high is None else high
        self.hop, self.window = round(hop * audio.rate), round(window * audio.rate)  # in samples
        if audio.channels != 1:
            raise DataError(
                f"features need a single channel, but the recording has {audio.channels}. "
                "Mix them down, for example with: ffmpeg -i stereo.wav -ac 1 mono.flac"
            )
        if not 1 <= self.hop <= self.window:
            raise InputError(f"features need 0 < hop <= window, got {hop} and {window} seconds")
        if not 0 <= low < high <= audio.rate / 2 or mels < 1 or not floor > 0:
            raise InputError(
                f"features need 0 <= low < high <= {audio.rate / 2:g} Hz, mels of 1 or more and a floor above 0, "
                f"got low={low:g}, high={high:g}, mels={mels}, floor={floor:g}"
            )
        self.audio, self.mels, self.low, self.high, self.floor = audio, mels, low, high, floor
        self.length = math.ceil(audio.length / self.hop)
        self._transform = 2 ** math.ceil(math.log2(self.window))
        self._sound = audio.length  # samples before the first damage that was found
        self._edges: dict[int, Tensor] = {}  # first and last block of the last part that was read

    @property
    def parameters(self) -> dict[str, float]:
        """``LogMel(audio, **parameters)`` computes the same features of another recording with this sample rate."""
        seconds = {"hop": self.hop / self.audio.rate, "window": self.window / self.audio.rate}
        return {**seconds, "mels": self.mels, "low": self.low, "high": self.high, "floor": self.floor}

    def read(self, start: int, stop: int) -> Tensor:
        """Frames start to stop: (frames, mels), float32. If part of the recording is damaged, the error has the number
        of frames before it as ``sound``; these can be read."""
        check_range(self, start, stop)
        try:
            return self._read(start, stop)
        except DataError as problem:
            if problem.sound is not None:
                self._sound, problem.sound = problem.sound, self._before(problem.sound)
            raise

    def _before(self, samples: int) -> int:
        """The number of frames that depend on the first ``samples`` alone."""
        return self.length if samples == self.audio.length else max(0, (samples - self.window) // self.hop + 1)

    def _read(self, start: int, stop: int) -> Tensor:
        end = self._sound if stop <= self._before(self._sound) else self.audio.length
        features = torch.empty(stop - start, self.mels)
        numbers = range(start // BLOCK, math.ceil(stop / BLOCK)) if start < stop else range(0)
        known, self._edges = self._edges, {}
        for number in numbers:
            block, place = known[number] if number in known else self._block(number, end), number * BLOCK
            first, last = max(start, place), min(stop, place + BLOCK)
            features[first - start : last - start] = block[first - place : last - place]
            if number in (numbers[0], numbers[-1]) and self._sound == self.audio.length:
                self._edges[number] = block
        return features

    def _block(self, number: int, end: int) -> Tensor:
        """All frames of a block, including those after the end of the samples."""
        begin = number * BLOCK * self.hop
        samples = torch.zeros((BLOCK - 1) * self.hop + self.window)
        there = self.audio.read(begin, min(begin + len(samples), end))[:, 0]
        samples[: len(there)] = there
        return self._features(samples)

    def _features(self, samples: Tensor) -> Tensor:
        framed = torch.zeros(BLOCK, self._transform)
        torch.mul(samples.unfold(0, self.window, self.hop), self._hann, out=framed[:, : self.window])
        spectrum = torch.fft.rfft(framed)
        power = spectrum.real.square().addcmul_(spectrum.imag, spectrum.imag)
        return torch.log(power @ self.filters + self.floor)

    @cached_property
    def _hann(self) -> Tensor:
        return torch.hann_window(self.window)

    @cached_property
    def filters(self) -> Tensor:
        """The triangles: (frequencies of the transform, mels)."""
        low, high = _mel(torch.tensor([self.low, self.high], dtype=torch.float64))
        corners = _hertz(torch.linspace(low, high, self.mels + 2, dtype=torch.float64))
        frequencies = torch.arange(self._transform // 2 + 1, dtype=torch.float64) * self.audio.rate / self._transform
        rising = (frequencies[:, None] - corners[:-2]) / corners.diff()[:-1]
        falling = (corners[2:] - frequencies[:, None]) / corners.diff()[1:]
        return torch.minimum(rising, falling).clamp(min=0).float()


def _mel(hertz: Tensor) -> Tensor:
    return 2595 * torch.log10(1 + hertz / 700)


def _hertz(mel: Tensor) -> Tensor:
    return 700 * (10 ** (mel / 2595) - 1)
