"""What a trained model reads: a piece of a text, a recording, a piece of music, rows of a table."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DataError, UsageError
from ..files.read import read_bytes, read_text
from ..sources import LogMel
from ..tasks.language_run import Language, printable
from ..tasks.music import Music, read_rolls
from ..tasks.recordings import Sound
from ..tasks.registry import check_readable, trained
from ..tasks.sequences import Example
from ..tasks.table import Table
from ..tasks.task import Task
from ..tasks.text import Vocabulary
from ..tasks.vocabulary import Units
from ..tasks.voice import Voice, read_folder
from .readout import Goal
from .subject import Reading, Subject, Track, of_model

READS = {
    "language": "a text",
    "voice": "a recording",
    "music": "a MATLAB file of music",
    "table": "a table (CSV, Parquet)",
}
PER = 4  # points of a waveform to a step


def of_run(run: Path, data: Path | None, first: int, steps: int, piece: int = 1) -> Subject:
    """A trained model, reading a piece of its kind of data.

    Args:
        first, steps: the step to begin with, and how many at most.
        piece: which recording of a folder, piece of music or sequence of a table, from 1.

    Raises:
        DataError: no run, or data that its model cannot read.
        UsageError: no data.
    """
    task = trained(run)
    if data is None:
        raise UsageError(f"say what the network of '{run}' is to read: --data FILE, {READS[task.name]}")
    if isinstance(task, Language):
        reading = of_text(task.vocabulary, read_text(data), data, first, steps, task.piece)
    else:
        check_readable(task, data)
        reading = _of_sequence(task, data, first, steps, piece)
    return of_model(run.name or str(run), task.model, reading)


def of_text(units: Units, text: str, path: Path | None, first: int, steps: int, unit: str = "character") -> Reading:
    """A piece of a text: each unit is read, and the one after it should come."""
    window = slice(first - 1, first + steps)
    if isinstance(units, Vocabulary):
        _check_characters(units, text, path, first, steps)
        count, piece = len(text), text[window]
        numbers, shown = units.encode(piece), tuple(piece)
    else:
        series = units.encode(text)
        count, numbers = len(series), series[window]
        shown = tuple(_shown(units, number) for number in numbers.tolist())
    if len(numbers) < 2:
        raise DataError(
            (f"'{path.name}'" if path else "the text")
            + f" has {count} {unit}s; to read one and predict the next takes two or more"
            + f" from --first {first} on" * (first > 1)
        )
    last = first + len(numbers) - 2
    read = f"Of the {count:,} {unit}s of {path.name if path else ''}, the network reads number {first:,} to {last:,}."
    vocabulary = tuple(_shown(units, number) for number in range(len(units)))
    return Reading(numbers[:-1], numbers[1:], "class", (read,) if path else (), shown, vocabulary)


def _shown(units: Units, number: int) -> str:
    """A unit as text; bytes that are none by themselves as their number."""
    return "".join(units.texts([number])) or f"\\{number:02x}"


def _check_characters(vocabulary: Vocabulary, text: str, path: Path | None, first: int, steps: int) -> None:
    unknown = vocabulary.unknown(text[first - 1 : first + steps])
    if unknown:
        at = text.index(unknown.character, first - 1)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        raise DataError(
            f"{path}:{line}:{column}: the character {unknown.character!r} is none of the {len(vocabulary)} "
            f"that the model has learned:\n  {printable(vocabulary.characters)}"
        )


def _of_sequence(task: Task, data: Path, first: int, steps: int, piece: int) -> Reading:
    """A stretch of one sequence of a data set that holds some."""
    if isinstance(task, Voice):
        reading, unit = _recording(task, data, piece), "frames"
    elif isinstance(task, Music):
        reading, unit = _music(task, data, piece), "frames"
    else:
        assert isinstance(task, Table)
        reading, unit = _table(task, data, piece), "rows"
    length, stop = len(reading.x), min(first + steps - 1, len(reading.x))
    if first > length:
        raise DataError(f"'{data}' has {length} {unit} to read; --first {first} is behind its end")
    read = f"It is read from {unit[:-1]} {first:,} to {stop:,} of {length:,}."
    track = reading.track
    assert track is not None
    window = slice((first - 1) * track.per, stop * track.per)
    return replace(
        reading,
        x=reading.x[first - 1 : stop],
        y=reading.y[first - 1 : stop],
        notes=(*reading.notes, read),
        track=replace(track, values=track.values[window]),
    )


def _recording(task: Voice, path: Path, piece: int) -> Reading:
    """A recording: what should come is its class, by its name, at each step."""
    files, _ = read_folder(path, skip_unreadable=False)
    name = _chosen(path, list(files), piece, "recordings")
    samples, rate, _ = files[name]
    example = task.heard(name, samples, rate)
    label = task.class_of(path / name if path.is_dir() else path)
    if label:
        right, note = task.classes.index(label), f"'{name}' is of the class '{label}'."
    else:
        scores, _ = next(task.score([example]))
        right = int(scores.sum(0).argmax())
        note = f"The name of '{name}' says no class that the model knows; the likeliest is '{task.classes[right]}'."
    y = torch.full((len(example.x),), right)
    hop = LogMel(Sound(samples, rate)).hop
    track = Track("audio", envelope(samples, hop, len(example.x)), ("least", "most"), PER, hop / rate)
    return Reading(example.x.double(), y, "class", (note,), vocabulary=tuple(task.classes), track=track)


def envelope(samples: Tensor, hop: int, frames: int) -> Tensor:
    """The least and the most of the samples (steps,) in each quarter of a frame: (4 · frames, 2)."""
    padded = torch.nn.functional.pad(samples, (0, max(0, frames * hop - len(samples))))
    parts = padded[: frames * hop].reshape(frames, hop)
    edges = [math.ceil(hop * k / PER) for k in range(PER + 1)]
    found = [parts[:, a:b].aminmax(dim=1) for a, b in pairwise(edges)]
    return torch.stack([torch.stack([low, high], 1) for low, high in found], 1).reshape(-1, 2)


def _music(task: Music, path: Path, piece: int) -> Reading:
    """A piece of music: after each frame the next one should come."""
    (examples,) = read_rolls(path, read_bytes(path, "a MATLAB file of piano rolls"), (task.options.data.test,))
    name = _chosen(path, [e.name for e in examples], piece, "pieces")
    example = next(e for e in examples if e.name == name)
    if example.x.shape[1] != task.keys:
        raise DataError(f"'{path}' has frames of {example.x.shape[1]} keys; the model reads {task.keys}")
    keys = tuple(f"key {k + 1}" for k in range(task.keys))
    return _rows(example, "binary", f"The piece is {name}.", (), Track("rows", example.x, keys))


def _table(task: Table, path: Path, piece: int) -> Reading:
    """A sequence of rows, as far as it is known what should come."""
    sequences = task.sequences(path)
    name = _chosen(path, [r.name for r in sequences], piece, "sequences")
    rows = next(r for r in sequences if r.name == name)
    example = task.example(rows)
    if not task.every:
        example = example._replace(y=example.y.expand(len(example.x)))
    known = torch.isfinite(example.y.double().reshape(len(example.x), -1)).all(1)
    count = len(known) if known.all() else int(known.int().argmin())
    if not count:
        raise DataError(f"'{path}' has no row after which it is known what should come: two rows or more are needed")
    track = Track("rows", torch.from_numpy(rows.x[:count]), tuple(task.inputs))
    cut = example._replace(x=example.x[:count], y=example.y[:count])
    goal: Goal = "number" if task.goal == "forecast" else "class"
    return _rows(cut, goal, f"The sequence is '{name}'." if name else "", tuple(task.classes), track)


def _rows(example: Example, goal: Goal, note: str, vocabulary: tuple[str, ...], track: Track) -> Reading:
    y = example.y.double() if goal != "class" else example.y
    return Reading(example.x.double(), y, goal, (note,) if note else (), vocabulary=vocabulary, track=track)


def _chosen(path: Path, names: list[str], piece: int, what: str) -> str:
    if piece > len(names):
        raise UsageError(f"'{path}' has {len(names)} {what}; --piece {piece} is none of them")
    return names[piece - 1]
