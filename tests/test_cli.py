"""The command line: what each command gives, and one clear message for each wrong use."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import pytest

from unrolled import __version__, cells
from unrolled.cli import main, screen
from unrolled.cli.app import app

TEXT = "The quick brown fox jumps over the lazy dog.\nPack my box with five dozen liquor jugs!\n" * 30
SMALL = ("--hidden", "8", "--batch", "4", "--window", "16", "--updates", "6")
CELL = """
from unrolled import circuit, tanh

@circuit
def mine(x, h, *, U, W, b):
    h = tanh(b + U @ x + 0.5 * (W @ h))
    return {"h": h}

rate = 0.5
"""


@dataclass
class Outcome:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with a text in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    (tmp_path / "text.txt").write_text(TEXT)
    return tmp_path


@pytest.fixture
def unrolled(here: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Run a command line in that folder."""

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = main(arguments)
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return call


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run folder, made once."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "text.txt").write_text(TEXT)
    assert main(["train", str(folder / "text.txt"), *SMALL, "--out", str(folder / "run"), "--json"]) == 0
    return folder / "run"


@pytest.fixture
def run(here: Path, trained: Path) -> Path:
    """A copy of it, to be spoiled."""
    return Path(shutil.copytree(trained, here / "run"))


# what works


def test_train_evaluate_and_sample_agree(unrolled: Callable[..., Outcome], here: Path):
    training = unrolled("train", "text.txt", *SMALL, "--json")
    assert (training.code, training.err) == (0, "")
    first, *progress, last = training.lines
    run = "runs/text-gru"
    assert first["event"] == "start" and first["run"] == run and first["vocabulary"] == len(set(TEXT))
    assert [p["update"] for p in progress] == [1, 2, 3, 4, 5, 6]
    assert all(p["per_second"] > 0 and p["memory"] > 10_000_000 for p in [*progress, last]), "steps, and bytes"
    log = (here / run / "log.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in log] == training.lines
    assert sorted(p.name for p in (here / run).iterdir()) == [
        ".unrolled",
        "checkpoints",
        "circuit.svg",
        "config.json",
        "config.toml",
        "equations.tex",
        "equations.txt",
        "log.jsonl",
        "training.svg",
        "unfolded.svg",
    ]
    evaluated = unrolled("evaluate", run, "text.txt", "--json").json
    assert evaluated["held_out"] and evaluated["bits"] == last["bits_per_character"]
    assert f"{evaluated['bits']:.3f} bits per character" in unrolled("evaluate", run, "text.txt").out
    sample = ("sample", run, "--prompt", "The ", "--length", "20", "--seed", "5")
    drawn = unrolled(*sample, "--json").json
    assert len(drawn["text"]) == 20 and set(drawn["text"]) <= set(TEXT)
    assert unrolled(*sample).out == "The " + drawn["text"] + "\n"
    assert unrolled(*sample[:-1], "6").out != unrolled(*sample).out

    again = unrolled("train", "text.txt", *SMALL, "--json").lines
    assert again[0]["run"] == "runs/text-gru-2", "what is there stays"
    assert again[-1]["bits_per_character"] == last["bits_per_character"], "the same seed, the same bits"


def test_train_tells_people_what_it_does(unrolled: Callable[..., Outcome]):
    told = unrolled("train", "text.txt", *SMALL, "--cell", "jordan").out
    assert "text.txt: 2,580 characters, 32 different ones" in told
    assert "jordan, 3,112 parameters, dropout 0.3, engine" in told
    assert "bits per character" in told and "by frequency alone" in told
    assert "100%   update 6" in told, "lines where there is no terminal"
    assert "unrolled sample runs/text-jordan" in told


def test_a_long_line_of_the_summary_goes_on_below_its_text(monkeypatch: pytest.MonkeyPatch, capsys):
    text = "forecast 'load' 1 step ahead, from its last 14 values [1] and temperature"
    screen.entry("table", text)
    assert capsys.readouterr().out == f"  table   {text}\n"
    monkeypatch.setenv("FORCE_COLOR", "1"), monkeypatch.setenv("COLUMNS", "50")
    screen.entry("table", text)
    first, second, *rest = capsys.readouterr().out.splitlines()
    assert first.startswith("  table   forecast 'load'") and second.startswith(" " * 10) and not rest
    assert f"{first[10:]} {second[10:]}" == text and len(first) <= 50


def test_a_cell_of_ones_own_is_trained_and_needs_its_file_no_more(unrolled: Callable[..., Outcome], here: Path):
    (here / "cell.py").write_text(CELL)
    last = unrolled("train", "text.txt", *SMALL, "--cell", "cell.py:mine", "--out", "run", "--json").lines[-1]
    (here / "cell.py").unlink()
    assert unrolled("evaluate", "run", "text.txt", "--json").json["bits"] == last["bits_per_character"]
    assert unrolled("sample", "run", "--length", "5").code == 0
    assert "h(t) = tanh(b + U x(t) + 0.5 · W h(t-1))" in (here / "run" / "equations.txt").read_text()


def test_a_file_with_one_circuit_need_not_name_it(unrolled: Callable[..., Outcome], here: Path):
    (here / "parts.py").write_text("half = 0.5\n")
    (here / "cell.py").write_text(CELL.replace("0.5 *", "half *").replace("\nfrom", "\nfrom parts import half\nfrom"))
    by_file, by_name = unrolled("equations", "cell.py"), unrolled("equations", "cell.py:mine")
    assert by_file == by_name and by_file.code == 0, by_file.err
    assert not any(Path(entry or ".").resolve() == here for entry in sys.path if entry), "the path is as it was"


def test_equations_are_those_of_the_circuit(unrolled: Callable[..., Outcome]):
    assert unrolled("equations", "lstm").out == cells.lstm.equations() + "\n"
    assert unrolled("equations", "lstm", "--format", "latex").out == cells.lstm.equations("latex") + "\n"
    assert unrolled("equations", "gru", "--adjoint").out == cells.gru.adjoint().equations() + "\n"
    found = unrolled("equations", "gru", "--adjoint", "--format=latex", "--json").json
    assert found["equations"] == cells.gru.adjoint().equations("latex") and found["cell"] == "gru"


def test_bench_times_what_it_is_asked(unrolled: Callable[..., Outcome]):
    asked = ("bench", "--cell", "mgu", "--batch", "2", "--hidden", "5", "--steps", "4")
    (row,) = unrolled(*asked, "--json").json["rows"]
    assert (
        row["point"] | {"cell": "mgu", "batch": 2, "hidden": 5, "inputs": 5, "steps": 4, "threads": 1} == row["point"]
    )
    assert set(row["times"]) == {"unrolled", "torch loop"} and row["absent"] == {} and row["floor_seconds"] > 0
    told = unrolled(*asked)
    assert (told.code, told.err) == (0, "") and "1/1" in told.out
    assert "mgu" in told.out and "GFLOP/s" in told.out and "×" in told.out


def test_cells_lists_all_of_them(unrolled: Callable[..., Outcome]):
    table, listed = unrolled("cells").out, unrolled("cells", "--json").json["cells"]
    assert [cell["name"] for cell in listed] == list(cells.ALL)
    assert all(cell["about"] in table and "(" in cell["reference"] for cell in listed)


def test_draw_writes_a_picture(unrolled: Callable[..., Outcome], here: Path):
    assert unrolled("draw", "gru", "--steps", "2", "--out", "gru.svg").code == 0
    assert ElementTree.parse(here / "gru.svg").getroot().tag.endswith("svg")
    assert unrolled("draw", "gru", "--folded", "--gradient", "--out", "folded.svg").code == 0
    assert (here / "folded.svg").read_text() == cells.gru.draw(gates=False, gradient=True).svg
    assert unrolled("draw", "gru", "--out", "gru.pdf").code == 0
    assert (here / "gru.pdf").read_bytes().startswith(b"%PDF")


def test_the_document_of_equations_is_plain_latex(trained: Path):
    document = (trained / "equations.tex").read_text()
    assert document.isascii() and document.startswith(r"\documentclass")
    assert document.count(r"\begin{align*}") == document.count(r"\end{align*}") == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(cells.ALL))
