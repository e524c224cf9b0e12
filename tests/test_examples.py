"""The experiments in examples/: their parts, and their results at a reduced size."""

from __future__ import annotations

import importlib.util
import random
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy
import pytest
import torch

import unrolled
from unrolled import Ragged

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


# pairs


def test_pronunciations_are_pairs_without_stress():
    lines = ["abandon AH0 B AE1 N D AH0 N", "a AH0", "a(2) EY1 # as a letter", "a(3) AH0", "", "# nothing"]
    found = list(script("pronunciations").pairs(lines))
    assert found == [("abandon", "AH B AE N D AH N"), ("a", "AH"), ("a", "EY")]
    assert list(script("pronunciations").pairs(lines[:1], stress=True)) == [("abandon", "AH0 B AE1 N D AH0 N")]


def test_strings_are_copied_reversed_and_sorted():
    made = script("strings")
    found = {task: list(made.pairs(task, 50, (5, 30), 10, seed=3)) for task in made.TASKS}
    for task, right in (("copy", str), ("reverse", lambda s: s[::-1]), ("sort", lambda s: "".join(sorted(s)))):
        assert all(target == right(source) for source, target in found[task])
        assert {len(source) for source, _ in found[task]} <= set(range(5, 31))
    assert [s for s, _ in found["copy"]] == [s for s, _ in found["sort"]], "the seed decides"


def test_the_network_of_g2p_en_is_its_numpy(tmp_path):
    """With random weights in the form of its checkpoint, as a loop in NumPy."""
    draw = numpy.random.default_rng(0)
    shapes = {"emb": (9, 4), "w_ih": (15, 4), "w_hh": (15, 5), "b_ih": (15,), "b_hh": (15,)}
    w = {f"{side}_{n}": draw.normal(size=shape) for side in ("enc", "dec") for n, shape in shapes.items()}
    w |= {"fc_w": draw.normal(size=(9, 5)), "fc_b": draw.normal(size=9)}
    w = {n: value.astype(numpy.float32) for n, value in w.items()}
    numpy.savez(tmp_path / "checkpoint.npz", **w)

    def step(side, x, h):
        (ir, iz, n), (hr, hz, m) = (
            numpy.split(w[f"{side}_w_{k}"] @ v + w[f"{side}_b_{k}"], 3) for k, v in (("ih", x), ("hh", h))
        )
        r, z = 1 / (1 + numpy.exp(-(ir + hr))), 1 / (1 + numpy.exp(-(iz + hz)))
        return (1 - z) * numpy.tanh(n + r * m) + z * h

    def written(letters):
        h, found, last = numpy.zeros(5, dtype=numpy.float32), [], 2
        for letter in letters:
            h = step("enc", w["enc_emb"][letter], h)
        for _ in range(20):
            h = step("dec", w["dec_emb"][last], h)
            last = int((w["fc_w"] @ h + w["fc_b"]).argmax())
            if last == 3:
                break
            found.append(last)
        return found

    sources = [torch.from_numpy(draw.integers(0, 9, draw.integers(1, 8))) for _ in range(40)]
    answers = script("g2p").load(tmp_path / "checkpoint.npz").write(Ragged(sources), longest=20).symbols
    assert [answer.tolist() for answer in answers] == [written(source.tolist()) for source in sources]
    assert len({len(answer) for answer in answers}) > 2


def test_an_echo_state_network_predicts_better_than_its_inputs(capsys):
    """NARMA-10 with fewer units than by default; nothing of the recurrence is trained."""
    reservoir = script("reservoir")
    u, y = reservoir.narma(60, seed=0)
    t = 40
    expected = 0.3 * y[t - 1] + 0.05 * y[t - 1] * y[t - 10 : t].sum() + 1.5 * u[t - 10] * u[t - 1] + 0.1
    assert torch.allclose(y[t], expected)
    cell = reservoir.reservoir(units=50, radius=0.9, scale=0.2, seed=0)
    frozen = unrolled.Recurrent(cell, x=2, h=50, dtype=torch.float64)
    assert not list(frozen.parameters()) and abs(torch.linalg.eigvals(frozen.W).abs().max().item() - 0.9) < 1e-12
    reservoir.main(["--units", "120"])
    linear, echo = (float(line.split()[-1]) for line in capsys.readouterr().out.splitlines()[1:])
    assert echo < 0.8 * linear < 0.8
