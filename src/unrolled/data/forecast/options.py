"""The section [data] of a forecast."""

from __future__ import annotations

from dataclasses import dataclass, field

from ...errors import UsageError, check_choice
from ..table import TableOptions
from .features import READS


@dataclass(frozen=True)
class ForecastOptions(TableOptions):
    """[data] of a forecast: that of a table, and

    ahead: the number of steps to forecast, all at once.
    season: the length of a season in steps; 0 for no season. By default it follows from the dates, or from the values.
    quantiles: what is forecast of each value; 0.5 is the forecast itself.
    reads: what the network reads: the 'view' of the recent past and the forecast of the regression, from which it
        starts; or the last cycle of 'values', to which it adds nothing but what its equations say, as in es_rnn.
    validation, test: shares of the end of each series, or numbers of steps.

    Raises:
        UsageError: a value out of range.
    """

    season: int | None = None
    quantiles: list[float] = field(default_factory=lambda: [0.1, 0.5, 0.9])
    reads: str = "view"

    predicts = "a later value"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.goal != "forecast":
            raise UsageError(f"a forecast has data.goal=forecast, got {self.goal}")
        if self.missing == "mean":
            raise UsageError("a forecast reads the value before a missing one: data.missing=previous, or refuse")
        if self.season is not None and self.season < 0:
            raise UsageError(f"data.season must be a whole number from 0, got {self.season}")
        check_choice("data.reads", self.reads, READS)
        q = self.quantiles
        if sorted(set(q)) != q or 0.5 not in q or not all(0 < level < 1 for level in q):
            raise UsageError(f"data.quantiles must rise between 0 and 1, with 0.5 among them, got {q}")

    def _check_shares(self) -> None:
        shares = [share for share in (self.validation, self.test) if share < 1]
        whole = all(share < 1 or share % 1 == 0 for share in (self.validation, self.test))
        if not (self.validation > 0 and self.test > 0 and sum(shares) < 1 and whole):
            raise UsageError(
                "data.validation and data.test must be shares with a sum below 1, or numbers of steps, got "
                f"{self.validation:g} and {self.test:g}"
            )
