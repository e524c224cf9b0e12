"""Voice: folders of recordings, each with a label; one answer per recording, or one per frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import DataError, UsageError, did_you_mean
from ..files.toml import Sections
from ..nn.model import Answer
from ..sequence.losses import nll
from ..train import random_states
from ..train.run_folder import Config
from .defaults import BY_TASK
from .options import Options, resolve
from .recordings import MELS, log_mel, read_recording
from .registry import RECORDINGS, sha256_of
from .sequences import Example, Parts, SequenceTask, drawn_apart, lengths_text

LEAST = 2  # recordings of a class
ANSWERS: dict[str, Answer] = {"recording": "mean", "last": "last", "frame": "every"}


@dataclass(frozen=True)
class VoiceData:
    """[data] of voice.

    label: 'folder' (the folder a recording is in), or 'name' (the file's name up to the first _); '' decides: by folder
        where there are folders.
    answer: 'recording' (one answer for each, from the mean over what the network says at its frames), 'last' (one for
        each, from the last frame alone: the network has to remember what it has heard), or 'frame' (an answer at every
        frame, the label of its recording).
    test: the recordings held out, as a pattern of names such as *_[0-4].wav; '' holds out a tenth.
    validation: share of the others by which the best model is chosen.
    skip_unreadable: leave out recordings that cannot be read, and say how many.
    """

    label: str = ""
    answer: str = "recording"
    test: str = ""
    validation: float = 0.1
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        for name, known in (("label", ("", "folder", "name")), ("answer", tuple(ANSWERS))):
            value = getattr(self, name)
            if value not in known:
                hint = did_you_mean(value, known) or f". It is {' or '.join(k for k in known if k)}"
                raise UsageError(f"data.{name} cannot be '{value}'{hint}")
        if not 0 < self.validation < 1:
            raise UsageError(f"data.validation must be a share between 0 and 1, got {self.validation}")


class Voice(SequenceTask):
    """Which class a recording belongs to, from its log-mel features (see ``LogMel``), each scaled by its mean and
    deviation over the training part.

    The recordings that are held out, and those that choose the best model, are drawn by their names alone: the same
    ones on every machine and in every order.
    """

    name: ClassVar[str] = "voice"
    unit: ClassVar[str] = "nats per answer"
    steps: ClassVar[str] = "answers"
    section: ClassVar[type | None] = VoiceData
    defaults: ClassVar[Sections] = BY_TASK["voice"]

    skipped: list[str]

    def __init__(self, description: dict[str, Any], circuit: Circuit, options: Options, source: dict[str, str]) -> None:
        self.classes, self.rate = description["classes"], description["rate"]
        self.shift, self.scale_by = description["mean"], description["deviation"]
        self.circuit, self.options, self.source, self.skipped = circuit, options, source, []
        self.every = options.data.answer == "frame"  # type: ignore[misc]
        self.model = options.sequence_model(circuit, MELS, len(self.classes), ANSWERS[options.data.answer])

    @classmethod
    def read(cls, path: Path, circuit: Circuit, options: Options) -> Voice:
        """The task of learning from a folder of recordings.

        Raises:
            DataError: recordings that cannot be read (unless they are skipped), of mixed sample rates, without a label;
                classes with too few, or none.
        """
        files, skipped = read_folder(path, options.data.skip_unreadable)
        rates = Counter(rate for _, rate, _ in files.values())
        if len(rates) > 1:
            usual, other = (rate for rate, _ in (rates.most_common(2)))
            strange = next(name for name, (_, rate, _) in files.items() if rate == other)
            raise DataError(
                f"'{path}' has recordings of {len(rates)} sample rates: {rates[usual]} of {usual} Hz, but '{strange}' "
                f"has {other} Hz. Convert them to one, for example with:\n"
                f"  sox {Path(strange).name} -r {usual} converted.wav"
            )
        labels = _labels(path, list(files), options.data.label)
        _check_folders(path, list(files))
        classes = sorted(set(labels.values()))
        parts = _parts(path, labels, options.data)
        features = {name: log_mel(samples, rate) for name, (samples, rate, _) in files.items()}
        train = torch.cat([features[name] for name in parts[0]])
        source = {
            "path": str(path.absolute()),
            "sha256": sha256_of({n: content for n, (_, _, content) in files.items()}),
        }
        description = {
            "classes": classes,
            "rate": rates.most_common(1)[0][0],
            "mean": train.mean(0).tolist(),
            "deviation": train.std(0).clamp(min=1e-3).tolist(),
        }
        random_states.seed(options.reading.seed)
        task = cls(description, circuit, options, source)
        made = [[task.example(name, features[name], labels[name]) for name in part] for part in parts]
        task.parts, task.skipped = Parts(*made).check(f"'{path}'"), skipped
        return task

    @classmethod
    def stored(cls, config: Config) -> Voice:
        options = resolve(config.get("options", dict), cls.section)
        description = config.get("description", dict)
        classes, rate = config.get("description.classes", list), config.get("description.rate", int)
        for name in ("mean", "deviation"):
            values = config.get(f"description.{name}", list)
            if len(values) != MELS or not all(isinstance(v, float) for v in values):
                config.refuse(f"'{name}' must hold {MELS} numbers")
        if not classes or not all(isinstance(c, str) for c in classes) or rate < 1:
            config.refuse("'classes' must hold texts, and 'rate' be above 0")
        return cls(description, config.circuit(), options, config.get("source", dict))

    def example(self, name: str, features: Tensor, label: str | None = None) -> Example:
        """The features of a recording, scaled, with the number of its class."""
        scaled = (features - torch.tensor(self.shift)) / torch.tensor(self.scale_by)
        number = torch.tensor(self.classes.index(label) if label is not None else 0)
        return Example(scaled, number.expand(len(scaled)) if self.every else number, name)

    def heard(self, name: str, samples: Tensor, rate: int, label: str | None = None) -> Example:
        """A recording that the model did not learn from, as ``example`` gives those that it did."""
        if rate != self.rate:
            raise DataError(f"'{name}' has {rate} Hz; the model reads {self.rate} Hz. Convert it first")
        return self.example(name, log_mel(samples, rate), label)

    def class_of(self, file: Path) -> str:
        """The class that the folder or the name of a recording says; '' if neither does."""
        said = {"folder": file.absolute().parent.name, "name": file.stem.partition("_")[0]}
        how = self.options.data.label
        return next((label for label in ([said[how]] if how else said.values()) if label in self.classes), "")

    def cost(self, scores: Tensor, y: Tensor) -> Tensor:
        return nll(scores, y)

    def accuracy(self, examples: list[Example]) -> float:
        """The share of answers that are right."""
        pairs = [(int((scores.argmax(-1) == y).sum()), len(y)) for scores, y in self.score(examples)]
        return sum(right for right, _ in pairs) / max(sum(count for _, count in pairs), 1)

    def result(self) -> dict[str, float]:
        labels = torch.stack([e.y.reshape(-1)[0] for e in self.data.test])
        commonest = float(torch.bincount(labels).max()) / len(labels)
        return {"accuracy": self.accuracy(self.data.test), "by_the_commonest_class": commonest}

    def summary(self) -> list[tuple[str, str]]:
        parts, counts = self.data, Counter(int(e.y.reshape(-1)[0]) for e in self.data.train)
        sizes = f"{len(parts.train)} to learn from, {len(parts.validation)} to choose by, {len(parts.test)} held out"
        rare = min(range(len(self.classes)), key=lambda number: counts[number])
        lines = [
            ("voices", f"{sizes}; {self.rate:,} Hz"),
            (
                "classes",
                f"{len(self.classes)}: {_few(self.classes)}; fewest of '{self.classes[rare]}' ({counts[rare]})",
            ),
            ("lengths", lengths_text(parts.train, "frames of 10 ms")),
        ]
        if self.skipped:
            lines.append(("skipped", f"{len(self.skipped)} that cannot be read: {_few(self.skipped)}"))
        return lines

    def description(self) -> dict[str, Any]:
        return {"classes": self.classes, "rate": self.rate, "mean": self.shift, "deviation": self.scale_by}

    def evaluate(self, path: Path) -> dict[str, Any]:
        """The share of right answers on a folder of recordings; of the folder it learned from, on the held-out ones."""
        examples, skipped, known = self._heard(path, part=2)
        return {
            "accuracy": self.accuracy(examples),
            "recordings": len(examples),
            "skipped": len(skipped),
            "held_out": known,
        }

    def chosen(self, path: Path) -> list[Example]:
        return self._heard(path, part=1)[0]

    def _heard(self, path: Path, part: int) -> tuple[list[Example], list[str], bool]:
        """The recordings of a folder, of the one it learned from a part; those that are skipped; whether it is that."""
        files, skipped = read_folder(path, self.options.data.skip_unreadable)
        known = sha256_of({n: content for n, (_, _, content) in files.items()}) == self.source["sha256"]
        labels = _labels(path, list(files), self.options.data.label)
        strange = sorted(set(labels.values()) - set(self.classes))
        if strange:
            hint = did_you_mean(strange[0], self.classes) or f". It knows {_few(self.classes)}"
            raise DataError(f"'{path}' has recordings of '{strange[0]}', a class that the model has not learned{hint}")
        names = _parts(path, labels, self.options.data)[part] if known else list(files)
        return [self.heard(name, *files[name][:2], labels[name]) for name in names], skipped, known

    def predict(self, path: Path) -> Iterator[dict[str, Any]]:
        """The class of each recording, and how probable it is."""
        files, _ = read_folder(path, self.options.data.skip_unreadable)
        for name, (samples, rate, _) in files.items():
            scores, _ = next(self.score([self.heard(name, samples, rate)]))
            for frame, row in enumerate(torch.softmax(scores, -1)):
                where = {"recording": name, **({"frame": frame} if self.every else {})}
                yield {**where, "class": self.classes[int(row.argmax())], "probability": round(float(row.max()), 6)}


Files = dict[str, tuple[Tensor, int, bytes]]


def read_folder(path: Path, skip_unreadable: bool) -> tuple[Files, list[str]]:
    """The recordings of a folder and of those in it (or one recording), by name, and those that cannot be read."""
    if path.is_file():
        return {path.name: read_recording(path)}, []
    names = sorted(str(f.relative_to(path)) for f in path.rglob("*") if f.suffix.lower() in RECORDINGS)
    if not names:
        raise DataError(f"'{path}' has no recordings ({', '.join(RECORDINGS)})")
    files: Files = {}
    problems: dict[str, DataError] = {}
    for name in names:
        try:
            files[name] = read_recording(path / name)
        except DataError as problem:
            problems[name] = problem
    if problems and (not skip_unreadable or not files):
        first, more = next(iter(problems.values())), len(problems) - 1
        also = f" {more} more cannot be read either." if more else ""
        raise DataError(f"{first}.{also} Take it out, or leave such out with --set data.skip_unreadable=true")
    return files, list(problems)


def _labels(path: Path, names: list[str], how: str) -> dict[str, str]:
    """The label of each recording: its folder, or the first part of its name."""
    by_folder = how == "folder" or (not how and any("/" in Path(name).as_posix() for name in names))
    labels = {n: (Path(n).parent.name if by_folder else Path(n).stem.partition("_")[0]) for n in names}
    nameless = [name for name, label in labels.items() if not label]
    if nameless:
        raise DataError(
            f"'{path}': the recording '{nameless[0]}' has no label. Put it into a folder of that name, or call it "
            "LABEL_anything.wav and add --set data.label=name"
        )
    return labels


def _check_folders(path: Path, names: list[str]) -> None:
    """Refuse a folder beside those of the classes that has no recording in it."""
    within = {(path / name).parent for name in names} - {path}
    for folder in sorted(f for parent in {f.parent for f in within} for f in parent.iterdir() if f.is_dir()):
        if not folder.name.startswith(".") and not any(folder in (w, *w.parents) for w in within):
            raise DataError(
                f"'{path}': class '{folder.name}' has no recordings ({', '.join(RECORDINGS)}). Put some into the "
                "folder, or take it out"
            )


def _parts(path: Path, labels: dict[str, str], data: VoiceData) -> tuple[list[str], list[str], list[str]]:
    """Names to learn from, to choose by, and held out: each class has at least one to learn from."""
    names = list(labels)
    counts = Counter(labels.values())
    if len(counts) < 2:
        raise DataError(
            f"'{path}' has recordings of one class only, '{next(iter(counts))}'; there is nothing to tell apart"
        )
    test = [n for n in names if data.test and fnmatch(Path(n).name, data.test)]
    if data.test and not test:
        raise DataError(f"'{path}' has no recording like '{data.test}' to be held out; there is '{names[0]}'")
    rest = [n for n in names if n not in set(test)]
    shares = (1 - data.validation, data.validation) if test else (0.9 - data.validation, data.validation, 0.1)
    drawn = drawn_apart(rest, shares)
    train, validation = ([n for n, part in zip(rest, drawn, strict=True) if part == k] for k in (0, 1))
    test = test or [n for n, part in zip(rest, drawn, strict=True) if part == 2]
    for label, count in sorted(counts.items()):
        if count < LEAST or not any(labels[n] == label for n in train):
            raise DataError(
                f"'{path}': class '{label}' has {count} recording{'s' * (count > 1)}, and none is left to learn from. "
                "Give it more, or take the class out"
            )
    return train, validation, test


def _few(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
