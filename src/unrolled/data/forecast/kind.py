"""Forecasts of the next values of one or many series."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy
import torch
from torch import nn

from ...errors import DataError
from ...files.checked import Checked
from ...files.shelf import Shelf
from ...nn.model import SequenceModel
from ..example import Example
from ..given import fingerprint
from ..goal import Answers
from ..reading import Reading
from ..sequences import SequenceKind
from ..tables.read import read_sheet
from ..tables.roles import find_roles
from ..tables.series import Roles, Series, read_series
from ..tables.sheet import Sheet
from ..tables.summary import summary
from .base import Base, learn_base, left_out_case
from .case import Case, pieces
from .data import Forecasts
from .features import stored_features
from .future import ForecastWriter
from .goal import Quantiles
from .learning import doubts_of, features_of, gaps_of, spread_of, with_files
from .long import WINDOW, scores_of
from .options import ForecastOptions
from .parts import NAMES, Ends, ends_of_all, origins, spans, steps_known
from .report import advice, report
from .view import Array


@dataclass(frozen=True)
class Forecast(SequenceKind):
    """The next values of one or many series, as quantiles.

    A regression on lags makes a first forecast. The network reads the series and that forecast, and learns what it
    leaves. It starts from nothing, and is kept as far as the validation data support it. Levels and sizes do not
    matter, see ``view.View``.

    roles: of the columns.
    layout: of the table.
    base: the regression.
    spread: the quantiles of what it leaves, relative to the median: (quantiles, ahead).
    """

    name: ClassVar[str] = "forecast"
    Options: ClassVar[type] = ForecastOptions
    unit = "pinball loss"
    steps, read_steps = "forecasts", "rows"

    options: ForecastOptions
    roles: Roles
    layout: str
    base: Base
    spread: Array

    @classmethod
    def learn(cls, path: Path, options: ForecastOptions, reading: Reading) -> Forecasts:
        """Raises DataError for a column that is missing or does not hold numbers, for duplicate times, and for series
        that are too short."""
        sheet = read_sheet(path, options)
        understood = find_roles(sheet, options)
        given = with_files(read_series(sheet, understood.roles), understood.roles, options, reading)
        series, ends = [one.series for one in given], ends_of_all(path, given, options)
        notes = [*gaps_of(path, series, understood.roles, options), *doubts_of(series, understood.roles)]
        features = features_of(path, series, ends, understood.roles, options)
        first, found = learn_base(features, series, [end.train for end in ends])
        base, _ = learn_base(features, series, [end.validation for end in ends])
        kind = cls(options, reading, understood.roles, sheet.layout, base, numpy.empty(0))
        cases = (
            (left_out_case(first, found, one, end.train), base.case(one, end.validation))
            for one, end in zip(series, ends, strict=True)
        )
        lines = summary(sheet, understood, series, spans(ends), (reading.validation, reading.test))
        data = kind._data(sheet, ends, cases, [*lines, *notes])
        return replace(data, kind=replace(kind, spread=spread_of([*data.train, *data.validation], options)))

    @classmethod
    def learn_again(cls, path: Path, options: ForecastOptions, reading: Reading, description: Checked) -> Forecasts:
        """The stored regression, if it is the one that the data give, but for the rounding of another machine."""
        data, stored = cls.learn(path, options, reading), cls.stored(options, reading, description)
        pairs = ((data.kind.base.shared, stored.base.shared), (data.kind.spread, stored.spread))
        same = all(a.shape == b.shape and numpy.allclose(a, b, rtol=1e-6, atol=1e-9) for a, b in pairs)
        return replace(data, kind=stored) if same else data

    @classmethod
    def stored(cls, options: ForecastOptions, reading: Reading, description: Checked) -> Self:
        time, target = (description.get(f"roles.{name}", str) for name in ("time", "target"))
        keys, inputs, future = (tuple(description.list_of(f"roles.{n}", str)) for n in ("keys", "inputs", "future"))
        features = stored_features(description, options.ahead, len(inputs), len(future))
        shared = _matrix(description, "shared", features.count, options.ahead)
        spread = _matrix(description, "spread", len(options.quantiles), options.ahead)
        base = Base(features, shared, description.get("several", bool))
        roles = Roles(time, keys, target, inputs, future)
        return cls(options, reading, roles, description.get("layout", str), base, spread)

    def description(self) -> dict[str, Any]:
        roles = {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(self.roles).items() if n != "labels"}
        features = {n: list(v) if isinstance(v, tuple) else v for n, v in asdict(self.base.features).items()}
        numbers = {"shared": self.base.shared.tolist(), "spread": self.spread.tolist()}
        return {"roles": roles, "layout": self.layout, "features": features, "several": self.base.several, **numbers}

    def read(self, path: Path, sha256: str) -> Forecasts:
        sheet, series = self.series(path)
        known = fingerprint(sheet.sha256, self.reading) == sha256
        if known:
            given = with_files(series, self.roles, self.options, self.reading)
            series, ends = [one.series for one in given], ends_of_all(path, given, self.options)
        else:
            ends = [Ends(0, 0, steps_known(one.y)) for one in series]
        cases = (self.base.case(one, end.validation) for one, end in zip(series, ends, strict=True))
        return self._data(sheet, ends, ((case, case) for case in cases), known=known)

    def _check_targets(self, path: Path, examples: Sequence[Example], where: str) -> None:
        """Refuse a part without a single known target: there is nothing to measure."""
        if all(torch.isnan(example.y).all() for example in examples):
            raise DataError(
                f"'{path}': no row {where} has a value in column '{self.roles.target}', so there is nothing to "
                "measure. Remove rows without values, or change the parts with data.validation and data.test"
            )

    def series(self, path: Path) -> tuple[Sheet, list[Series]]:
        """Another table, and its series."""
        sheet = read_sheet(path, replace(self.options, layout=self.layout))
        sheet.require(self.roles.target, "the target")
        return sheet, read_series(sheet, self.roles)

    def _data(
        self,
        sheet: Sheet,
        ends: Sequence[Ends],
        cases: Iterable[tuple[Case, Case]],
        lines: Sequence[tuple[str, str]] = (),
        known: bool = True,
    ) -> Forecasts:
        """The data of series: of each, what was expected after the training part, and after the validation part."""
        parts: tuple[list[Example], list[Example], list[Example]] = ([], [], [])
        tested, shelf = [], Shelf()
        for end, (first, second) in zip(ends, cases, strict=True):
            for part, case, of in zip(parts, (first, first, second), origins(end, self.options.ahead), strict=True):
                if of.end > of.first:
                    example = case.example(self.base.features, of, shelf)
                    part += pieces(example) if part is parts[0] and known else [example]
                    tested += [(case.light(shelf), of)] if part is parts[2] else []
        for name, part in zip(NAMES, parts, strict=True) if known else [("test", parts[2])]:
            self._check_targets(sheet.path, part, f"in the {name} part" if known else "to compare with")
        if not known:
            parts = parts[2], parts[2], parts[2]
        counts = {"series": len(tested), "forecasts": sum(of.end - of.first for _, of in tested)}
        about = (("table", self._about()), *lines)
        sha256 = fingerprint(sheet.sha256, self.reading) if known else sheet.sha256
        return Forecasts(self, sheet.path, sha256, known, parts, counts, about, tuple(tested))

    def _about(self) -> str:
        """What is forecast, from what, for people."""
        features, ahead = self.base.features, self.options.ahead
        others = [*self.roles.inputs, *(f"{name} (known ahead)" for name in self.roles.future)]
        beside = f" and {', '.join(others)}" if others else ""
        cycles = [f"{m} rows" for m in features.seasons] + [f"the {name}" for name in features.cycles]
        season = f"; seasons: {', '.join(cycles)}" if cycles else "; no season"
        steps = f"{ahead} steps" if ahead > 1 else "1 step"
        return f"forecast '{self.roles.target}' {steps} ahead, from its last {features.lags} values{beside}{season}"

    @property
    def inputs(self) -> int:
        return self.base.features.read

    @property
    def outputs(self) -> int:
        return self.spread.size

    @property
    def goal(self) -> Quantiles:
        return Quantiles(tuple(self.options.quantiles))

    def score(self, model: SequenceModel, examples: Sequence[Example]) -> Answers:
        """Scores and targets of some series, a long one window by window."""
        long = [example for example in examples if len(example.read) > WINDOW]
        yield from super().score(model, [example for example in examples if len(example.read) <= WINDOW])
        for example in long:
            for scores, y in zip(scores_of(model.eval(), example.read), example.y.split(WINDOW), strict=True):
                known = self.goal.known(y)
                yield scores[known], y[known]

    def start(self, model: SequenceModel) -> None:
        """The untrained network leaves the forecast of the regression as it is, with the interval of its errors."""
        if isinstance(model.read_out, nn.Linear):
            with torch.no_grad():
                model.read_out.weight.zero_()
                model.read_out.bias.copy_(torch.from_numpy(self.spread.reshape(-1)))

    def starts(self, model: SequenceModel) -> bool:
        """Whether the untrained network leaves the forecast of the regression as it is."""
        return self.base.features.reads == "view" and isinstance(model.read_out, nn.Linear)

    def report(self, score: Mapping[str, Any]) -> list[str]:
        return report(score, self.options.quantiles)

    def advice(self, worse_than: Sequence[str], rate: float) -> str:
        return advice(worse_than)

    def predict(self, model: SequenceModel, path: Path) -> Iterator[dict[str, Any]]:
        """The values after the end of each series."""
        series = self.series(path)[1]
        writer = self.writer(model, series)
        for one in series:
            yield from writer.after(one)

    def predict_all(self, model: SequenceModel, path: Path, sha256: str) -> Iterator[dict[str, Any]]:
        """What would have been forecast of the known values, beside them, and the values after the end of each series.

        Args:
            model: the network.
            path: of the table.
            sha256: the fingerprint of the table that the model learned from. Rows of that table say their part.
        """
        sheet, series = self.series(path)
        known, writer = fingerprint(sheet.sha256, self.reading) == sha256, self.writer(model, series)
        if known:
            given = with_files(series, self.roles, self.options, self.reading)
            series, ends = [one.series for one in given], ends_of_all(path, given, self.options)
        else:
            ends = [Ends(0, 0, 0)] * len(series)
        for one, end in zip(series, ends, strict=True):
            yield from writer.before(one, end)
            more = {"actual": None} | ({"part": "future"} if known else {})
            yield from (row | more for row in writer.after(one))

    def writer(self, model: SequenceModel, series: Sequence[Series] = ()) -> ForecastWriter:
        """Writes forecasts of a model for some series as rows."""
        longest = max((one.time for one in series if one.time is not None), key=len, default=None)
        return ForecastWriter(model, self.base, self.options.quantiles, self.roles, longest)


def _matrix(description: Checked, name: str, rows: int, columns: int) -> Array:
    """A matrix from a description."""
    found = numpy.array([row for row in description.list_of(name, list, rows)], dtype=object)
    try:
        return found.astype(float).reshape(rows, columns)
    except (TypeError, ValueError):
        description.refuse(f"'{name}' must be a matrix of {rows} rows and {columns} columns of numbers")
