"""Trainings that go on after their end, trainings that start from another one, and what is said of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from unrolled import cells
from unrolled.cli import main
from unrolled.errors import UsageError
from unrolled.nn.model import SequenceModel
from unrolled.run.about import about
from unrolled.run.checkpoint import checkpoints, read_checkpoint
from unrolled.run.history import History
from unrolled.sequence import losses
from unrolled.sequence.streams import windows
from unrolled.train.lesson import WindowLesson
from unrolled.train.loop import Training
from unrolled.train.settings import Settings
from unrolled.train.snapshot import capture, restore

SERIES = torch.arange(400) ** 2 % 7
TEXT = "the cat sat on the mat and the dog sat on the cat\n" * 20


def training(updates: int = 12, **options: object) -> Training:
    torch.manual_seed(3)
    model = SequenceModel(cells.gru, 7, 7, 6)

    def validate() -> float:
        with torch.no_grad():
            scores, _ = model(SERIES[None, :-1])
            return float(losses.nll(scores, SERIES[None, 1:])) / (len(SERIES) - 1)

    lesson = WindowLesson(losses.nll, lambda: windows(SERIES, 4, 20), validate)
    return Training(model, lesson, Settings(updates=updates, validations=3, **options))  # type: ignore[arg-type]


def told(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    code = main([str(a) for a in arguments])
    captured = capsys.readouterr()
    assert code == 0, captured.err
    return captured.out


def refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    capsys.readouterr()
    assert main([str(a) for a in arguments]) == 2
    return capsys.readouterr().err


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A folder with a text and a finished run of 20 updates."""
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(TEXT)
    Path("other.txt").write_text(TEXT.replace("cat", "hat"))
    told(capsys, "train", "text.txt", "--hidden", "5", "--updates", "20", "--out", "run", "--json")
    return tmp_path


@pytest.mark.parametrize("schedule", ["cosine", "constant", "plateau"])
@pytest.mark.parametrize("stop", [13, 17, 20])
def test_an_extended_training_that_is_stopped_goes_on_with_the_same_bits(schedule: str, stop: int):
    whole, cut, again = (training(schedule=schedule, halve_after=1) for _ in range(3))
    for one in (whole, cut):
        list(one.run())
        restore(one, capture(one))  # at its end, the model is the best one; a resume has the last one
        one.extend(updates=10)
    rates = [progress.rate for progress in whole.run()]
    assert len(rates) == 10 and whole.done == 1 and whole.update == 22
    if schedule == "cosine":
        assert rates[0] == max(rates) > 10 * rates[-1], "a new cycle of the learning rate"
    for _ in cut.run(lambda: cut.update == stop):
        pass
    restore(again, capture(cut))
    assert again.done == pytest.approx((stop - 12) / 10)
    list(again.run())
    for name, value in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], value), name


def test_a_training_that_is_not_finished_is_not_extended():
    one = training()
    with pytest.raises(UsageError, match="not finished"):
        one.extend(updates=3)
    list(one.run())
    with pytest.raises(UsageError, match="either --updates or --minutes"):
        one.extend()


def test_a_training_that_stopped_early_goes_on():
    one = training(patience=1, updates=60, rate=1e-7, schedule="constant")
    one.lowest = 0.0  # nothing is better
    list(one.run())
    assert one.early and one.update == 20
    one.extend(updates=20)
    assert not one.early and one.done == 0
    assert len(list(one.run())) > 0


def test_a_finished_run_goes_on(here: Path, capsys: pytest.CaptureFixture[str]):
    records = [json.loads(s) for s in told(capsys, "train", "--resume", "run", "--updates", 7, "--json").splitlines()]
    assert records[0]["event"] == "resume" and records[0]["update"] == 20
    assert records[-1]["event"] == "result" and records[-1]["update"] == 27
    assert about(Path("run")).update == 27 and about(Path("run")).state == "finished"
    assert read_checkpoint(checkpoints(Path("run"))[-1]).progress["cycle"][2:] == [7, None]
    assert json.loads(told(capsys, "train", "--resume", "run", "--json").splitlines()[-1])["update"] == 27
    assert "<svg" in Path("run/training.svg").read_text()
    assert "--hidden cannot change" in refused(capsys, "train", "--resume", "run", "--updates", 7, "--hidden", 6)


