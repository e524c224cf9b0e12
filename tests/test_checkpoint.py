"""Checkpoints: written whole or not at all, checked in every byte, and gone on with to the same bits."""

from __future__ import annotations

import errno
import itertools
import json
import os
import pickle
import random
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy
import pytest
import torch

import torture
import trainings
from cells_for_tests import said
from unrolled.cells import lstm
from unrolled.cli import main
from unrolled.data.language import Text
from unrolled.errors import DataError, UsageError
from unrolled.files.failpoints import FAILPOINTS, observed
from unrolled.run import checkpoint as ck
from unrolled.run.checkpoint import checkpoints
from unrolled.run.folder import RunFolder
from unrolled.run.run import Run
from unrolled.run.trained import Trained, best_model
from unrolled.train import random_states


def made_in(path: Path, **settings: object) -> trainings.Made:
    (path / "text.txt").write_text(torture.TEXT)
    training = {"updates": 24, "checkpoint_every": 5, "validations": 4, "rate": 0.01, **settings}
    sections = {"model": {"hidden": 6, "layers": 2}, "reading": {"batch": 3, "window": 17}, "training": training}
    return trainings.made(path / "text.txt", lstm, sections)


held: dict[Path, RunFolder] = {}  # the folders that this process trains into


def opened(path: Path, **how: bool) -> RunFolder:
    """A run folder, as if whoever had it before had ended."""
    if path in held:
        held.pop(path).close()
    held[path] = RunFolder(path, **how)
    return held[path]


def begun(path: Path, **settings: object) -> Run:
    return made_in(path, **settings).begin(opened(path / "run"))


def again(path: Path, tell: Callable[[str], object] = pytest.fail, **settings: object) -> Run:
    run = Run(opened(path / "run", again=True), made_in(path, **settings).training)
    run.restore(tell)
    return run


# going on

WAYS = [
    {},
    {"optimizer": "sgd", "momentum": 0.9, "schedule": "plateau", "halve_after": 1, "rate": 0.5},
    {"optimizer": "rmsprop", "momentum": 0.5, "average": 0.9},
    {"optimizer": "adamw", "weight_decay": 0.1, "average": 0.5, "patience": 2, "schedule": "constant"},
]


@pytest.mark.parametrize("settings", WAYS, ids=["adam", "plateau", "average", "patience"])
@pytest.mark.parametrize("cuts", [(1,), (5, 12), (6, 7, 23)])
def test_a_training_that_is_stopped_goes_on_to_the_same_bits(tmp_path: Path, settings: dict, cuts: tuple[int, ...]):
    (tmp_path / "whole").mkdir()
    (tmp_path / "cut").mkdir()
    whole = begun(tmp_path / "whole", **settings)
    expected = [(p.update, p.loss, p.mean, p.norm, p.rate, p.validation) for p in whole.fit()]
    found: list[tuple] = []
    training = begun(tmp_path / "cut", **settings)
    for cut in (*cuts, 24):
        torch.randn(7)  # whatever else happens in between
        for p in training.fit(lambda training=training, cut=cut: training.training.update >= cut):
            found.append((p.update, p.loss, p.mean, p.norm, p.rate, p.validation))
        if training.training.done < 1:
            assert checkpoints(tmp_path / "cut" / "run")[-1].name == f"{cut:08d}"
            training = again(tmp_path / "cut", **settings)
    assert found == expected
    same = zip(whole.training.model.parameters(), training.training.model.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in same)
    a, b = (best_model(tmp_path / name / "run")[1] for name in ("whole", "cut"))
    assert all(torch.equal(a[n], b[n]) for n in a)


def test_a_training_with_dropout_goes_on_to_the_same_bits(tmp_path: Path):
    def dropping(recorded: Run) -> Run:
        recorded.training.model.dropout.p = 0.5
        return recorded

    for name in ("whole", "cut"):
        (tmp_path / name).mkdir()
    expected = [p.loss for p in dropping(begun(tmp_path / "whole")).fit()]
    first = dropping(begun(tmp_path / "cut"))
    found = [p.loss for p in first.fit(lambda: first.training.update >= 7)]
    torch.randn(7)
    assert found + [p.loss for p in dropping(again(tmp_path / "cut")).fit()] == expected


