"""Whose folder it is: what a training may take, what it must leave alone, and who may write at the same time."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import torture
from unrolled.cli import main
from unrolled.errors import DataError, UsageError
from unrolled.run.checkpoint import checkpoints
from unrolled.run.folder import MARK, RunFolder
from unrolled.run.trained import Trained

SMALL = ("--hidden", "4", "--updates", "3", "--checkpoint-every", "1", "--json")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Path("text.txt").write_text(torture.TEXT)
        assert main(["train", "text.txt", *SMALL, "--out", "run"]) == 0
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A text, and a finished training on it, to work in."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def digest(folder: Path | str) -> str:
    """Of every name, kind, link and byte in a folder."""
    found = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        what = os.readlink(path).encode() if path.is_symlink() else path.read_bytes() if path.is_file() else b"folder"
        found.update(f"{path} {len(what)} ".encode() + what)
    return found.hexdigest()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of a command that ends with 2."""
    capsys.readouterr()
    assert main(["train", *arguments]) == 2
    told = capsys.readouterr()
    assert told.out == "" and told.err.count("\n") == 1, told
    return told.err


COMMANDS = [
    ("text.txt", *SMALL, "--out", "run", "--overwrite"),
    ("text.txt", *SMALL, "--out", "run"),
    ("--resume", "run", "--json"),
]


@pytest.mark.parametrize("command", COMMANDS, ids=["overwrite", "out", "resume"])
def test_a_second_training_changes_no_byte(here: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]):
    before = digest("run")
    with RunFolder(Path("run"), again=True):
        assert "another process is training into 'run'. Wait until it ends, or stop it" in refused(capsys, *command)
        assert digest("run") == before


