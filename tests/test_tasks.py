"""Tasks on music, recordings and tables: what they read, what they count, and one message for each bad input."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
import torch

from bad_inputs import Case, messages
from trainings import made
from unrolled import Ragged, Recurrent, State, Truncated, cells, circuit, take, tanh
from unrolled.cli import main
from unrolled.data.example import divided
from unrolled.data.goal import mean_loss
from unrolled.data.kinds import recognise
from unrolled.data.language import Language
from unrolled.data.recordings import Recording, read_recording
from unrolled.data.sequences import Batch
from unrolled.errors import DataError, InputError, UsageError
from unrolled.files.toml import read_toml, write_toml
from unrolled.nn.model import SequenceModel
from unrolled.nn.weight_drop import recurrent_weights, run_dropped
from unrolled.run.checkpoint import checkpoints, read_checkpoint
from unrolled.run.spec import Spec
from unrolled.run.trained import Trained
from unrolled.sources import AudioFile, LogMel

soundfile = pytest.importorskip("soundfile")
pytest.importorskip("pyarrow")
savemat = pytest.importorskip("scipy.io").savemat


# models


@pytest.mark.parametrize(
    "options",
    [
        {"bidirectional": True},
        {"answer": "last"},
        {"answer": "mean"},
        {"residual": True},
        {"bidirectional": True, "answer": "last", "residual": True},
    ],
)
def test_a_sequence_gets_the_same_answer_in_every_company(options: dict):
    torch.manual_seed(0)
    model = SequenceModel(cells.lstm, 3, 4, [5, 5], **options)
    sequences = [torch.randn(n, 3) for n in (7, 2, 4)]
    together, states = model(Ragged(sequences))
    for i, sequence in enumerate(sequences):
        alone, state = model(sequence[None])
        torch.testing.assert_close(together[i], alone[0])
        for layer, of_one in zip(states, state, strict=True):
            torch.testing.assert_close(layer.h[i], of_one.h[0])


@pytest.mark.parametrize("layout", ["dense", "ragged"])
@pytest.mark.parametrize("options", [{}, {"bidirectional": True}, {"residual": True, "embedding": 5}])
def test_what_begins_anew_knows_nothing_of_what_was_before(options: dict, layout: str):
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, 4, 3, [5, 5], **options)
    documents = [torch.randint(4, (n,)) for n in (3, 1, 4)]
    joined, reset = torch.cat(documents), torch.zeros(8, dtype=torch.bool)
    reset[[3, 4]] = True
    if layout == "dense":
        together = model(joined[None], reset=reset[None])[0][0]
    else:
        other = torch.randint(4, (5,))
        masks = Ragged([torch.ones(5, dtype=torch.bool), reset])
        together = model(Ragged([other, joined]), reset=masks)[0][1]
    torch.testing.assert_close(together, torch.cat([model(document[None])[0][0] for document in documents]))


def test_one_answer_needs_a_step():
    for answer, what in (("last", "last step"), ("mean", "mean")):
        with pytest.raises(InputError, match=f"a sequence of length 0 has no {what}; empty sequences: 1"):
            SequenceModel(cells.gru, 3, 4, 5, answer=answer)(Ragged([torch.randn(2, 3), torch.randn(0, 3)]))


def test_models_are_made_of_what_they_are_said_to_be():
    model = SequenceModel(cells.gru, 9, 9, [4, 6], embedding=8, tied=True, dropout=0.5)
    assert [layer.sizes["h"] for layer in model.layers] == [4, 6] and model.hidden == [4, 6]
    assert model.read_out.weight is model.embedding.weight and model.bridge.out_features == 8
    both = SequenceModel(cells.gru, 3, 2, 5, 2, bidirectional=True)
    assert both.layers[1].sizes["x"] == 10 and both.read_out.in_features == 10
    with torch.no_grad():
        one = SequenceModel(cells.rnn, 3, 2, [4, 4], residual=True)
        x = torch.randn(2, 5, 3)
        first = one.layers[0](x).h
        torch.testing.assert_close(one(x)[0], one.read_out(first + one.layers[1](first).h))
    x = torch.randn(2, 5, 3)
    model = SequenceModel(cells.lstm, 3, 2, 64, weight_dropout=0.5)
    torch.testing.assert_close(model.eval()(x)[0], model(x)[0])
    torch.manual_seed(1)
    dropped = model.train()(x)[0]
    dropped.sum().backward()
    assert not torch.allclose(dropped, model.eval()(x)[0])
    zero = (model.first.W.grad == 0).float().mean()
    assert 0.4 < zero < 0.6, "no gradient where a weight was dropped"
    assert (model.first.U.grad != 0).all()


def test_each_pass_drops_other_weights():
    @circuit
    def linear(x, h, *, W, U):
        return {"h": W @ h + U @ x}

    net, x, eye = Recurrent(linear, x=3, h=30), torch.zeros(30, 1, 3), State(h=torch.eye(30))
    torch.manual_seed(0)
    first, second = (run_dropped(net, 0.25, x=x, state=eye).h[:, 0].mT for _ in range(2))
    for dropped in (first, second):
        left = dropped != 0
        assert 0.2 < 1 - left.float().mean() < 0.3
        torch.testing.assert_close(dropped, torch.where(left, net.W / 0.75, 0.0))  # as large as before on average
    assert 0.3 < ((first != 0) != (second != 0)).float().mean() < 0.45, "drawn anew"
    x, nothing = torch.randn(1, 1, 3), State(h=torch.zeros(1, 30))
    assert torch.equal(run_dropped(net, 0.25, x=x, state=nothing).h, net(x, nothing).h), "inputs are left alone"


def test_recurrent_weights_are_those_that_carry_the_state():
    found = {name: recurrent_weights(cell.recurrence) for name, cell in cells.ALL.items()}
    assert found["lstm"] == found["gru"] == found["elman"] == found["jordan"] == found["peephole_lstm"] == ["W"]
    assert found["gru_reset_before"] == ["W", "Wn"] and found["mgu"] == ["W", "Wf"], "through a gate as well"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"hidden": [3, 0]}, "hidden must be at least 1, got 0"),
        ({"hidden": [3, 4], "layers": 3}, "is for 2 layers, but layers=3"),
        ({"dropout": 1.0}, "dropout must be at least 0"),
        ({"tied": True}, "tied=True shares the weights of the embedding"),
        ({"tied": True, "embedding": 4}, "as many outputs as inputs, got 2 and 3"),
    ],
)
def test_models_refuse_what_makes_no_model(wrong: dict, message: str):
    with pytest.raises(UsageError, match=message):
        SequenceModel(cells.gru, 3, 2, **wrong)


# options


def test_defaults_give_way_to_equations_that_fix_the_sizes():
    @circuit
    def added(x, h, *, W):
        h = tanh(W @ h + x)
        return {"h": h}

    @circuit
    def taken(x, h, *, E, W):
        h = tanh(take(E, x) + W @ h)
        return {"h": h}

    assert Spec.read("language", circuit=cells.gru).model == Spec.read("language").model
    assert (Spec.read("language").model.hidden, Spec.read("language").model.embedding) == (256, 64)
    for cell in (added, taken):
        options = Spec.read("language", circuit=cell).model
        assert (options.hidden, options.embedding) == (None, 0)
    assert Spec.read("language", {"model": {"embedding": 3}}, circuit=taken).model.embedding == 3, "a choice stays"
    assert Spec.read("voice", circuit=added).model.hidden is None


def test_a_short_text_has_dropout(tmp_path: Path):
    (tmp_path / "short.txt").write_text("a" * 300_000)
    short = Language.suited(tmp_path / "short.txt")
    assert Spec.read("language", suited=short).model.dropout == 0.3
    assert Spec.read("language", {"model": {"dropout": 0.0}}, suited=short).model.dropout == 0, "a choice stays"
    assert Language.suited(tmp_path) == short
    (tmp_path / "more.txt").write_text("b" * 300_000)
    assert Language.suited(tmp_path) == {} and Spec.read("language", suited={}).model.dropout == 0


def test_options_survive_toml_and_single_values_are_replaced(tmp_path: Path):
    sections = {"model": {"hidden": [3, 4], "cell": 'my "cell".py:x'}, "training": {"updates": 7}}
    spec = Spec.read("voice", sections)
    assert spec.training.minutes is None and Spec.read("voice").training.minutes == 1.0
    (tmp_path / "o.toml").write_text(write_toml(spec.sections()))
    again = read_toml(tmp_path / "o.toml")
    assert Spec.read("voice", again) == spec == Spec.of("voice", spec.sections())
    assignments = ["training.rate=1", "model.hidden=5", "training.schedule=plateau"]
    changed = Spec.read("voice", again, {"training": {"rate": 0.5}}, assignments)
    assert (changed.training.rate, changed.model.hidden, changed.training.schedule) == (1.0, 5, "plateau")
    assert spec.reading.batch == 32, "a task has defaults of its own"


def test_updates_and_minutes_override_each_other():
    file, flags = {"training": {"updates": 7, "rate": 0.1}}, {"training": {"minutes": 2.0, "updates": None}}
    assert Spec.read("table", file).training.updates == 7
    later = Spec.read("table", file, flags).training
    assert (later.updates, later.minutes, later.rate) == (None, 2.0, 0.1)
    last = Spec.read("table", file, flags, ["training.updates=3"]).training
    assert (last.updates, last.minutes) == (3, None)
    with pytest.raises(UsageError, match="give either --updates or --minutes, not both"):
        Spec.read("table", {}, {"training": {"minutes": 2.0, "updates": 3}})


# recordings


def tone(path: Path, hertz: float, rate: int = 8000, seconds: float = 0.2, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = numpy.random.default_rng(seed).normal(0, 0.01, int(rate * seconds))
    soundfile.write(path, 0.5 * numpy.sin(2 * math.pi * hertz * numpy.arange(len(noise)) / rate) + noise, rate)


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    for i in range(20):
        tone(tmp_path / "v" / "low" / f"{i}.wav", 300 + 4 * i, seconds=0.2 + 0.01 * i, seed=i)
        tone(tmp_path / "v" / "high" / f"{i}.{'flac' if i % 2 else 'ogg'}", 1500 + 9 * i, seed=i)
    return tmp_path / "v"


def test_log_mel_has_its_peak_where_the_tone_is():
    t = torch.arange(8000) / 8000
    found = [int(Recording(torch.sin(2 * math.pi * f * t), 8000).features.mean(0).argmax()) for f in (200, 1000, 3000)]
    assert found[0] < found[1] < found[2]
    assert Recording(torch.zeros(8000), 8000).features.shape == (100, 40)
    assert Recording(torch.zeros(3), 8000).features.shape == (1, 40)
    assert Recording(torch.zeros(400), 8000).features.eq(math.log(1e-6)).all()


@pytest.mark.parametrize("answer", ["recording", "last", "frame"])
def test_recordings_are_told_apart(voices: Path, answer: str, monkeypatch, capsys):
    monkeypatch.chdir(voices.parent)
    command = ["train", "v", "--updates", "160", "--hidden", "16", "--set", f"data.answer={answer}", "--out", "run"]
    assert main(command) == 0
    told = capsys.readouterr().out
    assert "2: high, low" in told and "8,000 Hz" in told
    assert main(["evaluate", "run", "v", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert (
        score["accuracy"] > (0.75 if answer == "frame" else 0.95) and score["held_out"] and 0 < score["recordings"] < 20
    )
    assert main(["predict", "run", "v/low/3.wav"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert {row["class"] for row in rows} == {"low"} and len(rows) == (23 if answer == "frame" else 1)
    assert main(["train", "--resume", "run", "--json"]) == 0


def test_what_is_held_out_follows_from_the_names_alone():
    names = [f"{i}.wav" for i in range(4000)]
    parts = divided(names, (0.7, 0.1, 0.2))
    assert divided(names[::-1], (0.7, 0.1, 0.2)) == parts[::-1]
    assert divided(names[1::3], (0.7, 0.1, 0.2)) == parts[1::3], "whatever other names there are"
    assert [round(parts.count(k) / 4000, 1) for k in range(3)] == [0.7, 0.1, 0.2]


def test_features_are_scaled_by_the_training_part_alone(voices: Path):
    task = made(voices, cells.gru, {})
    train = torch.cat([e.x for e in task.data.train])
    torch.testing.assert_close(train.mean(0), torch.zeros(40), atol=1e-3, rtol=0)
    torch.testing.assert_close(train.std(0), torch.ones(40), atol=1e-2, rtol=0)


def test_a_model_hears_what_a_stream_of_its_recording_hears(voices: Path):
    source = LogMel(AudioFile(voices / "low" / "3.wav"))
    assert torch.equal(read_recording(voices / "low" / "3.wav").features, source.read(0, source.length))


@pytest.mark.parametrize(("answer", "expected"), [("last", "last"), ("recording", "mean"), ("frame", "every")])
def test_an_answer_comes_from_where_it_is_said_to_come(voices: Path, answer: str, expected: str):
    task = made(voices, cells.gru, {"data": {"answer": answer}})
    assert task.model.answer == expected
    scores, y = task.kind.answers(task.model, Batch.of(task.data.train[:2]))
    alone = [task.model.first(e.x[None]).h[0] for e in task.data.train[:2]]
    read = {"last": lambda h: h[-1:], "mean": lambda h: h.mean(0, keepdim=True), "every": lambda h: h}[expected]
    torch.testing.assert_close(scores, torch.cat([task.model.read_out(read(h)) for h in alone]))
    assert len(y) == len(scores)


@pytest.mark.parametrize("answer", ["recording", "frame"])
def test_the_baseline_counts_the_answers_that_the_metric_counts(voices: Path, answer: str):
    """Longer recordings have more frames, so the most common class depends on what is counted."""
    task = made(voices, cells.gru, {"data": {"answer": answer}, "model": {"hidden": 4}})
    counts = {"low": 0, "high": 0}
    for example in task.data.test:
        counts[Path(example.name).parent.name] += len(example.x) if answer == "frame" else 1
    share = max(counts.values()) / sum(counts.values())
    assert task.result()["by_the_commonest_class"] == pytest.approx(share)


# music


@pytest.fixture
def rolls(tmp_path: Path) -> Path:
    path = tmp_path / "rolls.mat"
    pieces = {}
    for k, name in enumerate(("traindata", "validdata", "testdata")):
        cell = numpy.empty((1, 6), dtype=object)
        for i in range(6):
            cell[0, i] = (numpy.arange(9 + i)[:, None] % 4 == numpy.arange(4)[None] + k - k).astype("uint8")
        pieces[name] = cell
    savemat(path, pieces)
    return path


def test_the_cost_of_music_is_summed_over_keys_and_meant_over_frames(rolls: Path):
    task = made(rolls, cells.gru, {"model": {"hidden": 5}})
    total, frames = 0.0, 0
    with torch.no_grad():
        for e in task.data.test:
            p = torch.sigmoid(task.model(e.x[None])[0][0]).double()
            total -= float((e.y * p.log() + (1 - e.y) * (1 - p).log()).sum())
            frames += len(e.y)
    assert task.result()["nats_per_frame"] == pytest.approx(total / frames, rel=1e-5)
    share = torch.cat([e.y for e in task.data.train]).double()
    share = (share.sum(0) + 1) / (len(share) + 2)
    y = torch.cat([e.y for e in task.data.test]).double()
    expected = -(y * share.log() + (1 - y) * (1 - share).log()).sum(1).mean()
    assert task.result()["by_frequency_alone"] == pytest.approx(float(expected))


def test_a_frame_is_predicted_from_the_one_before_it(rolls: Path):
    for e in made(rolls, cells.gru, {}).data.train:
        roll = torch.arange(len(e.x) + 1)[:, None] % 4 == torch.arange(4)
        assert torch.equal(e.x, roll[:-1].float()) and torch.equal(e.y, roll[1:].float())


def test_each_pass_has_an_order_of_its_own(rolls: Path):
    task = made(rolls, cells.gru, {"reading": {"batch": 4}})
    first, again, second = ([b.lengths.tolist() for b in task.data.batches(epoch)] for epoch in (0, 0, 1))
    assert first == again != second
    assert sorted(n for lengths in second for n in lengths) == sorted(len(e.x) for e in task.data.train)


def test_a_tune_is_learned(rolls: Path, monkeypatch, capsys):
    monkeypatch.chdir(rolls.parent)
    assert (
        main(["train", "rolls.mat", "--updates", "80", "--hidden", "12", "--rate", "0.03", "--out", "run", "--json"])
        == 0
    )
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["nats_per_frame"] < 0.3 * last["by_frequency_alone"]
    assert main(["predict", "run", "rolls.mat", "--out", "p.jsonl"]) == 0
    rows = [json.loads(line) for line in Path("p.jsonl").read_text().splitlines()]
    assert len(rows) == sum(8 + i for i in range(6)) and rows[3]["key_0"] > 0.5 > rows[3]["key_1"]


def test_jsb_chorales_are_what_they_are_known_to_be(data: Callable[[str], Path]):
    task = made(data("music/JSB_Chorales.mat"), cells.gru, {"model": {"hidden": 4}})
    parts = task.data
    assert (len(parts.train), len(parts.validation), len(parts.test), task.kind.keys) == (229, 76, 77, 88)
    assert task.result()["by_frequency_alone"] == pytest.approx(11.06, abs=0.05), "the published baseline"


# tables


def table(path: Path, header: str, rows: list[str]) -> Path:
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture
def series(tmp_path: Path) -> Path:
    rows = [f"{i},{'' if i == 5 else round(math.sin(i / 3), 5)},{i % 2}" for i in range(200)]
    return table(tmp_path / "series.csv", "t,y,z", [*rows[100:], *rows[:100]])


def test_a_forecast_is_scaled_filled_and_cut_in_time(series: Path):
    task = made(series, cells.gru, {"data": {"target": "y", "time": "t", "ahead": 2}})
    y = numpy.sin(numpy.arange(200) / 3).round(5)
    y[5] = numpy.nan
    train = y[:138]
    (example,) = task.data.train
    assert len(example.read) == 138 and task.kind.columns == ["y", "z"]
    scaled = (y - numpy.nanmean(train)) / numpy.nanstd(train)
    assert example.x[:5, 0].tolist() == pytest.approx(scaled[:5], rel=1e-5)
    assert example.x[5, 0] == example.x[4, 0] and math.isnan(example.y[3, 0])
    assert example.y[10, 0] == pytest.approx(scaled[12], rel=1e-5), "two steps ahead"
    (held_out,) = task.data.test
    there = ~torch.isnan(held_out.y[:, 0])
    assert int(there.sum()) == 198 - int(198 * 0.85) and not there[: int(198 * 0.85)].any()
    assert any("y 1; replaced by the previous value" in text for _, text in task.data.describe())


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Many sequences of different lengths, their target among larger numbers than the other column."""
    draw, rows = numpy.random.default_rng(0), []
    for s in range(120):
        rows += [f"s{s},{t},{draw.normal():.4f},{1000 + 50 * draw.normal():.4f}" for t in range(3 + s % 9)]
    return table(tmp_path / "many.csv", "who,t,a,y", rows)


