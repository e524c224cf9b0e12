"""Tables and time series: forecast a value, label each row, or label each sequence of rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy
import torch
from torch import Tensor

from ..errors import DataError, UsageError, check_choice
from ..files.checked import Checked
from ..files.shelf import Shelf
from ..nn.model import Answer
from .example import Example
from .given import fingerprint, shares
from .goal import Class, Goal, Number
from .reading import Reading
from .sequences import ScoredKind, Sequences
from .tables.form import Form
from .tables.labels import labels, number_of, same_number
from .tables.old import as_before
from .tables.parts import NAMES, SPLITS, Parts, Span, by_sequence, by_time
from .tables.read import read_sheet
from .tables.roles import columns_named, find_roles
from .tables.series import TOGETHER, Roles, Series, read_series
from .tables.sheet import Sheet
from .tables.summary import summary

GOALS = ("forecast", "steps", "sequences")
AT_ONCE = 1 << 23  # numbers whose scales are found at once
FILLED = {"previous": "the previous value", "mean": "the mean", "refuse": ""}


@dataclass(frozen=True)
class TableOptions(Form):
    """[data] of a table; see ``Form`` for how it is written in its file.

    goal: 'forecast' the target some steps ahead, label the 'steps', or label the 'sequences'.
    target: the column to predict: a number to forecast, or the labels. By default the last column.
    time: the column to sort rows by, or 'rows' to keep their order. By default the only column of dates.
    sequence: the columns that tell sequences apart. By default all rows are one sequence.
    inputs: the columns that are read. By default all columns of numbers. A forecast reads its target as well.
    future: the inputs that are known beyond the end of the target.
    ahead: how many steps ahead a forecast looks.
    missing: what replaces a missing input: the 'previous' value, or the 'mean'; 'refuse' stops with an error.
    split: what is held out: the end of each sequence ('time'), or whole sequences ('sequence'). By default 'time' for a
        forecast and for a single sequence.
    validation, test: shares of the sequences, or of the end of each; or files.
    """

    goal: str = "forecast"
    target: str = ""
    time: str = ""
    sequence: str | list[str] = ""
    inputs: str | list[str] | None = None
    future: str | list[str] | None = None
    ahead: int = 1
    missing: str = "previous"
    split: str = ""
    validation: float = 0.15
    test: float = 0.15

    @property
    def predicts(self) -> str:
        return "a later value (data.goal=forecast)" if self.goal == "forecast" else ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.split:
            check_choice("data.split", self.split, SPLITS)
        check_choice("data.goal", self.goal, GOALS)
        check_choice("data.missing", self.missing, FILLED)
        if self.goal == "sequences" and not self.sequence:
            raise UsageError("labels of sequences need a column that tells sequences apart: data.sequence=COLUMN")
        if self.goal == "sequences" and self.split == "time":
            raise UsageError("labels of sequences need whole sequences in each part: --split sequence")
        if self.ahead < 1:
            raise UsageError(f"data.ahead must be a whole number from 1, got {self.ahead}")
        self._check_shares()

    def _check_shares(self) -> None:
        if not (self.validation > 0 and self.test > 0 and self.validation + self.test < 1):
            raise UsageError("data.validation and data.test must be shares above 0 with a sum below 1")


@dataclass(frozen=True)
class Table(ScoredKind):
    """Sequences of rows of a table. Inputs (and the target of a forecast) are scaled by their mean and standard
    deviation over the training data, which are stored with the model.

    A single sequence, and each sequence of a forecast, is divided in time: its end is the test data, what is before
    that the validation data. Sequences with labels are divided into the three parts by their names.
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
    time: str = ""
    keys: tuple[str, ...] = ()
    split: str = ""  # '' for a model of version 0.1, which read tables in another way
    layout: str = "long"
    numbers: dict[str, int] = field(default_factory=dict)  # of the classes, by their labels

    @classmethod
    def learn(cls, path: Path, options: TableOptions, reading: Reading) -> Sequences:
        """Raises DataError for a column that is missing or does not hold numbers, for duplicate times, and for a class
        with one sequence."""
        sheet = read_sheet(path, options)
        understood = find_roles(sheet, options)
        roles = understood.roles
        forecast = options.goal == "forecast"
        read = {*roles.inputs, *roles.future, *([roles.target] if forecast else [])}
        columns = _ordered(sheet, options, read)
        if not columns:
            raise DataError(f"'{path}' has no columns of numbers to read; it has {', '.join(sheet.names)}")
        series = read_series(sheet, replace(roles, inputs=tuple(columns)))
        split = options.split or ("time" if forecast or (len(series) == 1 and options.goal == "steps") else "sequence")
        classes = [] if forecast else _labels(sheet, series, roles.target, options.goal)
        if len(classes) == 1:
            raise DataError(
                f"'{path}': column '{roles.target}' has one label only, '{classes[0]}'; it needs two or more"
            )
        kind = cls(
            options, reading, columns, roles.target, classes, [], [], roles.time, roles.keys, split, sheet.layout
        )
        parts = kind._parts(path, series)
        mean, deviation = _scales(path, columns, [series[span.series].x[: span.end] for span in parts[0]])
        kind = replace(kind, mean=mean, deviation=deviation, numbers=number_of(classes))
        lines = summary(sheet, understood, series, parts, (reading.validation, reading.test))
        data = kind._data(sheet, series, parts, True, lines)
        for name in NAMES:
            kind._check_targets(path, getattr(data, name), f"in the {name} part")
        return data

    @classmethod
    def learn_again(cls, path: Path, options: TableOptions, reading: Reading, description: Checked) -> Sequences:
        kind = cls.stored(options, reading, description)
        if not kind.split:
            return kind._again(path, None)
        data = cls.learn(path, options, reading)
        learned = data.kind
        assert isinstance(learned, cls)
        scales = ((learned.mean, kind.mean), (learned.deviation, kind.deviation))
        same = all(len(a) == len(b) and numpy.allclose(a, b, rtol=1e-9, atol=0) for a, b in scales)
        known = replace(learned, mean=kind.mean, deviation=kind.deviation) if same else learned
        return replace(data, kind=known)  # scales may be rounded in another way, see _scales

    @classmethod
    def stored(cls, options: TableOptions, reading: Reading, description: Checked) -> Self:
        columns, classes = (description.list_of(name, str) for name in ("inputs", "classes"))
        mean, deviation = (description.list_of(name, float, len(columns)) for name in ("mean", "deviation"))
        target = description.get("target", str)
        if "split" not in description.values:  # version 0.1
            sequence = str(options.sequence)
            time, keys, split, layout = options.time, (sequence,) if sequence else (), "", "long"
        else:
            time, keys = description.get("time", str), tuple(description.list_of("keys", str))
            split, layout = description.get("split", str), description.get("layout", str)
        scale = (mean, deviation)
        return cls(options, reading, columns, target, classes, *scale, time, keys, split, layout, number_of(classes))

    def read(self, path: Path, sha256: str) -> Sequences:
        return self._again(path, sha256)

    def _again(self, path: Path, sha256: str | None) -> Sequences:
        """A table in the parts of the training data if it has their fingerprint, or if there is none to compare."""
        sheet = self._sheet(path)
        sheet.require(self.target, "the target")
        series = self._series(sheet)
        known = sha256 in (None, fingerprint(sheet.sha256, self.reading))
        every = [Span(number) for number in range(len(series))]
        data = self._data(sheet, series, self._parts(path, series) if known else (every, every, every), known)
        self._check_targets(path, data.test, "in the test part" if known else "to compare with")
        return data

    def _parts(self, path: Path, series: list[Series]) -> Parts:
        options, forecast = self.options, self.options.goal == "forecast"
        held_out = shares(self.reading, options.validation, options.test)
        single = len(series) == 1 and options.goal != "sequences"  # version 0.1 divided a single sequence in time
        if self.split == "time" or (not self.split and single):
            ahead = options.ahead if forecast else 0
            return by_time(path, series, *held_out, ahead, to_the_end=not self.split)
        return by_sequence(path, series, *held_out, options.goal == "sequences")

    def _data(
        self, sheet: Sheet, series: list[Series], parts: Parts, known: bool, lines: Sequence[tuple[str, str]] = ()
    ) -> Sequences:
        shelf = Shelf()
        made = [[self.example(series[span.series], span.first, span.end, shelf) for span in part] for part in parts]
        own = [[e for e in part if len(e.read)] for part in made]
        train, validation, test = self.with_given((own[0], own[1], own[2]), known)
        goal, ahead = self.options.goal, self.options.ahead
        what = f"forecast '{self.target}' {ahead} ahead" if goal == "forecast" else f"label {goal}"
        about = [("table", f"{what}, from {', '.join(self.columns)}"), *lines]
        if self.classes:
            about.append(("classes", f"{len(self.classes)}: {', '.join(self.classes[:8])}"))
        if gaps := self._gaps(sheet, series, known):
            about.append(("missing", f"{gaps}; replaced by {FILLED[self.options.missing]}"))
        counts = {"sequences": len(test)}
        sha256 = fingerprint(sheet.sha256, self.reading) if known else sheet.sha256
        return Sequences(self, sheet.path, sha256, known, (train, validation, test), counts, tuple(about))

    def _gaps(self, sheet: Sheet, series: list[Series], learning: bool) -> str:
        """The number of missing values of each column, for people."""
        missing = {n: int(sum(numpy.isnan(s.x[:, i]).sum() for s in series)) for i, n in enumerate(self.columns)}
        gaps = {n: count for n, count in missing.items() if count}
        if gaps and learning and self.options.missing == "refuse":
            name = next(iter(gaps))
            raise DataError(f"'{sheet.path}': column '{name}' has {gaps[name]} missing values, and data.missing=refuse")
        return ", ".join(f"{n} {count:,}{sheet.column(n).words}" for n, count in gaps.items())

    def description(self) -> dict[str, Any]:
        scales = {"mean": self.mean, "deviation": self.deviation}
        roles = {"time": self.time, "keys": list(self.keys), "split": self.split, "layout": self.layout}
        return {
            "inputs": self.columns,
            "target": self.target,
            "classes": self.classes,
            **scales,
            **(roles if self.split else {}),
        }

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

    def example(self, rows: Series, first: int = 0, end: int | None = None, shelf: Shelf | None = None) -> Example:
        """A sequence as scaled tensors, with targets from step ``first`` to before ``end``. The steps before are read
        as well, so that the state knows the past; their targets are unknown."""
        x = torch.from_numpy(self._scaled(rows.x, shelf or Shelf()))
        if self.options.goal == "forecast":
            at = self.columns.index(self.target)
            values = (numpy.asarray(rows.y) - self.mean[at]) / self.deviation[at] if len(rows.y) else numpy.empty(0)
            y = torch.from_numpy(values[self.options.ahead :].astype("float32"))[:, None][:end].clone()
            y[:first] = torch.nan
        else:
            y = self._numbers(rows.y)
            y = (y[-1] if len(y) else torch.tensor(0)) if self.answer == "last" else y[:end].clone()
            if y.ndim:
                y[:first] = -1
        return Example(x, y, rows.name, rows.rows)

    def _number(self, label: str) -> int | None:
        """The number of a label; None if the model does not know it."""
        return self.numbers.get(label, self.numbers.get(same_number(label)))

    def _numbers(self, texts: numpy.ndarray) -> Tensor:
        """The numbers of labels that the model knows: (steps,)."""
        import pandas

        found = torch.empty(len(texts), dtype=torch.long)
        for begin in range(0, len(texts), TOGETHER):
            codes, different = pandas.factorize(texts[begin : begin + TOGETHER])
            numbers = torch.tensor([self._number(label) for label in different], dtype=torch.long)
            found[begin : begin + TOGETHER] = numbers[torch.from_numpy(codes)]
        return found

    def _scaled(self, x: numpy.ndarray, shelf: Shelf) -> numpy.ndarray:
        """Scaled inputs as float32 with missing ones replaced: by the previous value, or else by the mean (zero)."""
        found, before = shelf.empty(x.shape, "float32"), numpy.full((1, x.shape[1]), numpy.nan)
        for begin in range(0, len(x), TOGETHER):
            scaled = (x[begin : begin + TOGETHER] - numpy.array(self.mean)) / numpy.array(self.deviation)
            if self.options.missing == "previous":
                scaled = numpy.concatenate([before, scaled])
                known = numpy.where(numpy.isnan(scaled), 0, numpy.arange(len(scaled))[:, None])
                scaled = numpy.take_along_axis(scaled, numpy.maximum.accumulate(known), 0)[1:]
                before = scaled[-1:]
            found[begin : begin + TOGETHER] = numpy.nan_to_num(scaled)
        return found

    def _check_targets(self, path: Path, examples: list[Example], where: str) -> None:
        """Refuse a forecast without a single known target: there is nothing to measure."""
        if self.options.goal == "forecast" and all(torch.isnan(e.y).all() for e in examples):
            raise DataError(
                f"'{path}': no row {where} has a value in column '{self.target}', so there is nothing to measure. "
                "Remove rows without values, or change the parts with data.validation and data.test"
            )

    def sequences(self, path: Path) -> list[Series]:
        """The sequences of another table, with the target if it has that column."""
        return self._series(self._sheet(path))

    def _sheet(self, path: Path) -> Sheet:
        sheet = read_sheet(path, replace(self.options, layout=self.layout))
        return sheet if self.split else as_before(sheet)

    def _series(self, sheet: Sheet, targets: bool = True) -> list[Series]:
        """The sequences of another table.

        Args:
            sheet: the table.
            targets: whether to read its labels as well.

        Raises:
            DataError: a label is empty, or the model does not know it.
        """
        labelled, forecast = self.options.goal != "forecast", self.options.goal == "forecast"
        target = self.target if forecast or (targets and self.target in sheet.names) else ""
        roles = Roles(self.time, self.keys, target, tuple(self.columns), labels=labelled)
        series = read_series(sheet, roles)
        if labelled and target:
            found = _labels(sheet, series, target, self.options.goal)
            if strange := [label for label in found if self._number(label) is None]:
                raise DataError(
                    f"'{sheet.path}': '{strange[0]}' in column '{self.target}' is a label the model never saw"
                )
        return series

    def examples(self, path: Path) -> list[Example]:
        return [self.example(series) for series in self._series(self._sheet(path), targets=False)]

    def rows(self, example: Example, scores: Tensor) -> Iterator[dict[str, Any]]:
        """The forecast after each row, the label of each row, or that of the sequence, with its probability."""
        name = {"sequence": example.name} if self.keys else {}
        if self.options.goal == "forecast":
            at = self.columns.index(self.target)
            values = (scores[:, 0].double() * self.deviation[at] + self.mean[at]).tolist()
            for row, value in zip(example.rows, values, strict=True):
                yield {**name, "row": int(row) + 2, f"{self.target}_{self.options.ahead}_ahead": value}
            return
        for row, p in zip(example.rows, torch.softmax(scores, -1), strict=False):
            best, where = int(p.argmax()), {"row": int(row) + 2} if self.answer == "every" else {}
            yield {**name, **where, self.target: self.classes[best], "probability": round(float(p[best]), 6)}


