"""Reading with the requested threads, and a bar from the beginning."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy
import pytest
import torch
from rich.console import Console

from unrolled.cli import main, progress
from unrolled.cli.reading import reading
from unrolled.data import recordings
from unrolled.data.reading import Reading
from unrolled.data.voice import Voice, VoiceOptions
from unrolled.files.progress import progress as said
from unrolled.files.progress import shown


@pytest.fixture
def voices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve short recordings of two classes."""
    monkeypatch.chdir(tmp_path)
    for label in ("high", "low"):
        Path("voices", label).mkdir(parents=True)
        for number in range(6):
            samples = numpy.random.default_rng(number).normal(0, 3000, 1600).astype("<i2")
            with wave.open(f"voices/{label}/{number}.wav", "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes(samples.tobytes())
    return Path("voices")


def test_features_are_computed_with_the_requested_threads(voices: Path, monkeypatch: pytest.MonkeyPatch):
    used = []
    monkeypatch.setattr(recordings, "LogMel", lambda *a, **k: used.append(torch.get_num_threads()) or LogMel(*a, **k))
    before = torch.get_num_threads()
    for threads in (1, 3):
        command = ["train", "voices", "--updates", "1", "--hidden", "3", "--json", "--overwrite", "--out", "run"]
        assert main([*command, "--threads", str(threads)]) == 0
        assert set(used) == {threads} and len(used) == 12
        used.clear()
    assert main(["evaluate", "run", "voices", "--json"]) == 0
    assert set(used) == {1} and torch.get_num_threads() == before


LogMel = recordings.LogMel


def test_recordings_show_how_far_they_are(voices: Path):
    seen: list[tuple[str, float]] = []
    with shown(lambda done, what: seen.append((what, done))):
        Voice.learn(voices, VoiceOptions(), Reading(batch=2))
    read = [done for what, done in seen if what == "reading recordings"]
    assert read == [number / 12 for number in range(12)]
    computed = [done for what, done in seen if what == "computing features"]
    assert computed[:12] == [number / 12 for number in range(1, 13)]


def test_the_bar_is_there_from_the_beginning(monkeypatch: pytest.MonkeyPatch):
    screen = Console(file=io.StringIO(), force_terminal=True, width=80)
    monkeypatch.setattr(progress, "console", lambda: screen)
    with reading():
        said(0.0, "reading")
        first = screen.file.getvalue()
        said(1.0, "tokenising")
    assert "reading" in first
    quiet = Console(file=io.StringIO(), force_terminal=True)
    monkeypatch.setattr(progress, "console", lambda: quiet)
    with reading(quiet=True):
        said(0.5, "reading")
    assert quiet.file.getvalue() == ""


def test_short_reading_prints_nothing_elsewhere_than_on_a_terminal(capsys: pytest.CaptureFixture[str]):
    with reading():
        for done in (0.0, 0.5, 1.0):
            said(done, "reading")
    assert capsys.readouterr().out == ""
