"""Voice: the class of a recording, from its log-mel features."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from ..errors import DataError, UsageError, check_choice, did_you_mean
from ..files.checked import Checked
from ..files.folder import SYSTEM
from ..nn.model import Answer
from .augment import varied
from .example import Example, divided
from .given import completed, described, fingerprint, matches, parts_of_folders, shares, without_part
from .goal import Class, Goal
from .reading import Reading
from .recordings import COMMON, MELS, Recording, compute_features, other_files, read_folder, sha256_of
from .sequences import ScoredKind, Sequences

LEAST = 2  # recordings of a class
LEVELS = ("bands", "recording", "absolute")
RANGE = 8.0  # nepers of power (35 dB) from the loudest feature of a recording to silence
ANSWERS: dict[str, Answer] = {"recording": "mean", "last": "last", "frame": "every"}
Names = Sequence[Sequence[str]]  # the names for training, validation and testing


@dataclass(frozen=True)
class VoiceOptions:
    """[data] of voice.

    label: where the label of a recording comes from: the 'folder' that it is in, or the 'name' of its file up to the
        first _. By default the folder, if there are subfolders.
    answer: what is classified: a 'recording', by the mean over its frames; a recording by its 'last' frame alone, so
        that the network has to remember what it has heard; or each 'frame', as its recording is labelled.
    test: a pattern of file names such as *_[0-4].wav, or of paths such as test/*, for the test data. By default a tenth
        of the recordings.
    validation: the share of the other recordings that is used for validation. Folders train/, valid/ and test/ are
        taken as they are.
    level: 'recording' measures the features of a recording from its own loudest one, and takes what is RANGE nepers
        below it for silence, so that microphones, rooms and distances matter less; 'bands' then also subtracts the
        mean of each band over the recording, so that voices matter less (Atal 1974); 'absolute' leaves them as they
        are.
    augment: vary the training recordings in every pass, as if other people had spoken: see ``augment.varied``.
    skip_unreadable: skip recordings that cannot be read, and report their number.
    """

    label: str = ""
    answer: str = "recording"
    test: str = ""
    validation: float = 0.1
    level: str = "bands"
    augment: bool = True
    skip_unreadable: bool = False

    def __post_init__(self) -> None:
        if self.label:
            check_choice("data.label", self.label, ("folder", "name"))
        check_choice("data.answer", self.answer, ANSWERS)
        check_choice("data.level", self.level, LEVELS)
        if not 0 < self.validation < 1:
            raise UsageError(f"data.validation must be a share between 0 and 1, got {self.validation}")


@dataclass(frozen=True)
class Voice(ScoredKind):
    """The class of a recording, from its log-mel features (see ``LogMel``), each scaled by its mean and standard
    deviation over the training recordings.

    Recordings are divided into training, validation and test data by their names alone, so that every machine has the
    same ones.
    """

    name: ClassVar[str] = "voice"
    Options: ClassVar[type] = VoiceOptions
    unit = "nats per answer"
    steps, read_steps = "answers", "frames of 10 ms"
    inputs = MELS
    goal: ClassVar[Goal] = Class()

    options: VoiceOptions
    classes: list[str]
    rate: int
    mean: list[float]
    deviation: list[float]

    @classmethod
    def learn(cls, path: Path, options: VoiceOptions, reading: Reading) -> Sequences:
        """Raises DataError for recordings that cannot be read (unless they are skipped), that have different sample
        rates or no label, and for classes with too few recordings."""
        recordings, skipped = read_folder(path, options.skip_unreadable)
        rate = _only_rate(path, recordings)
        labels = _labels(path, recordings, options.label)
        _check_folders(path, list(recordings))
        parts = _parts(path, labels, options, reading)
        compute_features(recordings)
        train = torch.cat([levelled(recordings[name].features, options.level) for name in parts[0]])
        mean, deviation = train.mean(0), train.std(0).clamp(min=1e-3)
        kind = cls(options, reading, sorted(set(labels.values())), rate, mean.tolist(), deviation.tolist())
        return kind._data(path, recordings, skipped, labels, parts, known=True)

    @classmethod
    def stored(cls, options: VoiceOptions, reading: Reading, description: Checked) -> Self:
        classes, rate = description.list_of("classes", str), description.get("rate", int)
        mean, deviation = (description.list_of(name, float, MELS) for name in ("mean", "deviation"))
        if not classes or rate < 1:
            description.refuse("'classes' must not be empty, and 'rate' must be above 0")
        return cls(_of_its_version(options, description), reading, classes, rate, mean, deviation)

    @classmethod
    def learn_again(cls, path: Path, options: VoiceOptions, reading: Reading, description: Checked) -> Sequences:
        return cls.learn(path, _of_its_version(options, description), reading)

    def read(self, path: Path, sha256: str) -> Sequences:
        recordings, skipped = read_folder(path, self.options.skip_unreadable)
        known = fingerprint(sha256_of(recordings), self.reading) == sha256
        labels = _labels(path, recordings, self.options.label)
        strange = sorted(set(labels.values()) - set(self.classes))
        if strange:
            hint = did_you_mean(strange[0], self.classes) or f". It knows {_few(self.classes)}"
            raise DataError(f"'{path}' has recordings of '{strange[0]}', a class that the model does not know{hint}")
        parts = _parts(path, labels, self.options, self.reading) if known else [list(recordings)] * 3
        return self._data(path, recordings, skipped, labels, parts, known)

    def _data(
        self,
        path: Path,
        recordings: dict[str, Recording],
        skipped: list[str],
        labels: dict[str, str],
        parts: Names,
        known: bool,
    ) -> Sequences:
        compute_features(recordings)
        made = {name: self.example(name, recordings[name], labels[name]) for part in parts for name in part}
        own = [[made[name] for name in part] for part in parts]
        train, validation, test = self.with_given((own[0], own[1], own[2]), known)
        number = Counter(labels[name] for name in parts[0])
        rare = min(self.classes, key=lambda label: number[label])
        classes = f"{len(self.classes)}: {_few(self.classes)}; fewest of '{rare}' ({number[rare]})"
        about = [("voices", f"{self.rate:,} Hz"), ("classes", classes)]
        about += described(path, list(recordings), self.reading) if known and not self.options.test else []
        if others := other_files(path):
            about.append(("without", others))
        if skipped:
            about.append(("skipped", f"{len(skipped)} unreadable: {_few(skipped)}"))
        counts, sha256 = {"recordings": len(test), "skipped": len(skipped)}, sha256_of(recordings)
        sha256 = fingerprint(sha256, self.reading) if known else sha256
        return Sequences(self, path, sha256, known, (train, validation, test), counts, tuple(about))

    def description(self) -> dict[str, Any]:
        scales = {"mean": self.mean, "deviation": self.deviation}
        early = self.options.level == "absolute" and not self.options.augment  # as version 0.1 wrote it
        level = {} if early else {"level": self.options.level}
        return {"classes": self.classes, "rate": self.rate, **scales, **level}

    @property
    def outputs(self) -> int:
        return len(self.classes)

    @property
    def answer(self) -> Answer:
        return ANSWERS[self.options.answer]

    def example(self, name: str, recording: Recording, label: str | None = None) -> Example:
        """The scaled features of a recording, and the number of its class.

        Raises:
            DataError: it has another sample rate than those that the model learned from.
        """
        if recording.rate != self.rate:
            raise DataError(f"'{name}' has {recording.rate} Hz; the model reads {self.rate} Hz. Convert it first")
        x = self._scaled(levelled(recording.features, self.options.level))
        y = torch.tensor(self.classes.index(label) if label is not None else 0)
        return Example(x, y.expand(len(x)) if self.answer == "every" else y, name)

    def _scaled(self, features: Tensor) -> Tensor:
        return (features - torch.tensor(self.mean)) / torch.tensor(self.deviation)

    def vary(self, example: Example, generator: torch.Generator) -> Example:
        if not self.options.augment:
            return example
        features = example.x * torch.tensor(self.deviation) + torch.tensor(self.mean)
        x = self._scaled(levelled(varied(features, generator), self.options.level))
        return example._replace(x=x, y=example.y[:1].expand(len(x)) if example.y.ndim else example.y)

    def class_of(self, file: Path) -> str:
        """The class that the folder or the name of a recording says; '' if neither does."""
        said = {"folder": file.absolute().parent.name, "name": file.stem.partition("_")[0]}
        how = self.options.label
        return next((label for label in ([said[how]] if how else said.values()) if label in self.classes), "")

    def examples(self, path: Path) -> list[Example]:
        recordings, _ = read_folder(path, self.options.skip_unreadable)
        return [self.example(name, recording) for name, recording in recordings.items()]

    def rows(self, example: Example, scores: Tensor) -> Iterator[dict[str, Any]]:
        """The class of the recording, or of each frame, and its probability."""
        for frame, p in enumerate(torch.softmax(scores, -1)):
            where = {"recording": example.name, **({"frame": frame} if self.answer == "every" else {})}
            yield {**where, "class": self.classes[int(p.argmax())], "probability": round(float(p.max()), 6)}


def _of_its_version(options: VoiceOptions, description: Checked) -> VoiceOptions:
    """The options of a run. Version 0.1 knew no levels and no augmentation, and its description has no level."""
    return options if "level" in description.values else replace(options, level="absolute", augment=False)


def levelled(features: Tensor, level: str) -> Tensor:
    """Features (frames, bands) as logarithms of the share of the loudest one, down to -RANGE ('recording'); the same
    minus the mean of each band ('bands'); or as they are.

    >>> levelled(torch.tensor([[1.0, 3.0], [-9.0, 2.0]]), "recording")
    tensor([[-2.,  0.],
            [-8., -1.]])
    >>> levelled(torch.tensor([[1.0, 3.0], [-9.0, 2.0]]), "bands")
    tensor([[ 3.0000,  0.5000],
            [-3.0000, -0.5000]])
    """
    if level == "absolute":
        return features
    relative = (features - features.max()).clamp(min=-RANGE)
    return relative - relative.mean(0) if level == "bands" else relative


def _only_rate(path: Path, recordings: dict[str, Recording]) -> int:
    """The sample rate that all recordings have."""
    rates = Counter(recording.rate for recording in recordings.values())
    usual, *others = (rate for rate, _ in rates.most_common(2))
    if others:
        strange = next(name for name, recording in recordings.items() if recording.rate == others[0])
        raise DataError(
            f"'{path}' has recordings of {len(rates)} sample rates: {rates[usual]} of {usual} Hz, but '{strange}' "
            f"has {others[0]} Hz. Convert them to one rate, for example with:\n"
            f"  sox {Path(strange).name} -r {usual} converted.wav"
        )
    return usual


def _labels(path: Path, recordings: dict[str, Recording], how: str) -> dict[str, str]:
    """The label of each recording: its folder, or the first part of its name."""
    names = {name: Path(without_part(name)) for name in recordings}
    by_folder = how == "folder" or (not how and any("/" in name.as_posix() for name in names.values()))
    labels = {n: (at.parent.name if by_folder else at.stem.partition("_")[0]) for n, at in names.items()}
    nameless = [name for name, label in labels.items() if not label]
    if nameless:
        raise DataError(
            f"'{path}': the recording '{nameless[0]}' has no label. Put it into a folder with the label's name, or "
            "rename it to LABEL_anything.wav and add --set data.label=name"
        )
    return labels


def _check_folders(path: Path, names: list[str]) -> None:
    """Refuse a folder without recordings beside those of the classes."""
    within = {(path / name).parent for name in names} - {path}
    for folder in sorted(f for parent in {f.parent for f in within} for f in parent.iterdir() if f.is_dir()):
        if not folder.name.startswith(SYSTEM) and not any(folder in (w, *w.parents) for w in within):
            raise DataError(
                f"'{path}': class '{folder.name}' has no recordings ({COMMON}). Add some, or remove the folder"
            )


def _parts(path: Path, labels: dict[str, str], options: VoiceOptions, reading: Reading) -> Names:
    """The names for training, validation and testing. Each class has at least one recording for training."""
    names, counts = list(labels), Counter(labels.values())
    if len(counts) < 2:
        raise DataError(f"'{path}' has one class only, '{next(iter(counts))}'; classification needs two or more")
    brought = parts_of_folders(path, names) if not options.test else None
    test = [n for n in names if options.test and matches(n, options.test)]
    if options.test and not test:
        raise DataError(f"'{path}' has no recording that matches data.test='{options.test}'; it has '{names[0]}'")
    rest = [n for n in names if n not in set(test)]
    share, of_test = shares(reading, options.validation, 0.0 if test else 0.1)
    number = divided(rest, (1 - of_test - share, share, of_test))
    if brought:
        number = completed([brought[n] for n in rest], rest, (share, of_test))
    train, validation, drawn = ([n for n, part in zip(rest, number, strict=True) if part == k] for k in range(3))
    for label, count in sorted(counts.items()):
        if count < LEAST or not any(labels[n] == label for n in train):
            raise DataError(
                f"'{path}': class '{label}' has {count} recording{'s' * (count > 1)}, so none is left for training. "
                "Add more, or remove the class"
            )
    return train, validation, test or drawn


def _few(names: list[str]) -> str:
    return ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
