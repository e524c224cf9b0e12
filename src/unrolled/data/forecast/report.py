"""The scores of a forecast beside those of yardsticks, for people."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

WIDE = 9  # characters of a column, at least
METRICS = {"root_mean_squared_error": "RMSE", "mean_absolute_error": "MAE", "mase": "MASE", "smape": "sMAPE %"}
NAMES = {
    "": "this model",
    "by_a_ridge_regression": "a ridge regression on lags",
    "by_the_last_value": "the last value",
    "by_the_season": "the season before",
    "by_the_drift": "the drift",
}


def report(score: Mapping[str, Any], levels: Sequence[float]) -> list[str]:
    """A table with a line for the model and for each yardstick, and how often the interval held.

    >>> print("\\n".join(report({"mase": 0.5, "by_the_drift": 1.0, "smape": 9.0, "coverage": 0.8}, [0.1, 0.5, 0.9])))
                                      MASE  sMAPE %
    this model                         0.5        9
    the drift                            1
    the interval from 10 % to 90 % held 80.0 % of the values
    """
    first = next(iter(score))
    shown = [name for name in METRICS if name in score]
    rows = [("", [METRICS[name] for name in shown])]
    for by, words in NAMES.items():
        keys = [name if not by else by if name == first else f"{name}_{by}" for name in shown]
        if keys[shown.index(first)] in score:
            rows.append((words, [_short(score.get(key)) for key in keys]))
    wide = max(WIDE, *(len(cell) + 2 for _, cells in rows for cell in cells))
    lines = [f"{words:<26}" + "".join(f"{cell:>{wide}}" for cell in cells).rstrip() for words, cells in rows]
    low, high = (f"{100 * level:.3g}" for level in (levels[0], levels[-1]))
    return [*lines, f"the interval from {low} % to {high} % held {100 * score['coverage']:.1f} % of the values"]


def advice(worse_than: Sequence[str]) -> str:
    """What to do about a forecast that is worse than some yardsticks.

    >>> advice(["smape_by_the_drift"])[:43]
    'By sMAPE, the forecast is worse than the dr'

    Args:
        worse_than: yardsticks, such as 'by_the_drift', or 'smape_by_the_drift' by another metric than the first one.
    """
    metrics: dict[tuple[str, ...], list[str]] = {}
    for metric in ("", *METRICS):
        prefix = f"{metric}_" if metric else ""
        names = tuple(words for by, words in NAMES.items() if by and prefix + by in worse_than)
        metrics.setdefault(names, []).append(METRICS.get(metric, "").removesuffix(" %"))
    said = []
    for names, of in metrics.items():
        if names:
            by = "" if "" in of else f"By {_listed(of)}, "
            said.append(f"{by}{'the' if by else 'The'} forecast is worse than {_listed(names)} on the test data")
    return (
        f"{'. '.join(said)}, where the series may have changed. Use that yardstick, give more history or columns that "
        "explain the values, or name the season: --set data.season=ROWS (0 for none)"
    )


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _short(value: float | None) -> str:
    """A score with three or four digits; empty without one, and a dash where there is nothing to measure."""
    if value is None or math.isnan(value):
        return "" if value is None else "-"
    text = f"{value:.4g}"
    return f"{value:.3g}" if "e" in text else text
