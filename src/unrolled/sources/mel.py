"""Log-mel features of a recording: how much of each pitch is heard, a hundred times a second."""

from __future__ import annotations

import math
from functools import cached_property
from typing import Protocol

import torch
from torch import Tensor

from ..errors import DataError, InputError
from .source import Source, check_range

BLOCK = 512  # frames that are computed together: always the same ones, so that they always get the same bits


class Samples(Source, Protocol):
    """A source of samples (steps, channels)."""

    @property
    def rate(self) -> int:
        """Samples a second."""

    @property
    def channels(self) -> int: ...


class LogMel:
    """Log-mel features of samples, computed while they are read: (frames, mels), float32.

    >>> source = LogMel(AudioFile("recording.flac"))
    >>> source.read(0, 100).shape  # the first second
    torch.Size([100, 40])

    Frame t is made of the ``window`` seconds from t · ``hop`` on, times a Hann window; behind the end is silence, so
    there is a frame for every hop that begins. Its power spectrum |X(f)|² (Fourier transform of the next power of two)
    is weighted by ``mels`` triangles of equal height, evenly spaced between ``low`` and ``high`` on the mel scale
    2595 log10(1 + f / 700), and the natural logarithm is taken of the sum plus ``floor``: silence is log(floor).

    Any range of frames has the same bits as that range of the whole. Only its samples are read, rounded out to blocks
    of 512 frames, whatever the length of the recording.

    Args:
        audio: samples of one channel.
        hop, window: of frames, in seconds.
        mels: how many features.
        low, high: the lowest and the highest frequency, in Hz; 0 and half the sample rate unless given.
        floor: what is added to the power.

    Raises:
        DataError: samples of several channels.
        InputError: features that cannot be: no hop, no mels, frequencies above half the sample rate.

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
                f"features are made of one channel, but the recording has {audio.channels}. "
                "Mix them down, for example with: ffmpeg -i stereo.wav -ac 1 mono.flac"
            )
        if not 1 <= self.hop <= self.window:
            raise InputError(f"hop and window must be so that 0 < hop <= window, got {hop} and {window} seconds")
        if not 0 <= low < high <= audio.rate / 2 or mels < 1 or not floor > 0:
            raise InputError(
                f"features need 0 <= low < high <= {audio.rate / 2:g} Hz, mels of 1 or more and a floor above 0, "
                f"got low={low:g}, high={high:g}, mels={mels}, floor={floor:g}"
            )
        self.audio, self.mels, self.low, self.high, self.floor = audio, mels, low, high, floor
        self.length = math.ceil(audio.length / self.hop)
        self._transform = 2 ** math.ceil(math.log2(self.window))
        self._sound = audio.length  # samples, as far as a fault has been met
        self._edges: dict[int, Tensor] = {}  # first and last block of the piece read before, for its neighbours

    @property
    def parameters(self) -> dict[str, float]:
        """``LogMel(audio, **parameters)`` gives the same features of another recording with the same sample rate."""
        seconds = {"hop": self.hop / self.audio.rate, "window": self.window / self.audio.rate}
        return {**seconds, "mels": self.mels, "low": self.low, "high": self.high, "floor": self.floor}

    def read(self, start: int, stop: int) -> Tensor:
        """(frames, mels), float32. Where a fault of the recording is in the way, the error says how many frames are
        wholly before it (``sound``); these can be read."""
        check_range(self, start, stop)
        try:
            return self._read(start, stop)
        except DataError as problem:
            if problem.sound is not None:
                self._sound, problem.sound = problem.sound, self._before(problem.sound)
            raise

    def _before(self, samples: int) -> int:
        """How many frames need nothing behind so many samples."""
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
        """All frames of a block, those behind the end of the samples, too."""
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
