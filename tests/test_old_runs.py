"""Run folders of version 0.1 (``old_runs``), one of each kind of data, stopped after 5 of 8 updates: every command
still reads them, and trainings resume to the losses of a training that was never stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from unrolled.cli import main

for library in ("soundfile", "pyarrow", "scipy.io"):
    pytest.importorskip(library)

RUNS = Path(__file__).parent / "old_runs"
EXPECTED = json.loads((RUNS / "expected.json").read_text())
DATA = {
    "text": "text.txt",
    "documents": "documents.txt",
    "music": "music.mat",
    "voice": "voice",
    "forecast": "forecast.csv",
    "labels": "labels.csv",
}
KINDS = pytest.mark.parametrize("kind", DATA)


def run(kind: str) -> str:
    return str(RUNS / kind)


def data(kind: str) -> str:
    return str(RUNS / "data" / DATA[kind])


def output(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(arguments) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def close(found: object, expected: object) -> bool:
    """Whether two values of JSON are the same but for the rounding of numbers."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return list(found) == list(expected) and all(close(found[n], v) for n, v in expected.items())
    return found == (pytest.approx(expected, rel=1e-4) if isinstance(expected, float) else expected)


@KINDS
def test_a_run_of_version_0_1_is_evaluated(kind: str, capsys: pytest.CaptureFixture[str]):
    score = json.loads(output(capsys, "evaluate", run(kind), data(kind), "--json"))
    assert score.pop("run") == run(kind) and score.pop("data") == data(kind)
    assert close(score, EXPECTED[kind]["score"])


@pytest.mark.parametrize("kind", ["music", "voice", "forecast", "labels"])
def test_a_run_of_version_0_1_predicts(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    rows = output(capsys, "predict", run(kind), data(kind), "--format", "jsonl").splitlines()
    assert len(rows) == EXPECTED[kind]["rows"]
    assert close([json.loads(row) for row in rows][-1], EXPECTED[kind]["last_row"])


@pytest.mark.parametrize("kind", ["text", "documents"])
def test_a_run_of_version_0_1_writes(kind: str, capsys: pytest.CaptureFixture[str]):
    assert output(capsys, "sample", run(kind), "--length", "40") == EXPECTED[kind]["sample"]


@KINDS
def test_a_run_of_version_0_1_is_diagnosed_and_looked_at(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    found = json.loads(output(capsys, "diagnose", run(kind), data(kind), "--json"))
    assert found["verdict"]
    if kind in ("music", "voice"):  # residual connections and two directions are not shown
        return
    page = json.loads(
        output(capsys, "look", run(kind), "--data", data(kind), "--out", str(tmp_path / "a.html"), "--json")
    )
    assert close(page["loss"], EXPECTED[kind]["looked_at_loss"])


@KINDS
def test_a_run_of_version_0_1_resumes_to_the_same_losses(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    shutil.copytree(RUNS / kind, tmp_path / "run")
    records = output(capsys, "train", data(kind), "--resume", str(tmp_path / "run"), "--json").splitlines()
    last = json.loads(records[-1])
    expected = EXPECTED[kind]
    assert last["update"] == 8
    assert {name: last[name] for name in expected["result"]} == pytest.approx(expected["result"], rel=1e-4)
