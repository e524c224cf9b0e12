"""Data for validation and testing as people bring them: files, folders, patterns; and flags that name columns."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from trainings import made
from unrolled import cells
from unrolled.cli import main
from unrolled.data.given import parts_of_folders
from unrolled.data.recordings import read_recording
from unrolled.data.tables.series import Roles
from unrolled.errors import DataError
from unrolled.run.trained import Trained

pytest.importorskip("pandas")
soundfile = pytest.importorskip("soundfile")
savemat = pytest.importorskip("scipy.io").savemat


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def waves(path: Path, count: int, begin: int = 0) -> None:
    path.write_text("day,load\n" + "".join(f"{i},{math.sin(i / 3):.4f}\n" for i in range(begin, begin + count)))


def sounds(folder: Path, names: dict[str, float]) -> None:
    for i, (name, hertz) in enumerate(names.items()):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        noise = numpy.random.default_rng(i).normal(0, 0.01, 1600)
        soundfile.write(folder / name, numpy.sin(2 * math.pi * hertz * numpy.arange(1600) / 8000) / 2 + noise, 8000)


def labelled(part: str, count: int) -> dict[str, float]:
    return {
        f"{part}{label}/{i}.wav": hertz for label, hertz in (("low", 300.0), ("high", 1500.0)) for i in range(count)
    }


def prose(path: Path, seed: int, count: int = 2000) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(numpy.random.default_rng(seed).choice(list("ab c\n"), count)))


def roll(path: Path, names: tuple[str, ...], steps: int) -> None:
    pieces = numpy.empty((1, 3), dtype=object)
    for i in range(3):
        pieces[0, i] = (numpy.arange(steps + i)[:, None] % 3 == numpy.arange(3)).astype("uint8")
    savemat(path, dict.fromkeys(names, pieces))


TEST = ["--set", "reading.batch=2", "--updates", "2", "--hidden", "4", "--out", "run", "--json"]


def evaluated(data: str, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["evaluate", "run", data, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_table_is_validated_and_tested_on_files(capsys: pytest.CaptureFixture[str]):
    waves(Path("a.csv"), 100)
    waves(Path("b.csv"), 30, 200)
    waves(Path("c.csv"), 20, 300)
    assert main(["train", "a.csv", "--validation", "b.csv", "--test", "c.csv", "--target", "load", *TEST]) == 0
    data = Trained.load(Path("run")).read(Path("a.csv"))
    assert [[len(e.read) for e in part] for part in data.parts] == [[99], [29], [19]]
    own, other = evaluated("a.csv", capsys), evaluated("c.csv", capsys)
    assert own["held_out"] and not other["held_out"]
    assert own["root_mean_squared_error"] == pytest.approx(other["root_mean_squared_error"])
    waves(Path("c.csv"), 20, 301)
    assert not evaluated("a.csv", capsys)["held_out"], "the test file has changed"


def test_one_given_file_leaves_the_other_part_to_the_data():
    waves(Path("a.csv"), 100)
    waves(Path("c.csv"), 20, 300)
    task = made(Path("a.csv"), cells.gru, {"reading": {"test": "c.csv"}, "data": {"target": "load"}})
    train, validation, test = ([len(e.read) for e in part] for part in task.data.parts)
    assert (train, validation, test) == ([84], [99], [19])
    assert ("parts", "training 0 to 83; validation 84 to 98; test c.csv") in task.data.describe()


def test_a_text_is_tested_on_a_file(capsys: pytest.CaptureFixture[str]):
    prose(Path("a.txt"), 1)
    prose(Path("b.txt"), 2, 300)
    assert main(["train", "a.txt", "--test", "b.txt", *TEST]) == 0
    data = Trained.load(Path("run")).read(Path("a.txt"))
    assert (len(data.train), len(data.validation), len(data.test)) == (1900, 100, 300)
    assert evaluated("a.txt", capsys)["bits"] == pytest.approx(evaluated("b.txt", capsys)["bits"])


def test_music_is_tested_on_a_file():
    roll(Path("a.mat"), ("traindata", "validdata", "testdata"), 9)
    roll(Path("b.mat"), ("testdata",), 20)
    task = made(Path("a.mat"), cells.gru, {"reading": {"test": "b.mat"}})
    assert [len(e.read) for e in task.data.test] == [19, 20, 21]


def test_recordings_are_tested_on_a_folder():
    sounds(Path("a"), labelled("", 6))
    sounds(Path("b"), labelled("", 2))
    task = made(Path("a"), cells.gru, {"reading": {"test": "b"}})
    assert len(task.data.test) == 4 and len(task.data.train) + len(task.data.validation) == 12


def test_folders_of_recordings_are_taken_as_they_come():
    sounds(Path("v"), labelled("train/", 5) | labelled("test/", 3))
    task = made(Path("v"), cells.gru, {})
    assert task.kind.classes == ["high", "low"]
    assert all(e.name.startswith("test/") for e in task.data.test) and len(task.data.test) == 6
    assert all(e.name.startswith("train/") for e in [*task.data.train, *task.data.validation])
    sounds(Path("v"), labelled("validation/", 2))
    task = made(Path("v"), cells.gru, {})
    assert [len(part) for part in task.data.parts] == [10, 4, 6]
    assert ("parts", "validation validation/; test test/") in task.data.describe()
    flat = {
        name.replace("train/low/", "train/low_").replace("train/high/", "train/high_") for name in labelled("train/", 5)
    }
    shutil.rmtree("v")
    sounds(Path("v"), dict.fromkeys(flat, 300.0) | dict.fromkeys(["test/low_1.wav", "test/high_1.wav"], 300.0))
    assert made(Path("v"), cells.gru, {}).kind.classes == ["high", "low"], "train/ is no label"


def test_folders_of_texts_are_taken_as_they_come():
    for i, name in enumerate(("train/a.txt", "train/b.txt", "valid/c.txt", "test/d.txt")):
        prose(Path("t") / name, i, 400 + i)
    data = made(Path("t"), cells.gru, {"reading": {"batch": 2}}).data
    assert [part.lengths.tolist() for part in (data.train, data.validation, data.test)] == [[400, 401], [402], [403]]


def test_lines_of_the_folders_stay_in_their_parts():
    for name in ("train/a.txt", "test/b.txt"):
        Path("t", name).parent.mkdir(parents=True)
        Path("t", name).write_text("".join(f"{name} line {i}\n" for i in range(60)))
    options = {"data": {"document": "line"}, "reading": {"batch": 2}}
    documents = made(Path("t"), cells.gru, options).data.documents
    texts = list(zip(documents.texts, documents.parts, strict=True))
    train, validation, test = ([text for text, part in texts if part == number] for number in range(3))
    assert len(test) == 60 and all("test/b.txt" in line for line in test)
    assert 0 < len(validation) < 20 and all("train/a.txt" in line for line in [*train, *validation])


def test_a_file_beside_the_folders_of_the_parts_is_refused():
    names = ["train/a.txt", "other/b.txt", "test/c.txt"]
    with pytest.raises(DataError, match=r"'other/b.txt' is in none of train/, valid/ and test/"):
        parts_of_folders(Path("t"), names)
    assert parts_of_folders(Path("t"), ["test/a.txt", "b.txt"]) is None, "no training folder: a name like any other"


@pytest.mark.parametrize("pattern", ["test/*", "[89].wav", "*/[89].wav"])
def test_patterns_see_the_path(pattern: str):
    sounds(Path("w"), labelled("train/", 10) | labelled("test/", 2))
    held_out = {e.name for e in made(Path("w"), cells.gru, {"data": {"test": pattern}}).data.test}
    expected = (
        set(labelled("test/", 2)) if pattern == "test/*" else {n for n in labelled("train/", 10) if n[-5] in "89"}
    )
    assert held_out == expected


def test_columns_are_named_by_flags():
    rows = [f"{i // 2},{'AB'[i % 2]},{i % 5},{i % 7},{i % 3}" for i in range(120)]
    Path("d.csv").write_text("\n".join(["t,shop,a,b,y", *rows]) + "\n")
    flags = ["--target", "b", "--time", "t", "--sequence", "shop", "--inputs", "a,y", "--split", "sequence"]
    code = main(["train", "d.csv", *flags, *TEST])
    assert code == 2, "two sequences are too few for three parts"
    assert main(["train", "d.csv", *flags[:-1], "time", "--test", "0.3", *TEST]) == 0
    kind = Trained.load(Path("run")).kind
    assert kind.roles == Roles("t", ("shop",), "b", ("a", "y"))
    assert kind.options.test == 0.3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--target", "x"), "--target is not an option of the task 'language'"),
        (("--test", "c.txt"), "there is no file 'c.txt'; expected data for --test: a file, a folder, or a share"),
    ],
)
def test_flags_that_do_not_fit_are_refused(flags: tuple, message: str, capsys: pytest.CaptureFixture[str]):
    prose(Path("a.txt"), 1)
    assert main(["train", "a.txt", *flags, *TEST]) == 2
    assert message in capsys.readouterr().err


def test_recordings_of_all_formats_are_read_and_other_files_are_counted():
    names = (
        "low/1.mp3",
        "low/2.aiff",
        "low/3.opus",
        "low/4.wav",
        "high/1.au",
        "high/2.caf",
        "high/3.ogg",
        "high/4.w64",
    )
    for i, name in enumerate(names):
        sounds(Path("v"), {f"{name[:-4]}-{i}.wav": 300.0 + 100 * i})
        samples, rate = soundfile.read(Path("v") / f"{name[:-4]}-{i}.wav")
        kind = {"format": "OGG", "subtype": "OPUS"} if name.endswith(".opus") else {}
        soundfile.write(Path("v") / name, samples, rate, **kind)
    Path("v/low/notes.txt").write_text("x")
    Path("v/.hidden").mkdir()
    Path("v/.hidden/a.wav").write_bytes(b"nothing")
    data = made(Path("v"), cells.gru, {}).data
    assert sum(map(len, data.parts)) == 16
    assert ("without", "other files: .txt 1") in data.describe()


def test_a_recording_that_is_cut_off_is_refused_or_skipped():
    sounds(Path("v"), labelled("", 6))
    whole = Path("v/low/0.wav").read_bytes()
    Path("v/low/0.wav").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"'v/low/0.wav' is cut off after 0.10 of 0.20 seconds"):
        made(Path("v"), cells.gru, {})
    data = made(Path("v"), cells.gru, {"data": {"skip_unreadable": True}}).data
    assert ("skipped", "1 unreadable: low/0.wav") in data.describe()


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32"])
def test_plain_wav_needs_no_library(subtype: str, monkeypatch: pytest.MonkeyPatch):
    noise = numpy.random.default_rng(0).uniform(-1, 1, (300, 2))
    soundfile.write("a.wav", noise, 8000, subtype=subtype)
    expected = read_recording(Path("a.wav"))
    monkeypatch.setitem(sys.modules, "soundfile", None)
    found = read_recording(Path("a.wav"))
    assert found.rate == 8000 and torch.equal(found.samples, expected.samples)
    Path("a.wav").write_bytes(Path("a.wav").read_bytes()[:-100])
    with pytest.raises(DataError, match=r"'a.wav' is cut off after"):
        read_recording(Path("a.wav"))
    for name in ("a.flac", "b.wav"):
        Path(name).write_bytes(b"nothing")
        with pytest.raises(DataError, match=r"pip install 'unrolled\[audio\]'"):
            read_recording(Path(name))


def test_sparse_rolls_are_read():
    from scipy.sparse import csc_array

    pieces = numpy.empty((1, 2), dtype=object)
    for i in range(2):
        pieces[0, i] = csc_array((numpy.arange(8 + i)[:, None] % 3 == numpy.arange(3)).astype("float64"))
    dense = numpy.empty((1, 2), dtype=object)
    for i in range(2):
        dense[0, i] = pieces[0, i].toarray()
    for name, arrays in (("sparse.mat", pieces), ("dense.mat", dense)):
        savemat(name, dict.fromkeys(("traindata", "validdata", "testdata"), arrays))
    sparse, same = (made(Path(name), cells.gru, {}).data.train for name in ("sparse.mat", "dense.mat"))
    assert all((a.x == b.x).all() and (a.y == b.y).all() for a, b in zip(sparse, same, strict=True))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_texts_in_utf_16_are_recognised(encoding: str):
    Path("a.txt").write_bytes(("Ein Text. " * 100).encode(encoding))
    with pytest.raises(DataError, match=f"iconv -f {encoding} -t utf-8 'a.txt'"):
        made(Path("a.txt"), cells.gru, {})


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"PK\x03\x04\xff", "a zip archive"), (b"MThd\0\0", "a MIDI file"), (b"\x1f\x8b..", "packed by gzip")],
)
def test_files_that_are_no_texts_are_named(content: bytes, what: str):
    Path("a.dat").write_bytes(content * 100)
    with pytest.raises(DataError, match=f"'a.dat' is not a text but .*{what}"):
        made(Path("a.dat"), cells.gru, {})


@pytest.mark.parametrize("missing", ["pandas", "pyarrow", "openpyxl"])
def test_a_missing_library_is_named(missing: str, monkeypatch: pytest.MonkeyPatch):
    waves(Path("a.csv"), 60)
    monkeypatch.setitem(sys.modules, missing, None)
    Path("a.parquet").write_bytes(b"PAR1")
    Path("a.xlsx").write_bytes(b"PK\x03\x04")
    name = {"pandas": "a.csv", "pyarrow": "a.parquet", "openpyxl": "a.xlsx"}[missing]
    extra = "excel" if missing == "openpyxl" else "tables"
    with pytest.raises(DataError, match=rf"needs {missing}: pip install 'unrolled\[{extra}\]'"):
        made(Path(name), cells.gru, {})


def test_csv_needs_pandas_alone():
    waves(Path("a.csv"), 60)
    program = "import sys; sys.modules['pyarrow'] = None; from unrolled.cli import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "train", "a.csv", "--target", "load", *TEST]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
