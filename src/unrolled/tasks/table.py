"""Tables and time series: forecast the next value, label each step, or label each sequence."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy
import torch
from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import DataError, UsageError, did_you_mean
from ..files.toml import Sections
from ..sequence.losses import nll, squared_error
from ..train import random_states
from ..train.run_folder import Config
from .defaults import BY_TASK
from .frame import Frame
from .options import Options, resolve
from .sequences import Batch, Example, Parts, SequenceTask, drawn_apart, lengths_text

GOALS = ("forecast", "steps", "sequences")


@dataclass(frozen=True)
class TableData:
    """[data] of a table.

    goal: 'forecast' the target some steps ahead, label the 'steps', or label the 'sequences'.
    target: the column to be foretold, or the labels; unless given, the last column.
    time: the column of the order; unless given, rows are in order.
    sequence: the column that says which sequence a row belongs to; unless given, all are one.
    inputs: the columns that are read; unless given, all of numbers. A forecast reads its target, too.
    ahead: how many steps ahead a forecast looks.
    missing: what stands for a missing input: the 'previous' value, the 'mean', or 'refuse'.
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
        for name, known in (("goal", GOALS), ("missing", ("previous", "mean", "refuse"))):
            value = getattr(self, name)
            if value not in known:
                hint = did_you_mean(value, known) or f". There are {', '.join(known)}"
                raise UsageError(f"data.{name} cannot be '{value}'{hint}")
        if self.goal == "sequences" and not self.sequence:
            raise UsageError("to label sequences, say which row belongs to which: data.sequence=COLUMN")
        if self.ahead < 1:
            raise UsageError(f"data.ahead must be a whole number from 1, got {self.ahead}")
        if not (self.validation > 0 and self.test > 0 and self.validation + self.test < 1):
            raise UsageError("data.validation and data.test must be shares above 0, and less than 1 together")


@dataclass(frozen=True)
class Rows:
    """One sequence as it stands in the table: inputs (steps, columns), NaN where one is missing, and targets."""

    name: str
    x: numpy.ndarray
    y: list[Any] | numpy.ndarray
    rows: list[int]