def test_the_error_of_a_forecast_is_in_the_scale_of_its_column(many: Path):
    sections = {"data": {"target": "y", "time": "t", "sequence": "who", "split": "sequence"}, "model": {"hidden": 4}}
    task = made(many, cells.gru, sections)
    held_out, errors, changes = {e.name for e in task.data.test}, [], []
    answers = list(task.kind.predict(task.model, many))
    for (name, forecast), after in zip(
        [(row["sequence"], row["y_1_ahead"]) for row in answers], [*answers[1:], {"sequence": ""}], strict=True
    ):
        if name == after["sequence"] and name in held_out:
            y = float(many.read_text().splitlines()[after["row"] - 1].rsplit(",")[-1])
            before = float(many.read_text().splitlines()[after["row"] - 2].rsplit(",")[-1])
            errors.append(forecast - y)
            changes.append(before - y)
    found = task.result()
    assert found["root_mean_squared_error"] == pytest.approx(numpy.square(errors).mean() ** 0.5, rel=1e-4)
    assert found["by_the_last_value"] == pytest.approx(numpy.square(changes).mean() ** 0.5, rel=1e-4)


def test_a_mean_counts_every_answer_once(many: Path):
    """Also where the examples take several batches."""
    sections = {"data": {"target": "y", "time": "t", "sequence": "who", "split": "sequence"}, "model": {"hidden": 4}}
    task = made(many, cells.gru, sections)
    examples = sorted(task.data.train, key=lambda e: len(e.x))
    assert len(examples) > 64
    with torch.no_grad():
        costs = [(task.model(e.read[None])[0][0] - e.y).square().sum() for e in examples]
    wanted = float(sum(costs)) / sum(len(e.y) for e in examples)
    found = mean_loss(task.kind.goal, task.kind.score(task.model, examples))
    assert found == pytest.approx(wanted, rel=1e-5)