def test_a_rate_that_was_halved_stays_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    worse = itertools.count(1.0)
    monkeypatch.setattr(Text, "validate", lambda self, model: next(worse))
    how = {"schedule": "plateau", "halve_after": 1, "warmup": 0.0, "rate": 0.01}
    first = begun(tmp_path, **how)
    rates = [p.rate for p in first.fit(lambda: first.training.update >= 13)]
    assert rates[-1] < rates[0]
    assert next(again(tmp_path, **how).fit()).rate == rates[-1]


def test_all_generators_go_on_from_where_they_were():
    def draw() -> list[float]:
        return [torch.rand(()).item(), numpy.random.rand(), random.random()]

    random_states.seed(3)
    draw()
    tensors, values = random_states.capture()
    first, values = draw(), json.loads(json.dumps(values))
    assert draw() != first
    random_states.restore(tensors, values)
    assert draw() == first
    random_states.restore(tensors, values, rank=1)
    other = draw()
    assert other[0] != first[0] and other[1:] == first[1:], "a process that was not there draws numbers of its own"


def test_the_checkpoint_of_the_best_validation_is_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    values = iter([4.0, 3.0, 1.0, 2.0, 2.0])  # the first is that of the untrained model
    monkeypatch.setattr(Text, "validate", lambda self, model: next(values))
    recorded = begun(tmp_path)
    assert [p.update for p in recorded.fit() if p.best] == [6, 12]
    assert [p.name for p in checkpoints(tmp_path / "run")] == ["00000012", "00000020", "00000024"]
    model = Trained.load(tmp_path / "run").model
    assert all(torch.equal(v, model.state_dict()[n]) for n, v in recorded.training.model.state_dict().items())
    best = ck.read_checkpoint(tmp_path / "run" / "checkpoints" / "00000012").model
    assert all(torch.equal(v, model.state_dict()[n]) for n, v in best.items())


def test_what_is_damaged_is_set_aside_and_the_one_before_it_goes_on(tmp_path: Path):
    expected = [p.loss for p in begun(tmp_path).fit()]
    newest = checkpoints(tmp_path / "run")[-1]
    flip(newest / ck.OPTIMIZER, 300)
    with pytest.raises(DataError, match=r"00000024' is damaged: optimizer.safetensors"):
        Trained.load(tmp_path / "run")
    told: list[str] = []
    recorded = again(tmp_path, told.append)
    assert len(told) == 1 and "is damaged" in told[0] and "the checkpoint before it" in told[0]
    assert newest.with_name("00000024.damaged").is_dir() and recorded.training.update == 20
    assert [p.loss for p in recorded.fit()] == expected[20:]


# what is wrong with a folder


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at % len(content)] ^= 1
    path.write_bytes(content)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    recorded = begun(folder, updates=2, checkpoint_every=1)
    for _ in recorded.fit():
        pass
    return checkpoints(folder / "run")[-1]


@pytest.fixture
def folder(made: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "00000002"
    copy.mkdir()
    for file in made.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def test_a_checkpoint_says_what_is_wrong_with_it(folder: Path, golden: Callable[[str, str], None]):
    told = []

    def tell(what: str) -> None:
        with pytest.raises(DataError) as problem:
            ck.read_checkpoint(folder)
        told.append(f"{what}\n  {problem.value}".replace(str(folder.parent), "run/checkpoints"))

    whole = {file: file.read_bytes() for file in folder.iterdir()}

    def restore() -> None:
        for file, content in whole.items():
            file.write_bytes(content)

    model = ck.read_checkpoint(folder).model
    name = "layers.1.W"
    at = whole[folder / ck.MODEL].index(model[name].numpy().tobytes())
    flip(folder / ck.MODEL, at + 5)
    tell("one bit of a tensor")
    assert f"the tensor '{name}'" in told[-1]
    restore()
    flip(folder / ck.CONFIG, 40)
    tell("one bit of the description")
    restore()
    (folder / ck.MODEL).unlink()
    tell("a missing file")
    restore()
    (folder / ck.OPTIMIZER).write_bytes(whole[folder / ck.OPTIMIZER][:-1])
    tell("a file cut short")
    restore()
    (folder / ck.MANIFEST).write_bytes(whole[folder / ck.MANIFEST].replace(b" ", b"\t", 1))
    tell("a space of the manifest")
    (folder / ck.MANIFEST).write_text('{"format": 7, "unrolled": "9.1.0"}')
    tell("a checkpoint of a newer version")
    (folder / ck.MANIFEST).write_bytes(pickle.dumps({"format": 1}))
    tell("a pickle for a manifest")
    (folder / ck.MANIFEST).write_text("[" * 100_000)
    tell("deeply nested brackets")
    (folder / ck.MANIFEST).unlink()
    tell("no manifest")
    golden("checkpoint_errors.txt", "\n".join(told) + "\n")
    (folder / ck.MANIFEST).write_bytes(whole[folder / ck.MANIFEST].replace(b'"bytes": ', b'"bytes": 1', 1))
    with pytest.raises(DataError, match=r"manifest\.json does not have its own checksum"):
        ck.read_checkpoint(folder)


def test_a_description_that_was_edited_is_refused(tmp_path: Path):
    for _ in begun(tmp_path, updates=2).fit():
        pass
    path = tmp_path / "run" / "config.json"
    path.write_text(path.read_text().replace('"window": 17', '"window": 18'))
    with pytest.raises(DataError, match=r"is not the one that the checkpoints were made with. Restore the file \(each"):
        Trained.load(tmp_path / "run")


def test_four_hundred_damaged_folders_are_refused(tmp_path: Path):
    told: list[str] = []
    counts = torture.mutate(400, 1, tmp_path, told.append)
    assert counts["refused"] > 250, told


def test_the_torture_sees_a_reader_that_checks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ck, "_sha256", lambda content: "0" * 64)
    with pytest.raises(AssertionError, match=r"read as if nothing were|Error"):
        torture.mutate(100, 1, tmp_path, lambda line: None)


