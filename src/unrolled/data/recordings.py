"""Recordings in memory: whole sound files, folders of them, and their log-mel features."""

from __future__ import annotations

import hashlib
import io
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor

from ..errors import DataError, reason
from ..files.folder import visible
from ..files.progress import progress
from ..files.read import read_bytes
from ..sources import LogMel
from ..sources.audio import promised
from .plain_wav import read_plain_wav

MELS = 40  # features of a frame
SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".opus", ".aiff", ".aif", ".au", ".caf", ".w64")  # read by libsndfile
COMMON = "wav, flac, ogg, mp3"  # for messages


@dataclass(frozen=True)
class Recording:
    """A recording in memory, as a source of samples.

    >>> Recording(torch.randn(8000), rate=8000).features.shape
    torch.Size([100, 40])

    samples: of one channel, in [-1, 1]: (steps,).
    rate: in hertz.
    content: the bytes of the file.
    """

    samples: Tensor
    rate: int
    content: bytes = b""
    channels: int = 1

    @property
    def length(self) -> int:
        return len(self.samples)

    def read(self, start: int, stop: int) -> Tensor:
        """Samples start to stop: (steps, 1)."""
        return self.samples[start:stop, None]

    @cached_property
    def features(self) -> Tensor:
        """Its log-mel features (frames, 40), with the default parameters of ``LogMel``."""
        source = LogMel(self, mels=MELS)
        return source.read(0, source.length)


def read_recording(path: Path) -> Recording:
    """Read a sound file of any format of libsndfile, or a plain WAV file without it; several channels become their
    mean.

    Raises:
        DataError: there is no such file, it cannot be decoded, it is shorter than its header says, or has no samples.
    """
    content = read_bytes(path, f"a recording ({COMMON})")
    samples, rate, whole = _decoded(path, content)
    if whole > len(samples):
        seconds = len(samples) / rate
        raise DataError(f"'{path}' is cut off after {seconds:.2f} of {whole / rate:.2f} seconds. Copy it again")
    if not len(samples):
        raise DataError(f"'{path}' has no samples")
    mono = torch.from_numpy(samples).mean(1)
    if not torch.isfinite(mono).all():
        raise DataError(f"'{path}' has samples that are NaN or infinite")
    return Recording(mono, rate, content)


def _decoded(path: Path, content: bytes) -> tuple[numpy.ndarray[Any, Any], int, int]:
    """The samples (steps, channels) of a sound file, its rate, and the number of steps that its header promises (0 if
    that is not known)."""
    try:
        import soundfile
    except ImportError:
        if path.suffix.lower() == ".wav":
            return read_plain_wav(str(path), content)
        raise DataError("reading recordings needs soundfile: pip install 'unrolled[audio]'") from None
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as sound:
            return sound.read(dtype="float32", always_2d=True), sound.samplerate, promised(sound)
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as problem:
        why = str(getattr(problem, "error_string", "") or reason(problem)).rstrip(".").lower()
        raise DataError(f"'{path}' cannot be read as a recording: {why}") from None


def read_folder(path: Path, skip_unreadable: bool = False) -> tuple[dict[str, Recording], list[str]]:
    """The recordings of a folder and its subfolders (or a single one) by name, and the names of those skipped.

    Raises:
        DataError: there are none, or one cannot be read and is not to be skipped.
    """
    if path.is_file():
        return {path.name: read_recording(path)}, []
    names = sorted(str(f.relative_to(path)) for f in visible(path) if f.suffix.lower() in SUFFIXES)
    if not names:
        raise DataError(f"'{path}' has no recordings ({COMMON})")
    found: dict[str, Recording] = {}
    problems: dict[str, DataError] = {}
    for number, name in enumerate(names):
        progress(number / len(names), "reading recordings")
        try:
            found[name] = read_recording(path / name)
        except DataError as problem:
            problems[name] = problem
    if problems and (not skip_unreadable or not found):
        first, more = next(iter(problems.values())), len(problems) - 1
        also = f" {more} more cannot be read either." if more else ""
        raise DataError(f"{first}.{also} Remove it, or skip unreadable recordings with --set data.skip_unreadable=true")
    return found, list(problems)


def compute_features(recordings: Mapping[str, Recording]) -> None:
    """Compute the features of recordings, and show how far that is."""
    for number, recording in enumerate(recordings.values(), 1):
        assert len(recording.features)
        progress(number / len(recordings), "computing features")


def other_files(folder: Path) -> str:
    """The number of files of a folder that are not recordings, by their suffix, for people: 'other files: .m4a 2'."""
    if not folder.is_dir():
        return ""
    suffixes = Counter(file.suffix.lower() or file.name for file in visible(folder))
    others = {suffix: count for suffix, count in sorted(suffixes.items()) if suffix not in SUFFIXES}
    listed = ", ".join(f"{suffix} {count}" for suffix, count in others.items())
    return f"other files: {listed}" if others else ""


def sha256_of(recordings: Mapping[str, Recording]) -> str:
    """One fingerprint of the files of some recordings, with their names."""
    digest = hashlib.sha256()
    for name, recording in sorted(recordings.items()):
        content = recording.content
        digest.update(f"{len(name)} {name} {len(content)} ".encode("utf-8", "surrogatepass") + content)
    return digest.hexdigest()