def test_labels_of_one_sequence_are_answered_in_one_part_each(tmp_path: Path):
    path = table(tmp_path / "one.csv", "a,label", [f"{i % 7},{'odd' if i % 2 else 'even'}" for i in range(100)])
    task = made(path, cells.gru, {"data": {"goal": "steps", "target": "label"}})
    answered = [
        (e.y >= 0).nonzero().flatten().tolist()
        for p in (task.data.train, task.data.validation, task.data.test)
        for e in p
    ]
    assert answered == [[*range(70)], [*range(70, 85)], [*range(85, 100)]]


def test_a_forecast_beats_the_last_value_and_is_written_in_its_own_scale(series: Path, monkeypatch, capsys):
    monkeypatch.chdir(series.parent)
    command = [
        "train",
        "series.csv",
        "--updates",
        "10",
        "--set",
        "data.target=y",
        "--set",
        "data.time=t",
        "--out",
        "run",
    ]
    assert main([*command, "--json"]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["root_mean_squared_error"] < 0.4 * last["by_the_last_value"]
    assert main(["evaluate", "run", "series.csv", "--json"]) == 0
    error = json.loads(capsys.readouterr().out)["root_mean_squared_error"]
    assert error == pytest.approx(last["root_mean_squared_error"])
    assert main(["predict", "run", "series.csv", "--history"]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))[-30:]
    assert [row["t"] for row in rows] == [str(t) for t in range(171, 201)]
    foretold = [float(row["forecast"]) for row in rows]
    assert foretold == pytest.approx([math.sin(t / 3) for t in range(171, 201)], abs=0.01)
    assert [row["part"] for row in rows] == ["test"] * 29 + ["future"] and rows[-1]["actual"] == ""
    assert [float(row["actual"]) for row in rows[:-1]] == pytest.approx(foretold[:-1], abs=0.01)


