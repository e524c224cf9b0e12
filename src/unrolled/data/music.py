"""Music and other sequences of binary vectors: which keys sound in the next frame."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ..errors import DataError, UsageError
from ..files.checked import Checked
from ..files.folder import visible
from ..files.read import read_bytes
from .example import Example
from .given import completed, described, fingerprint, parts_of_folders, shares
from .goal import Binary, Goal
from .midi import SUFFIXES, read_midi
from .reading import Reading
from .rolls import read_rolls
from .sequences import ScoredKind, Sequences

SHARES = (0.1, 0.1)  # of MIDI files, for validation and testing


@dataclass(frozen=True)
class MusicOptions:
    """[data] of music.

    train, validation, test: the names of the three parts in a MATLAB file.
    step: of MIDI files: the length of a frame, in quarter notes. 0.5 is an eighth.
    """

    train: str = "traindata"
    validation: str = "validdata"
    test: str = "testdata"
    step: float = 0.5
    predicts: ClassVar[str] = "the next frame"

    def __post_init__(self) -> None:
        if not 0.01 <= self.step <= 16:
            raise UsageError(f"data.step must be a number of quarter notes from 0.01 to 16, got {self.step:g}")


@dataclass(frozen=True)
class Music(ScoredKind):
    """Next-frame prediction of binary vectors, from a MATLAB file of cell arrays with one (steps, keys) matrix of zeros
    and ones per piece (Boulanger-Lewandowski, Bengio and Vincent 2012), or from a folder of MIDI files, which are
    divided into parts by their names.

    Each frame but the first is predicted from those before it, as in Bai, Kolter and Koltun (2018). The loss is the
    negative log-likelihood in nats per frame: summed over keys, averaged over frames.
    """

    name: ClassVar[str] = "music"
    Options: ClassVar[type] = MusicOptions
    unit = "nats per frame"
    steps = read_steps = "frames"
    goal: ClassVar[Goal] = Binary()

    options: MusicOptions
    keys: int

    @classmethod
    def learn(cls, path: Path, options: MusicOptions, reading: Reading) -> Sequences:
        content = _content(path)
        parts = _parts(path, content, options, reading, True)
        keys = parts[0][0].x.shape[1] if parts[0] else 0
        return cls(options, reading, keys)._data(path, content, True, parts)

    @classmethod
    def stored(cls, options: MusicOptions, reading: Reading, description: Checked) -> Self:
        return cls(options, reading, description.get("keys", int))

    def read(self, path: Path, sha256: str) -> Sequences:
        """Only the test part of other data in a MATLAB file is read."""
        content = _content(path)
        known = fingerprint(_sha256(content), self.reading) == sha256
        parts = _parts(path, content, self.options, self.reading, known)
        self._check_keys(path, parts[-1])
        return self._data(path, content, known, parts if known else parts * 3)

    def _data(self, path: Path, content: dict[str, bytes], known: bool, parts: list[list[Example]]) -> Sequences:
        train, validation, test = self.with_given((parts[0], parts[1], parts[2]), known)
        counts = {"frames": sum(len(e.y) for e in test), "pieces": len(test)}
        step = f", frames of {self.options.step:g} quarter notes" if _is_midi(content) else ""
        about = (
            ("pieces", f"{self.keys} keys{step}"),
            *(described(path, list(content), self.reading) if known else ()),
        )
        sha256 = _sha256(content)
        sha256 = fingerprint(sha256, self.reading) if known else sha256
        return Sequences(self, path, sha256, known, (train, validation, test), counts, about)

    def description(self) -> dict[str, Any]:
        return {"keys": self.keys}

    @property
    def inputs(self) -> int:
        return self.keys

    @property
    def outputs(self) -> int:
        return self.keys

    def examples(self, path: Path) -> list[Example]:
        """The pieces of the test part, or all of other MIDI files."""
        (test,) = _parts(path, _content(path), self.options, self.reading, False)
        self._check_keys(path, test)
        return test

    def roll(self, path: Path) -> Tensor:
        """The frames of a MIDI file (frames, keys), as the model reads them.

        Raises:
            DataError: it is not a MIDI file, or the model reads other keys.
        """
        (example,) = self.examples(path)
        return torch.cat([example.x, example.y[-1:]])

    def rows(self, example: Example, scores: Tensor) -> Iterator[dict[str, Any]]:
        """For every frame, the probability of each key in the next one."""
        for frame, row in enumerate(torch.sigmoid(scores).tolist(), 1):
            keys = {f"key_{key}": round(p, 6) for key, p in enumerate(row)}
            yield {"piece": example.name, "frame": frame, **keys}

    def _check_keys(self, path: Path, examples: list[Example]) -> None:
        keys = examples[0].x.shape[1] if examples else self.keys
        if keys != self.keys:
            raise DataError(f"'{path}' has frames of {keys} keys; the model reads {self.keys}")


def midi_files(folder: Path) -> list[Path]:
    """The MIDI files of a folder and its subfolders, sorted by name."""
    found = (file for file in visible(folder) if file.suffix.lower() in SUFFIXES)
    return sorted(found, key=lambda file: file.relative_to(folder).as_posix())


def _content(path: Path) -> dict[str, bytes]:
    """The content of a MATLAB file (under the name '') or of each MIDI file, by its name."""
    if path.is_dir():
        files = midi_files(path)
        if not files:
            raise DataError(f"'{path}' has no MIDI files ({', '.join(SUFFIXES)})")
        return {file.relative_to(path).as_posix(): read_bytes(file, "a MIDI file") for file in files}
    name = path.name if path.suffix.lower() in SUFFIXES else ""
    return {name: read_bytes(path, "a MATLAB file of piano rolls, or a MIDI file")}


def _is_midi(content: dict[str, bytes]) -> bool:
    return "" not in content


def _sha256(content: dict[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, data in content.items():
        if name:
            digest.update(f"{len(name)} {name} {len(data)} ".encode("utf-8", "surrogatepass"))
        digest.update(data)
    return digest.hexdigest()


def _parts(
    path: Path, content: dict[str, bytes], options: MusicOptions, reading: Reading, every: bool
) -> list[list[Example]]:
    """The pieces for training, validation and testing; or one part, of what other data are tested on."""
    if not _is_midi(content):
        names = (options.train, options.validation, options.test) if every else (options.test,)
        return read_rolls(path, content[""], names)
    pieces = [_piece(path, name, data, options.step) for name, data in content.items()]
    if not every:
        return [pieces]
    files = list(content)
    brought = parts_of_folders(path, files)
    held_out = shares(reading, *SHARES)
    number = completed([brought[n] for n in files] if brought else [0] * len(files), files, held_out)
    return [[piece for piece, part in zip(pieces, number, strict=True) if part == k] for k in range(3)]


def _piece(path: Path, name: str, content: bytes, step: float) -> Example:
    file = path / name if path.is_dir() else path
    roll = read_midi(file, content, step)
    if len(roll) < 2:
        raise DataError(
            f"'{file}' has a single frame of {step:g} quarter notes; a piece needs two. Use a smaller data.step"
        )
    return Example(roll[:-1], roll[1:], name)
