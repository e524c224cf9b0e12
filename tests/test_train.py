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
from unrolled.errors import DataError, InputError, UnrolledError, UsageError
from unrolled.sequence.streams import rest, windows
from unrolled.tasks.language import LanguageModel, bits_per_character
from unrolled.train import losses
from unrolled.train.files import read_bytes, write_bytes
from unrolled.train.loop import Progress, Settings, train
from unrolled.train.run_folder import Config, RunFolder, free_folder, load_model

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


def run(settings: Settings, seed: int = 0, rows: int = 4) -> tuple[LanguageModel, list[Progress]]:
    torch.manual_seed(seed)
    model = LanguageModel(gru, characters=7, hidden=12)

    def validate() -> float:
        return bits_per_character(model, TEXT[1500:]) * math.log(2)

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
    assert bits_per_character(model, TEXT[1500:]) * math.log(2) == best, "at the end the model is the best one"


def test_a_seed_gives_the_same_bits_again():
    first, a = run(Settings(updates=12), seed=3)
    second, b = run(Settings(updates=12), seed=3)
    _, c = run(Settings(updates=12), seed=4)
    assert [(p.loss, p.validation) for p in a] == [(p.loss, p.validation) for p in b]
    assert all(torch.equal(p, q) for p, q in zip(first.parameters(), second.parameters(), strict=True))
    assert [p.loss for p in a] != [p.loss for p in c]


def test_states_are_carried_from_window_to_window_and_dropped_with_each_pass():
    class Spy(torch.nn.Linear):
        def forward(self, x, states):
            given.append(None if states is None else states[0].h[0, 0].item())
            state = model.first.initial_state(1)
            return super().forward(x[..., None]), (type(state)(h=state.h + len(given)),)

    model, given = LanguageModel(gru, characters=7, hidden=1), []
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
    model = LanguageModel(gru, characters=7, hidden=4)
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
    assert [p.update for p in stopped] == [1, 2, 3]
    assert stopped[-1].best, "what was learned so far is validated, and kept"


def test_a_loss_that_is_no_number_names_the_update():
    torch.manual_seed(0)
    model = LanguageModel(gru, characters=7, hidden=4)

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


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"updates": 3, "minutes": 1},
        {"updates": 0},
        {"minutes": -1.0},
        {"minutes": math.nan},
        {"updates": 3, "rate": 0.0},
    ],
)
def test_settings_refuse_what_makes_no_training(wrong: dict):
    with pytest.raises(UsageError):
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
    model = LanguageModel(gru, 5, 3)
    folder = RunFolder(tmp_path / "run")
    folder.config(gru, {"answer": 42, "nested": {"name": "x"}})
    folder.model(model)
    folder.log({"update": 1})
    config = Config(folder.path)
    assert config.get("answer", int) == 42 and config.get("nested.name", str) == "x"
    assert config.circuit().equations() == gru.equations()
    again = LanguageModel(config.circuit(), 5, 3)
    load_model(folder.path, again)
    assert all(torch.equal(again.state_dict()[n], v) for n, v in model.state_dict().items())
    assert json.loads((folder.path / "log.jsonl").read_text()) == {"update": 1}
    for wrong in ("nested.nothing", "answer.name", "nothing"):
        with pytest.raises(DataError, match=f"'{wrong}' is missing"):
            config.get(wrong, str)
    with pytest.raises(DataError, match="'answer' must be of type str, got 42"):
        config.get("answer", str)


def test_a_model_is_replaced_only_when_asked_for(tmp_path: Path):
    RunFolder(tmp_path).model(LanguageModel(gru, 5, 3))
    with pytest.raises(UsageError, match="holds a model already"):
        RunFolder(tmp_path)
    RunFolder(tmp_path, overwrite=True)
    assert not (tmp_path / "model.safetensors").exists()


def test_folders_that_are_taken_get_a_number(tmp_path: Path):
    assert free_folder(tmp_path, "a-gru") == tmp_path / "a-gru"
    (tmp_path / "a-gru").mkdir()
    (tmp_path / "a-gru-2").mkdir()
    assert free_folder(tmp_path, "a-gru") == tmp_path / "a-gru-3"
