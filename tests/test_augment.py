"""Variations of recordings in training, and features that do not depend on the level of a recording."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from trainings import made
from unrolled import cells
from unrolled.data.augment import SPEED, WARP, varied
from unrolled.data.voice import RANGE, levelled

soundfile = pytest.importorskip("soundfile")


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def voices(tmp_path: Path) -> Path:
    """Twelve recordings: tones of two kinds, at different levels."""
    for number in range(12):
        t = torch.arange(2000 + 100 * number) / 8000
        label = "low" if number % 2 else "high"
        tone = torch.sin(2 * torch.pi * (300 if number % 2 else 1500) * t) * 0.9 ** (3 * number)
        path = tmp_path / "v" / label / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, tone.numpy(), 8000, subtype="FLOAT")
    return tmp_path / "v"


@pytest.mark.parametrize("frames", [1, 2, 3, 50, 400])
def test_a_variation_is_a_recording_of_about_the_same_length(frames: int):
    features = torch.randn(frames, 40, generator=generator(1))
    lengths = set()
    for seed in range(40):
        found = varied(features, generator(seed))
        assert found.shape[1] == 40 and torch.isfinite(found).all()
        assert round(frames * (1 - SPEED)) <= max(len(found), 1) <= round(frames * (1 + SPEED)) + 1
        assert torch.equal(found, varied(features, generator(seed))), "it follows from the generator"
        lengths.add(len(found))
    assert len(lengths) > 5 or frames < 50


def test_a_tone_stays_near_its_band_and_moves_with_the_voice():
    features = torch.full((60, 40), -8.0)
    features[:, 20] = 0.0
    peaks = {int(varied(features, generator(seed)).mean(0)[12:30].argmax()) + 12 for seed in range(60)}
    assert len(peaks) >= 4 and all(abs(peak - 20) <= 20 * WARP + 1 for peak in peaks), peaks


def test_time_runs_forward_in_a_variation():
    ramp = torch.linspace(-6, 0, 100)[:, None].expand(100, 40)
    rising = [torch.diff(varied(ramp, generator(seed))[:, 0]) for seed in range(30)]
    assert all((steps >= -1e-5).float().mean() > 0.7 for steps in rising), "but for masks"


def test_the_level_of_a_recording_does_not_matter():
    features = torch.randn(30, 40, generator=generator()) * 3
    found = levelled(features, "recording")
    torch.testing.assert_close(levelled(features + 4.2, "recording"), found)
    assert found.max() == 0 and found.min() == -RANGE
    assert levelled(features, "absolute") is features
    bands = levelled(features, "bands")
    torch.testing.assert_close(bands, found - found.mean(0))
    torch.testing.assert_close(levelled(features + 4.2, "bands"), bands)
    assert levelled(torch.full((3, 40), -13.8), "recording").eq(0).all(), "silence"


def test_only_training_is_varied_and_each_pass_anew(voices: Path):
    task = made(voices, cells.gru, {"reading": {"batch": 3}})
    first, again, other = (list(task.data.batches(epoch)) for epoch in (0, 0, 1))
    assert all(torch.equal(a.x, b.x) and torch.equal(a.y, b.y) for a, b in zip(first, again, strict=True))
    assert not torch.equal(torch.cat([b.x for b in first])[:50], torch.cat([b.x for b in other])[:50])
    sums = [
        {round(float(x.square().sum()), 3) for b in passed for x in b.x.split(b.lengths.tolist())}
        for passed in (first, other)
    ]
    assert not sums[0] & sums[1], "no recording sounds as in the pass before"
    plain = made(voices, cells.gru, {"reading": {"batch": 3}, "data": {"augment": False}})
    for part in ("train", "validation", "test"):
        for a, b in zip(getattr(task.data, part), getattr(plain.data, part), strict=True):
            assert torch.equal(a.x, b.x), "what is stored is not varied"
    lengths = sorted(n for batch in plain.data.batches(0) for n in batch.lengths.tolist())
    assert lengths == sorted(len(e.x) for e in plain.data.train)


@pytest.mark.parametrize("answer", ["recording", "frame"])
def test_every_frame_of_a_variation_has_a_target(voices: Path, answer: str):
    task = made(voices, cells.gru, {"data": {"answer": answer}})
    for batch in task.data.batches(0):
        assert len(batch.y) == (len(batch.x) if answer == "frame" else len(batch.lengths))


def test_a_run_knows_how_its_recordings_were_read(voices: Path):
    for options, level in (({}, "bands"), ({"level": "absolute"}, "absolute"), ({"level": "recording"}, "recording")):
        assert made(voices, cells.gru, {"data": options}).kind.description()["level"] == level
    early = made(voices, cells.gru, {"data": {"level": "absolute", "augment": False}}).kind
    assert "level" not in early.description(), "as version 0.1 wrote it"
