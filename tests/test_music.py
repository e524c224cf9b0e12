"""MIDI files as piano rolls and back, trainings on folders of them, and music that a model writes."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trainings import made
from unrolled import cells
from unrolled.cli import main
from unrolled.data.kinds import recognise
from unrolled.data.midi import DRUMS, KEYS, LOWEST, read_midi, save_midi
from unrolled.data.music import Music
from unrolled.errors import DataError
from unrolled.nn.model import SequenceModel

mido = pytest.importorskip("mido")


def scale(path: Path, first: int, notes: int = 40) -> Path:
    """A piece that goes up a scale, in eighths."""
    roll = torch.zeros(notes, KEYS)
    for k in range(notes):
        roll[k, 30 + (first + k) % 7] = roll[k, 50] = 1
    save_midi(path, roll, 0.5)
    return path


@pytest.fixture
def pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for number in range(14):
        folder = tmp_path / "pieces" / ("a" if number % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        scale(folder / f"{number}.{'mid' if number % 3 else 'MIDI'}", number)
    return tmp_path / "pieces"


def written(messages: list[tuple[str, int, int, int]], ticks: int = 100, tracks: int = 1) -> bytes:
    """A MIDI file of (kind, note, channel, ticks since the message before)."""
    import io

    file = mido.MidiFile(type=1 if tracks > 1 else 0, ticks_per_beat=ticks)
    for _ in range(tracks):
        track = mido.MidiTrack()
        for kind, note, channel, time in messages:
            track.append(mido.Message(kind, note=note, channel=channel, time=time))
        file.tracks.append(track)
    buffer = io.BytesIO()
    file.save(file=buffer)
    return buffer.getvalue()


@settings(max_examples=60, deadline=None)
@given(
    frames=st.integers(1, 30),
    seed=st.integers(0, 10**6),
    step=st.sampled_from([0.25, 0.5, 1.0, 0.125, 2.0]),
    share=st.floats(0.01, 0.6),
)
def test_a_roll_comes_back_from_its_file(tmp_path_factory, frames: int, seed: int, step: float, share: float):
    generator = torch.Generator().manual_seed(seed)
    roll = (torch.rand(frames, KEYS, generator=generator) < share).float()
    roll[-1, 3] = 1  # a piece ends with its last note
    path = tmp_path_factory.mktemp("midi") / "a.mid"
    save_midi(path, roll, step)
    assert torch.equal(read_midi(path, path.read_bytes(), step), roll)


def test_a_key_sounds_from_the_frame_in_which_it_begins():
    notes = [("note_on", 60, 0, 0), ("note_off", 60, 0, 120), ("note_on", 62, 1, 30), ("note_off", 62, 1, 10)]
    roll = read_midi(Path("a.mid"), written(notes), 0.5)  # frames of 50 ticks
    assert roll.nonzero().tolist() == [[0, 39], [1, 39], [3, 41]], "120 ticks are 2 frames; 10 ticks are one"
    same = [("note_on", 60, 0, 0), ("note_on", 60, 0, 100), ("note_off", 60, 0, 100)]
    assert read_midi(Path("a.mid"), written(same), 1.0).nonzero().tolist() == [[0, 39], [1, 39]], "struck again"
    late = [("note_on", 60, 0, 20), ("note_off", 60, 0, 100), ("note_on", 60, 0, 10), ("note_off", 60, 0, 45)]
    assert read_midi(Path("a.mid"), written(late), 0.5).nonzero().tolist() == [[0, 39], [1, 39], [3, 39]], "rounded"
    assert read_midi(Path("a.mid"), written(notes, tracks=2), 0.5).equal(roll)
    assert read_midi(Path("a.mid"), written([*notes, ("note_on", 60, DRUMS, 0)]), 0.5).equal(roll), "no drums"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"MThd nothing", "is not a MIDI file"),
        (b"", "is not a MIDI file"),
        (written([("note_on", LOWEST - 1, 0, 0)]), "has no notes"),
        (written([("note_on", 60, DRUMS, 0), ("note_off", 60, DRUMS, 9)]), "has no notes"),
        (written([("note_on", 60, 0, 0), ("note_off", 60, 0, 2**27)], ticks=1), "frames of 0.5 quarter notes"),
    ],
    ids=["damaged", "empty", "outside", "drums", "endless"],
)
def test_what_is_refused_of_a_file(content: bytes, why: str):
    with pytest.raises(DataError, match=why):
        read_midi(Path("a.mid"), content, 0.5)


def test_a_folder_of_pieces_is_learned_and_a_piece_is_written(pieces: Path, capsys: pytest.CaptureFixture[str]):
    assert recognise(pieces) is Music and recognise(pieces / "a" / "1.mid") is Music
    assert main(["train", "pieces", "--hidden", "24", "--updates", "250", "--rate", "0.02", "--out", "run"]) == 0
    assert "88 keys, frames of 0.5 quarter notes" in capsys.readouterr().out
    assert main(["evaluate", "run", "pieces", "--json"]) == 0
    score = json.loads(capsys.readouterr().out)
    assert score["held_out"] and score["nats_per_frame"] < 2.5
    assert main(["predict", "run", "pieces/a/1.mid", "--out", "p.jsonl"]) == 0
    assert main(["train", "--resume", "run", "--json"]) == 0
    capsys.readouterr()
    told = []
    for out in ("one.mid", "two.mid"):
        assert main(["sample", "run", "--prompt", "pieces/a/1.mid", "--length", "24", "--out", out, "--json"]) == 0
        told.append(json.loads(capsys.readouterr().out))
    assert told[0]["notes"] == told[1]["notes"] and len(told[0]["notes"]) == 24
    scale_of = {30 + k + LOWEST for k in range(7)} | {50 + LOWEST}
    found = [note for frame in told[0]["notes"] for note in frame]
    assert sum(note in scale_of for note in found) > 0.8 * len(found) > 20
    piece, prompt = (read_midi(Path(p), Path(p).read_bytes(), 0.5) for p in ("one.mid", "pieces/a/1.mid"))
    assert torch.equal(piece[: len(prompt)], prompt) and len(piece) <= len(prompt) + 24
    assert main(["sample", "run", "--length", "8", "--temperature", "0"]) == 0
    assert "sample.mid: 8 frames" in capsys.readouterr().out and Path("sample.mid").exists()


def test_the_parts_of_a_folder_are_taken_as_they_are(pieces: Path):
    for number, part in enumerate(("train", "train", "train", "train", "train", "test")):
        (pieces.parent / "parts" / part).mkdir(parents=True, exist_ok=True)
        scale(pieces.parent / "parts" / part / f"{number}.mid", number)
    data = made(pieces.parent / "parts", cells.gru, {}).data
    assert [example.name for example in data.test] == ["test/5.mid"]
    assert len(data.train) == 4 and len(data.validation) == 1, "drawn from the training data"
    given = {"reading": {"test": str(pieces / "a")}}
    data = made(pieces.parent / "parts", cells.gru, given).data
    assert len(data.test) == 7


def test_what_is_refused_of_music(pieces: Path, capsys: pytest.CaptureFixture[str]):
    Path("text.txt").write_text("a text to read " * 40)
    Path("empty").mkdir()
    assert main(["train", "pieces", "--hidden", "4", "--updates", "1", "--out", "run"]) == 0
    assert main(["train", "text.txt", "--hidden", "4", "--updates", "1", "--out", "text"]) == 0
    Path("pieces/a/bad.mid").write_bytes(b"?")
    for command, why in (
        (["train", "pieces"], "'pieces/a/bad.mid' is not a MIDI file"),
        (["train", "empty"], "without recordings"),
        (["train", "pieces", "--set", "data.step=0"], "data.step must be"),
        (["sample", "run", "--top-p", "0.5"], "--top-p is for texts"),
        (["sample", "run", "--prompt", "missing.mid"], "missing.mid"),
        (["sample", "text", "--out", "a.mid"], "--out is for music"),
    ):
        capsys.readouterr()
        assert main(command) == 2, command
        assert why in capsys.readouterr().err


def test_keys_are_drawn_with_the_probability_that_is_predicted():
    from unrolled.data.writing import play

    torch.manual_seed(0)
    model = SequenceModel(cells.rnn, 3, 3, 4)
    for p in model.parameters():
        torch.nn.init.zeros_(p)
    assert play(model, torch.zeros(2, 3), 5, temperature=0).eq(0).all(), "no key is more likely than not"
    torch.nn.init.constant_(model.read_out.bias, 1.0)
    for temperature in (0.5, 1.0, 2.0):
        drawn = play(model, torch.zeros(2, 3), 3000, temperature)
        assert drawn.mean(0).sub(1 / (1 + math.exp(-1 / temperature))).abs().max() < 0.04
    assert play(model, torch.zeros(2, 3), 5, temperature=0).eq(1).all()