class Table(SequenceTask):
    """Sequences of rows of a table. Inputs (and a forecast's target) are scaled by their mean and deviation over the
    training part, which are stored with the model.

    Several sequences are drawn apart by their names; a single one is cut in time: first to learn from, then to choose
    by, then held out.
    """

    name: ClassVar[str] = "table"
    unit: ClassVar[str] = "loss per answer"
    steps: ClassVar[str] = "answers"
    section: ClassVar[type | None] = TableData
    defaults: ClassVar[Sections] = BY_TASK["table"]

    missing: dict[str, int]

    def __init__(self, description: dict[str, Any], circuit: Circuit, options: Options, source: dict[str, str]) -> None:
        self.described, self.circuit, self.options, self.source = description, circuit, options, source
        self.inputs, self.target, self.classes = (description[n] for n in ("inputs", "target", "classes"))
        self.mean, self.deviation = (numpy.array(description[n]) for n in ("mean", "deviation"))
        data: TableData = options.data
        self.goal, self.ahead, self.missing = data.goal, data.ahead, {}
        self.every = self.goal != "sequences"  # type: ignore[misc]
        answer: Literal["every", "last"] = "every" if self.every else "last"
        outputs = 1 if self.goal == "forecast" else len(self.classes)
        self.model = options.sequence_model(circuit, len(self.inputs), outputs, answer)

    @classmethod
    def read(cls, path: Path, circuit: Circuit, options: Options) -> Table:
        """The task of learning from a table.

        Raises:
            DataError: a column that is missing or holds no numbers, times that stand twice, a class with one member.
        """
        data: TableData = options.data
        frame = Frame(path)
        target = data.target or list(frame.columns)[-1]
        frame.column(target, "the target")
        apart = {data.time, data.sequence, *({target} if data.goal != "forecast" else ())}
        inputs = data.inputs or [n for n in frame.columns if n not in apart and (n == target or frame.is_number(n))]
        if data.goal == "forecast" and target not in inputs:
            inputs = [*inputs, target]
        if not inputs:
            raise DataError(f"'{path}' has no columns of numbers to read; it has {', '.join(frame.columns)}")
        rows = read_rows(frame, inputs, target, data)
        parts, spans = _parts(path, rows, data)
        steps = numpy.concatenate([rows[i].x[: spans[0][1]] for i in parts[0]])
        mean, deviation = _mean_and_deviation(frame.path, inputs, steps)
        labels = sorted({str(v) for r in rows for v in r.y}) if data.goal != "forecast" else []
        if data.goal != "forecast" and len(labels) < 2:
            raise DataError(
                f"'{path}': column '{target}' has one label only, '{labels[0]}'; there is nothing to tell apart"
            )
        description = {"inputs": inputs, "target": target, "classes": labels, "mean": mean, "deviation": deviation}
        source = {"path": str(path.absolute()), "sha256": hashlib.sha256(frame.content).hexdigest()}
        random_states.seed(options.reading.seed)
        task = cls(description, circuit, options, source)
        task.missing = {n: int(sum(numpy.isnan(r.x[:, i]).sum() for r in rows)) for i, n in enumerate(inputs)}
        if data.missing == "refuse" and any(task.missing.values()):
            name = next(n for n, count in task.missing.items() if count)
            raise DataError(f"'{path}': column '{name}' misses {task.missing[name]} values, which data.missing refuses")
        made = [[task.example(rows[i], *span) for i in part] for part, span in zip(parts, spans, strict=True)]
        task.parts = Parts(*([e for e in part if len(e.x)] for part in made)).check(f"'{path}'")
        for name in ("train", "validation", "test"):
            task.check_answers(path, getattr(task.parts, name), f"in the {name} part")
        return task

    @classmethod
    def stored(cls, config: Config) -> Table:
        options = resolve(config.get("options", dict), cls.section)
        inputs = config.get("description.inputs", list)
        config.get("description.target", str)
        classes = config.get("description.classes", list)
        for name in ("mean", "deviation"):
            values = config.get(f"description.{name}", list)
            if len(values) != len(inputs) or not all(isinstance(v, float) for v in values):
                config.refuse(f"'{name}' must hold a number for each of {len(inputs)} inputs")
        if not all(isinstance(v, str) for v in (*inputs, *classes)):
            config.refuse("'inputs' and 'classes' must hold texts")
        return cls(config.get("description", dict), config.circuit(), options, config.get("source", dict))

    def example(self, rows: Rows, first: int = 0, end: int | None = None) -> Example:
        """A sequence, or what of it is answered from step ``first`` to before ``end``, as scaled tensors. What lies
        before is read as well, so that the answers know the past; it is not answered (NaN)."""
        x = torch.from_numpy(self.filled((rows.x - self.mean) / self.deviation).astype("float32"))
        if self.goal == "forecast":
            scaled = (numpy.asarray(rows.y) - self._target[0]) / self._target[1]
            y = torch.from_numpy(scaled[self.ahead :].astype("float32"))[:, None]
            y = y[:end].clone()
            y[:first] = torch.nan
            return Example(x[: len(y)], y, rows.name)
        number = {label: i for i, label in enumerate(self.classes)}
        y = torch.tensor([number[str(v)] for v in rows.y])
        if not self.every:
            return Example(x, y[-1], rows.name)
        y = y[:end].clone()
        y[:first] = -1
        return Example(x[: len(y)], y, rows.name)

    def filled(self, x: numpy.ndarray) -> numpy.ndarray:
        """Scaled inputs with something where one is missing: the value before it, or else the mean (zero)."""
        x = x.copy()
        if self.options.data.missing == "previous":
            for step in range(1, len(x)):
                x[step] = numpy.where(numpy.isnan(x[step]), x[step - 1], x[step])
        return numpy.nan_to_num(x)

    def check_answers(self, path: Path, examples: list[Example], where: str) -> None:
        """Refuse rows none of which has a target: there is nothing to measure."""
        if self.goal == "forecast" and all(torch.isnan(e.y).all() for e in examples):
            raise DataError(
                f"'{path}': no row {where} has a value in the column '{self.target}', so there is nothing to measure. "
                "Leave out the rows without values, or choose the parts with data.validation and data.test"
            )

    @property
    def _target(self) -> tuple[float, float]:
        """Mean and deviation of a forecast's target."""
        at = self.inputs.index(self.target)
        return float(self.mean[at]), float(self.deviation[at])

    def answers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        given, wanted = super().answers(batch)
        there = ~torch.isnan(wanted[:, 0]) if self.goal == "forecast" else wanted >= 0
        return given[there], wanted[there]

    def cost(self, scores: Tensor, y: Tensor) -> Tensor:
        return squared_error(scores, y) if self.goal == "forecast" else nll(scores, y)

    def measure(self, examples: list[Example]) -> dict[str, float]:
        """The root of the mean squared error of forecasts, or the share of labels that are right."""
        pairs = list(self.score(examples))
        if self.goal == "forecast":
            return {"root_mean_squared_error": self.mean_cost(examples) ** 0.5 * self._target[1]}
        right = sum(int((scores.argmax(-1) == y).sum()) for scores, y in pairs)
        return {"accuracy": right / max(sum(len(y) for _, y in pairs), 1)}

    def result(self) -> dict[str, float]:
        found = self.measure(self.data.test)
        if self.goal == "forecast":
            at, (_, deviation) = self.inputs.index(self.target), self._target
            errors = [(e.y - e.x[:, at : at + 1])[~torch.isnan(e.y)] for e in self.data.test]
            return {**found, "by_the_last_value": float(torch.cat(errors).square().mean().sqrt()) * deviation}
        labels = torch.cat([e.y.reshape(-1) for e in self.data.test])
        labels = labels[labels >= 0]
        return {**found, "by_the_commonest_class": float(torch.bincount(labels).max()) / len(labels)}

    def summary(self) -> list[tuple[str, str]]:
        parts = self.data
        what = f"forecast '{self.target}' {self.ahead} ahead" if self.goal == "forecast" else f"label {self.goal}"
        lines = [
            ("table", f"{what}, from {', '.join(self.inputs)}"),
            (
                "parts",
                f"{len(parts.train)} to learn from, {len(parts.validation)} to choose by, {len(parts.test)} held out",
            ),
            ("lengths", lengths_text(parts.train, "rows")),
        ]
        if self.classes:
            lines.append(("classes", f"{len(self.classes)}: {', '.join(self.classes[:8])}"))
        if gaps := {n: count for n, count in self.missing.items() if count}:
            how = {"previous": "the value before", "mean": "the mean"}[self.options.data.missing]
            lines.append(("missing", ", ".join(f"{n} {c:,}" for n, c in gaps.items()) + f"; {how} stands for them"))
        return lines

    def description(self) -> dict[str, Any]:
        return self.described

    def sequences(self, path: Path) -> list[Rows]:
        """The sequences of another table, whose labels, if it has any, the model knows."""
        return self._sequences(path)[1]

    def _sequences(self, path: Path) -> tuple[Frame, list[Rows]]:
        frame = Frame(path)
        needed = {self.target} if self.target in frame.columns or self.goal == "forecast" else set()
        rows = read_rows(frame, self.inputs, self.target if needed else None, self.options.data)
        strange = sorted({str(v) for r in rows for v in r.y} - set(self.classes)) if self.classes and needed else []
        if strange:
            raise DataError(
                f"'{path}': '{strange[0]}' in column '{self.target}' is no label that the model has learned"
            )
        return frame, rows

    def evaluate(self, path: Path) -> dict[str, Any]:
        """Errors or accuracy on a table; of the table it learned from, on the held-out part."""
        examples, known = self._answered(path, part=2)
        self.check_answers(path, examples, "in the test part" if known else "to be compared with")
        return {**self.measure(examples), "sequences": len(examples), "held_out": known}

    def chosen(self, path: Path) -> list[Example]:
        return self._answered(path, part=1)[0]

    def _answered(self, path: Path, part: int) -> tuple[list[Example], bool]:
        """The sequences of a table, of the one it learned from a part; and whether it is that."""
        frame, rows = self._sequences(path)
        frame.column(self.target, "the target")
        known = hashlib.sha256(frame.content).hexdigest() == self.source["sha256"]
        examples = [self.example(r) for r in rows]
        if known:
            parts, spans = _parts(path, rows, self.options.data)
            examples = [self.example(rows[i], *spans[part]) for i in parts[part]]
        return examples, known

    def predict(self, path: Path) -> Iterator[dict[str, Any]]:
        """The forecast after each row, the label of each row, or that of each sequence."""
        _, rows = self._sequences(path)
        self.model.eval()
        for r in rows:
            x = torch.from_numpy(self.filled((r.x - self.mean) / self.deviation).astype("float32"))
            with torch.no_grad():
                scores, _ = self.model(x[None])
            name = {"sequence": r.name} if self.options.data.sequence else {}
            if self.goal == "forecast":
                values = (scores[0, :, 0].double() * self._target[1] + self._target[0]).tolist()
                for row, value in zip(r.rows, values, strict=True):
                    yield {**name, "row": row + 2, f"{self.target}_{self.ahead}_ahead": value}
                continue
            for row, shares in zip(r.rows, torch.softmax(scores[0] if self.every else scores, -1), strict=False):
                best, where = int(shares.argmax()), {"row": row + 2} if self.every else {}
                yield {**name, **where, self.target: self.classes[best], "probability": round(float(shares[best]), 6)}


