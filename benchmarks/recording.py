"""A voice recording of any length, as a real audio file: random spoken digits with pauses in between.

    python benchmarks/recording.py long.flac --minutes 5000 --seed 0

The digits come from the Free Spoken Digit Dataset in $UNROLLED_DATA (Jackson et al., CC BY-SA 4.0). Without it they
are synthesised as vowel-like sounds with gliding pitch. The same seed gives the same samples. The file is written
minute by minute, so memory does not grow, and gets its final name when it is complete.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import soundfile

RATE = 8000  # samples per second, as in the data set
PAUSE = (0.05, 0.40)  # least and most seconds between two digits
GAIN = (0.5, 1.0)  # least and most gain of a digit
HISS = 3  # largest amplitude of the background noise, out of 32767
FORMATS = {".flac": "FLAC", ".w64": "W64"}


def recorded_digits(folder: Path) -> list[numpy.ndarray]:
    """All spoken digits of the data set, sorted by name: int16 (samples,) each."""
    found = []
    for path in sorted(folder.glob("*.wav")):
        samples, rate = soundfile.read(path, dtype="int16")
        if rate != RATE or samples.ndim != 1:
            raise SystemExit(f"{path.name} has {rate} Hz, shape {samples.shape}; expected {RATE} Hz, one channel")
        found.append(samples)
    return found


def synthesised_digits(seed: int = 0, count: int = 300) -> list[numpy.ndarray]:
    """Vowel-like sounds: harmonics of a gliding pitch under two formants, fading in and out. int16 (samples,) each."""
    draw = numpy.random.default_rng(seed)
    found = []
    for _ in range(count):
        t = numpy.arange(int(draw.uniform(0.25, 0.6) * RATE)) / RATE
        share = t / t[-1]
        pitch = draw.uniform(90, 220) * 2 ** (draw.uniform(-0.3, 0.3) * share)
        phase = 2 * numpy.pi * numpy.cumsum(pitch) / RATE
        formants = [
            draw.uniform(low, high) + draw.uniform(-200, 200) * share for low, high in ((300, 900), (1000, 2500))
        ]
        sound = numpy.zeros_like(t)
        for harmonic in range(1, 16):
            height = sum(numpy.exp(-(((harmonic * pitch - f) / 150) ** 2)) for f in formants) + 0.05
            sound += height * numpy.sin(harmonic * phase)
        sound *= numpy.sin(numpy.pi * share) ** 0.5
        found.append((sound / abs(sound).max() * 20000).astype("int16"))
    return found


def digits() -> list[numpy.ndarray]:
    """Spoken digits if the data set is available, otherwise synthesised ones."""
    folder = Path(os.environ.get("UNROLLED_DATA", ""), "free-spoken-digit", "recordings")
    return recorded_digits(folder) if os.environ.get("UNROLLED_DATA") and folder.is_dir() else synthesised_digits()


def minutes_of_voice(sounds: list[numpy.ndarray], seconds: int, seed: int) -> Iterator[numpy.ndarray]:
    """The recording, minute by minute: int16 (samples,), exactly ``seconds`` in total."""
    draw = numpy.random.default_rng(seed)
    hiss = draw.integers(-HISS, HISS + 1, 60 * RATE, dtype="int16")
    left, tail = seconds * RATE, numpy.zeros(0, "int16")
    while left:
        minute = hiss[: min(left, len(hiss))].copy()
        place = min(len(tail), len(minute))
        minute[:place] += tail[:place]
        tail = tail[place:]
        while place < len(minute):
            place += int(draw.uniform(*PAUSE) * RATE)
            sound = (sounds[draw.integers(len(sounds))] * draw.uniform(*GAIN)).astype("int16")
            here = sound[: max(0, len(minute) - place)]
            minute[place : place + len(here)] += here
            tail = sound[len(here) :]
            place += len(sound)
        left -= len(minute)
        yield minute


def record(path: Path, seconds: int, seed: int = 0, told: bool = False) -> None:
    """Write a recording of some length: 8 kHz, one channel, 16 bit. ``told`` prints the progress."""
    if path.suffix not in FORMATS:
        raise SystemExit(f"'{path}' must end in {' or '.join(FORMATS)}")
    if seconds < 1 or seed < 0:
        raise SystemExit(f"the length must be at least 1 s and the seed at least 0, got {seconds} s, seed {seed}")
    part, begin, done = path.with_name(f".{path.name}.part"), time.monotonic(), 0
    options = {"compression_level": 0.0} if path.suffix == ".flac" else {}
    try:
        with soundfile.SoundFile(part, "w", RATE, 1, "PCM_16", format=FORMATS[path.suffix], **options) as file:
            for minute in minutes_of_voice(digits(), seconds, seed):
                file.write(minute)
                done += len(minute)
                spent = time.monotonic() - begin
                if told and (done // len(minute)) % 250 == 0:
                    ahead, left = done / RATE / spent, spent * (seconds * RATE / done - 1)
                    print(
                        f"{done / RATE / 60:,.0f} minutes, {ahead:,.0f} times real time, {left:.0f} s left", flush=True
                    )
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def main() -> None:
    """Write a recording."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="file to write: .flac or .w64")
    parser.add_argument("--minutes", type=float, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    record(options.out, round(60 * options.minutes), options.seed, told=True)
    size = options.out.stat().st_size
    print(f"{options.out}: {options.minutes:g} minutes, {size / 1e6:,.0f} MB")


if __name__ == "__main__":
    main()
