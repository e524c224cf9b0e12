"""Tables and time series: forecast a value, label each row, or label each sequence of rows."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy
import torch
from torch import Tensor

from ..errors import DataError, UsageError, check_choice
from ..files.checked import Checked
from ..nn.model import Answer
from .example import Example, divided
from .frame import Frame, Rows, read_rows
from .goal import Class, Goal, Number
from .reading import Reading
from .sequences import SequenceKind, Sequences

GOALS = ("forecast", "steps", "sequences")
FILLED = {"previous": "the previous value", "mean": "the mean", "refuse": ""}
Span = tuple[int, int | None]  # the steps with targets: the first one, and the one after the last


@dataclass(frozen=True)
class TableOptions:
    """[data] of a table.

    goal: 'forecast' the target some steps ahead, label the 'steps', or label the 'sequences'.
    target: the column to predict: a number to forecast, or the labels. By default the last column.
    time: the column to sort rows by. By default rows are in order.
    sequence: the column that tells sequences apart. By default all rows are one sequence.
    inputs: the columns that are read. By default all columns of numbers. A forecast reads its target as well.
    ahead: how many steps ahead a forecast looks.
    missing: what replaces a missing input: the 'previous' value, or the 'mean'; 'refuse' stops with an error.
    validation, test: shares of the sequences, or of the end of a single one.
    """

    goal: str = "forecast"
    target: str = ""
    time: str = ""
    sequence: str = ""
    inputs: list[str] | None = None
    ahead: int = 1
    missing: str = "previous"
    validation: float = 0.15
    test: float = 0.15

    @property
    def predicts(self) -> str:
        return "a later value (data.goal=forecast)" if self.goal == "forecast" else ""

    def __post_init__(self) -> None:
        check_choice("data.goal", self.goal, GOALS)
        check_choice("data.missing", self.missing, FILLED)
        if self.goal == "sequences" and not self.sequence:
            raise UsageError("labels of sequences need a column that tells sequences apart: data.sequence=COLUMN")
        if self.ahead < 1:
            raise UsageError(f"data.ahead must be a whole number from 1, got {self.ahead}")
        if not (self.validation > 0 and self.test > 0 and self.validation + self.test < 1):
            raise UsageError("data.validation and data.test must be shares above 0 with a sum below 1")


@dataclass(frozen=True)
class Table(SequenceKind):
    """Sequences of rows of a table. Inputs (and the target of a forecast) are scaled by their mean and standard
    deviation over the training data, which are stored with the model.

    Several sequences are divided into training, validation and test data by their names. A single one is divided in
    time: its end is the test data, what is before that the validation data.
    """

    name: ClassVar[str] = "table"
    Options: ClassVar[type] = TableOptions
    unit = "loss per answer"
    steps, read_steps = "answers", "rows"

    options: TableOptions
    columns: list[str]
    target: str
    classes: list[str]
    mean: list[float]
    deviation: list[float]

    @classmethod
    def learn(cls, path: Path, options: TableOptions, reading: Reading) -> Sequences:
        """Raises DataError for a column that is missing or does not hold numbers, for duplicate times, and for a class
        with one sequence."""
        frame = Frame(path)
        columns, target = _columns(frame, options)
        rows = read_rows(frame, columns, target, options.goal, options.sequence, options.time)
        parts, spans = _parts(path, rows, options)
        mean, deviation = _scales(path, columns, numpy.concatenate([rows[i].x[: spans[0][1]] for i in parts[0]]))
        labels = sorted({str(v) for r in rows for v in r.y}) if options.goal != "forecast" else []
        if options.goal != "forecast" and len(labels) < 2:
            raise DataError(f"'{path}': column '{target}' has one label only, '{labels[0]}'; it needs two or more")
        data = cls(options, reading, columns, target, labels, mean, deviation)._data(frame, rows, parts, spans, True)
        for name in ("train", "validation", "test"):
            data.kind._check_targets(path, getattr(data, name), f"in the {name} part")  # type: ignore[attr-defined]
        return data

    @classmethod
    def stored(cls, options: TableOptions, reading: Reading, description: Checked) -> Self:
        columns, classes = (description.list_of(name, str) for name in ("inputs", "classes"))
        mean, deviation = (description.list_of(name, float, len(columns)) for name in ("mean", "deviation"))
        return cls(options, reading, columns, description.get("target", str), classes, mean, deviation)

    def read(self, path: Path, sha256: str) -> Sequences:
        frame = Frame(path)
        frame.column(self.target, "the target")
        rows = self._rows(frame)
        known = hashlib.sha256(frame.content).hexdigest() == sha256
        every = list(range(len(rows)))
        parts, spans = _parts(path, rows, self.options) if known else ([every] * 3, [(0, None)] * 3)
        data = self._data(frame, rows, parts, spans, known)
        self._check_targets(path, data.test, "in the test part" if known else "to compare with")
        return data

    def _data(
        self, frame: Frame, rows: list[Rows], parts: Sequence[Sequence[int]], spans: Sequence[Span], known: bool
    ) -> Sequences:
        made = [[self.example(rows[i], *span) for i in part] for part, span in zip(parts, spans, strict=True)]
        train, validation, test = ([e for e in part if len(e.read)] for part in made)
        goal, ahead = self.options.goal, self.options.ahead
        what = f"forecast '{self.target}' {ahead} ahead" if goal == "forecast" else f"label {goal}"
        about = [("table", f"{what}, from {', '.join(self.columns)}")]
        if self.classes:
            about.append(("classes", f"{len(self.classes)}: {', '.join(self.classes[:8])}"))
        if gaps := self._gaps(frame.path, rows, known):
            about.append(("missing", f"{gaps}; replaced by {FILLED[self.options.missing]}"))
        counts, sha256 = {"sequences": len(test)}, hashlib.sha256(frame.content).hexdigest()
        return Sequences(self, frame.path, sha256, known, (train, validation, test), counts, tuple(about))

    def _gaps(self, path: Path, rows: list[Rows], learning: bool) -> str:
        """The number of missing values of each column, for people."""
        missing = {n: int(sum(numpy.isnan(r.x[:, i]).sum() for r in rows)) for i, n in enumerate(self.columns)}
        gaps = {n: count for n, count in missing.items() if count}
        if gaps and learning and self.options.missing == "refuse":
            name = next(iter(gaps))
            raise DataError(f"'{path}': column '{name}' has {gaps[name]} missing values, and data.missing=refuse")
        return ", ".join(f"{n} {count:,}" for n, count in gaps.items())

    def description(self) -> dict[str, Any]:
        scales = {"mean": self.mean, "deviation": self.deviation}
        return {"inputs": self.columns, "target": self.target, "classes": self.classes, **scales}

    @property
    def inputs(self) -> int:
        return len(self.columns)

    @property
    def outputs(self) -> int:
        return 1 if self.options.goal == "forecast" else len(self.classes)

    @property
    def answer(self) -> Answer:
        return "last" if self.options.goal == "sequences" else "every"

    @property
    def goal(self) -> Goal:
        if self.options.goal != "forecast":
            return Class()
        at = self.columns.index(self.target)
        return Number(at, self.deviation[at])

    def example(self, rows: Rows, first: int = 0, end: int | None = None) -> Example:
        """A sequence as scaled tensors, with targets from step ``first`` to before ``end``. The steps before are read
        as well, so that the state knows the past; their targets are unknown."""
        scaled = (rows.x - numpy.array(self.mean)) / numpy.array(self.deviation)
        x = torch.from_numpy(self._filled(scaled).astype("float32"))
        if self.options.goal == "forecast":
            at = self.columns.index(self.target)
            values = (numpy.asarray(rows.y) - self.mean[at]) / self.deviation[at] if len(rows.y) else numpy.empty(0)
            y = torch.from_numpy(values[self.options.ahead :].astype("float32"))[:, None][:end].clone()
            y[:first] = torch.nan
        else:
            number = {label: i for i, label in enumerate(self.classes)}
            y = torch.tensor([number[str(v)] for v in rows.y], dtype=torch.long)
            y = (y[-1] if len(y) else torch.tensor(0)) if self.answer == "last" else y[:end].clone()
            if y.ndim:
                y[:first] = -1
        return Example(x, y, rows.name, rows.rows)

    def _filled(self, x: numpy.ndarray) -> numpy.ndarray:
        """Scaled inputs with missing ones replaced: by the previous value, or else by the mean (zero)."""
        if self.options.missing == "previous":
            for step in range(1, len(x)):
                x[step] = numpy.where(numpy.isnan(x[step]), x[step - 1], x[step])
        return numpy.nan_to_num(x)

    def _check_targets(self, path: Path, examples: list[Example], where: str) -> None:
        """Refuse a forecast without a single known target: there is nothing to measure."""
        if self.options.goal == "forecast" and all(torch.isnan(e.y).all() for e in examples):
            raise DataError(
                f"'{path}': no row {where} has a value in column '{self.target}', so there is nothing to measure. "
                "Remove rows without values, or change the parts with data.validation and data.test"
            )

    def sequences(self, path: Path) -> list[Rows]:
        """The sequences of another table, with the target if it has that column."""
        return self._rows(Frame(path))

    def _rows(self, frame: Frame) -> list[Rows]:
        options = self.options
        target = self.target if self.target in frame.columns or options.goal == "forecast" else None
        rows = read_rows(frame, self.columns, target, options.goal, options.sequence, options.time)
        strange = sorted({str(v) for r in rows for v in r.y} - set(self.classes)) if self.classes else []
        if strange:
            raise DataError(f"'{frame.path}': '{strange[0]}' in column '{self.target}' is a label the model never saw")
        return rows

    def examples(self, path: Path) -> list[Example]:
        return [self.example(rows) for rows in self.sequences(path)]

    def rows(self, example: Example, scores: Tensor) -> Iterator[dict[str, Any]]:
        """The forecast after each row, the label of each row, or that of the sequence, with its probability."""
        name = {"sequence": example.name} if self.options.sequence else {}
        if self.options.goal == "forecast":
            at = self.columns.index(self.target)
            values = (scores[:, 0].double() * self.deviation[at] + self.mean[at]).tolist()
            for row, value in zip(example.rows, values, strict=True):
                yield {**name, "row": row + 2, f"{self.target}_{self.options.ahead}_ahead": value}
            return
        for row, p in zip(example.rows, torch.softmax(scores, -1), strict=False):
            best, where = int(p.argmax()), {"row": row + 2} if self.answer == "every" else {}
            yield {**name, **where, self.target: self.classes[best], "probability": round(float(p[best]), 6)}


def _columns(frame: Frame, options: TableOptions) -> tuple[list[str], str]:
    """The columns that are read, and the target."""
    target = options.target or list(frame.columns)[-1]
    frame.column(target, "the target")
    forecast = options.goal == "forecast"
    apart = {options.time, options.sequence, *(() if forecast else (target,))}
    columns = options.inputs or [n for n in frame.columns if n not in apart and (n == target or frame.is_number(n))]
    if forecast and target not in columns:
        columns = [*columns, target]
    if not columns:
        raise DataError(f"'{frame.path}' has no columns of numbers to read; it has {', '.join(frame.columns)}")
    return columns, target


def _parts(path: Path, rows: list[Rows], options: TableOptions) -> tuple[list[list[int]], list[Span]]:
    """Which sequences belong to which part, and which of their steps have targets in it."""
    if len(rows) == 1 and options.goal != "sequences":
        length = len(rows[0].x) - (options.ahead if options.goal == "forecast" else 0)
        ends = [int(length * (1 - options.validation - options.test)), int(length * (1 - options.test)), length]
        if min(ends[0], ends[1] - ends[0], ends[2] - ends[1]) < 1:
            raise DataError(f"'{path}' has {len(rows[0].x)} rows, too few for training, validation and test data")
        return [[0], [0], [0]], [(0, ends[0]), (ends[0], ends[1]), (ends[1], ends[2])]
    if options.goal == "sequences":
        for label, count in Counter(str(r.y[-1]) for r in rows).items():
            if count == 1:
                raise DataError(f"'{path}': class '{label}' has one sequence. Add more, or remove the class")
    shares = (1 - options.validation - options.test, options.validation, options.test)
    number = divided([r.name for r in rows], shares)
    parts = [[i for i, part in enumerate(number) if part == k] for k in range(3)]
    for k, name in enumerate(("train", "validation", "test")):
        if not parts[k]:
            raise DataError(f"'{path}' has {len(rows)} sequences, and none is in the {name} part. Add more")
    return parts, [(0, None)] * 3


def _scales(path: Path, names: list[str], steps: numpy.ndarray) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each column over the training data."""
    for name, column in zip(names, steps.T, strict=True):
        if numpy.isnan(column).all():
            raise DataError(
                f"'{path}': column '{name}' has no number in the training data. Leave it out of data.inputs"
            )
    mean, deviation = numpy.nanmean(steps, 0), numpy.nanstd(steps, 0)
    return mean.tolist(), numpy.where(deviation < 1e-12, 1.0, deviation).tolist()