@pytest.mark.parametrize("goal", ["steps", "sequences"])
@pytest.mark.parametrize("kind", ["csv", "parquet", "tsv"])
def test_labels_of_steps_and_of_sequences(goal: str, kind: str, tmp_path: Path, monkeypatch, capsys):
    import pyarrow
    from pyarrow import parquet

    monkeypatch.chdir(tmp_path)
    columns: dict[str, list] = {"who": [], "t": [], "a": [], "label": []}
    for s in range(60):
        for t in range(3 + s % 5):
            up = s % 2 if goal == "sequences" else (s * 7 + t * t) % 2
            for name, value in zip(
                columns, (f"s{s}", t, float(up) + 0.1 * s % 0.3, "up" if up else "down"), strict=True
            ):
                columns[name].append(value)
    path = tmp_path / f"many.{kind}"
    if kind == "parquet":
        parquet.write_table(pyarrow.table(columns), path)
    else:
        rows = [("," if kind == "csv" else "\t").join(map(str, row)) for row in zip(*columns.values(), strict=True)]
        table(path, ("," if kind == "csv" else "\t").join(columns), rows)
    given = ["data.sequence=who", "data.time=t", f"data.goal={goal}"]
    command = ["train", path.name, "--updates", "60", "--hidden", "8", "--rate", "0.02", "--out", "run", "--json"]
    assert main([*command, *(part for value in given for part in ("--set", value))]) == 0
    last = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert last["accuracy"] > 0.95 > last["by_the_commonest_class"]
    assert main(["predict", "run", path.name]) == 0
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert len(rows) == (60 if goal == "sequences" else len(columns["t"]))
    assert sum(r["label"] == ("up" if int(r["sequence"][1:]) % 2 else "down") for r in rows) > 55 or goal == "steps"