# what goes wrong while it is written

ERRORS = {
    errno.ENOSPC: "no space left on device",
    errno.EROFS: "read-only file system",
    errno.EIO: "input/output error",
}


@pytest.mark.parametrize("code", ERRORS)
@pytest.mark.parametrize("call", range(10))
def test_wherever_writing_fails_the_checkpoint_before_it_loads(tmp_path: Path, code: int, call: int):
    """Writing a checkpoint enters ten phases: five files written and flushed, and, instead of the last flush, a rename
    after it. The system refuses in each of them."""
    recorded = begun(tmp_path, checkpoint_every=2)
    seen: list[str] = []

    def refuse(phase: str) -> None:
        if phase in ("write", "flush", "rename") and recorded.training.update == 4:
            seen.append(phase)
            if len(seen) == call + 1:
                raise OSError(code, os.strerror(code))

    with observed(refuse), pytest.raises(DataError) as problem:
        for _ in recorded.fit():
            pass
    message = str(problem.value)
    assert "00000004' cannot be written: " + ERRORS[code] in message
    assert ("It needs" in message and "free there" in message) == (code == errno.ENOSPC), "room is told where it lacks"
    assert [p.name for p in checkpoints(tmp_path / "run")] == ["00000000", "00000002"]
    assert not torture.half_written(tmp_path), "nothing half-written is left"
    assert again(tmp_path, checkpoint_every=2).training.update == 2


