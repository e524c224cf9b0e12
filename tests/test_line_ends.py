"""Line ends are line ends: CR LF, CR and LF are the same text, for whatever reads it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from unrolled.cli import main
from unrolled.data.characters import Vocabulary
from unrolled.data.language import Language, LanguageOptions
from unrolled.data.reading import Reading
from unrolled.files import text as text_files
from unrolled.files.text import read_text, with_line_ends
from unrolled.look.data_page import look_at_data

POEM = "Die Sonne tönt\nnach alter Weise\n\nin Brudersphären Wettgesang,\n" * 30
ENDS = {"LF": "\n", "CR LF": "\r\n", "CR": "\r"}
READING = Reading(batch=2)


@pytest.fixture
def poems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The same text with each line end."""
    monkeypatch.chdir(tmp_path)
    for name, end in ENDS.items():
        Path(f"{name}.txt").write_bytes(POEM.replace("\n", end).encode())
    return {name: Path(f"{name}.txt") for name in ENDS}


@given(text=st.text("a\r\né", max_size=12), size=st.integers(1, 5))
def test_pieces_may_end_between_cr_and_lf(text: str, size: int, tmp_path_factory):
    path = tmp_path_factory.mktemp("t") / "a.txt"
    path.write_bytes(f"é{text}".encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(text_files, "PIECE", size)
        assert read_text(path) == with_line_ends(f"é{text}")
        assert read_text(path, line_ends=False) == f"é{text}"


@pytest.mark.parametrize("options", [LanguageOptions(), LanguageOptions(document="line"), LanguageOptions(unit="byte")])
def test_the_same_text_has_the_same_symbols_parts_and_fingerprint(poems: dict[str, Path], options: LanguageOptions):
    read = {name: Language.learn(path, options, READING) for name, path in poems.items()}
    plain = read.pop("LF")
    assert not any(word == "lines" for word, _ in plain.describe())
    for name, data in read.items():
        assert data.sha256 == plain.sha256 and data.sizes() == plain.sizes()
        assert data.kind.description() == plain.kind.description()
        for epoch in (0, 1):
            for ours, theirs in zip(data.batches(epoch), plain.batches(epoch), strict=True):
                assert all(a.equal(b) for a, b in zip(ours, theirs, strict=True))
        assert ("lines", f"the line ends {name} are read as LF") in data.describe()
        assert f"lines: the line ends {name} are read as LF" in look_at_data(poems[name]).notes


def test_mixed_line_ends_are_named(tmp_path: Path):
    (tmp_path / "mixed.txt").write_bytes(b"some text\r\nof three\rkinds of\nlines\r\n" * 9)
    said = dict(Language.learn(tmp_path / "mixed.txt", LanguageOptions(), READING).describe())
    assert said["lines"] == "the line ends CR LF and CR are read as LF"


def test_a_trained_model_reads_every_line_end(poems: dict[str, Path], capsys):
    command = ["train", "LF.txt", "--updates", "3", "--hidden", "5", "--batch", "2", "--json", "--out", "run"]
    assert main(command) == 0
    capsys.readouterr()
    found = []
    for path in poems.values():
        assert main(["evaluate", "run", str(path), "--json"]) == 0
        assert main(["stream", "run", str(path), "--chunk", "70"]) == 0
        score, *streamed = map(json.loads, capsys.readouterr().out.splitlines())
        assert score.pop("data") == str(path) and score["held_out"]
        found.append([score, *streamed])
    assert found[0] == found[1] == found[2]
    assert main(["sample", "run", "--prompt", "alter\r\nWeise", "--length", "4"]) == 0
    assert main(["look", "run", "--data", "CR LF.txt", "--out", "page.html", "--steps", "20"]) == 0


def test_runs_of_early_versions_keep_the_line_ends_that_they_learned(poems: dict[str, Path], capsys):
    kind = Language(LanguageOptions(), READING, Vocabulary.of(POEM + "\r"), line_ends=False)
    assert "line_ends" not in kind.description()
    text = kind.read(poems["CR LF"], "")
    assert text.sizes()["characters"] == len(POEM) + POEM.count("\n")
    assert "\r" in kind.vocabulary.decode(int(kind.encode("\r")[0]))