def test_errors_of_whole_sequences_go_back_over_a_window_if_one_is_given(series: Path):
    """A window as long as the series is the whole gradient, with any stride; a shorter one is that of ``Truncated``."""
    found = []
    for reading in ({}, {"window": 1000}, {"window": 1000, "stride": 1000}, {"window": 5, "stride": 2}):
        sections = {"reading": reading, "data": {"target": "y", "time": "t"}, "model": {"hidden": 5, "layers": 2}}
        task = made(series, cells.gru, sections)
        total, steps, _ = task.loss(next(iter(task.data.batches(0))), ())
        total.backward()
        found.append(torch.cat([p.grad.flatten() for p in task.model.parameters()]) / steps)
    whole, long, strided, short = found
    for other in (long, strided):
        torch.testing.assert_close(other, whole, rtol=1e-5, atol=1e-6 * float(whole.abs().max()))
    assert not torch.allclose(short, whole, rtol=1e-2, atol=1e-3 * float(whole.abs().max()))
    layer = task.model.first
    assert layer.memory == Truncated(5, 2)
    with pytest.raises(UsageError, match="either a window or a memory, not both"):
        Spec.read("table", {**sections, "training": {"memory": "1 MB"}})


def test_a_resumed_table_and_its_replay_have_the_same_bits(series: Path, monkeypatch):
    monkeypatch.chdir(series.parent)
    base = ["train", "series.csv", "--updates", "12", "--set", "data.target=y", "--set", "model.dropout=0.2", "--json"]
    base += ["--set", "model.hidden=[6, 6]", "--set", "training.average=0.9", "--checkpoint-every", "5"]
    assert main([*base, "--out", "whole"]) == 0 and main([*base, "--out", "cut"]) == 0
    for path in checkpoints(Path("cut"))[-1:]:
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
    assert main(["train", "--resume", "cut", "--json"]) == 0
    a, b = (read_checkpoint(checkpoints(Path(name))[-1]) for name in ("whole", "cut"))
    for name in ("model", "optimizer"):
        x, y = getattr(a, name), getattr(b, name)
        assert x.keys() == y.keys() and all(torch.equal(x[n], y[n]) for n in x)


