"""Classic series, forecast one step ahead with default options, beside ARIMA and exponential smoothing.

    python examples/series.py --out runs/results/series

statsmodels includes the series and both methods. Each series is a table of a date (or year) and a value. The last 15 %
of the rows are the test set, and each of its values is forecast from those before it. The orders of ARIMA and the parts
of exponential smoothing (ETS) are those with the least AIC on the rows before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy
import pandas
from statsmodels import datasets
from statsmodels.tsa.exponential_smoothing.ets import ETSModel
from statsmodels.tsa.statespace.sarimax import SARIMAX
from statsmodels.tsa.stattools import kpss


class Classic(NamedTuple):
    """A series: its values by date, the length of its season (1 for none), and how often ARIMA differences it; by
    default as often as a unit root test says."""

    values: pandas.Series
    season: int
    differences: int | None = None
    seasonal_differences: int = 0


def classics() -> dict[str, Classic]:
    """Carbon dioxide by month, sunspots by year, the Nile by year, El Niño by month, and the US economy by quarter."""
    co2 = datasets.co2.load_pandas().data["co2"].resample("MS").mean().interpolate()
    sunspots = datasets.sunspots.load_pandas().data.set_index("YEAR")["SUNACTIVITY"]
    nile = datasets.nile.load_pandas().data.set_index("year")["volume"]
    wide = datasets.elnino.load_pandas().data.set_index("YEAR")
    months = pandas.date_range(f"{int(wide.index[0])}-01-01", periods=wide.size, freq="MS")
    elnino = pandas.Series(wide.to_numpy().ravel(), months, name="temperature")
    economy = datasets.macrodata.load_pandas().data.drop(columns="quarter")
    quarters = pandas.date_range(f"{int(economy.pop('year')[0])}-01-01", periods=len(economy), freq="QS")
    return {
        "co2": Classic(co2, 12, 1, 1),
        "sunspots": Classic(sunspots, 1, 0, 0),
        "nile": Classic(nile, 1, 0, 0),
        "elnino": Classic(elnino, 12, 0, 1),
        **{name: Classic(values.set_axis(quarters), 4) for name, values in economy.items()},
    }


def differences(y: numpy.ndarray) -> int:
    """How often to difference a series: until it is stationary by the test of Kwiatkowski et al. (1992), at most twice,
    as in Hyndman and Khandakar (2008)."""
    return next((times for times in range(2) if kpss(numpy.diff(y, times), nlags="auto")[1] >= 0.05), 2)


def write(path: Path, values: pandas.Series) -> Path:
    """Write a series as a table of two columns."""
    index = values.index
    name = "date" if isinstance(index, pandas.DatetimeIndex) else "year"
    times = index.strftime("%Y-%m-%d") if name == "date" else index.astype(int)
    pandas.DataFrame({name: times, values.name: values.to_numpy()}).to_csv(path, index=False)
    return path


def trained(path: Path, out: Path, more: list[str]) -> dict[str, float]:
    """The result of a training with default options."""
    command = [sys.executable, "-m", "unrolled", "train", str(path), "--out", str(out), "--overwrite", "--json", *more]
    printed = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    result: dict[str, float] = json.loads(printed.splitlines()[-1])
    return result


def arima(y: numpy.ndarray, first: int, classic: Classic) -> numpy.ndarray:
    """One-step forecasts of the values from ``first``: the orders have the least AIC on those before."""
    best = None
    times = differences(y[:first]) if classic.differences is None else classic.differences
    seasonal = product((0, 1), (0, 1)) if classic.season > 1 else [(0, 0)]
    for (p, q), (big_p, big_q) in product(product(range(4), range(3)), seasonal):
        if classic.season == 12 and p + q > 3:  # the others take minutes
            continue
        order = p, times, q
        of_season = (big_p, classic.seasonal_differences, big_q, classic.season) if classic.season > 1 else (0, 0, 0, 0)
        trend = "c" if times + classic.seasonal_differences == 0 else None
        model = SARIMAX(y[:first], order=order, seasonal_order=of_season, trend=trend, enforce_stationarity=False)
        fitted = model.fit(disp=0, maxiter=50)
        if best is None or fitted.aic < best.aic:
            best = fitted
    return best.apply(y).get_prediction(start=first).predicted_mean


def smoothing(y: numpy.ndarray, first: int, classic: Classic) -> numpy.ndarray:
    """The same by exponential smoothing: trend, damping and season by the least AIC."""
    best = None
    season = classic.season if classic.season > 1 else None
    for trend, damped, of_season in product((None, "add"), (False, True), (None, "add") if season else (None,)):
        if damped and trend is None:
            continue
        parts = {"trend": trend, "damped_trend": damped, "seasonal": of_season}
        parts["seasonal_periods"] = season if of_season else None
        fitted = ETSModel(y[:first], **parts).fit(disp=0)
        if best is None or fitted.aic < best[0].aic:
            best = fitted, parts
    model = ETSModel(y, **best[1])
    with model.fix_params(dict(zip(best[0].param_names, best[0].params, strict=True))):
        return model.fit(disp=0).fittedvalues[first:]


def error(values: numpy.ndarray, expected: numpy.ndarray) -> float:
    """Root mean squared error."""
    return float(numpy.sqrt(numpy.mean((values - expected) ** 2)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/series"))
    parser.add_argument("--only", nargs="*", default=list(classics()))
    arguments, more = parser.parse_known_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    warnings.simplefilter("ignore")
    print("| series | unrolled | ARIMA | ETS | last value | season before | times the better of ARIMA and ETS |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    for name in arguments.only:
        classic = classics()[name]
        y = classic.values.to_numpy(float)
        result = trained(write(arguments.out / f"{name}.csv", classic.values), arguments.out / name, more)
        first = int((len(y) - 1) * 0.85) + 1
        others = [error(y[first:], of(y, first, classic)) for of in (arima, smoothing)]
        found = result["root_mean_squared_error"]
        season = result.get("by_the_season")
        cells = [found, *others, result["by_the_last_value"], *([season] if season else [])]
        shown = [f"{value:.4g}" for value in cells] + ([] if season else [""])
        print(f"| {name} | {' | '.join(shown)} | {found / min(others):.2f} |", flush=True)


if __name__ == "__main__":
    main()
