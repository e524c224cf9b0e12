"""Forecasts: the regression, what the network adds, yardsticks, what is written; and that levels, sizes and the order
of rows change nothing."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import NoReturn
from zoneinfo import ZoneInfo

import numpy
import pandas
import pytest
import torch

from unrolled import Recurrent, cells
from unrolled.cli import main
from unrolled.cli.learn import worse_than
from unrolled.data.example import Example
from unrolled.data.forecast.bounds import bounds
from unrolled.data.forecast.calendar import circles, cycles_of, following, shown
from unrolled.data.forecast.choice import Choice
from unrolled.data.forecast.data import Forecasts
from unrolled.data.forecast.features import Features, Rows
from unrolled.data.forecast.future import times_from
from unrolled.data.forecast.given import joined
from unrolled.data.forecast.goal import Quantiles
from unrolled.data.forecast.kind import Forecast
from unrolled.data.forecast.learning import spread_of
from unrolled.data.forecast.options import ForecastOptions
from unrolled.data.forecast.parts import Ends, Origins, ends_of_all, origins
from unrolled.data.forecast.regression import BLOCKS, fit, left_out
from unrolled.data.forecast.report import advice, report
from unrolled.data.forecast.ridge import Basis, cross_fitted, solutions, triangle
from unrolled.data.forecast.scores import coverage, past_error, rounding, scores
from unrolled.data.forecast.season import seasons_of
from unrolled.data.forecast.view import View
from unrolled.data.forecast.yardsticks import yardsticks
from unrolled.data.tables.dates import parse_dates
from unrolled.data.tables.series import Series
from unrolled.data.tables.zones import written
from unrolled.errors import DataError, UsageError
from unrolled.files.checked import Checked
from unrolled.graph.node import leaf, vector
from unrolled.graph.size import Size
from unrolled.run.spec import Spec
from unrolled.run.trained import Trained, initial_model
from unrolled.transform.evaluate import evaluate

DRAW = numpy.random.default_rng


def series(y: numpy.ndarray, name: str = "", time: numpy.ndarray | None = None) -> Series:
    nothing = numpy.empty((len(y), 0))
    return Series(name, time, nothing, y, nothing, numpy.arange(len(y)))


def write(path: Path, y: numpy.ndarray) -> Path:
    path.write_text("\n".join(["y", *(f"{v:.17g}" for v in y)]) + "\n")
    return path


def learned(path: Path, **data: object) -> Forecasts:
    spec = Spec.read("forecast", {"data": data})
    return Forecast.learn(path, spec.data, spec.reading)


def untrained(data: Forecasts, **sections: dict[str, object]) -> torch.nn.Module:
    return initial_model(Spec.read("forecast", {"data": data.kind.description() and {}, **sections}), cells.gru, data)


# the view


def test_a_view_does_not_know_levels_and_sizes():
    y = DRAW(0).normal(size=50).cumsum()
    one, other = View.of(y, 6, 10, 3), View.of(1000 * y - 7e6, 6, 10, 3)
    for name in ("past", "mean", "low", "high", "later"):
        numpy.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=1e-6)
    numpy.testing.assert_allclose(other.size, 1000 * one.size, rtol=1e-6)


def test_a_view_shows_the_past_and_what_came_later():
    y = numpy.array([1.0, 3.0, numpy.nan, 7.0, 8.0])
    view = View.of(y, lags=3, window=2, ahead=2)
    assert view.level.tolist() == [1, 3, 3, 7, 8]
    assert view.size.tolist() == [0, 2, 1, 2, 2.5]
    assert view.past[3].tolist() == [-2, -2] and view.past[4].tolist() == [-0.4, -2]
    numpy.testing.assert_equal(view.later[1], [numpy.nan, 2.0])
    numpy.testing.assert_equal(view.later[3], [0.5, numpy.nan])


def test_a_series_is_bounded_by_a_value_that_it_comes_back_to():
    low, high = bounds(numpy.array([2.0, 0.0, 5.0, 0.0, 5.0, 5.0, 0.0, 5.0, -1.0, 5.0]))
    assert low.tolist() == [*[-numpy.inf] * 6, 0, 0, *[-numpy.inf] * 2]
    assert high.tolist() == [*[numpy.inf] * 7, 5, 5, 5]
    assert not numpy.isfinite(bounds(numpy.array([3.0, 3.0, 2.0, 2.0, 1.0, 1.0, 1.0]))[0]).any(), "it falls"


# the regression


def test_a_triangle_stands_for_its_rows():
    draw = DRAW(1)
    x = numpy.concatenate([numpy.ones((40, 1)), draw.normal(size=(40, 3)) * [1, 10, 0.1]], 1)
    y = draw.normal(size=(40, 2))
    (found,) = solutions(triangle(x, y), 4, [0.3])
    z = (x[:, 1:] - x[:, 1:].mean(0)) / x[:, 1:].std(0)
    slopes = numpy.linalg.solve(z.T @ z + 0.3 * 40 * numpy.eye(3), z.T @ (y - y.mean(0)))
    numpy.testing.assert_allclose(x @ found, z @ slopes + y.mean(0), rtol=1e-9)


def test_each_block_is_predicted_from_the_others():
    draw = DRAW(2)
    x = numpy.concatenate([numpy.ones((53, 1)), draw.normal(size=(53, 2))], 1)
    y = x @ draw.normal(size=(3, 2)) + 0.1 * draw.normal(size=(53, 2))
    y[:3], y[20], y[-4:] = numpy.nan, numpy.nan, numpy.nan
    rows = Rows(x, y)
    found = fit(lambda _: rows, 1)
    usable = numpy.flatnonzero(~numpy.isnan(y).any(1))
    blocks = numpy.array_split(usable, BLOCKS)
    exact = cross_fitted([triangle(x[b], y[b]) for b in blocks], Basis.of_all(3))
    predicted = left_out(rows, found, several=False)
    for block, of in zip(blocks, exact.without, strict=True):
        numpy.testing.assert_allclose(predicted[block], x[block] @ of, rtol=1e-6)
    numpy.testing.assert_allclose(predicted[-4:], x[-4:] @ exact.whole, rtol=1e-6)


def test_changes_further_back_are_penalised_more():
    features = Features(ahead=1, lags=5, window=9, seasons=(), cycles=("year",), mean=(0.0,), deviation=(1.0,))
    y = DRAW(13).normal(size=40).cumsum()
    past = View.of(y, 5, 9, 1).past
    read = numpy.concatenate([numpy.ones((40, 1)), past, DRAW(14).normal(size=(40, 1 + 6 + 4))], 1)
    found = Choice(past=True, decay=2.0, mean=True, others=True).basis(features)
    changes = numpy.diff(past, axis=1, prepend=0.0)
    numpy.testing.assert_allclose(
        read @ found.directions, numpy.concatenate([read[:, :1], changes, read[:, [5]], read[:, 12:]], 1)
    )
    assert found.penalties.tolist() == [1, 4, 9, 16, *[1] * 5]
    assert Choice(calendar=True).basis(features).directions.T.tolist() == numpy.eye(16)[[0, *range(6, 12)]].tolist()
    x, target = read @ found.directions, DRAW(15).normal(size=(40, 1))
    (slopes,) = solutions(triangle(x, target), 10, [0.3], found.penalties)
    z = (x[:, 1:] - x[:, 1:].mean(0)) / x[:, 1:].std(0) / found.penalties
    exact = z @ numpy.linalg.solve(z.T @ z + 0.3 * 40 * numpy.eye(9), z.T @ (target - target.mean())) + target.mean()
    numpy.testing.assert_allclose(x @ slopes, exact, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_a_series_that_grows_does_not_return_to_its_mean(seed: int, tmp_path: Path):
    """A walk with a drift: the best forecast adds the drift to the last value, with an error of one."""
    y = (0.7 + DRAW(seed).normal(size=400)).cumsum()
    data = learned(write(tmp_path / "y.csv", y))
    result = data.result(untrained(data))
    assert result["root_mean_squared_error"] < 1.02 * min(result["by_the_drift"], result["by_the_last_value"])
    assert not data.kind.base.shared[data.kind.base.features.lags].any(), "the coefficient of the mean"


def test_noise_gets_no_coefficients():
    draw = DRAW(3)
    rows = Rows(numpy.concatenate([numpy.ones((60, 1)), draw.normal(size=(60, 8))], 1), draw.normal(size=(60, 1)))
    assert not fit(lambda _: rows, 1).whole.any()


@pytest.mark.parametrize("known", [15, 40])
def test_an_interval_from_few_values_holds_as_often_as_it_says(known: int):
    draw, held = DRAW(17), []
    for _ in range(1000):
        values = torch.from_numpy(draw.normal(size=(known, 1)))
        low, _, high = spread_of([Example(values, values, "noise")], options())[:, 0] + values.median().item()
        held.append(low <= draw.normal() <= high)
    assert 0.77 < numpy.mean(held) < 0.83


# series that are known exactly


@pytest.mark.parametrize("steps", [100, 2000])
@pytest.mark.parametrize("kind", ["ramp", "sine"])
def test_a_ramp_and_a_sine_go_on_beyond_what_was_seen(kind: str, steps: int, tmp_path: Path):
    t = numpy.arange(steps + 12.0)
    y = 3 * t - 50 if kind == "ramp" else 20 * numpy.sin(t / 5) + 7
    data = learned(write(tmp_path / "y.csv", y[:steps]), ahead=12)
    rows = list(data.kind.predict(untrained(data), data.path))
    assert [row["step"] for row in rows] == [*range(1, 13)]
    numpy.testing.assert_allclose([row["forecast"] for row in rows], y[steps:], atol=0.001 * numpy.ptp(y))


@pytest.mark.parametrize("seed", range(5))
def test_a_random_walk_is_forecast_as_its_last_value_and_noise_as_its_mean(seed: int, tmp_path: Path):
    steps = DRAW(seed).normal(size=400 * (seed + 1))
    walk = learned(write(tmp_path / "walk.csv", steps.cumsum()))
    result = walk.result(untrained(walk))
    assert result["root_mean_squared_error"] <= 1.02 * result["by_the_last_value"]
    noise, tested = learned(write(tmp_path / "noise.csv", steps)), steps[-60 * (seed + 1) :]
    result = noise.result(untrained(noise))
    assert 0.97 * tested.std() < result["root_mean_squared_error"] < 1.1 * tested.std()
    assert result["root_mean_squared_error"] < 0.85 * result["by_the_last_value"]


def mixture(draw: numpy.random.Generator) -> numpy.ndarray:
    """A series with some of a trend, a season, noise, a constant part, gaps and a level far from zero, of any size."""
    steps = int(draw.choice([12, 20, 40, 100, 300]))
    t = numpy.arange(steps)
    trend = draw.choice([0.0 * t, draw.normal() * t / 10, draw.normal(size=steps).cumsum(), numpy.exp(8 * t / steps)])
    season = draw.choice([0.0, draw.uniform(0.1, 5)]) * numpy.sin(t * 2 * numpy.pi / draw.choice([4, 7, 12]))
    noise = draw.choice([0.0 * t, draw.normal(size=steps), draw.standard_t(2, size=steps), draw.poisson(0.3, steps)])
    y = trend + season + noise
    if draw.random() < 0.3:
        first = int(draw.integers(steps))
        y[first : first + steps // 3] = y[first]
    y = y * 10.0 ** draw.integers(-6, 10)
    y = y + draw.choice([0, 0, 1e6]) * numpy.abs(y).max()
    if draw.random() < 0.3:
        y[draw.random(steps) < draw.choice([0.05, 0.5])] = numpy.nan
    return y


@pytest.mark.slow
def test_series_of_any_shape_and_size_are_forecast_or_refused(tmp_path: Path):
    forecast = 0
    for seed in range(20):
        draw = DRAW(seed)
        y, ahead = mixture(draw), int(draw.choice([1, 3, 12]))
        path = tmp_path / "y.csv"
        path.write_text("t,y\n" + "".join(f"{t},{'' if numpy.isnan(v) else repr(float(v))}\n" for t, v in enumerate(y)))
        try:
            data = learned(path, time="t", target="y", ahead=ahead)
        except DataError as refused:
            assert any(why in str(refused) for why in ("too few", "never changes", "nothing to measure", "no number"))
            continue
        forecast += 1
        result = data.result(untrained(data))
        assert numpy.isfinite([v for name, v in result.items() if "mase" not in name]).all(), seed
        rows = list(data.kind.predict(untrained(data), path))
        assert len(rows) == ahead
        assert all(row["10%"] <= row["forecast"] <= row["90%"] and abs(row["90%"]) < numpy.inf for row in rows), seed
    assert forecast > 10


# invariances of a whole training


def trained(path: Path, out: str, *more: str) -> list[dict[str, str]]:
    """The forecasts of a short training."""
    command = ["train", str(path), "--updates", "6", "--hidden", "4", "--set", "training.validations=2", "--out", out]
    assert main([*command, *more]) == 0
    assert main(["predict", out, str(path), "--out", f"{out}.csv"]) == 0
    with open(f"{out}.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_scaling_and_shifting_a_series_scales_and_shifts_its_forecast(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = numpy.sin(numpy.arange(120) / 4) + 0.3 * DRAW(4).normal(size=120)
    one = trained(write(tmp_path / "one.csv", y), "a", "--set", "data.ahead=3")
    other = trained(write(tmp_path / "other.csv", 50 * y + 1000), "b", "--set", "data.ahead=3")
    for name in ("forecast", "10%", "90%"):
        found, expected = ([float(row[name]) for row in rows] for rows in (other, one))
        numpy.testing.assert_allclose(found, 50 * numpy.array(expected) + 1000, rtol=1e-6)


def test_the_order_of_rows_and_series_changes_nothing(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    draw = DRAW(5)
    rows = [f"{name},{t},{size * (numpy.sin(t / 3) + 0.2 * draw.normal()):.6f}"
            for name, size in (("a", 1), ("b", 100), ("c", 7)) for t in range(60)]  # fmt: skip
    for name, lines in (("one", rows), ("other", [rows[k] for k in draw.permutation(len(rows))])):
        Path(f"{name}.csv").write_text("\n".join(["who,t,y", *lines]) + "\n")
    more = ("--sequence", "who", "--time", "t", "--set", "data.ahead=2")
    assert trained(Path("one.csv"), "a", *more) == trained(Path("other.csv"), "b", *more)


# what is written


def test_forecasts_have_dates_and_history_beside_what_came(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    months = numpy.arange("2010-01", "2018-01", dtype="datetime64[M]")
    y = 10 + numpy.arange(96) / 10 + numpy.sin(numpy.arange(96) * numpy.pi / 6)
    Path("m.csv").write_text("month,y\n" + "".join(f"{m}-01,{v:.6f}\n" for m, v in zip(months, y, strict=True)))
    rows = trained(Path("m.csv"), "run", "--set", "data.ahead=4")
    assert [row["month"] for row in rows] == ["2018-01-01", "2018-02-01", "2018-03-01", "2018-04-01"]
    assert list(rows[0]) == ["month", "step", "forecast", "10%", "90%"]
    expected = 10 + numpy.arange(96, 100) / 10 + numpy.sin(numpy.arange(96, 100) * numpy.pi / 6)
    numpy.testing.assert_allclose([float(row["forecast"]) for row in rows], expected, atol=0.05)
    assert all(float(row["10%"]) <= float(row["forecast"]) <= float(row["90%"]) for row in rows)
    assert main(["predict", "run", "m.csv", "--history", "--out", "h.jsonl"]) == 0
    told = [json.loads(line) for line in Path("h.jsonl").read_text().splitlines()]
    assert [row["month"] for row in told[-6:]] == ["2017-11-01", "2017-12-01", *(row["month"] for row in rows)]
    assert told[-6]["actual"] == pytest.approx(y[94], abs=1e-6) and told[-1]["actual"] is None
    assert [row["part"] for row in told[-5:]] == ["test", *["future"] * 4] and told[0]["part"] == "training"
    picture = Path("run/forecast.svg").read_text()
    assert "Forecasts of y" in picture and "2018-04-01" in picture and "from 10 % to 90 %" in picture


def test_columns_that_say_nothing_or_too_much_are_named(tmp_path: Path):
    units = DRAW(19).integers(10, 99, 60)
    lines = [f"{t},19,{2 * u},{v},{u}" for t, (u, v) in enumerate(zip(units, DRAW(20).random(60), strict=True))]
    (tmp_path / "y.csv").write_text("\n".join(["t,vat,revenue,temperature,units", *lines]) + "\n")
    about = learned(tmp_path / "y.csv", time="t", target="units", future=["revenue", "temperature"]).describe()
    said = [text for word, text in about if word == "note"]
    assert len(said) == 2 and said[0].startswith("'vat' never changes")
    assert said[1].startswith("'revenue' is almost the same as 'units'. Is it known beforehand?")


def test_a_series_of_one_row_goes_on_as_the_others_without_an_interval(tmp_path: Path):
    months = numpy.arange("2019-01", "2024-01", dtype="datetime64[M]")
    lines = [f"old,{month}-01,{5 + k % 12}" for k, month in enumerate(months)]
    path = tmp_path / "items.csv"
    path.write_text("\n".join(["item,month,y", *lines, "new,2023-12-01,7"]) + "\n")
    data = learned(path, sequence="item", ahead=2)
    rows = list(data.kind.predict(untrained(data), path))
    assert rows[:2] == [
        {"item": "new", "month": f"2024-0{k}-01", "step": k, "forecast": 7, "10%": None, "90%": None} for k in (1, 2)
    ]
    assert rows[2]["10%"] <= rows[2]["forecast"] <= rows[2]["90%"]


def test_times_have_a_clock_if_any_of_them_has():
    hours = numpy.arange("2024-03-30T20", "2024-03-30T23", dtype="datetime64[h]").astype("datetime64[ns]")
    assert times_from(series(numpy.ones(3), time=hours), 3, 2) == ["2024-03-30 23:00:00", "2024-03-31 00:00:00"]
    days = numpy.arange("2024-03-30", "2024-04-02", dtype="datetime64[D]").astype("datetime64[ns]")
    assert times_from(series(numpy.ones(3), time=days), 3, 2) == ["2024-04-02", "2024-04-03"]


def test_large_numbers_that_change_little_are_written_with_all_digits(tmp_path: Path):
    """A population, counted each month."""
    y = 331_002_651 + 7 * numpy.arange(90) + DRAW(18).integers(-3, 3, 90)
    data = learned(write(tmp_path / "people.csv", y.astype(float)), ahead=2)
    rows = list(data.kind.predict_all(untrained(data), data.path, data.sha256))
    assert [row["actual"] for row in rows[-6:-2]] == y[-4:].tolist()
    for ahead, row in enumerate(rows[-2:], 1):
        assert row["10%"] < row["forecast"] < row["90%"]
        assert abs(row["forecast"] - (331_002_651 + 7 * (89 + ahead))) < 5


def test_values_known_ahead_are_read_beyond_the_end(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    promo = (DRAW(6).random(160) < 0.3).astype(int)
    y = 5 + 3.0 * promo + 0.01 * DRAW(7).normal(size=160)
    lines = [f"{t},{p},{v:.5f}" if t < 150 else f"{t},{p}," for t, (p, v) in enumerate(zip(promo, y, strict=True))]
    Path("d.csv").write_text("\n".join(["t,promo,y", *lines]) + "\n")
    rows = trained(Path("d.csv"), "run", "--time", "t", "--future", "promo", "--target", "y", "--set", "data.ahead=3")
    assert [row["t"] for row in rows] == ["150", "151", "152"]
    numpy.testing.assert_allclose([float(row["forecast"]) for row in rows], 5 + 3 * promo[150:153], atol=1.0)


def test_a_forecast_that_is_worse_than_a_yardstick_says_so(tmp_path: Path, monkeypatch, capsys):
    """A series that follows its past, until it becomes a random walk in the test part."""
    monkeypatch.chdir(tmp_path)
    past = [numpy.sin(t / 3) for t in range(171)]
    walk = past[-1] + DRAW(8).normal(size=29).cumsum()
    assert (
        main(["train", str(write(tmp_path / "y.csv", numpy.array([*past, *walk]))), "--updates", "2", "--out", "run"])
        == 0
    )
    printed = capsys.readouterr().out
    assert "The forecast is worse than the last value" in printed and "data.season=ROWS" in printed
    warning = json.loads(Path("run/config.json").read_text())["warning"]
    last = json.loads(Path("run/log.jsonl").read_text().splitlines()[-1])
    assert warning == last["warning"] and "the last value" in warning and "by_the_last_value" in last["worse_than"]
    assert Trained.load(Path("run")).evaluate(Path("y.csv"))["mase"] == pytest.approx(last["mase"])
    assert main(["evaluate", "run", "y.csv"]) == 0
    assert "a ridge regression on lags" in capsys.readouterr().out


def test_a_yardstick_that_is_better_by_another_metric_is_named():
    result = {"mase": 0.77, "by_a_ridge_regression": 0.82, "by_the_drift": 0.7, "smape": 11.31,
              "mean_absolute_error": 5.0, "smape_by_a_ridge_regression": 11.09, "smape_by_the_drift": 11.3,
              "mean_absolute_error_by_a_ridge_regression": 4.5, "coverage": 0.8}  # fmt: skip
    found = worse_than(result)
    assert found == ("by_the_drift", "smape_by_a_ridge_regression", "mean_absolute_error_by_a_ridge_regression")
    assert advice(found).startswith(
        "The forecast is worse than the drift on the test data. By MAE and sMAPE, the forecast is worse than a ridge "
        "regression on lags on the test data, where the series may have changed."
    )


def test_scores_of_any_size_stand_apart():
    lines = report({"mase": float("nan"), "by_the_drift": 1.0, "smape": 123456.0, "coverage": 0.8}, [0.1, 0.5, 0.9])
    assert lines[1].split()[-2:] == ["-", "1.23e+05"] and lines[2].split()[-1] == "1"
    tiny = {"mase": 1.23e-12, "smape": 3.45e-100, "by_the_drift": 5.67e-300, "smape_by_the_drift": 8.9e-12}
    lines = report({**tiny, "coverage": 0.8}, [0.1, 0.5, 0.9])
    assert lines[1].split()[2:] == ["1.23e-12", "3.45e-100"] and lines[2].split()[2:] == ["5.67e-300", "8.9e-12"]
    assert len({len(line) for line in lines[:3]}) == 1


def test_an_error_below_rounding_is_none():
    """No forecast is worse than another by its rounding errors, neither by the sMAPE of a value of zero."""
    y = numpy.array([0.0, 3.0, 8.0] * 9)
    least = [rounding(y)]
    actual, forecast = y[None, -3:], (y[-3:] + numpy.array([1e-12, -1e-12, 1e-12]))[None]
    assert scores([actual], [forecast], [1.0], least) == (0, 0, 0, 0)
    assert coverage([actual], [forecast], [forecast], least) == 1
    assert scores([actual], [forecast + 1e-7], [1.0], least).rmse == pytest.approx(1e-7, rel=1e-4)
    small = 1e9 + 1e-4 * y
    assert 1e-7 < rounding(small) < 1e-5


def test_files_for_testing_go_on_where_the_data_end(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    y = 100 + numpy.arange(90.0) + numpy.sin(numpy.arange(90))
    write(Path("past.csv"), y[:80]), write(Path("later.csv"), y[80:])
    command = ["train", "past.csv", "--test", "later.csv", "--updates", "2", "--set", "data.ahead=10", "--out", "run"]
    assert main([*command, "--set", "data.validation=10", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    exact = numpy.sqrt(numpy.mean((y[80:] - y[79]) ** 2))
    assert result["by_the_last_value"] == pytest.approx(exact) and result["root_mean_squared_error"] < 1.0
    again = Trained.load(Path("run")).evaluate(Path("past.csv"))
    assert again["root_mean_squared_error"] == pytest.approx(result["root_mean_squared_error"]) and again["held_out"]


def test_a_training_is_resumed_with_the_stored_regression(tmp_path: Path):
    """Another machine rounds differently; other data are refused."""
    path = write(tmp_path / "y.csv", DRAW(11).normal(size=90) + numpy.sin(numpy.arange(90) / 2))
    data = learned(path)
    spec = Spec.read("forecast", {})

    def refuse(why: str) -> NoReturn:
        raise DataError(why)

    for factor, taken in ((1 + 1e-9, True), (1.01, False)):
        description = json.loads(json.dumps(data.kind.description()))
        description["shared"] = [[v * factor for v in row] for row in description["shared"]]
        again = Forecast.learn_again(path, spec.data, spec.reading, Checked(description, refuse))
        assert (again.kind.description() == description) is taken
        assert torch.equal(again.train[0].y[30:], data.train[0].y[30:])
    description["shared"] = [["no"]] * len(description["shared"])
    with pytest.raises(DataError, match="'shared' must be a matrix"):
        Forecast.stored(spec.data, spec.reading, Checked(description, refuse))


def test_a_run_of_a_version_that_learned_otherwise_says_so(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write(Path("y.csv"), DRAW(11).normal(size=60))
    assert main(["train", "y.csv", "--updates", "2", "--out", "run"]) == 0
    monkeypatch.setattr("unrolled.data.forecast.features.LEAST_LAGS", 6)
    assert main(["train", "--resume", "run", "--updates", "2"]) == 2
    said = capsys.readouterr().err
    assert "y.csv' is the data that 'run' was trained on, but this version of unrolled" in said
    assert "learns something else from it" in said and "y.csv --from run; or resume it" in said
    assert main(["train", "y.csv", "--from", "run", "--updates", "2", "--out", "other"]) == 0


def test_a_long_series_is_trained_in_pieces_and_one_that_never_changes_is_refused(tmp_path: Path):
    data = learned(write(tmp_path / "y.csv", DRAW(12).normal(size=2100)))
    assert [len(e.read) for e in data.train] == [490, 490, 489] and len(data.validation[0].read) == 1784
    whole = data.kind.base.features
    read = torch.cat([e.x for e in data.train])
    assert read.shape == (1469, whole.read) and len(data.cases) == 1
    with pytest.raises(DataError, match="never changes in the training data"):
        learned(write(tmp_path / "z.csv", numpy.array([*[4.0] * 80, *range(20)])))


# parts, seasons, the calendar


def test_a_long_series_is_read_part_by_part(tmp_path: Path, monkeypatch):
    """Features, regression and scores are those of the series as a whole, but for rounding."""
    draw = DRAW(3)
    table = pandas.DataFrame(
        {"price": draw.normal(size=420).cumsum(), "promo": draw.random(420), "y": draw.normal(size=420)}
    )
    table["y"] += 3 * table.promo + numpy.sin(numpy.arange(420))
    table.loc[50:60, ["price", "y"]] = numpy.nan
    table.insert(0, "day", pandas.date_range("2021-01-01", periods=420))
    table.to_csv(tmp_path / "y.csv", index=False)
    whole = learned(tmp_path / "y.csv", ahead=3, future="promo")
    model = untrained(whole)
    with torch.no_grad():
        for p in model.parameters():
            p += 0.05 * torch.randn(p.shape)
    monkeypatch.setattr("unrolled.data.forecast.gradual.PART", 60)
    monkeypatch.setattr("unrolled.files.shelf.IN_MEMORY", 1000)
    for name in ("long", "kind", "data"):
        monkeypatch.setattr(f"unrolled.data.forecast.{name}.WINDOW", 70)
    parts = learned(tmp_path / "y.csv", ahead=3, future="promo")
    numpy.testing.assert_allclose(parts.kind.base.shared, whole.kind.base.shared, rtol=1e-6, atol=1e-9)
    for ours, theirs in zip(parts.parts, whole.parts, strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.x, b.x, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(a.y, b.y, rtol=1e-4, atol=1e-5, equal_nan=True)
    assert parts.validate(model) == pytest.approx(whole.validate(model), rel=1e-4)
    for name, value in whole.result(model).items():
        assert parts.result(model)[name] == pytest.approx(value, rel=1e-4), name
    after, other = (list(d.kind.predict_all(model, tmp_path / "y.csv", d.sha256)) for d in (parts, whole))
    assert len(after) == len(other) == 420
    assert [row["forecast"] for row in after] == pytest.approx([row["forecast"] for row in other], rel=1e-3, abs=1e-3)


def test_the_parts_of_forecasts_are_the_ends_of_each_series():
    found = ends_of_all(Path("d"), joined([series(numpy.ones(100)), series(numpy.ones(3), "short")]), options())
    assert found == [Ends(70, 85, 100), Ends(3, 3, 3)]
    assert origins(found[0], 12) == (Origins(0, 58), Origins(69, 73), Origins(84, 88))
    steps = ends_of_all(Path("d"), joined([series(numpy.ones(100))]), options(validation=10, test=48, ahead=10))
    assert steps == [Ends(42, 52, 100)]
    with pytest.raises(DataError, match=r"has 20 rows with a target, too few for .* 12 steps ahead"):
        ends_of_all(Path("d"), joined([series(numpy.ones(20))]), options(ahead=12))
    for wrong in ({"validation": 0.6, "test": 0.5}, {"test": 1.5}, {"quantiles": [0.5, 0.1]}, {"season": -1}):
        with pytest.raises(UsageError):
            options(**wrong)


def options(**more: object) -> ForecastOptions:
    return ForecastOptions(**more)  # type: ignore[arg-type]


def test_a_file_goes_on_only_if_it_follows():
    days = numpy.arange("2024-01-01", "2024-01-11", dtype="datetime64[D]").astype("datetime64[ns]")
    own = [series(numpy.arange(6.0), "a", days[:6])]
    (one,) = joined(own, test=[series(numpy.arange(6.0, 10.0), "a", days[6:])])
    assert (one.validation, one.test) == (None, 4) and one.series.y.tolist() == [*range(10)]
    for others in (days[:4], days[6:] + numpy.timedelta64(2, "D")):
        kept, alone = joined(own, test=[series(numpy.arange(4.0), "a", others)])
        assert (kept.test, alone.test, len(alone.series.y)) == (0, 4, 4)


def test_seasons_are_found_in_the_values_or_follow_from_the_dates():
    t = numpy.arange(400)
    day, week = numpy.sin(t * 2 * numpy.pi / 12), 0.6 * ((t % 60) < 12)
    assert seasons_of([day], None) == (12,) and seasons_of([day + week], None) == (12, 60)
    assert seasons_of([DRAW(9).normal(size=300)], None) == ()
    assert seasons_of([t * 1.0], 3600.0) == (24,) and seasons_of([numpy.arange(600.0)], 3600.0) == (24, 168)
    assert seasons_of([t * 1.0], 86400.0 * 30.4) == (12,) and seasons_of([t * 1.0], 86400.0 * 365) == ()


def test_the_calendar_goes_on_in_its_rhythm():
    ends = numpy.array(["2023-11-30", "2023-12-31", "2024-01-31"], "datetime64[ns]")
    assert [shown(t) for t in following(ends, 2, 3)] == ["2024-02-29", "2024-03-31"]
    weekdays = numpy.array(["2024-01-04", "2024-01-05", "2024-01-08", "2024-01-09", "2024-01-10", "2024-01-11"],
                           "datetime64[ns]")  # fmt: skip
    assert [shown(t) for t in following(numpy.append(weekdays, numpy.datetime64("2024-01-12")), 1, 7)] == ["2024-01-15"]
    assert following(numpy.array([1.0, 3.0, 5.0]), 2, 3).tolist() == [7, 9]
    hours = numpy.datetime64("2024-01-01", "ns") + numpy.arange(400) * numpy.timedelta64(1, "h")
    assert cycles_of(hours) == ["day", "week"]
    found = circles(hours, ["day"], 400)
    numpy.testing.assert_allclose(found[6, :2], [1, 0], atol=1e-12)
    numpy.testing.assert_allclose(found[:24], found[24:48], atol=1e-12)


def test_days_and_months_go_on_at_the_same_time_of_local_clocks():
    """Clocks in Berlin went forward on 2024-03-31, and back on 2024-10-27."""
    berlin = ZoneInfo("Europe/Berlin")

    def after(first: str, last: str, step: str, count: int) -> list[str]:
        times = pandas.date_range(first, last, freq=step, tz=berlin).tz_convert("UTC").tz_localize(None).to_numpy()
        one = series(numpy.ones(len(times)), time=times.astype("datetime64[ns]"))
        return times_from(replace(one, zone=berlin), len(times), count)

    assert after("2024-03-01", "2024-03-30", "D", 2) == ["2024-03-31 00:00:00+01:00", "2024-04-01 00:00:00+02:00"]
    assert after("2024-03-20", "2024-03-31 01:00", "h", 2) == ["2024-03-31 03:00:00+02:00", "2024-03-31 04:00:00+02:00"]
    assert after("2024-10-20", "2024-10-27 01:00", "h", 2) == ["2024-10-27 02:00:00+02:00", "2024-10-27 02:00:00+01:00"]
    assert after("2024-01-31", "2024-09-30", "ME", 2) == ["2024-10-31 00:00:00+01:00", "2024-11-30 00:00:00+01:00"]
    assert after("2024-03-21 02:30", "2024-03-30 02:30", "D", 2)[1] == "2024-04-01 02:30:00+02:00"


def test_times_with_an_offset_keep_it():
    summer = parse_dates(["2024-03-30T00:00+01:00", "2024-03-31T00:00+01:00", "2024-04-01T00:00+02:00"])
    assert str(summer.zone) == "Europe/Berlin" and summer.note == "in the time of Europe/Berlin"
    assert parse_dates(["2024-03-30T00:00+00:00", "2024-03-31T00:00Z"]).note == "in UTC"
    strange = parse_dates(["2024-03-30T00:00+01:17", "2024-03-31T00:00+02:34"])
    assert written(strange.values[0], strange.zone) == "2024-03-30 01:17:00+02:34"
    assert parse_dates(["2024-03-30T00:00+24:00"]).kind == ""


def test_months_go_on_at_their_last_weekday():
    ends = numpy.busday_offset(
        numpy.arange("2024-02", "2024-08", dtype="datetime64[M]").astype("datetime64[D]"), -1, "forward"
    )
    assert [shown(t) for t in following(ends.astype("datetime64[ns]"), 2, 6)] == ["2024-07-31", "2024-08-30"]


# yardsticks, scores, the loss


def test_yardsticks_and_scores_are_what_they_are_by_hand():
    y = numpy.array([1.0, 2.0, 4.0, 3.0, 6.0])
    found = yardsticks(y, 2, 3)
    assert found["by_the_last_value"][3].tolist() == [3, 3, 3]
    assert found["by_the_season"][3].tolist() == [4, 3, 4]
    numpy.testing.assert_allclose(found["by_the_drift"][3], 3 + numpy.array([1, 2, 3]) * 2 / 3)
    assert past_error(y, 2) == pytest.approx((3 + 1 + 2) / 3) and past_error(y, None) == pytest.approx(7 / 4)
    of = scores([numpy.array([[1.0, 2.0]])], [numpy.array([[2.0, 2.0]])], [0.5])
    assert of == pytest.approx((0.5**0.5, 0.5, 1.0, 100 / 3))


def test_the_pinball_loss_is_the_same_in_the_explorer():
    goal, draw = Quantiles((0.1, 0.5, 0.9)), torch.Generator().manual_seed(0)
    scores_of, y = torch.randn(4, 6, generator=draw).double(), torch.randn(4, 2, generator=draw).double()
    errors = y[:, None] - scores_of.view(4, 3, 2)
    q = torch.tensor([0.1, 0.5, 0.9]).double()[:, None]
    exact = torch.where(errors > 0, q * errors, (q - 1) * errors).sum(1).mean(1)
    assert goal.loss(scores_of, y).item() == pytest.approx(exact.sum().item())
    unknown = y.clone()
    unknown[0, 1] = torch.nan
    part = exact.sum() - torch.where(errors > 0, q * errors, (q - 1) * errors)[0, :, 1].sum() / 2
    assert goal.loss(scores_of, unknown).item() == pytest.approx(part.item())
    o, target = leaf("input", vector(Size.of(6)), name="o"), leaf("input", goal.target(Size.of(6)), name="y")
    _, node = goal.nodes(o, target)
    values = evaluate([node], {o: scores_of, target: y}, {}, y)
    torch.testing.assert_close(values[node][:, 0], exact)


def test_a_network_is_kept_if_it_is_better_by_more_than_chance(tmp_path: Path):
    """The validation loss has the standard error of its difference to the loss of the regression."""
    data = learned(write(tmp_path / "y.csv", DRAW(16).normal(size=120)), ahead=2)
    model = untrained(data)
    (example,) = data.validation
    left = example.y[~torch.isnan(example.y).all(1)].double().numpy()
    spread = data.kind.spread

    def losses(quantiles: numpy.ndarray) -> numpy.ndarray:
        errors, q = left[:, None] - quantiles, numpy.array([0.1, 0.5, 0.9])[:, None]
        return numpy.maximum(q * errors, (q - 1) * errors).sum(1).mean(1)

    assert data.validate(model) == pytest.approx(losses(spread).mean())
    with torch.no_grad():
        model.read_out.bias += 0.1
    change = losses(spread + 0.1) - losses(spread)
    chance = change.std(ddof=1) / (len(left) / 2) ** 0.5
    assert data.validate(model) == pytest.approx(losses(spread + 0.1).mean() + chance) and chance > 0.01


# ES-RNN


def test_es_rnn_is_exponential_smoothing_where_its_network_is_silent():
    net = Recurrent(cells.es_rnn, x=4, h=3, o=6, dtype=torch.float64)
    y = DRAW(10).normal(size=30).cumsum()
    cycle = numpy.arange(30)[:, None] + numpy.arange(-3, 1)
    out = net(torch.from_numpy(y[numpy.maximum(cycle, 0)])[None])
    level, seasons = 0.0, numpy.zeros(4)
    for t, value in enumerate(y):
        error = value - level - seasons[0]
        level += 0.5 * error
        seasons = numpy.roll(seasons, -1)
        seasons[-1] += 0.1 * error
        numpy.testing.assert_allclose(out.l[0, t].item(), level, rtol=1e-9)
        ahead = level + seasons[[0, 1]] - value
        numpy.testing.assert_allclose(out.o[0, t].detach(), [*ahead] * 3, rtol=1e-9, atol=1e-12)


def test_es_rnn_is_trained_by_its_name(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    y = 50 + 5 * numpy.sin(numpy.arange(120) * numpy.pi / 6) + numpy.arange(120) / 10
    rows = trained(write(tmp_path / "y.csv", y), "run", "--cell", "es_rnn", "--set", "data.ahead=6", "--rate", "0.01")
    assert len(rows) == 6
    config = json.loads(Path("run/config.json").read_text())
    assert config["options"]["data"]["reads"] == "values" and config["cell"] == "es_rnn"
    assert main(["evaluate", "run", "y.csv", "--json"]) == 0