def test_curves_for_tensorboard_are_those_of_the_log(series: Path, monkeypatch):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    monkeypatch.chdir(series.parent)
    command = ["train", "series.csv", "--updates", "8", "--set", "data.target=y", "--out", "run", "--json", "--track"]
    assert main(command) == 0
    log = [json.loads(line) for line in Path("run/log.jsonl").read_text().splitlines()]
    curves = EventAccumulator("run/track").Reload()
    for name in ("train", "validation"):
        expected = [line[name] for line in log if line.get("event") == "progress" and line[name] is not None]
        assert [event.value for event in curves.Scalars(name)] == pytest.approx(expected)


def test_data_are_recognised_by_what_they_are(voices: Path, rolls: Path, series: Path):
    assert [recognise(p).name for p in (voices, rolls, series, Path(__file__))] == [
        "voice",
        "music",
        "table",
        "language",
    ]


# what is wrong

TABLE = ("train", "d.csv", "--updates", "1")
GOOD = ["1,2,a", "2,3,b"] * 30
CASES: list[Case] = []


def case(name: str, *arguments: str, make: Callable[[Path], object]) -> None:
    CASES.append((name, arguments, make))


def csv_of(header: str, rows: list[str]) -> Callable[[Path], object]:
    return lambda here: table(here / "d.csv", header, rows)


