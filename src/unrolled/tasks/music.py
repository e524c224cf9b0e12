"""Music and other multi-hot sequences: which keys sound in the next frame."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..errors import DataError
from ..files.read import read_bytes
from ..files.toml import Sections
from ..sequence.losses import bce
from ..train import random_states
from ..train.run_folder import Config
from .defaults import BY_TASK
from .options import Options, resolve
from .sequences import Example, Parts, SequenceTask, lengths_text

PARTS = ("traindata", "validdata", "testdata")


@dataclass(frozen=True)
class MusicData:
    """[data] of music: the names of the three parts in the file."""

    train: str = PARTS[0]
    validation: str = PARTS[1]
    test: str = PARTS[2]
    predicts: ClassVar[str] = "the next frame"


class Music(SequenceTask):
    """Next-frame prediction of binary vectors, from a MATLAB file of cell arrays with one (steps, keys) matrix of zeros
    and ones for each piece (Boulanger-Lewandowski, Bengio and Vincent 2012).

    A frame is predicted from those before it, the first one excepted, as in Bai, Kolter and Koltun (2018). The loss is
    the negative log-likelihood in nats per frame: summed over keys, averaged over frames.
    """

    name: ClassVar[str] = "music"
    unit: ClassVar[str] = "nats per frame"
    steps: ClassVar[str] = "frames"
    section: ClassVar[type | None] = MusicData
    defaults: ClassVar[Sections] = BY_TASK["music"]

    def __init__(self, keys: int, circuit: Circuit, options: Options, source: dict[str, str]) -> None:
        self.keys, self.circuit, self.options, self.source = keys, circuit, options, source
        self.model = options.sequence_model(circuit, keys, keys)

    @classmethod
    def read(cls, path: Path, circuit: Circuit, options: Options) -> Music:
        content = read_bytes(path, "a MATLAB file of piano rolls")
        names = (options.data.train, options.data.validation, options.data.test)
        parts = Parts(*read_rolls(path, content, names)).check(f"'{path}'")
        source = {"path": str(path.absolute()), "sha256": hashlib.sha256(content).hexdigest()}
        random_states.seed(options.reading.seed)
        task = cls(parts.train[0].x.shape[1], circuit, options, source)
        task.parts = parts
        return task

    @classmethod
    def stored(cls, config: Config) -> Music:
        options = resolve(config.get("options", dict), cls.section)
        return cls(config.get("description.keys", int), config.circuit(), options, config.get("source", dict))

    def cost(self, scores: Tensor, y: Tensor) -> Tensor:
        return bce(scores, y)

    def result(self) -> dict[str, float]:
        return {"nats_per_frame": self.mean_cost(self.data.test), "by_frequency_alone": self.frequency_cost()}

    def frequency_cost(self) -> float:
        """What guessing each key by its frequency in the training part costs, in nats per frame."""
        train, test = (torch.cat([e.y for e in part]).double() for part in (self.data.train, self.data.test))
        share = (train.sum(0) + 1) / (len(train) + 2)
        return float(nn.functional.binary_cross_entropy(share.expand_as(test), test, reduction="sum")) / len(test)

    def summary(self) -> list[tuple[str, str]]:
        parts = self.data
        counts = f"{len(parts.train)} to learn from, {len(parts.validation)} to choose by, {len(parts.test)} held out"
        return [("pieces", f"{counts}; {self.keys} keys"), ("lengths", lengths_text(parts.train, "frames"))]

    def description(self) -> dict[str, Any]:
        return {"keys": self.keys}

    def evaluate(self, path: Path) -> dict[str, Any]:
        """Nats per frame of the test part of a file."""
        content = read_bytes(path, "a MATLAB file of piano rolls")
        (test,) = read_rolls(path, content, (self.options.data.test,))
        self._check_keys(path, test)
        known = hashlib.sha256(content).hexdigest() == self.source["sha256"]
        frames = sum(len(e.y) for e in test)
        return {"nats_per_frame": self.mean_cost(test), "frames": frames, "pieces": len(test), "held_out": known}

    def chosen(self, path: Path) -> list[Example]:
        content = read_bytes(path, "a MATLAB file of piano rolls")
        known = hashlib.sha256(content).hexdigest() == self.source["sha256"]
        (examples,) = read_rolls(path, content, (self.options.data.validation if known else self.options.data.test,))
        self._check_keys(path, examples)
        return examples

    def predict(self, path: Path) -> Iterator[dict[str, Any]]:
        """For every frame of the test part, the probability of each key in the next one."""
        (test,) = read_rolls(path, read_bytes(path, "a MATLAB file of piano rolls"), (self.options.data.test,))
        self._check_keys(path, test)
        for example in test:
            scores, _ = next(self.score([example]))
            for step, row in enumerate(torch.sigmoid(scores).tolist(), 1):
                keys = {f"key_{key}": round(share, 6) for key, share in enumerate(row)}
                yield {"piece": example.name, "frame": step, **keys}

    def _check_keys(self, path: Path, examples: list[Example]) -> None:
        keys = examples[0].x.shape[1] if examples else self.keys
        if keys != self.keys:
            raise DataError(f"'{path}' has frames of {keys} keys; the model reads {self.keys}")


def read_rolls(path: Path, content: bytes, names: tuple[str, ...]) -> list[list[Example]]:
    """The pieces of some cell arrays of a MATLAB file.

    Raises:
        DataError: not such a file, an array that is missing, a piece that is no matrix of zeros and ones.
    """
    try:
        from scipy.io import loadmat
    except ImportError:
        raise DataError("to read MATLAB files takes scipy: pip install 'unrolled[music]'") from None
    try:
        arrays = loadmat(io.BytesIO(content))
    except Exception as problem:  # scipy has many ways to say that a file is damaged
        raise DataError(f"'{path}' is no MATLAB file of version 5, or is damaged ({problem})") from None
    found = []
    for name in names:
        if name not in arrays:
            known = [n for n in arrays if not n.startswith("__")]
            raise DataError(
                f"'{path}' has no '{name}'; it has {', '.join(known) or 'nothing'}. Say what the parts are called with "
                "data.train, data.validation and data.test"
            )
        rolls = [(f"{name}[{i}]", roll) for i, roll in enumerate(arrays[name].ravel())]
        found.append([_example(path, which, roll) for which, roll in rolls])
    widths = {len(e.x[0]) for part in found for e in part if len(e.x)}
    if len(widths) > 1:
        raise DataError(f"'{path}': all pieces must have the same keys, got frames of {sorted(widths)}")
    return found


def _example(path: Path, name: str, roll: Any) -> Example:
    shape: tuple[int, ...] = getattr(roll, "shape", ())
    kind = getattr(getattr(roll, "dtype", None), "kind", "")
    if len(shape) != 2 or kind not in "buif" or shape[0] < 2:
        raise DataError(f"'{path}': {name} must be a matrix (2 steps or more, keys), got {shape}")
    frames = torch.from_numpy(roll.astype("float32"))
    if not ((frames == 0) | (frames == 1)).all():
        raise DataError(f"'{path}': {name} must hold zeros and ones, got values from {frames.min()} to {frames.max()}")
    return Example(frames[:-1], frames[1:], name)
