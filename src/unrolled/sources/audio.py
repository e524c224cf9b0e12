"""Recordings, read in parts."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from ..errors import DataError
from ..files.binary import BinaryFile
from .source import check_range

# What libsndfile reports about a file that is shorter than its header says, in bytes.
CUT_OFF = re.compile(r"^\s*(data|Data Size|SSND|riff|Riff size)\s*: (\d+) \(should be (\d+)\)", re.M)
UNKNOWN = {0x7FFFFFFF, 0xFFFFFFFF}  # sizes (within some bytes) in headers that were written before the length was known


class AudioFile:
    """The samples of a recording (FLAC, WAV, W64 or another format of libsndfile), between -1 and 1.

    >>> audio = AudioFile("recording.flac", rate=16000, channels=1)
    >>> audio.length, audio.read(0, 160).shape
    (9600000, torch.Size([160, 1]))

    Only the requested samples are decoded. The part that was decoded last is cached, so that consecutive reads may
    overlap at no cost.

    Args:
        path: of the recording.
        rate, channels: the required sample rate in hertz and number of channels; any by default.

    Raises:
        DataError: the file is not a recording, or has another sample rate or number of channels. When the damaged part
            of a truncated or damaged file is read: with its time, and the number of samples before it as ``sound``.
            Damage can only be detected in compressed formats.
    """

    def __init__(self, path: str | Path, rate: int | None = None, channels: int | None = None) -> None:
        self.path = Path(path)
        BinaryFile(path, "a recording")
        self._sound = _open(self.path)
        self.rate, self.channels = int(self._sound.samplerate), int(self._sound.channels)
        self._there = int(self._sound.frames)
        if self._there > 2**60:
            raise DataError(f"'{path}' does not contain its length. {_convert(self.path)}")
        self.length = max(self._there, promised(self._sound))
        if not self.length:
            raise DataError(f"'{path}' has no samples. Record it again")
        if rate not in (None, self.rate) or channels not in (None, self.channels):
            expected = [f"{rate} Hz"] * bool(rate) + [f"{channels} channel(s)"] * bool(channels)
            raise DataError(
                f"'{path}' has {self.rate} Hz, {self.channels} channel(s); expected {', '.join(expected)}. "
                f"{_convert(self.path, rate, channels)}"
            )
        self._held = numpy.zeros((0, self.channels), "float32")  # the part that was decoded last; it ends at _end
        self._end = 0

    def read(self, start: int, stop: int) -> Tensor:
        """Samples start to stop: (samples, channels), float32."""
        check_range(self, start, stop)
        begin = self._end - len(self._held)
        held = self._held[start - begin :] if begin <= start <= self._end else self._held[:0]
        known = held[: stop - start]
        if len(known) < stop - start:
            new = self._decode(start + len(known), stop)
            self._held, self._end = numpy.concatenate([known, new]) if len(known) else new, stop
            known = self._held
        return torch.from_numpy(known.copy())

    def time(self, sample: int) -> str:
        """The time of a sample: hours, minutes and seconds."""
        minutes, seconds = divmod(sample / self.rate, 60)
        hours, minutes = divmod(int(minutes), 60)
        return f"{hours}:{minutes:02}:{seconds:06.3f}"

    def _decode(self, start: int, stop: int) -> numpy.ndarray:
        if stop > self._there:
            rest = f"; its length should be {self.time(self.length)}" if self.length > self._there + 1 else ""
            raise _fault(f"'{self.path}' is truncated at {self.time(self._there)}{rest}. Copy it again", self._there)
        try:
            return self._samples(start, stop)
        except RuntimeError:  # LibsndfileError is a subclass
            self._sound = _open(self.path)  # after an error, the old one is unusable
            fault = self._fault(start, stop)
        raise _fault(f"'{self.path}' is damaged at {self.time(fault)} and cannot be read further. Copy it again", fault)

    def _samples(self, start: int, stop: int) -> numpy.ndarray:
        if self._sound.tell() != start:
            self._sound.seek(start)
        samples: numpy.ndarray = self._sound.read(stop - start, "float32", always_2d=True)
        if len(samples) < stop - start:
            raise RuntimeError("fewer samples than expected")
        return samples

    def _fault(self, start: int, stop: int) -> int:
        """The first sample that cannot be decoded, to a hundredth of a second."""
        step = max(1, self.rate // 100)
        for place in range(start, stop, step):
            try:
                self._samples(place, min(place + step, stop))
            except RuntimeError:
                self._sound = _open(self.path)
                return place
        return start


def promised(sound: Any) -> int:
    """The number of samples in the header of a truncated recording (a ``soundfile.SoundFile``); if it is not known, one
    more than there are; 0 for a complete file."""
    there, report = int(sound.frames), sound.extra_info
    if "lacks an end-of-stream bit" in report:
        return there + 1
    for line in CUT_OFF.finditer(report):
        claimed, found = int(line[2]), int(line[3])
        if claimed > found and not any(abs(claimed - unknown) < 4096 for unknown in UNKNOWN):
            size = max(1, round(found / max(there, 1)))  # bytes of a sample
            return there + math.ceil((claimed - found) / size)
    return 0


def _fault(message: str, sound: int) -> DataError:
    problem = DataError(message)
    problem.sound = sound
    return problem


def _open(path: Path) -> Any:
    try:
        import soundfile
    except ImportError:
        raise DataError(
            f"reading the recording '{path}' needs soundfile. Install it with: pip install \"unrolled[audio]\""
        ) from None
    try:
        return soundfile.SoundFile(path)
    except RuntimeError as problem:
        why = str(problem).partition(": ")[2].rstrip(".") or "format not recognised"
        raise DataError(f"'{path}' is not a readable recording ({why.lower()}). {_convert(path)}") from None


def _convert(path: Path, rate: int | None = None, channels: int | None = None) -> str:
    options = "".join([f" -ar {rate}" if rate else "", f" -ac {channels}" if channels else ""])
    return f"Convert it, for example with: ffmpeg -i '{path.name}'{options} '{path.stem}-converted.flac'"