def sounds(*names: str, also: Callable[[Path], object] = lambda here: None) -> Callable[[Path], object]:
    def make(here: Path) -> None:
        for i, name in enumerate(names):
            tone(here / "v" / name, 300 + i)
        also(here)

    return make


def sequences_of(labels: str) -> list[str]:
    return [f"s{i},{t},{t},{label}" for i, label in enumerate(labels) for t in range(2)]


LOTS = tuple(f"{label}/{i}.wav" for label in "ab" for i in range(12))
FORE, LABEL = ("--set", "data.target=y"), ("--set", "data.goal=sequences", "--set", "data.sequence=who")
case("a table without rows", *TABLE, make=csv_of("t,y", []))
case("a table without anything", *TABLE, make=csv_of("", []))
case("a table with a row too long", *TABLE, make=csv_of("t,y", ["1,2", "1,2,3"]))
case("two columns of one name", *TABLE, make=csv_of("y,y", ["1,2"] * 9))
case("text in the column to predict", *TABLE, *FORE, make=csv_of("t,y", ["1,2", "2,many", "3,4"]))
case("infinity in a column", *TABLE, *FORE, make=csv_of("t,y", ["1,2", "2,inf", "3,4"] * 9))
case("a target that is missing", *TABLE, "--set", "data.target=lod", make=csv_of("t,load", ["1,2"] * 9))
case("an input that is missing", *TABLE, "--set", "data.inputs=['x']", make=csv_of("t,y", ["1,2"] * 9))
case("a time that is missing", *TABLE, *FORE, "--set", "data.time=date", make=csv_of("t,y", ["1,2"] * 9))
case("duplicate times", *TABLE, *FORE, "--set", "data.time=t", make=csv_of("t,y", ["1,2", "2,3", "1,4"]))
case("an empty time", *TABLE, *FORE, "--set", "data.time=t", make=csv_of("t,y", ["1,2", ",3", "2,4"]))
case("too few rows", *TABLE, *FORE, make=csv_of("t,y", ["1,2", "2,3", "3,4"]))
case(
    "missing values that are refused",
    *TABLE,
    *FORE,
    "--set",
    "data.missing=refuse",
    make=csv_of("t,y", ["1,2", "2,"] * 9),
)
case("an unknown goal", *TABLE, "--set", "data.goal=forcast", make=csv_of("t,y", GOOD))
case("sequences without a key", *TABLE, "--set", "data.goal=sequences", make=csv_of("t,y", GOOD))
case("one label only", *TABLE, *LABEL, make=csv_of("who,t,a,label", sequences_of("x" * 40)))
case("a class with one sequence", *TABLE, *LABEL, make=csv_of("who,t,a,label", sequences_of("x" * 40 + "y")))
case("a sequence with two labels", *TABLE, *LABEL, make=csv_of("who,t,label", ["s,1,x", "s,2,y"]))
case(
    "a label column that is missing",
    *TABLE,
    *("--set", "data.goal=steps", "--set", "data.target=lable"),
    make=csv_of("t,a,label", GOOD),
)
case("an empty label", *TABLE, *LABEL, make=csv_of("who,t,a,label", ["s,1,1,x", "s,2,1,", "r,1,1,y"]))
case(
    "a column without any number",
    *TABLE,
    *FORE,
    "--set",
    "data.inputs=['z']",
    make=csv_of("t,y,z", [f"{i},{i}," for i in range(50)]),
)
case("no columns of numbers", *TABLE, "--set", "data.goal=steps", make=csv_of("a,label", ["u,x", "v,y"] * 9))
case("no Parquet", "train", "d.parquet", "--updates", "1", make=lambda here: (here / "d.parquet").write_bytes(b"PAR1"))
case("a folder without recordings", "train", "v", make=lambda here: (here / "v").mkdir())
case("one class of recordings", "train", "v", make=sounds(*LOTS[:12]))
case("a class without recordings", "train", "v", make=sounds(*LOTS, also=lambda here: (here / "v" / "c").mkdir()))
case("a class with one recording", "train", "v", make=sounds(*LOTS, "c/0.wav"))
case(
    "mixed sample rates",
    "train",
    "v",
    make=sounds(*LOTS, also=lambda here: tone(here / "v" / "a" / "44.wav", 300, 44100)),
)
case(
    "a recording that cannot be read",
    "train",
    "v",
    make=sounds(*LOTS, also=lambda here: (here / "v" / "a" / "bad.wav").write_bytes(b"RIFFnothing")),
)
case(
    "a recording without samples",
    "train",
    "v",
    make=sounds(*LOTS, also=lambda here: tone(here / "v/a/0.wav", 1, seconds=0)),
)
case("a recording without a label", "train", "v", make=sounds(*LOTS, "top.wav"))
case("nothing like what is held out", "train", "v", "--set", "data.test=*_9.wav", make=sounds(*LOTS))
case("an unknown kind of label", "train", "v", "--set", "data.label=nam", make=sounds(*LOTS))
case("no MATLAB file", "train", "d.mat", make=lambda here: (here / "d.mat").write_bytes(b"MATLAB?"))
case(
    "a MATLAB file of something else", "train", "d.mat", make=lambda here: savemat(here / "d.mat", {"traindat": [1, 2]})
)