def _ordered(sheet: Sheet, options: TableOptions, read: set[str]) -> list[str]:
    """The columns that are read: as named, the target last; else in the order of the file."""
    if not options.inputs:
        return [name for name in sheet.names if name in read]
    named = columns_named(sheet, options.inputs, "an input")
    return [*named, *(name for name in sheet.names if name in read and name not in named)]


def _labels(sheet: Sheet, series: list[Series], target: str, goal: str) -> list[str]:
    """The labels of some sequences.

    Raises:
        DataError: a label is empty, or a sequence has several.
    """
    for one in series:
        if (empty := one.y == "").any():
            row = int(one.rows[int(empty.argmax())])
            raise DataError(f"{sheet.place(row)}: column '{target}' (the label) is empty")
        if goal == "sequences" and len(labels(one.y)) > 1:
            raise DataError(
                f"'{sheet.path}': sequence '{one.name}' has several labels in column '{target}'. To label each row, "
                "use --goal steps"
            )
    return labels(label for one in series for label in one.y)


def _scales(path: Path, names: list[str], parts: list[numpy.ndarray]) -> tuple[list[float], list[float]]:
    """Mean and standard deviation of each column over the training data, each (steps, columns). Large data are read
    column by column, which rounds in another way."""
    for number, name in enumerate(names):
        if all(numpy.isnan(part[:, number]).all() for part in parts):
            raise DataError(
                f"'{path}': column '{name}' has no number in the training data. Leave it out of data.inputs"
            )
    if sum(part.size for part in parts) <= AT_ONCE:
        return _scales_of(numpy.concatenate(parts))
    found = [_scales_of(numpy.concatenate([part[:, n : n + 1] for part in parts])) for n in range(len(names))]
    return [mean for (mean,), _ in found], [deviation for _, (deviation,) in found]


def _scales_of(steps: numpy.ndarray) -> tuple[list[float], list[float]]:
    mean, deviation = numpy.nanmean(steps, 0), numpy.nanstd(steps, 0)
    constant = deviation <= 1e-14 * numpy.nanmax(numpy.abs(steps), 0)  # the rounding errors of equal numbers
    return mean.tolist(), numpy.where(constant, 1.0, deviation).tolist()
