"""Contiguous streams, the training loop, and the files of a run."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cells import gru
from unrolled.data.bits import bits_per_step
from unrolled.errors import DataError, InputError, UnrolledError, UsageError
from unrolled.files.read import read_bytes
from unrolled.files.write import write_bytes
from unrolled.graph.stored import dump
from unrolled.nn.memory import Snapshots
from unrolled.nn.model import SequenceModel
from unrolled.run.folder import RunFolder, free_folder
from unrolled.run.trained import best_model
from unrolled.sequence import losses
from unrolled.sequence.streams import Window, rest, windows
from unrolled.train.loop import Progress, train
from unrolled.train.schedule import Plateau, shape
from unrolled.train.settings import Settings
from unrolled.train.snapshot import Snapshot

TEXT = torch.arange(2000) ** 2 % 7  # 0 1 4 2 2 4 1, again and again: what follows 1, 2 and 4 depends on what was before


# streams


@given(st.data())
def test_windows_go_on_where_the_one_before_stopped_and_leave_nothing_out(data: st.DataObject):
    rows = data.draw(st.integers(1, 6))
    longest = data.draw(st.integers(1, 9))
    length = data.draw(st.integers(rows + 1, 80))
    series = torch.arange(length)
    found = list(windows(series, rows, longest))
    for x, y in found:
        assert x.shape == y.shape and 1 <= x.shape[1] <= longest
        assert (y == x + 1).all(), "what comes next is one step later"
    for (before, _), (after, _) in pairwise(found):
        assert (after[:, 0] == before[:, -1] + 1).all(), "row i goes on where row i stopped"
    lengths = {x.shape[1] for x, _ in found}
    assert max(lengths) - min(lengths) <= 1
    pieces = torch.cat([y for _, y in found], 1)
    remaining = rest(series, rows)
    if remaining is not None:
        assert remaining.x[0, 0] == pieces[-1, -1], "the rest goes on where the last row stopped"
        assert remaining.y.shape[1] < rows
    predicted = [*pieces.flatten().tolist(), *(remaining.y.flatten().tolist() if remaining else [])]
    assert predicted == list(range(1, length)), "every step but the first is predicted once"


def test_windows_of_vectors_keep_their_features():
    series = torch.randn(11, 3)
    first, second = windows(series, rows=2, longest=3)
    assert first.x.shape == (2, 3, 3) and second.y.shape == (2, 2, 3)
    assert torch.equal(first.x[1], series[5:8]) and torch.equal(second.y[0], series[4:6])


def test_a_series_too_short_for_its_rows_is_refused():
    with pytest.raises(InputError, match="3 steps is too short for 4 rows"):
        list(windows(torch.arange(3), 4, 8))


# the loop


def run(settings: Settings, seed: int = 0, rows: int = 4) -> tuple[SequenceModel, list[Progress]]:
    torch.manual_seed(seed)
    memory = Snapshots(memory=settings.memory) if settings.memory else None
    model = SequenceModel(gru, 7, 7, 12, memory=memory)

    def validate() -> float:
        return bits_per_step(model, TEXT[1500:]) * math.log(2)

    found = train(model, losses.nll, lambda: windows(TEXT[:1500], rows, 20), validate, settings)
    return model, list(found)


def test_the_loss_falls_and_the_best_model_is_kept():
    model, seen = run(Settings(updates=60, rate=2e-2))
    assert [p.update for p in seen] == list(range(1, 61))
    assert seen[-1].done == 1 and seen[18].steps == 4 * 374, "a pass predicts all that the four rows hold"
    assert seen[-1].loss < 0.5 * seen[0].loss
    validations = [p for p in seen if p.validation is not None]
    assert len(validations) == 10, "evenly over the budget"
    best = min(p.validation for p in validations)
    assert [p for p in validations if p.best][-1].validation == best
    assert bits_per_step(model, TEXT[1500:]) * math.log(2) == best, "at the end the model is the best one"


def test_a_seed_gives_the_same_bits_again():
    first, a = run(Settings(updates=12), seed=3)
    second, b = run(Settings(updates=12), seed=3)
    _, c = run(Settings(updates=12), seed=4)
    assert [(p.loss, p.validation) for p in a] == [(p.loss, p.validation) for p in b]
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), second.parameters(), strict=True))
    assert [p.loss for p in a] != [p.loss for p in c]


def test_bounded_memory_learns_the_same():
    _, a = run(Settings(updates=12), seed=3)
    model, b = run(Settings(updates=12, memory="10 KB"), seed=3)
    assert all(layer.memory == Snapshots(memory="10 KB") for layer in model.layers)
    for p, q in zip(a, b, strict=True):
        assert p.loss == pytest.approx(q.loss, rel=1e-4) and p.norm == pytest.approx(q.norm, rel=1e-3)


def test_states_are_carried_from_window_to_window_and_dropped_with_each_pass():
    class Spy(torch.nn.Linear):
        def forward(self, x, states):
            given.append(None if states is None else states[0].h[0, 0].item())
            state = model.first.initial_state(1)
            return super().forward(x[..., None]), (type(state)(h=state.h + len(given)),)

    model, given = SequenceModel(gru, 7, 7, 1), []
    spy, series = Spy(1, 1), torch.arange(7.0)
    once = train(
        spy,
        lambda scores, y: losses.squared_error(scores, y[..., None]),
        lambda: windows(series, 1, 2),
        lambda: 1.0,
        Settings(updates=7),
    )
    assert len(list(once)) == 7
    assert given == [None, 1.0, 2.0, None, 4.0, 5.0, None]


def test_a_budget_of_time_ends_by_the_clock_and_stop_ends_at_once():
    _, seen = run(Settings(minutes=0.3 / 60))
    assert seen[-1].done == 1 and 0.3 <= seen[-1].seconds < 3
    torch.manual_seed(0)
    model = SequenceModel(gru, 7, 7, 4)
    calls = iter([False, False, True])
    stopped = list(
        train(
            model,
            losses.nll,
            lambda: windows(TEXT, 4, 20),
            lambda: 1.0,
            Settings(updates=1000),
            lambda: next(calls),
        )
    )
    assert [(p.update, p.stopped) for p in stopped] == [(1, False), (2, False), (3, True)]


def test_a_loss_that_is_no_number_names_the_update():
    torch.manual_seed(0)
    model = SequenceModel(gru, 7, 7, 4)

    def broken(scores: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return losses.nll(scores, y) * (math.nan if len(calls) == 3 else 1)

    calls: list[int] = []
    with pytest.raises(UnrolledError, match="update 3: the loss is nan"):
        list(train(model, broken, lambda: windows(TEXT, 4, 20), lambda: 1.0, Settings(updates=9)))


def test_the_learning_rate_rises_then_falls_to_zero():
    settings = Settings(updates=1000, rate=0.5)
    rates = [settings.rate_at(settings.done(u + 0.5, 0)) for u in range(1000)]
    top = rates.index(max(rates))
    assert 15 <= top <= 25 and max(rates) == pytest.approx(0.5, rel=1e-2)
    assert all(a < b for a, b in pairwise(rates[:top])) and all(a > b for a, b in pairwise(rates[top:]))
    assert 0 < rates[-1] < 1e-5
    assert Settings(minutes=2).done(99, 60) == 0.5


def test_schedules_and_plateaus():
    constant = Settings(updates=100, rate=0.5, schedule="constant", warmup=0.1)
    assert [constant.rate_at(d) for d in (0.05, 0.1, 0.5, 1)] == pytest.approx([0.25, 0.5, 0.5, 0.5])
    plateau = Plateau(2)
    found = [plateau.see(better) for better in (True, False, True, False, False, False, False)]
    assert found == [1, 1, 1, 1, 0.5, 0.5, 0.25]


def learn_zero(values: list[float], **settings: object) -> list[Progress]:
    """Train one number to be zero, with validations that are what they are said to be."""

    class One(torch.nn.Linear):
        def forward(self, x, states):
            return super().forward(x), ()

    torch.manual_seed(0)
    model, given = One(1, 1), iter([1.0, *values])  # the first is that of the untrained model
    how = Settings(**{"updates": 40, "rate": 0.1, "schedule": "constant", "warmup": 0.0, **settings})
    window = Window(torch.ones(1, 1, 1), torch.zeros(1, 1, 1))
    return list(train(model, losses.squared_error, lambda: iter([window]), lambda: next(given), how))


def test_patience_ends_the_training_early_and_a_plateau_halves_the_rate():
    values = [3.0, 2.0, 2.5, 2.2, 9.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    assert [p.update for p in learn_zero(values, patience=3) if p.validation is not None] == [4, 8, 12, 16, 20]
    assert learn_zero(values, patience=4)[-1].update == 40
    seen = learn_zero(values, schedule="plateau", halve_after=2)
    assert [p.rate for p in seen[::4]] == pytest.approx([0.1] * 4 + [0.05] * 4 + [0.025] * 2)


def test_each_update_has_the_rate_of_its_middle():
    for how, warmup in (("cosine", 0.25), ("constant", 0.25), ("cosine", 0.0)):
        seen = learn_zero([1.0] * 10, schedule=how, warmup=warmup)
        wanted = [0.1 * shape(how, warmup, (update + 0.5) / 40) for update in range(40)]
        assert [p.rate for p in seen] == pytest.approx(wanted, rel=1e-12)


def test_a_long_gradient_is_clipped():
    """The loss w² has the gradient 2w: clipped to c, each update of rate r takes r c off the weight."""

    class One(torch.nn.Linear):
        def forward(self, x, states):
            return super().forward(x), ()

    model, weights = One(1, 1, bias=False, dtype=torch.float64), [3.0]
    torch.nn.init.constant_(model.weight, 3.0)
    window = Window(torch.ones(1, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, dtype=torch.float64))
    how = Settings(updates=5, rate=0.5, clip=0.25, optimizer="sgd", schedule="constant", warmup=0.0)
    for progress in train(model, losses.squared_error, lambda: iter([window]), lambda: 1.0, how):
        assert progress.norm == pytest.approx(2 * weights[-1]), "told as it was before"
        weights.append(model.weight.item())
    assert [a - b for a, b in pairwise(weights)] == pytest.approx([0.5 * 0.25] * 5, rel=1e-5)


def test_averaged_weights_are_those_that_are_validated_and_kept():
    class One(torch.nn.Linear):
        def forward(self, x, states):
            return super().forward(x), ()

    torch.manual_seed(0)
    model, seen, raw = One(1, 1, bias=False), [], []
    start = model.weight.item()
    window = Window(torch.ones(1, 1, 1), torch.zeros(1, 1, 1))

    def validate() -> float:
        seen.append(model.weight.item())
        return -float(len(seen))

    how = Settings(updates=6, rate=0.1, average=0.75, validations=6)
    for _ in train(model, losses.squared_error, lambda: iter([window]), validate, how):
        raw.append(model.weight.item())
    assert seen.pop(0) == start, "the untrained model is measured first"
    average = raw[0]
    for i, weight in enumerate(raw):
        average = weight if i == 0 else 0.75 * average + 0.25 * weight
        assert seen[i] == pytest.approx(average, rel=1e-5)
    assert model.weight.item() == pytest.approx(average, rel=1e-5) and average != raw[-1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"updates": 3, "schedule": "cosin"},
        {"updates": 3, "optimizer": "adan"},
        {"updates": 3, "average": 1.0},
        {"updates": 3, "momentum": 0.9},
        {"updates": 3, "patience": -1},
        {},
        {"updates": 3, "minutes": 1},
        {"updates": 0},
        {"minutes": -1.0},
        {"minutes": math.nan},
        {"updates": 3, "rate": 0.0},
        {"updates": 3, "memory": "much"},
    ],
)
def test_settings_refuse_what_makes_no_training(wrong: dict):
    with pytest.raises((UsageError, InputError)):
        Settings(**wrong)


# files


def test_a_file_that_cannot_be_written_leaves_the_old_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "model"
    write_bytes(path, b"old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DataError, match="no space left"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["model"], "nothing else is left behind"


def test_reading_a_missing_file_suggests_a_similar_one(tmp_path: Path):
    (tmp_path / "input.txt").write_text("x")
    with pytest.raises(DataError, match=r"there is no file '.*inptu.txt'.*Did you mean 'input.txt'\?"):
        read_bytes(tmp_path / "inptu.txt", "a text")
    with pytest.raises(DataError, match=r"is a folder; expected a text. Name a file in it, such as '.*input.txt'"):
        read_bytes(tmp_path, "a text")
    with pytest.raises(DataError, match="there is no folder"):
        read_bytes(tmp_path / "nowhere" / "input.txt", "a text")


def test_a_run_folder_keeps_a_circuit_and_its_parameters(tmp_path: Path):
    model = SequenceModel(gru, 5, 5, 3)
    folder = RunFolder(tmp_path / "run")
    snapshot = Snapshot(model.state_dict(), {}, {"update": 0, "best": None})
    folder.begin(gru, {"format": 3, "circuit": dump(gru.recurrence), "answer": 42, "nested": {"name": "x"}}, snapshot)
    folder.log({"update": 1})
    config, tensors = best_model(folder.path)
    assert config.get("answer", int) == 42 and config.get("nested.name", str) == "x"
    assert config.circuit().equations() == gru.equations()
    config.check_fit(SequenceModel(config.circuit(), 5, 5, 3), tensors)
    assert all(torch.equal(tensors[n], v) for n, v in model.state_dict().items())
    assert json.loads((folder.path / "log.jsonl").read_text()) == {"update": 1}
    for wrong in ("nested.nothing", "answer.name", "nothing"):
        with pytest.raises(DataError, match=f"'{wrong}' is missing"):
            config.get(wrong, str)
    with pytest.raises(DataError, match="'answer' must be of type str, got 42"):
        config.get("answer", str)
    with pytest.raises(DataError, match=r"the shape of layers.0.U is \(9, 5\) there, \(12, 5\) here"):
        config.check_fit(SequenceModel(gru, 5, 5, 4), tensors)


def test_a_training_is_replaced_only_when_asked_for(tmp_path: Path):
    model = SequenceModel(gru, 5, 5, 3)
    with RunFolder(tmp_path) as folder:
        folder.begin(gru, {}, Snapshot(model.state_dict(), {}, {"update": 0}))
    with pytest.raises(UsageError, match="already has a training"):
        RunFolder(tmp_path)
    RunFolder(tmp_path, overwrite=True)
    assert not (tmp_path / "config.json").exists() and not list((tmp_path / "checkpoints").iterdir())


def test_a_log_is_cut_where_the_training_goes_on(tmp_path: Path):
    folder = RunFolder(tmp_path)
    for update in (0, 3, 6, 9):
        folder.log({"update": update})
    whole = (tmp_path / "log.jsonl").read_text()
    (tmp_path / "log.jsonl").write_text(whole[:-3])
    folder.cut_log(6)
    assert (tmp_path / "log.jsonl").read_text() == "".join(whole.splitlines(keepends=True)[:3])


def test_folders_that_are_taken_get_a_number(tmp_path: Path):
    assert free_folder(tmp_path, "a-gru") == tmp_path / "a-gru"
    (tmp_path / "a-gru").mkdir()
    (tmp_path / "a-gru-2").mkdir()
    assert free_folder(tmp_path, "a-gru") == tmp_path / "a-gru-3"