def a_run(also: Callable[[Path], object]) -> Callable[[Path], object]:
    """A trained model of a table, and what it is then asked to read."""

    def make(here: Path) -> None:
        csv_of("t,y", [f"{i},{i % 5}" for i in range(60)])(here)
        assert main([*TABLE, *FORE, "--hidden", "4", "--out", "run", "--json"]) == 0
        also(here)

    return make


def newer(here: Path) -> None:
    for manifest in here.glob("run/checkpoints/*/manifest.json"):
        manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 7, "unrolled": "9.1.0"}))


case("recordings for a model of tables", "predict", "run", "v", make=a_run(sounds(*LOTS)))
case("music for a model of tables", "evaluate", "run", "d.mat", make=a_run(lambda here: savemat(here / "d.mat", {})))
case(
    "a table without the column that was learned",
    "evaluate",
    "run",
    "e.csv",
    make=a_run(lambda here: table(here / "e.csv", "t,yy", ["1,2"])),
)
case("text of a model of tables", "sample", "run", make=a_run(lambda here: None))
case("a checkpoint of a newer version", "predict", "run", "d.csv", make=a_run(newer))


def test_every_bad_input_gets_one_clear_message(
    tmp_path: Path, monkeypatch, capsys, golden: Callable[[str, str], None]
):
    assert len(CASES) >= 25
    golden("task_errors.txt", messages(CASES, tmp_path, monkeypatch, capsys))


def test_unreadable_recordings_are_skipped_on_request_and_counted(voices: Path, monkeypatch, capsys):
    monkeypatch.chdir(voices.parent)
    for name in ("a.wav", "b.flac"):
        (voices / "low" / name).write_bytes(b"nothing")
    command = ["train", "v", "--updates", "2", "--out", "run", "--set", "data.skip_unreadable=true"]
    assert main(command) == 0
    assert "skipped 2 unreadable: low/a.wav, low/b.flac" in capsys.readouterr().out
    assert main(["evaluate", "run", "v", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["skipped"] == 2


def test_models_refuse_data_of_another_kind(voices: Path, rolls: Path, series: Path, monkeypatch, capsys):
    monkeypatch.chdir(voices.parent)
    assert main(["train", "series.csv", "--updates", "1", "--set", "data.target=y", "--out", "run", "--json"]) == 0
    for command in (["evaluate", "run", "v"], ["predict", "run", "rolls.mat"], ["sample", "run"]):
        capsys.readouterr()
        assert main(command) == 2
        assert "the task" in capsys.readouterr().err
    table(series.parent / "other.csv", "t,x", ["1,2"])
    assert main(["evaluate", "run", "other.csv"]) == 2
    assert "no column 'y'" in capsys.readouterr().err
    with pytest.raises(DataError, match="has frames of 3 keys; the model reads 4"):
        cell = numpy.empty((1, 1), dtype=object)
        cell[0, 0] = numpy.ones((4, 3))
        savemat("three.mat", {"testdata": cell})
        assert main(["train", "rolls.mat", "--updates", "1", "--out", "m", "--json"]) == 0
        Trained.load(Path("m")).evaluate(Path("three.mat"))