@pytest.mark.slow
def test_a_running_training_is_not_replaced(here: Path, capsys: pytest.CaptureFixture[str]):
    """While a process trains, others try to take its folder; it ends as if alone, and then the folder is free."""
    command = [sys.executable, "-m", "unrolled", "train", "text.txt", "--minutes", "5", "--out", "long", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout
        next(line for line in first.stdout if '"start"' in line)
        config, made = Path("long/config.json").read_bytes(), Path("long/config.json").stat().st_ino
        for more in (("text.txt", *SMALL, "--out", "long", "--overwrite"), ("--resume", "long")):
            assert "another process is training" in refused(capsys, *more)
        assert Path("long/config.json").read_bytes() == config and Path("long/config.json").stat().st_ino == made
        first.send_signal(signal.SIGINT)
        first.communicate(timeout=300)
        assert first.returncode == 130
    assert Trained.load(Path("long")) and checkpoints(Path("long"))
    assert main(["train", "text.txt", *SMALL, "--out", "long", "--overwrite"]) == 0, "and now it may be replaced"


def foreign(folder: Path) -> None:
    """What another program may have left: names that we use, too."""
    for name in ("log.jsonl", "config.toml", "circuit.svg", "checkpoints/100/weights.bin", ".half.1.part"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("precious")


@pytest.mark.parametrize("how", [(), ("--overwrite",)], ids=["out", "overwrite"])
@pytest.mark.parametrize("config", [None, "{}", '{"format": 2}', "not JSON", "[" * 100_000])
def test_a_foreign_folder_is_not_touched(
    here: Path, capsys: pytest.CaptureFixture[str], how: tuple[str, ...], config: str | None
):
    foreign(Path("other"))
    if config is not None:
        Path("other/config.json").write_text(config)
    before = digest("other")
    told = refused(capsys, "text.txt", *SMALL, "--out", "other", *how)
    assert "'other' is not a run folder: it has '" in told and "Choose another --out" in told
    assert digest("other") == before


def test_a_file_in_an_empty_looking_folder_counts(here: Path, capsys: pytest.CaptureFixture[str]):
    Path("other").mkdir()
    Path("other/.hidden").touch()
    assert "it has '.hidden' in it" in refused(capsys, "text.txt", *SMALL, "--out", "other")
    Path("empty").mkdir()
    assert main(["train", "text.txt", *SMALL, "--out", "empty"]) == 0


def test_overwriting_removes_only_what_is_ours(here: Path, capsys: pytest.CaptureFixture[str]):
    mine = (
        "notes.txt",
        "checkpoints/notes.txt",
        "checkpoints/best/notes.txt",
        "faults/notes.txt",
        "track/notes.txt",
        ".x.part",
    )
    ours = ("checkpoints/00000099.damaged", "checkpoints/00000099.damaged-2", "faults/00000007", ".log.jsonl.7.part")
    for name in mine:
        Path("run", name).parent.mkdir(parents=True, exist_ok=True)
        Path("run", name).write_text("mine")
    for name in ours:
        Path("run", name).mkdir()
    Path("run/track/events.out.tfevents.1").touch()
    assert "already has a training" in refused(capsys, "text.txt", *SMALL, "--out", "run")
    assert main(["train", "text.txt", *SMALL, "--out", "run", "--overwrite"]) == 0
    assert all(Path("run", name).read_text() == "mine" for name in mine)
    assert not any(Path("run", name).exists() for name in (*ours, "track/events.out.tfevents.1"))
    assert [p.name for p in checkpoints(Path("run"))] == ["00000002", "00000003"]


def test_a_training_that_was_killed_while_it_began_is_begun_again(here: Path):
    Path("run/config.json").unlink()
    assert main(["train", "text.txt", *SMALL, "--out", "run"]) == 0
    assert Trained.load(Path("run"))


def test_a_run_of_an_earlier_version_is_known_by_its_description(here: Path):
    Path("run", MARK).unlink()
    assert main(["train", "text.txt", *SMALL, "--out", "run", "--overwrite"]) == 0
    assert Path("run", MARK).exists()


def test_a_checkpoint_that_is_damaged_twice_is_set_aside_twice(here: Path, capsys: pytest.CaptureFixture[str]):
    for times in (1, 2, 3):
        (checkpoints(Path("run"))[-1] / "model.safetensors").write_bytes(b"damaged")
        capsys.readouterr()
        assert main(["train", "--resume", "run", "--json"]) == 0
        assert "00000003' is damaged" in capsys.readouterr().err
        assert len(list(Path("run/checkpoints").glob("00000003.damaged*"))) == times
    assert Trained.load(Path("run"))


@pytest.mark.parametrize("change", [('"rate": 0.005', '"rate": 0.5'), ('"seed": 0', '"seed": 1')])
def test_a_description_that_was_edited_is_not_used(
    here: Path, capsys: pytest.CaptureFixture[str], change: tuple[str, str]
):
    text = Path("run/config.json").read_text()
    assert change[0] in text
    Path("run/config.json").write_text(text.replace(*change))
    before = digest("run")
    told = refused(capsys, "--resume", "run")
    assert "config.json' cannot be used: it is not the one that the checkpoints were made with" in told
    assert digest("run") == before


LINKED = ["checkpoints", "log.jsonl", "config.json", "circuit.svg", "faults", "track", "checkpoints/00000003", MARK]


@pytest.mark.parametrize("name", LINKED)
def test_links_in_a_run_folder_are_refused(here: Path, capsys: pytest.CaptureFixture[str], name: str):
    inside, outside = Path("run", name), Path("outside")
    if not inside.exists():
        inside.mkdir()
    inside.rename(outside)
    inside.symlink_to(outside.absolute())
    if outside.is_dir():
        (outside / "00000009").mkdir()
        (outside / ".x.1.part").touch()
    before = digest(here)
    for command in (("--resume", "run"), ("text.txt", *SMALL, "--out", "run", "--overwrite")):
        assert f"'run/{name}' is a link, so a training would change files outside" in refused(capsys, *command)
        assert digest(here) == before


def test_a_link_to_a_run_folder_is_followed(here: Path):
    Path("run").rename("elsewhere")
    Path("run").symlink_to("elsewhere")
    assert main(["train", "text.txt", *SMALL, "--out", "run", "--overwrite"]) == 0
    assert Trained.load(Path("elsewhere"))


def test_a_folder_is_free_again_when_a_training_was_refused(here: Path):
    with pytest.raises(UsageError):
        RunFolder(Path("run"))
    with RunFolder(Path("run"), again=True):
        pass
    with pytest.raises(DataError, match=r"the run folder 'text.txt' cannot be made: file exists"):
        RunFolder(Path("text.txt"))
    shutil.rmtree("run")
    with pytest.raises(DataError, match="there is no run folder 'run'"):
        RunFolder(Path("run"), again=True)
    assert not Path("run").exists(), "and none is made by asking"


# a training that fails


def last(path: str) -> dict:
    return json.loads(Path(path, "log.jsonl").read_text().splitlines()[-1])


def test_a_training_that_did_harm_says_so(here: Path, capsys: pytest.CaptureFixture[str]):
    plain = ("--set", "model.embedding=0", "--set", "model.dropout=0")
    more = ("--hidden", "12", "--updates", "60", "--rate", "3", *plain)
    capsys.readouterr()
    assert main(["train", "text.txt", *more, "--out", "bad"]) == 0
    told = capsys.readouterr().out
    assert "\n  diverged after 60 updates" in told and "\n  done after" not in told
    assert "times that of the untrained model. Try --rate 0.3 (it was 3)" in told
    result = last("bad")
    assert result["worse_than"] == ["by_frequency_alone", "by_5_grams", "by_gzip", "untrained"]
    assert result["validation"] > result["untrained"] > 0
    good = ("--hidden", "12", "--updates", "60", "--rate", "0.02", *plain)
    assert main(["train", "text.txt", *good, "--out", "good"]) == 0
    told = capsys.readouterr().out
    assert "\n  done after 60 updates" in told and "worse than by 5 grams and by gzip" in told
    assert last("good")["worse_than"] == ["by_5_grams", "by_gzip"], "the text repeats itself"
    assert main(["train", "text.txt", "--hidden", "2", "--updates", "2", "--out", "short"]) == 0
    told = capsys.readouterr().out
    assert "\n  done after 2 updates" in told and "The model is worse than by frequency alone and by" in told


def test_a_training_that_explodes_ends_with_an_error(here: Path, capsys: pytest.CaptureFixture[str]):
    capsys.readouterr()
    assert main(["train", "text.txt", "--hidden", "12", "--updates", "60", "--rate", "300", "--out", "bad"]) == 2
    message = capsys.readouterr().err
    assert "after update 6: the training diverged. The validation loss is" in message
    assert "times that of the untrained model" in message and "(--rate, now 300) ten times smaller" in message
    assert Trained.load(Path("bad")), "the best model so far can be used"