def test_every_document_of_equations_can_be_typeset(name: str, tmp_path: Path):
    if not shutil.which("pdflatex"):
        pytest.skip("needs pdflatex")
    from unrolled.run.views import equations_document

    (tmp_path / "equations.tex").write_text(equations_document(cells.ALL[name]))
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "equations.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and "Overfull" not in done.stdout, done.stdout[-2000:]


def test_the_demo_explains_learns_and_leaves_a_run(unrolled: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("unrolled.cli.demo.python_reference", lambda: TEXT)
    told = unrolled("demo", "--seconds", "1")
    assert (told.code, told.err) == (0, "")
    assert cells.gru.equations().splitlines()[-1] in told.out
    assert "letter frequencies alone" in told.out and "this network" in told.out
    assert max(map(len, told.out.splitlines())) <= 100
    assert unrolled("evaluate", "runs/demo-gru", "runs/demo-gru/text.txt").code == 0


def test_the_demo_learns_from_real_text():
    from unrolled.cli.demo import python_reference

    text = python_reference()
    assert len(text) > 150_000 and text == python_reference()
    lines = text.splitlines()
    assert len(lines) == len(set(lines)) and not any(c in text for c in "┌━═"), "paragraphs, without tables"


@pytest.mark.slow
def test_the_demo_beats_the_letters_by_far(unrolled: Callable[..., Outcome]):
    result = unrolled("demo", "--seconds", "10", "--json").lines[-1]
    assert result["by_frequency_alone"] > 4.4
    assert result["bits_per_character"] < 3.0


def test_help_and_version(unrolled: Callable[..., Outcome]):
    assert unrolled("--version").out.strip() == __version__
    overview = unrolled("--help").out
    working = ["demo", "train", "evaluate", "sample", "stream", "bench", "doctor", "info", "runs"]
    reading = ["equations", "plan", "draw", "look", "cells"]
    for command in working + reading:
        assert command in overview
        assert unrolled(command, "--help").code == 0
    assert unrolled().out == overview, "without a command: what there is"


def test_the_help_names_every_option_of_every_command(unrolled: Callable[..., Outcome]):
    for command in [name for name in app if not name.startswith("-")]:
        told = unrolled(command, "--help").out
        function = app[command].default_command
        for option in function.__annotations__.keys() - {"return"}:
            option = option.strip("_")
            assert option.upper() in told or f"--{option.replace('_', '-')}" in told, (command, option)
        assert "default: None" not in told


# what is wrong


@dataclass(frozen=True)
class Misuse:
    """A command line, and what has to be done to the folder before it: see ``spoil``."""

    name: str
    arguments: tuple[str, ...]
    files: dict[str, str | bytes | None]  # content by name; None takes the file away
    code: int = 2


def misuse(name: str, *arguments: str, **files: str | bytes | None) -> Misuse:
    """Files are given with __ for / and _dot_ for the dot."""
    return Misuse(name, arguments, {n.replace("__", "/").replace("_dot_", "."): v for n, v in files.items()})


TRAIN = ("train", "text.txt", "--updates", "1")
CATALOGUE = [
    misuse("unknown command", "trian", "text.txt"),
    misuse("unknown option", *TRAIN, "--hiden", "3"),
    misuse("option without its value", *TRAIN, "--cell"),
    misuse("option given twice", *TRAIN, "--hidden", "3", "--hidden", "4"),
    misuse("a word where a number belongs", *TRAIN, "--hidden", "many"),
    misuse("no data", "train"),
    misuse("too many arguments", *TRAIN, "other.txt"),
    misuse("unknown format", "equations", "lstm", "--format", "latx"),
    misuse("cell with a typing error", *TRAIN, "--cell", "gruu"),
    misuse("unknown cell", *TRAIN, "--cell", "transformer"),
    misuse("cell in a missing file", *TRAIN, "--cell", "cel.py:mine", cell_dot_py=CELL),
    misuse("cell in a file that is no Python", *TRAIN, "--cell", "text.txt:mine"),
    misuse("cell under another name", *TRAIN, "--cell", "cell.py:mina", cell_dot_py=CELL),
    misuse("cell that is something else", *TRAIN, "--cell", "cell.py:rate", cell_dot_py=CELL),
    misuse("cell in a file without one", *TRAIN, "--cell", "cell.py", cell_dot_py="x = 1\n"),
    misuse("cell in a file with two", *TRAIN, "--cell", "two.py", two_dot_py=CELL + CELL.replace("mine", "yours")),
    misuse("cell in a file with a syntax error", *TRAIN, "--cell", "bad.py:mine", bad_dot_py="x = 1\ndef f(:\n"),
    misuse("cell in a file that fails", *TRAIN, "--cell", "bad.py:mine", bad_dot_py="x = 1\ny = x / 0\n"),
    misuse("cell in a file that exits", *TRAIN, "--cell", "bad.py:mine", bad_dot_py="import sys\nsys.exit(3)\n"),
    misuse("cell with wrong equations", *TRAIN, "--cell", "cell.py:mine", cell_dot_py=CELL.replace("W @ h", "h @ W")),
    misuse("cell without an input", *TRAIN, "--cell", "autonomous"),
    misuse("missing text", "train", "texxt.txt", "--updates", "1"),
    misuse("missing folder", "train", "nowhere/text.txt", "--updates", "1"),
    misuse("folder for a text", "train", ".", "--updates", "1"),
    misuse("empty text", *TRAIN, text_dot_txt=""),
    misuse("text too short", *TRAIN, text_dot_txt="to be or not to be"),
    misuse("text that is not UTF-8", *TRAIN, text_dot_txt=b"caf\xc3\xa9\nna\xefve\n"),
    misuse("memory that is none", *TRAIN, "--memory", "much"),
    misuse("no updates", "train", "text.txt", "--updates", "0"),
    misuse("fewer than no updates", "train", "text.txt", "--updates", "-3"),
    misuse("no time", "train", "text.txt", "--minutes", "0"),
    misuse("updates and minutes", *TRAIN, "--minutes", "1"),
    misuse("no hidden units", *TRAIN, "--hidden", "0"),
    misuse("no layers", *TRAIN, "--layers", "0"),
    misuse("no batch", *TRAIN, "--batch", "0"),
    misuse("no window", *TRAIN, "--window", "0"),
    misuse("a stride below one", *TRAIN, "--stride", "-2"),
    misuse("a stride longer than the window", *TRAIN, "--window", "20", "--stride", "30"),
    misuse("no threads", *TRAIN, "--threads", "0"),
    misuse("rate below zero", *TRAIN, "--rate", "-0.1"),
    misuse("seed below zero", *TRAIN, "--seed", "-1"),
    misuse("run folder that is taken", *TRAIN, "--out", "run"),
    misuse("run folder that is a file", *TRAIN, "--out", "text.txt"),
    misuse("picture of another kind", "draw", "gru", "--out", "gru.gif"),
    misuse("picture in a missing folder", "draw", "gru", "--out", "nowhere/gru.svg"),
    misuse("picture without steps", "draw", "gru", "--steps", "0", "--out", "gru.svg"),
    misuse("speed of an unknown cell", "bench", "--cell", "grru"),
    misuse("speed without hidden units", "bench", "--hidden", "0"),
    misuse("speed without threads", "bench", "--threads", "0"),
    misuse("speed of too little", "bench", "--steps", "-1"),
    misuse("look at a cell that there is not", "look", "lstmm"),
    misuse("look at a run that there is not", "look", "runs/nothing"),
    misuse("look at a run without a text", "look", "run"),
    misuse("look at a run with a missing text", "look", "run", "--data", "texxt.txt"),
    misuse("look at a text with unknown characters", "look", "run", "--data", "it.txt", it_dot_txt="The\nqui\u00e7k"),
    misuse("look past the end of a text", "look", "run", "--data", "text.txt", "--first", "9999"),
    misuse("look at a layer that there is not", "look", "run", "--data", "text.txt", "--layer", "2"),
    misuse("look at text with a circuit without input", "look", "autonomous", "--data", "text.txt"),
    misuse("look at no steps", "look", "lstm", "--steps", "0"),
    misuse("page of another kind", "look", "lstm", "--out", "lstm.pdf"),
    misuse("page in a missing folder", "look", "rnn", "--out", "nowhere/rnn.html"),
    misuse("missing run", "evaluate", "rum", "text.txt"),
    misuse("run without a likeness", "evaluate", "nothing-like-it", "text.txt"),
    misuse("file for a run", "sample", "text.txt"),
    misuse("folder that is no run", "sample", "."),
    misuse("run without a model", "sample", "run", run__checkpoints__00000006__model_dot_safetensors=None),
    misuse(
        "run with half a model",
        "sample",
        "run",
        run__checkpoints__00000006__model_dot_safetensors=b"\xff\7\0\0\0\0\0\0{",
    ),
    misuse("run without a manifest", "sample", "run", run__checkpoints__00000006__manifest_dot_json=None),
    misuse("text that has changed", "train", "text.txt", "--resume", "run", text_dot_txt=TEXT + "x"),
    misuse("resumed with another size", "train", "--resume", "run", "--hidden", "3"),
    misuse("unknown task", *TRAIN, "--task", "langauge"),
    misuse("option without a section", *TRAIN, "--set", "rate=0.1"),
    misuse("option with a typing error", *TRAIN, "--set", "training.schedul=cosine"),
    misuse("option in an unknown section", *TRAIN, "--set", "trainig.rate=0.1"),
    misuse("option of another kind", *TRAIN, "--set", "model.residual=3"),
    misuse("schedule with a typing error", *TRAIN, "--set", "training.schedule=cosin"),
    misuse("options that are no TOML", *TRAIN, "--config", "o.toml", o_dot_toml="[training]\nrate = = 3\n"),
    misuse("options with an unknown key", *TRAIN, "--config", "o.toml", o_dot_toml="[model]\nhiden = 3\n"),
    misuse("options outside of a section", *TRAIN, "--config", "o.toml", o_dot_toml="hidden = 3\n"),
    misuse("options that are missing", *TRAIN, "--config", "p.toml", o_dot_toml="[model]\nhidden = 3\n"),
    misuse("unit with a typing error", *TRAIN, "--set", "data.unit=wrod"),
    misuse("tied without an embedding", *TRAIN, "--set", "model.embedding=0", "--set", "model.tied=true"),
    misuse("a prediction of a text", "predict", "run", "text.txt"),
    misuse("resumed without a run", "train", "--resume", "rum"),
    misuse("run with invalid JSON", "sample", "run", run__config_dot_json='{"format": 1,'),
    misuse("run of another format", "sample", "run", run__config_dot_json='{"format": 99}'),
    misuse("run with parts missing", "sample", "run", run__config_dot_json='{"format": 2, "task": "language"}'),
    misuse("run of another task", "sample", "run", run__config_dot_json='{"format": 2, "task": "music"}'),
    misuse("prompt with unknown characters", "sample", "run", "--prompt", "The £"),
    misuse("temperature below zero", "sample", "run", "--temperature", "-1"),
    misuse("no probability to draw from", "sample", "run", "--top-p", "0"),
    misuse("no length", "sample", "run", "--length", "0"),
    misuse("sample with a seed below zero", "sample", "run", "--seed", "-1"),
    misuse("text with unseen characters", "evaluate", "run", "new.txt", new_dot_txt="The fox,\nthe Füchse\n"),
    misuse("text with nothing to predict", "evaluate", "run", "new.txt", new_dot_txt="T"),
]


def spoil(folder: Path, files: dict[str, str | bytes | None]) -> None:
    for name, content in files.items():
        path = folder / name
        if content is None:
            path.unlink()
        else:
            path.write_bytes(content.encode() if isinstance(content, str) else content)


def test_every_misuse_gets_one_clear_message(
    unrolled: Callable[..., Outcome], here: Path, trained: Path, golden: Callable[[str, str], None]
):
    told = []
    for case in CATALOGUE:
        shutil.rmtree(here)
        shutil.copytree(trained, here / "run")
        (here / "text.txt").write_text(TEXT)
        os.chdir(here)
        spoil(here, case.files)
        before = sorted(here.rglob("*"))
        outcome = unrolled(*case.arguments)
        assert outcome.code == case.code, (case.name, outcome)
        assert outcome.out == "" and "Traceback" not in outcome.err, (case.name, outcome)
        assert [p for p in sorted(here.rglob("*")) if p not in before and "__pycache__" not in p.parts] == [], case.name
        told.append(f"{case.name}\n$ unrolled {' '.join(case.arguments)}\n{outcome.err}")
    golden("cli_errors.txt", "\n".join(told))


def test_damage_of_any_byte_of_a_config_is_survived(unrolled: Callable[..., Outcome], run: Path):
    whole = (run / "config.json").read_text()
    for at in range(0, len(whole), 53):
        (run / "config.json").write_text(whole[:at] + "7" + whole[at + 1 :])
        outcome = unrolled("sample", "run", "--length", "1")
        assert outcome.code in (0, 2) and "Traceback" not in outcome.err
        if outcome.code == 2:
            assert len(outcome.err.splitlines()) <= 3 and "run/config.json" in outcome.err, outcome.err


def test_truncated_parameters_are_refused(unrolled: Callable[..., Outcome], run: Path):
    path = sorted((run / "checkpoints").iterdir())[-1] / "model.safetensors"
    whole = path.read_bytes()
    for length in (0, 5, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        outcome = unrolled("sample", "run", "--length", "1")
        assert outcome.code == 2 and "'run/checkpoints/00000006' is damaged: model.safetensors" in outcome.err


def test_parameters_of_another_run_are_refused(unrolled: Callable[..., Outcome], run: Path, here: Path):
    assert unrolled("train", "text.txt", *SMALL, "--hidden", "9", "--out", "other", "--json").code == 2, "given twice"
    assert unrolled("train", "text.txt", "--hidden", "9", "--updates", "6", "--out", "other", "--json").code == 0
    for file in (here / "other" / "checkpoints" / "00000006").iterdir():
        shutil.copy(file, run / "checkpoints" / "00000006")
    outcome = unrolled("sample", "run")
    assert outcome.code == 2 and "it is not the one that the checkpoints were made with" in outcome.err


# through a process of its own


def process(*arguments: str, **options: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "unrolled", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]


def test_a_process_ends_with_the_code_and_the_message(here: Path):
    child = process("train", "texxt.txt")
    out, err = child.communicate()
    assert (child.returncode, out) == (2, "")
    assert err == (
        "unrolled: there is no file 'texxt.txt'; expected a text, a table (CSV, Parquet), pairs (TSV), "
        "a MATLAB file of music or a folder of recordings, MIDI files or texts. Did you mean 'text.txt'?\n"
    )


def test_a_reader_that_goes_away_is_no_error(here: Path):
    with process("cells", "--json") as child:
        assert child.stdout and child.stderr
        child.stdout.close()
        assert child.stderr.read() == "" and child.wait() == 0


def test_a_cell_with_a_constant_is_trained_and_read_back(unrolled, here):
    from unrolled.run.trained import Trained

    mask = [[float(i % 3 == j % 2) for j in range(8)] for i in range(8)]
    text = CELL.replace("@circuit", f"@circuit(constant={{'M': {mask}}})").replace("W, b", "W, M, b")
    (here / "cell.py").write_text(text.replace("W @ h", "(M * W) @ h"))
    assert unrolled("train", "text.txt", "--cell", "cell.py:mine", "--out", "run", *SMALL).code == 0
    (here / "cell.py").unlink()
    layer = Trained.load(Path("run")).model.first
    assert layer.M.tolist() == mask and "M" not in dict(layer.named_parameters())
    assert unrolled("evaluate", "run", "text.txt").code == 0
