"""Series in three parts to learn forecasts from, and the scores of forecasts beside those of yardsticks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ...nn.model import SequenceModel
from ...sequence.ragged import Ragged
from ..sequences import TOGETHER, Sequences
from .case import Case
from .long import WINDOW, scores_at
from .parts import Origins
from .picture import PICTURE, draw_forecasts
from .scores import Scores, coverage, past_error, rounding, scores
from .view import Array
from .yardsticks import yardsticks

if TYPE_CHECKING:
    from .kind import Forecast

REGRESSION = "by_a_ridge_regression"
METRICS = {"root_mean_squared_error": "rmse", "mean_absolute_error": "mae", "mase": "mase", "smape": "smape"}


@dataclass(frozen=True)
class Forecasts(Sequences):
    """Series in three parts.

    cases: the series of the test part, each with the origins that are tested.
    """

    kind: Forecast
    cases: tuple[tuple[Case, Origins], ...] = ()
    starts_useful = True  # the untrained network leaves the forecasts of the regression as they are

    def validate(self, model: SequenceModel) -> float:
        """The loss, and the standard error of its difference to the loss of the regression. So a network is kept if it
        is better by more than chance, which a short validation part needs. Forecasts that overlap count as one."""
        after, before = [], []
        start = torch.from_numpy(self.kind.spread.reshape(-1)).float()
        for found, y in self.kind.score(model, self.validation):
            after.append(self.kind.goal.losses(found, y).double())
            before.append(self.kind.goal.losses(start.expand_as(found), y).double())
        loss, change = torch.cat(after), torch.cat(after) - torch.cat(before)
        if len(change) < 2 or not self.kind.starts(model):
            return float(loss.mean())
        apart = max(len(change) / self.kind.options.ahead, len(self.validation))
        return float(loss.mean() + change.std() / apart**0.5)

    def quantiles(self, model: SequenceModel) -> Iterator[Array]:
        """The forecasts of each case, in the units of its series: (origins, levels, ahead)."""
        levels = len(self.kind.options.quantiles)
        model.eval()
        for start in range(0, len(self.cases), TOGETHER):
            part = self.cases[start : start + TOGETHER]
            read = [example.read for example in self.test[start : start + TOGETHER]]
            if max(map(len, read)) > WINDOW:
                found = [scores_at(model, x, slice(*of)) for x, (_, of) in zip(read, part, strict=True)]
            else:
                with torch.no_grad():
                    answers, _ = model(Ragged(read))
                found = [answers[number][slice(*of)] for number, (_, of) in enumerate(part)]
            for answer, (case, of) in zip(found, part, strict=True):
                yield case.forecasts(answer, levels, slice(*of))

    def table(self, model: SequenceModel) -> tuple[dict[str, Scores], float]:
        """The scores of the model, under '', and of each yardstick, and the coverage of the model's interval."""
        season = next(iter(self.kind.base.features.seasons), None)
        middle = self.kind.options.quantiles.index(0.5)
        actual = [case.later(origins) for case, origins in self.cases]
        unit = [past_error(case.series.y[: origins.first + 1], season) for case, origins in self.cases]
        least = [rounding(case.series.y) for case, _ in self.cases]
        found = list(self.quantiles(model))
        forecasts: dict[str, list[Array]] = {"": [values[:, middle] for values in found]}
        for case, origins in self.cases:
            part, ahead = slice(*origins), case.expected.shape[1]
            for name, values in yardsticks(case.series.y, season, ahead).items():
                forecasts.setdefault(name, []).append(values[part])
            forecasts.setdefault(REGRESSION, []).append(case.by_regression(origins))
        inside = coverage(actual, [v[:, 0] for v in found], [v[:, -1] for v in found], least)
        return {name: scores(actual, values, unit, least) for name, values in forecasts.items()}, inside

    def result(self, model: SequenceModel) -> dict[str, float]:
        """The error of the model first, then that of each yardstick: of a single series the root mean squared error, of
        several the mean absolute scaled error. Then all other scores of the model, and of the yardsticks."""
        table, inside = self.table(model)
        first = "mase" if len(self.cases) > 1 else "root_mean_squared_error"
        names = [first, *(name for name in METRICS if name != first)]
        result = {first: getattr(table[""], METRICS[first])}
        for name, of in table.items():
            result |= {name: getattr(of, METRICS[first])} if name else {}
        result |= {name: getattr(table[""], METRICS[name]) for name in names[1:]} | {"coverage": inside}
        for name in names[1:]:
            result |= {f"{name}_{by}": getattr(of, METRICS[name]) for by, of in table.items() if by}
        return result

    def pictures(self, model: SequenceModel) -> dict[str, str]:
        known = [origins.first + 1 for _, origins in self.cases]
        series = [case.series for case, _ in self.cases]
        return {PICTURE: draw_forecasts(self.kind.writer(model), series, known, self.path.stem)}

    def describe(self) -> list[tuple[str, str]]:
        return list(self.about)

    def evaluate(self, model: SequenceModel) -> dict[str, Any]:
        return {**self.result(model), **self.counts, "held_out": self.known}
