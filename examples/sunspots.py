"""Forecasts of the yearly number of sunspots, 1700 to 2008, compared with the seasonal-naive forecast.

    python examples/sunspots.py --out runs/results/sunspots

statsmodels includes the series. The first 70 % of the years are the training set, the next 15 % the validation set, and
the last 15 % the test set. Each test year is forecast from the years before it. The seasonal-naive forecast is the
value one season earlier. The length of a season is the number of years for which that forecast is best before the test
set.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import matplotlib
import numpy
import torch
from statsmodels.datasets import sunspots

from unrolled import cells
from unrolled.tasks.options import resolve
from unrolled.tasks.table import Table
from unrolled.train.loop import Training

OPTIONS = {
    "model": {"hidden": 32, "dropout": 0.2},
    "training": {"updates": 200, "rate": 5e-3, "validations": 40, "average": 0.9},
    "data": {"target": "SUNACTIVITY", "time": "YEAR"},
}


def write_series(path: Path) -> numpy.ndarray:
    """Write the series as a table of two columns, and return its values (years,)."""
    series = sunspots.load_pandas().data
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file)
        rows.writerow(["YEAR", "SUNACTIVITY"])
        rows.writerows(zip(series["YEAR"].astype(int), series["SUNACTIVITY"], strict=True))
    return series["SUNACTIVITY"].to_numpy()


def forecasts(path: Path, seed: int = 0) -> numpy.ndarray:
    """Train a model, and forecast every year but the first from the years before it: (years - 1,)."""
    task = Table.read(path, cells.gru, resolve({**OPTIONS, "reading": {"seed": seed}}, Table.section))
    for progress in Training(task, task.options.settings).run():
        if progress.validation is not None and progress.best:
            print(f"{progress.done:5.0%}   validation {progress.validation:.4f}", flush=True)
    return numpy.array([row["SUNACTIVITY_1_ahead"] for row in task.predict(path)][:-1])


def season_of(values: numpy.ndarray) -> int:
    """The number of years, from 2 to 20, after which the values repeat best."""
    return min(range(2, 21), key=lambda years: error(values[years:], values[:-years]))


def error(values: numpy.ndarray, expected: numpy.ndarray) -> float:
    """Root mean squared error."""
    return float(numpy.sqrt(numpy.mean((values - expected) ** 2)))


def draw(path: Path, years: range, values: numpy.ndarray, kinds: dict[str, numpy.ndarray]) -> None:
    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 4), layout="constrained")
    axes.plot(years, values, color="black", linewidth=2, label="sunspots")
    for (name, expected), style in zip(kinds.items(), ("C3-", "C0--", "C7:"), strict=True):
        axes.plot(years, expected, style, label=f"{name}: error {error(values, expected):.1f}")
    axes.set(xlabel="year", ylabel="sunspots", title="The test years, each forecast from the years before it")
    axes.legend(frameon=False, ncols=2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_ylim(0, 1.3 * values.max())
    figure.savefig(path, dpi=120)
    pyplot.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs/sunspots"))
    out = parser.parse_args().out
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    values = write_series(out / "sunspots.csv")
    expected = forecasts(out / "sunspots.csv")
    first = 1 + int((len(values) - 1) * 0.85)  # the first test year; all years but the first can be forecast
    season = season_of(values[:first])
    tail = values[first:]
    kinds = {
        "GRU": expected[first - 1 :],
        f"seasonal naive ({season} years before)": values[first - season : -season],
        "previous year": values[first - 1 : -1],
    }
    for name, of in kinds.items():
        print(f"{error(tail, of):6.2f}   {name}")
    draw(out / "sunspots.png", range(1700 + first, 1700 + len(values)), tail, kinds)
    print(f"root mean squared errors on {len(tail)} test years, also shown in {out / 'sunspots.png'}")


if __name__ == "__main__":
    main()
