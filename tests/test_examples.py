"""The experiments in examples/: their parts, and their results at a reduced size."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

EXAMPLES = Path(__file__).parents[1] / "examples"


def script(name: str) -> ModuleType:
    """A script as a module, because examples/ is not a package."""
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


pytestmark = pytest.mark.usefixtures("one_thread")  # as the scripts run


@pytest.fixture(scope="module")
def nepal() -> ModuleType:
    return script("nepal_2009")


def test_sentences_state_one_year_where_they_say(nepal):
    data = nepal.make_data(random.Random(1), train=600, test=60)
    for part in data:
        for s in part:
            assert [i for i, word in enumerate(s.words, 1) if word in nepal.YEARS] == [s.position]
            assert s.words[s.position - 2] == "in" and set(s.words) <= set(nepal.VOCABULARY)
    assert {s.position for s in data.train + data.seen}.isdisjoint(nepal.HELD_OUT)
    assert {s.position for s in data.unseen} == set(nepal.HELD_OUT)
    assert max(len(s.words) for s in data.train + data.seen + data.unseen) <= nepal.LONGEST
    assert min(len(s.words) for s in data.long) >= 5 * nepal.LONGEST
    assert len(set().union(*data)) == sum(len(part) for part in data), "no sentence twice, in training or tests"
    assert data == nepal.make_data(random.Random(1), train=600, test=60)


def test_batches_hold_every_sentence_once(nepal):
    sentences = nepal.make_data(random.Random(2), train=300, test=1).train
    names = list(nepal.VOCABULARY)
    found = [
        (tuple(names[i] for i in row), nepal.YEARS[int(year)])
        for words, years in nepal.batches(sentences, 16, random.Random(3))
        for row, year in zip(words.tolist(), years, strict=True)
    ]
    assert sorted(found) == sorted((s.words, s.year) for s in sentences)


def test_separate_parameters_of_held_out_years_see_no_gradient(nepal):
    torch.manual_seed(0)
    network = nepal.SeparateParameters(hidden=8)
    before, all_before = network.of_held_out_years(), network.read.weight.detach().clone()
    nepal.train(network, nepal.make_data(random.Random(4), train=300, test=1).train, epochs=1, rate=0.01, seed=0)
    assert torch.equal(network.of_held_out_years(), before)
    assert not torch.equal(network.read.weight, all_before)


@pytest.mark.slow
def test_only_shared_parameters_find_a_year_at_an_unseen_position(nepal, capsys):
    """With half the sentences and a smaller network, so the margins are wider than in the table."""
    torch.manual_seed(0)
    data = nepal.make_data(random.Random(0), train=10_000, test=500)
    recurrent, separate = nepal.RecurrentReader(hidden=64), nepal.SeparateParameters(hidden=64)
    nepal.train(recurrent, data.train, epochs=6, rate=0.01, seed=0)
    nepal.train(separate, data.train, epochs=6, rate=0.002, seed=0)
    assert nepal.accuracy(recurrent, data.seen) > 95 and nepal.accuracy(separate, data.seen) > 95
    nepal.report(data, recurrent, separate)
    *_, closing = capsys.readouterr().out.splitlines()
    found = re.fullmatch(r"unseen positions: recurrent (\d+\.\d)% separate parameters (\d+\.\d)%", closing)
    assert found and float(found[1]) > 95 and float(found[2]) < 10, closing


def test_the_twin_of_torch_learns_the_same(tmp_path, monkeypatch, capsys):
    twin = script("twin_lstm")
    text = tmp_path / "text.txt"
    text.write_text("".join(f"{i} and {i % 7} make {i + i % 7}\n" for i in range(400)))
    monkeypatch.setattr(sys, "argv", ["twin_lstm.py", str(text), "--updates", "30"])
    twin.main()
    *_, last, closing = capsys.readouterr().out.splitlines()
    mine, its = (float(number) for number in re.findall(r"([\d.]+) nats", last))
    assert mine < 3 and mine == pytest.approx(its, rel=0.01)
    assert closing.startswith("validation loss ") and f"{mine / its - 1:+.1%}"[:3] in closing


def test_the_twin_starts_as_the_same_network():
    twin = script("twin_lstm")
    torch.manual_seed(0)
    ours = twin.SequenceModel(twin.cells.lstm, 9, 9, hidden=8, layers=2, embedding=5)
    its, x = twin.Twin(ours), torch.randint(9, (3, 20))
    torch.testing.assert_close(its(x, None)[0], ours(x)[0])


@pytest.mark.slow
def test_a_classic_series_is_forecast_as_well_as_by_statistics(tmp_path, monkeypatch, capsys):
    series = script("series")
    more = ["--out", str(tmp_path), "--only", "sunspots", "--updates", "60"]
    monkeypatch.setattr(sys, "argv", ["series.py", *more])
    series.main()
    name, *figures = capsys.readouterr().out.splitlines()[-1].strip("| ").split(" | ")
    model, arima, smoothing, last, season, ratio = map(float, figures)
    assert name == "sunspots" and model < 1.1 * min(arima, smoothing) < last < season
    assert ratio == pytest.approx(model / min(arima, smoothing), abs=0.01)
    assert (tmp_path / "sunspots" / "forecast.svg").exists()
    values = series.classics()["sunspots"].values
    assert len(values) == 309 and values.sum() == pytest.approx(15_373.4, abs=1), "the series itself"


def test_accelerated_models_answer_the_same():
    accelerate = script("accelerate")
    rows = [accelerate.measured(case, seconds=0.0) for case in accelerate.cases()]
    assert [row.name.split(":")[0] for row in rows] == ["speaker encoder", "voice detector", "tagger", "writer"]
    assert all(row.difference < 1e-5 and min(*row.inference, *row.training) > 0 for row in rows)
    page = accelerate.page(rows, pretrained=False)
    assert page.count("\n| ") == 6 and "random weights" in page