def test_an_unfinished_run_is_finished_first(here: Path, capsys: pytest.CaptureFixture[str]):
    told(capsys, "train", "text.txt", "--hidden", "5", "--updates", "20", "--out", "cut", "--json")
    newest = checkpoints(Path("cut"))[-1]
    newest.rename(newest.with_name("00000020.damaged"))
    said = refused(capsys, "train", "--resume", "cut", "--updates", 7)
    assert "'cut' is" in said and "% done; more --updates or --minutes are for a finished training" in said
    assert "train --resume cut" in said
    assert "either --updates or --minutes" in refused(
        capsys, "train", "--resume", "run", "--updates", 7, "--minutes", 1
    )


def test_a_training_starts_from_another_one(here: Path, capsys: pytest.CaptureFixture[str]):
    told(capsys, "train", "other.txt", "--from", "run", "--updates", 2, "--rate", "1e-9", "--out", "tuned")
    first, second = (read_checkpoint(checkpoints(Path(run))[-1]) for run in ("run", "tuned"))
    for name, value in first.model.items():
        torch.testing.assert_close(second.model[name], value, atol=1e-6, rtol=0)
    found = about(Path("tuned"))
    assert found.values()["from"] == str(here / "run") and found.changed["training.rate"] == 1e-9
    assert json.loads(told(capsys, "train", "--resume", "tuned", "--updates", 2, "--json").splitlines()[-1])
    assert json.loads(told(capsys, "evaluate", "tuned", "other.txt", "--json"))["held_out"]


@pytest.mark.parametrize(
    ("data", "options", "why"),
    [
        ("new.txt", (), "never seen the character 'Q'"),
        ("short.txt", (), "a batch of 16 needs 40 or more"),
        ("rows.csv", ("--task", "table"), "--task cannot change with --from 'run'"),
        ("other.txt", ("--hidden", 6), "model.hidden cannot change with --from 'run'"),
        ("other.txt", ("--set", "data.unit=byte"), "data.unit cannot change with --from 'run'"),
        ("other.txt", ("--resume", "run"), "--from cannot change when 'run' is resumed"),
        ("missing.txt", (), "missing.txt"),
    ],
)
def test_what_fine_tuning_refuses(here: Path, data: str, options: tuple, why: str, capsys: pytest.CaptureFixture[str]):
    Path("new.txt").write_text(TEXT + "Q")
    Path("short.txt").write_text("the cat")
    Path("rows.csv").write_text("a,b\n1,2\n")
    assert why in refused(capsys, "train", data, "--from", "run", *options)


def test_fine_tuning_reads_a_table_with_the_scales_of_its_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    for name, scale in (("a.csv", 1), ("b.csv", 3)):
        Path(name).write_text("x\n" + "".join(f"{scale * (k * k % 11)}\n" for k in range(120)))
    told(capsys, "train", "a.csv", "--hidden", 4, "--updates", 3, "--out", "run")
    told(capsys, "train", "b.csv", "--from", "run", "--updates", 3, "--out", "tuned")
    first, second = (json.loads(Path(run, "config.json").read_text()) for run in ("run", "tuned"))
    assert first["description"] == second["description"] and first["source"] != second["source"]


def test_what_is_said_of_runs(here: Path, capsys: pytest.CaptureFixture[str]):
    said = told(capsys, "info", "run")
    for words in (
        "gru, 1 layer",
        "model.hidden=5, model.dropout=0.3, training.updates=20",
        "finished after 20 updates",
        "sample run",
    ):
        assert words in said, said
    values = json.loads(told(capsys, "info", "run", "--json"))
    assert values["state"] == "finished" and values["result"].keys() >= {"bits_per_character", "by_frequency_alone"}
    assert values["parameters"] == sum(v.numel() for v in read_checkpoint(checkpoints(Path("run"))[-1]).model.values())
    table = told(capsys, "runs", ".")
    assert "finished" in table and "bits per character" in " ".join(table.split())
    assert [run["run"] for run in json.loads(told(capsys, "runs", ".", "--json"))["runs"]] == ["run"]
    assert "there is no folder 'runs'" in refused(capsys, "runs")
    assert "there is no run folder 'ran'" in refused(capsys, "info", "ran")
    Path("run/config.json").write_text("{}")
    capsys.readouterr()
    assert main(["runs", "."]) == 0 and "run was left out" in capsys.readouterr().err


def test_a_log_that_was_cut_is_read_to_its_last_whole_line(here: Path):
    log = Path("run/log.jsonl")
    log.write_bytes(log.read_bytes()[:-20])
    assert History.read(Path("run")).ended == {} and about(Path("run")).state == "unfinished"
    log.unlink()
    assert History.read(Path("run")).draw("a", "b") is None
