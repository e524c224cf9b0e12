"""Music and other sequences of binary vectors: which keys sound in the next frame."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ..errors import DataError
from ..files.checked import Checked
from ..files.read import read_bytes
from .example import Example
from .given import described, fingerprint
from .goal import Binary, Goal
from .reading import Reading
from .sequences import ScoredKind, Sequences


@dataclass(frozen=True)
class MusicOptions:
    """[data] of music: the names of the three parts in the file."""

    train: str = "traindata"
    validation: str = "validdata"
    test: str = "testdata"
    predicts: ClassVar[str] = "the next frame"


@dataclass(frozen=True)
class Music(ScoredKind):
    """Next-frame prediction of binary vectors, from a MATLAB file of cell arrays with one (steps, keys) matrix of zeros
    and ones per piece (Boulanger-Lewandowski, Bengio and Vincent 2012).

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
        parts = read_rolls(path, content, (options.train, options.validation, options.test))
        keys = parts[0][0].x.shape[1] if parts[0] else 0
        return cls(options, reading, keys)._data(path, content, True, parts)

    @classmethod
    def stored(cls, options: MusicOptions, reading: Reading, description: Checked) -> Self:
        return cls(options, reading, description.get("keys", int))

    def read(self, path: Path, sha256: str) -> Sequences:
        """Only the test part of other data is read."""
        content, options = _content(path), self.options
        known = fingerprint(hashlib.sha256(content).hexdigest(), self.reading) == sha256
        names = (options.train, options.validation, options.test) if known else (options.test,)
        parts = read_rolls(path, content, names)
        self._check_keys(path, parts[-1])
        return self._data(path, content, known, parts if known else parts * 3)

    def _data(self, path: Path, content: bytes, known: bool, parts: list[list[Example]]) -> Sequences:
        train, validation, test = self.with_given((parts[0], parts[1], parts[2]), known)
        counts = {"frames": sum(len(e.y) for e in test), "pieces": len(test)}
        about = (("pieces", f"{self.keys} keys"), *(described(path, (), self.reading) if known else ()))
        sha256 = hashlib.sha256(content).hexdigest()
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
        """The pieces of the test part."""
        (test,) = read_rolls(path, _content(path), (self.options.test,))
        self._check_keys(path, test)
        return test

    def rows(self, example: Example, scores: Tensor) -> Iterator[dict[str, Any]]:
        """For every frame, the probability of each key in the next one."""
        for frame, row in enumerate(torch.sigmoid(scores).tolist(), 1):
            keys = {f"key_{key}": round(p, 6) for key, p in enumerate(row)}
            yield {"piece": example.name, "frame": frame, **keys}

    def _check_keys(self, path: Path, examples: list[Example]) -> None:
        keys = examples[0].x.shape[1] if examples else self.keys
        if keys != self.keys:
            raise DataError(f"'{path}' has frames of {keys} keys; the model reads {self.keys}")


def _content(path: Path) -> bytes:
    return read_bytes(path, "a MATLAB file of piano rolls")


def read_rolls(path: Path, content: bytes, names: tuple[str, ...]) -> list[list[Example]]:
    """The pieces of some cell arrays of a MATLAB file.

    Raises:
        DataError: it is another file, an array is missing, or a piece is not a matrix of zeros and ones.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError("reading MATLAB files needs scipy: pip install 'unrolled[music]'") from None
    try:
        arrays = loadmat(io.BytesIO(content))
    except Exception as problem:  # scipy raises many kinds of errors for damaged files
        raise DataError(f"'{path}' is not a MATLAB file of version 5, or is damaged ({problem})") from None
    found = []
    for name in names:
        if name not in arrays:
            known = [n for n in arrays if not n.startswith("__")]
            raise DataError(
                f"'{path}' has no '{name}'; it has {', '.join(known) or 'nothing'}. Name the parts with data.train, "
                "data.validation and data.test"
            )
        pieces = [arrays[name]] if hasattr(arrays[name], "toarray") else arrays[name].ravel()
        found.append([_example(path, f"{name}[{i}]", roll) for i, roll in enumerate(pieces)])
    widths = {len(e.x[0]) for part in found for e in part if len(e.x)}
    if len(widths) > 1:
        raise DataError(f"'{path}': all pieces must have the same keys, got frames of {sorted(widths)}")
    return found


def _example(path: Path, name: str, roll: Any) -> Example:
    if hasattr(roll, "toarray"):  # a sparse matrix
        roll = roll.toarray()
    shape: tuple[int, ...] = getattr(roll, "shape", ())
    kind = getattr(getattr(roll, "dtype", None), "kind", "")
    if len(shape) != 2 or kind not in "buif" or shape[0] < 2:
        raise DataError(f"'{path}': {name} must be a matrix (2 steps or more, keys), got {shape}")
    frames = torch.from_numpy(roll.astype("float32"))
    if not ((frames == 0) | (frames == 1)).all():
        raise DataError(f"'{path}': {name} must hold zeros and ones, got values from {frames.min()} to {frames.max()}")
    return Example(frames[:-1], frames[1:], name)
