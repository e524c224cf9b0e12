"""What a trained model reads: a piece of a text, a recording, a piece of music, rows of a table."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy
import torch
from torch import Tensor

from ..data.characters import Vocabulary
from ..data.forecast.gradual import written
from ..data.forecast.kind import Forecast
from ..data.forecast.parts import steps_known
from ..data.forecast.picture import draw_forecasts
from ..data.goal import Class
from ..data.language import Language, printable
from ..data.music import Music
from ..data.recordings import read_folder
from ..data.sequences import SequenceKind
from ..data.table import Table
from ..data.units import Units
from ..data.voice import Voice
from ..errors import DataError, UsageError
from ..files.text import read_text
from ..nn.model import SequenceModel
from ..run.trained import Trained
from ..sources import LogMel
from .subject import Reading, Subject, Track, of_model

READS = {
    "language": "a text",
    "voice": "a recording",
    "music": "a MATLAB file of music",
    "table": "a table (CSV, Parquet)",
    "forecast": "a table (CSV, Parquet)",
}
PER = 4  # points of a waveform per step


def of_run(run: Path, data: Path | None, first: int, steps: int, piece: int = 1) -> Subject:
    """A trained model that reads a piece of its kind of data.

    Args:
        run: the folder of the model.
        data: what it reads.
        first, steps: the first step, and the largest number of steps.
        piece: the recording of a folder, piece of music or sequence of a table, from 1.

    Raises:
        DataError: the folder is not a run, or the model cannot read the data.
        UsageError: there are no data.
    """
    trained = Trained.load(run)
    kind = trained.kind
    if data is None:
        raise UsageError(f"name the data for the model of '{run}' to read: --data FILE, {READS[kind.name]}")
    if isinstance(kind, Language):
        reading = of_text(kind.vocabulary, _text(kind, data), data, first, steps, kind.options.unit)
    else:
        trained.check(data)
        reading = _of_sequence(trained.layers, kind, data, first, steps, piece)
    return of_model(run.name or str(run), trained.layers, reading)


def _text(kind: Language, path: Path) -> str:
    """A text; of JSON records, all texts one after the other."""
    return "".join(kind.documents(path).texts) if kind.options.field else read_text(path, kind.line_ends)


def of_text(units: Units, text: str, path: Path | None, first: int, steps: int, unit: str = "character") -> Reading:
    """A piece of a text: after each unit that is read, the next one is the target.

    Raises:
        DataError: the text is too short, or has characters that the model has never seen.
    """
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
        what = f"'{path.name}'" if path else "the text"
        begin = f", counted from --first {first}," if first > 1 else ""
        raise DataError(f"{what} has {count} {unit}s; a prediction{begin} needs two or more")
    last = first + len(numbers) - 2
    read = f"Of the {count:,} {unit}s of {path.name if path else ''}, the network reads numbers {first:,} to {last:,}."
    vocabulary = tuple(_shown(units, number) for number in range(len(units)))
    return Reading(numbers[:-1], numbers[1:], Class(), (read,) if path else (), shown, vocabulary)


def _shown(units: Units, number: int) -> str:
    """A unit as text; a byte that is not a character by itself as its number."""
    return "".join(units.texts([number])) or f"\\{number:02x}"


def _check_characters(vocabulary: Vocabulary, text: str, path: Path | None, first: int, steps: int) -> None:
    unknown = vocabulary.unknown(text[first - 1 : first + steps])
    if unknown:
        at = text.index(unknown.character, first - 1)
        line, column = text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at)
        raise DataError(
            f"{path}:{line}:{column}: the model has never seen the character {unknown.character!r}. It knows these "
            f"{len(vocabulary)}:\n  {printable(vocabulary.characters)}"
        )


def _of_sequence(model: SequenceModel, kind: object, data: Path, first: int, steps: int, piece: int) -> Reading:
    """A part of one sequence of some data."""
    unit = "row" if isinstance(kind, (Table, Forecast)) else "frame"
    if isinstance(kind, Voice):
        reading = _recording(model, kind, data, piece)
    elif isinstance(kind, Music):
        reading = _music(kind, data, piece)
    elif isinstance(kind, Forecast):
        reading = _forecast(model, kind, data, piece)
    else:
        assert isinstance(kind, Table)
        reading = _table(kind, data, piece)
    length, stop = len(reading.x), min(first + steps - 1, len(reading.x))
    if first > length:
        raise DataError(f"'{data}' has {length} {unit}s to read; --first {first} is after its end")
    read = f"The network reads {unit}s {first:,} to {stop:,} of {length:,}."
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


def _recording(model: SequenceModel, kind: Voice, path: Path, piece: int) -> Reading:
    """A recording. The target of each step is its class, by its folder or name."""
    recordings, _ = read_folder(path)
    name = _chosen(path, list(recordings), piece, "recordings")
    recording = recordings[name]
    example = kind.example(name, recording)
    label = kind.class_of(path / name if path.is_dir() else path)
    if label:
        right, note = kind.classes.index(label), f"'{name}' is of the class '{label}'."
    else:
        scores, _ = next(iter(kind.score(model, [example])))
        right = int(scores.sum(0).argmax())
        note = f"The name of '{name}' is not that of a class; the model's prediction is '{kind.classes[right]}'."
    y = torch.full((len(example.x),), right)
    hop = LogMel(recording).hop
    values = envelope(recording.samples, hop, len(example.x))
    track = Track("audio", values, ("least", "most"), PER, hop / recording.rate)
    return Reading(example.x.double(), y, kind.goal, (note,), vocabulary=tuple(kind.classes), track=track)


def envelope(samples: Tensor, hop: int, frames: int) -> Tensor:
    """The least and the most of the samples (steps,) in each quarter of a frame: (4 · frames, 2)."""
    padded = torch.nn.functional.pad(samples, (0, max(0, frames * hop - len(samples))))
    parts = padded[: frames * hop].reshape(frames, hop)
    edges = [math.ceil(hop * k / PER) for k in range(PER + 1)]
    found = [parts[:, a:b].aminmax(dim=1) for a, b in pairwise(edges)]
    return torch.stack([torch.stack([low, high], 1) for low, high in found], 1).reshape(-1, 2)


def _music(kind: Music, path: Path, piece: int) -> Reading:
    """A piece of music. The target of each frame is the next one."""
    examples = kind.examples(path)
    name = _chosen(path, [e.name for e in examples], piece, "pieces")
    example = next(e for e in examples if e.name == name)
    track = Track("rows", example.x, tuple(f"key {k + 1}" for k in range(kind.keys)))
    return _rows(kind, example.x, example.y, f"The piece is {name}.", (), track)


def _table(kind: Table, path: Path, piece: int) -> Reading:
    """A sequence of rows, as far as its targets are known."""
    sequences = kind.sequences(path)
    name = _chosen(path, [rows.name for rows in sequences], piece, "sequences")
    rows = next(rows for rows in sequences if rows.name == name)
    example = kind.example(rows)
    x, y = example.read, example.y if example.y.ndim else example.y.expand(len(example.x))
    known = torch.isfinite(y.double().reshape(len(x), -1)).all(1)
    count = len(known) if known.all() else int(known.int().argmin())
    if not count:
        raise DataError(f"'{path}' has no row with a known target; it needs two rows or more")
    track = Track("rows", torch.from_numpy(rows.x[:count]), tuple(kind.columns))
    note = f"The sequence is '{name}'." if name else ""
    return _rows(kind, x[:count], y[:count], note, tuple(kind.classes), track)


def _forecast(model: SequenceModel, kind: Forecast, path: Path, piece: int) -> Reading:
    """A series, as far as all targets are known. The target is what the regression leaves of the next values."""
    series = kind.series(path)[1]
    name = _chosen(path, [one.name for one in series], piece, "series")
    one = next(one for one in series if one.name == name)
    case = kind.base.case(one, steps_known(one.y))
    left = torch.from_numpy(written(case.left, len(one.y), "float64"))
    known = torch.isfinite(left).all(1)
    if not known.any():
        raise DataError(f"'{path}' has no row with {kind.options.ahead} known values after it")
    first = int(known.int().argmax())
    y = torch.cat([torch.zeros_like(left[:first]), left[first:]])  # before it, nothing has changed yet
    later = known[first:]
    count = first + (len(later) if later.all() else int(later.int().argmin()))
    columns = numpy.concatenate([one.y[:count, None], one.x[:count], one.future[:count]], 1)
    track = Track("rows", torch.from_numpy(columns), (kind.roles.target, *kind.roles.inputs, *kind.roles.future))
    notes = (f"The series is '{name}'.",) if name else ()
    before = steps_known(one.y) - max(2 * kind.options.ahead, steps_known(one.y) * 15 // 100)
    figure = draw_forecasts(kind.writer(model, series), [one], [max(before, 1)], path.stem)
    by_view = kind.options.reads == "view"
    what = "what the regression on lags leaves of the next values" if by_view else "changes from the last value"
    return Reading(
        case.network(kind.base.features, count).double(),
        y[:count].double(),
        kind.goal,
        (*notes, f"The targets are {what}, in units of usual changes."),
        track=track,
        figure=figure,
    )


def _rows(kind: SequenceKind, x: Tensor, y: Tensor, note: str, vocabulary: tuple[str, ...], track: Track) -> Reading:
    targets = y.double() if y.is_floating_point() else y
    return Reading(x.double(), targets, kind.goal, (note,) if note else (), vocabulary=vocabulary, track=track)


def _chosen(path: Path, names: list[str], piece: int, what: str) -> str:
    if piece > len(names):
        raise UsageError(f"'{path}' has {len(names)} {what}; there is no --piece {piece}")
    return names[piece - 1]