def read_rows(frame: Frame, inputs: list[str], target: str | None, data: TableData) -> list[Rows]:
    """The sequences of a table in the order of their names, each in the order of time."""
    columns = [frame.numbers(name, "an input") for name in inputs]
    x = numpy.stack(columns, 1)
    labels: Any = None
    if target is not None:
        labels = frame.numbers(target, "the target") if data.goal == "forecast" else frame.column(target, "the label")
    found = []
    for name, rows in sorted(frame.sequences(data.sequence, data.time).items()):
        y = [labels[row] for row in rows] if labels is not None else []
        if data.goal != "forecast" and target is not None:
            empty = next((row for row, value in zip(rows, y, strict=True) if value is None), None)
            if empty is not None:
                raise DataError(f"{frame.path}:{empty + 2}: column '{target}' (the label) is empty")
            if data.goal == "sequences" and len({str(v) for v in y}) > 1:
                raise DataError(
                    f"'{frame.path}': sequence '{name}' has several labels in '{target}'. To label each row, "
                    "use data.goal=steps"
                )
        found.append(Rows(name, x[rows], y, rows))
    return found


Spans = list[tuple[int, int | None]]


def _parts(path: Path, rows: list[Rows], data: TableData) -> tuple[list[list[int]], Spans]:
    """Which sequences belong to which part, and from which step to which they are answered in it."""
    if len(rows) == 1 and data.goal != "sequences":
        length = len(rows[0].x) - (data.ahead if data.goal == "forecast" else 0)
        ends = [int(length * (1 - data.validation - data.test)), int(length * (1 - data.test)), length]
        if min(ends[0], ends[1] - ends[0], ends[2] - ends[1]) < 1:
            raise DataError(f"'{path}' has {len(rows[0].x)} rows, too few to learn from, choose by and hold some out")
        return [[0], [0], [0]], [(0, ends[0]), (ends[0], ends[1]), (ends[1], ends[2])]
    if data.goal == "sequences":
        _check_classes(path, rows)
    drawn = drawn_apart([r.name for r in rows], (1 - data.validation - data.test, data.validation, data.test))
    parts = [[i for i, part in enumerate(drawn) if part == k] for k in range(3)]
    for k, name in enumerate(("train", "validation", "test")):
        if not parts[k]:
            raise DataError(f"'{path}' has {len(rows)} sequences, of which none falls to the {name} part. Give more")
    return parts, [(0, None)] * 3


def _check_classes(path: Path, rows: list[Rows]) -> None:
    counts: dict[str, int] = {}
    for r in rows:
        counts[str(r.y[-1])] = counts.get(str(r.y[-1]), 0) + 1
    for label, count in counts.items():
        if count == 1:
            raise DataError(f"'{path}': the class '{label}' has one sequence. Give it more, or take it out")


def _mean_and_deviation(path: Path, names: list[str], steps: numpy.ndarray) -> tuple[list[float], list[float]]:
    """Of each column over the training part."""
    for name, column in zip(names, steps.T, strict=True):
        if numpy.isnan(column).all():
            raise DataError(
                f"'{path}': column '{name}' holds no number in the part to learn from. Leave it out of data.inputs"
            )
    mean, deviation = numpy.nanmean(steps, 0), numpy.nanstd(steps, 0)
    return mean.tolist(), numpy.where(deviation < 1e-12, 1.0, deviation).tolist()