def test_a_folder_that_vanishes_is_named_and_moved_back_it_goes_on(tmp_path: Path):
    recorded = begun(tmp_path, checkpoint_every=2)
    with pytest.raises(DataError, match=r"there is no folder '.*run/checkpoints'. Make it, or put it back"):
        for progress in recorded.fit():
            if progress.update == 3:
                (tmp_path / "run").rename(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").rename(tmp_path / "run")
    assert again(tmp_path, checkpoint_every=2).training.update == 2


def test_files_that_may_not_grow_are_an_error_of_one_line(tmp_path: Path):
    """A limit of the system itself (RLIMIT_FSIZE), in a process of its own."""
    (tmp_path / "text.txt").write_text(torture.TEXT)
    command = [
        sys.executable,
        "-m",
        "unrolled",
        "train",
        "text.txt",
        "--updates",
        "3",
        "--hidden",
        "64",
        "--out",
        "run",
    ]
    code = "import resource, os, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"
    code += "; os.execv(sys.argv[1], sys.argv[1:])"
    done = subprocess.run(
        [sys.executable, "-c", code, *command], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2 and said(done.stderr).startswith(
        "unrolled: 'run/checkpoints/00000000' cannot be written: file too"
    )
    assert not torture.half_written(tmp_path)


@pytest.mark.parametrize(
    ("mask", "file", "folder"), [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0o002, 0o664, 0o775)]
)
def test_permissions_follow_the_umask(tmp_path: Path, mask: int, file: int, folder: int):
    before = os.umask(mask)
    try:
        begun(tmp_path)
    finally:
        os.umask(before)
    for path in (tmp_path / "run").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (folder if path.is_dir() else file), path


def test_no_pickle_is_read(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a pickle was read")

    for name in ("load", "loads", "Unpickler"):
        monkeypatch.setattr(pickle, name, refuse)
    monkeypatch.setattr(torch, "load", refuse)
    Trained.load(made)


# killed, and asked to end


def test_ten_kills_lose_nothing(tmp_path: Path):
    command = [sys.executable, str(Path(torture.__file__)), "kill", "--kills", "10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "0 unreadable checkpoints" in done.stdout and "equal to the undisturbed one in every bit" in done.stdout
    assert all(f"{phase}" in done.stdout for phase in FAILPOINTS)


test_ten_kills_lose_nothing = pytest.mark.slow(test_ten_kills_lose_nothing)


@pytest.fixture
def training(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A training in a process of its own that has begun to learn."""
    (tmp_path / "text.txt").write_text(torture.TEXT)
    command = [sys.executable, "-m", "unrolled", "train", "text.txt", "--minutes", "5", "--out", "run", "--json"]
    with subprocess.Popen(command, cwd=tmp_path, stdout=-1, stderr=-1, text=True) as child:
        assert child.stdout
        for line in child.stdout:
            if '"start"' in line:
                break
        yield child
        child.kill()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_saves_and_ends(training: subprocess.Popen[str], tmp_path: Path, number: int, code: int):
    training.send_signal(number)
    out, err = training.communicate(timeout=60)
    assert (training.returncode, said(err)) == (code, "")
    last = json.loads(out.splitlines()[-1])
    newest = checkpoints(tmp_path / "run")[-1]
    assert last["event"] == "stopped" and newest.name == f"{last['update']:08d}"
    assert ck.read_checkpoint(newest).progress["update"] == last["update"]
    assert Trained.load(tmp_path / "run"), "a model that was not yet validated is there to be used"


@pytest.mark.slow
def test_the_second_signal_ends_at_once(tmp_path: Path):
    code = (
        "import os, signal, time\nfrom unrolled.cli.interrupt import interruptible\n"
        "with interruptible():\n  os.kill(os.getpid(), signal.SIGINT)\n  print('first')\n"
        "  os.kill(os.getpid(), signal.SIGTERM)\n  print('no')"
    )
    done = subprocess.run([sys.executable, "-uc", code], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 143 and done.stdout == "first\n" and "stopping now" in done.stderr


# the command line


def test_resume_refuses_what_was_decided_before(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(torture.TEXT)
    assert main(["train", "text.txt", "--updates", "2", "--hidden", "4", "--out", "run", "--json"]) == 0
    capsys.readouterr()
    told = {}
    for arguments in (["--resume", "run", "--hidden", "5"], ["--resume", "rum"], ["--resume", "text.txt"], []):
        assert main(["train", *arguments]) == 2
        told[" ".join(arguments)] = capsys.readouterr().err
    assert "--hidden cannot change when 'run' is resumed" in told["--resume run --hidden 5"]
    assert "Did you mean 'run'?" in told["--resume rum"]
    assert "is not a run folder but a file" in told["--resume text.txt"]
    assert "--resume RUN" in told[""]
    Path("text.txt").write_text(torture.TEXT + "x")
    assert main(["train", "--resume", "run"]) == 2
    assert "is not the data that 'run' was trained on, or has changed since" in capsys.readouterr().err
    Path("moved.txt").write_text(torture.TEXT)
    assert main(["train", "moved.txt", "--resume", "run", "--json"]) == 0
    events = [json.loads(line)["event"] for line in Path("run/log.jsonl").read_text().splitlines()]
    assert events.count("result") == 1, "a training killed after its result writes it again, in its place"


def test_two_trainings_do_not_share_a_folder(tmp_path: Path):
    folder = begun(tmp_path).folder
    for how in ({}, {"again": True}, {"overwrite": True}):
        with pytest.raises(UsageError, match="another process is training into"):
            RunFolder(tmp_path / "run", **how)
    folder.close()
    with RunFolder(tmp_path / "run", again=True), pytest.raises(UsageError):
        RunFolder(tmp_path / "run", again=True)
    RunFolder(tmp_path / "run", again=True)
