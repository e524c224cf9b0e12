"""The words of the command line: hints that can be run, options under other names, correct help, and system errors."""

from __future__ import annotations

import ast
import errno
import gzip
import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import unrolled
from unrolled import Recurrent, UsageError, cells
from unrolled.cli import main
from unrolled.cli.app import app
from unrolled.cli.synonyms import SYNONYMS
from unrolled.data.defaults import BY_TASK, USUAL
from unrolled.data.kinds import KINDS
from unrolled.errors import command_line
from unrolled.files.write import write_bytes
from unrolled.nn.stored import save_network
from unrolled.run.spec import Spec

SOURCES = sorted(Path(unrolled.__file__).parent.rglob("*.py"))
TEXT = "The quick brown fox jumps over the lazy dog.\nPack my box with five dozen liquor jugs!\n" * 30
SMALL = ("--hidden", "8", "--batch", "4", "--updates", "2")
COMMANDS = [name for name in app if not name.startswith("-")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with data, trained models of a text and of a table, and a network in a file."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "text.txt").write_text(TEXT)
    rows = [f"{who},{step * (1 + who % 2)},{'ab'[who % 2]}" for who in range(24) for step in range(4)]
    (folder / "d.csv").write_text("\n".join(["who,x,label", *rows]) + "\n")
    (folder / "rows.csv").write_text("1,2\n3,4\n" * 10)
    goal = ("--set", "data.goal=sequences", "--set", "data.sequence=who")
    assert main(["train", str(folder / "text.txt"), *SMALL, "--out", str(folder / "run"), "--json"]) == 0
    assert main(["train", str(folder / "d.csv"), *SMALL, *goal, "--out", str(folder / "table"), "--json"]) == 0
    save_network(Recurrent(cells.rnn, x=2, h=3), folder / "net.safetensors")
    return folder


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command line: its exit code, what it printed, and its message."""

    def call(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(list(map(str, arguments)))
        return (code, *capsys.readouterr())

    return call


# hints


def called(monkeypatch: pytest.MonkeyPatch, argv: str, path: Path, typed: str = "python") -> None:
    monkeypatch.setattr(sys, "argv", [argv])
    monkeypatch.setattr(sys, "orig_argv", [typed, "-m", "unrolled"])
    monkeypatch.setenv("PATH", str(path))


def test_a_command_is_shown_as_it_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    script = tmp_path / "my env" / "unrolled"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    called(monkeypatch, str(script), tmp_path)
    assert shlex.split(command_line("look", "a b")) == [str(script), "look", "a b"], "not on the path"
    called(monkeypatch, str(script), script.parent)
    assert command_line("train", "--resume", Path("a b")) == "unrolled train --resume 'a b'", "on the path"
    other = tmp_path / "other" / "unrolled"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    called(monkeypatch, str(script), other.parent)
    assert shlex.split(command_line("cells"))[0] == str(script), "another one is on the path"
    called(monkeypatch, str(Path(unrolled.__file__).parent / "__main__.py"), tmp_path, ".venv/bin/python")
    assert command_line("cells") == ".venv/bin/python -m unrolled cells"
    called(monkeypatch, "/usr/lib/notebook.py", tmp_path)
    assert command_line("cells") == "unrolled cells"


def spoken(source: Path) -> Iterator[str]:
    """The strings in a source file that a program may print: all except docstrings."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    silent = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)) and node.body
        if isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def test_no_hint_is_written_by_hand():
    """All hints come from ``command_line``, which knows how the program was called and quotes arguments with spaces."""
    hint = re.compile(rf"\bunrolled ({'|'.join(COMMANDS)})\b")
    by_hand = [(source.name, text) for source in SOURCES for text in spoken(source) if hint.search(text)]
    assert by_hand == []
    assert hint.search("go on with: unrolled train --resume RUN"), "the pattern finds one"


@pytest.mark.slow
@pytest.mark.parametrize("how", ["script", "module"])
def test_the_hints_of_a_training_run(tmp_path: Path, how: str):
    """The folder has a space in its name, and the program is not on the path."""
    bin, work = tmp_path / "my env", tmp_path / "my work"
    bin.mkdir(), work.mkdir()
    script = bin / "unrolled"
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom unrolled.cli import main\nsys.exit(main())\n")
    script.chmod(0o755)
    program = [str(script)] if how == "script" else [sys.executable, "-m", "unrolled"]
    (work / "my text.txt").write_text(TEXT)
    source = str(Path(unrolled.__file__).parent.parent)
    options = {"cwd": work, "capture_output": True, "text": True, "env": {**os.environ, "PYTHONPATH": source}}
    first = subprocess.run([*program, "train", "my text.txt", *SMALL], check=True, **options)
    hint = first.stdout.splitlines()[-1]
    assert " sample " in hint and "'runs/my text-gru'" in hint
    if how == "script":
        second = subprocess.run(hint, shell=True, **options)
        assert second.returncode == 0 and len(second.stdout) >= 400, second.stderr
        return
    taken = subprocess.run([*program, "train", "my text.txt", *SMALL, "--out", "runs/my text-gru"], **options)
    hint = taken.stderr.partition("go on with it: ")[2]
    third = subprocess.run(hint, shell=True, **options)
    assert third.returncode == 0, third.stderr


def test_a_stream_that_is_stopped_shows_how_to_go_on(
    made: Path, told: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    from unrolled.stream.streaming import Streaming

    out = tmp_path / "my bits.csv"
    advance = Streaming._advance

    def stopped(self: Streaming) -> bool:
        going = advance(self)
        self.stop = lambda: self.steps >= 500
        return going

    with monkeypatch.context() as once:
        once.setattr(Streaming, "_advance", stopped)
        ways = ("--chunk", 100, "--format", "csv", "--skip-unknown")
        code, printed, _ = told("stream", made / "run", made / "text.txt", "--out", out, *ways)
    assert code == 130
    program, *words = shlex.split(printed.splitlines()[-1])
    assert program == "unrolled" and words[-1] == "--resume"
    assert told(*words)[0] == 0
    whole = tmp_path / "whole.csv"
    told("stream", made / "run", made / "text.txt", "--out", whole, *ways)
    assert out.read_text() == whole.read_text()


def test_paths_with_brackets_are_printed_as_they_are(
    made: Path, told: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    assert told("draw", "rnn", "--out", "a[bold]b.svg")[1] == "a[bold]b.svg\n"
    assert told("predict", made / "table", made / "d.csv", "--out", "[x].csv")[1].startswith("[x].csv: ")
    Path("t[x].txt").write_text(TEXT)
    printed = told("train", "t[x].txt", *SMALL)[1]
    assert "t[x].txt: 2,580 characters" in printed and "run     runs/t[x]-gru" in printed
    assert printed.splitlines()[-1] == "  unrolled sample 'runs/t[x]-gru' --length 400"


# options


@cache
def options_of(command: str) -> set[str]:
    return {name for argument in app[command].assemble_argument_collection() for name in argument.names}


def accepted(task: str, assignments: list[str]) -> bool:
    try:
        Spec.read(task, assignments=assignments)
    except UsageError:
        return False
    return True


def test_every_synonym_leads_to_an_option_that_there_is():
    for word, phrases in SYNONYMS.items():
        led = []
        for phrase in phrases:
            options, assignments = set(re.findall(r"--[a-z-]+", phrase)), re.findall(r"--set (\S+)", phrase)
            led += [command for command in COMMANDS if options and options <= options_of(command)]
            assert not assignments or any(accepted(task, assignments) for task in KINDS), phrase
        assert led or not phrases[-1].startswith("--"), word


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--lr", "Write --rate."),
        ("--learning_rate", "Write --rate."),
        ("--epochs=3", "Write --updates or --minutes."),
        ("--batch-size", "Write --batch."),
        ("--hidden-size", "Write --hidden."),
        ("--num-layers", "Write --layers."),
        ("--output", "Write --out."),
        ("-o", "Write --out."),
        ("--steps", "Write --updates or --minutes."),
        ("--lr-schedule", "Write --set training.schedule=cosine."),
        ("--device", "This command runs on the CPU."),
        ("--gpu", "This command runs on the CPU."),
        ("--hiden", "Did you mean --hidden?"),
    ],
)
def test_an_option_by_another_name_is_answered(told: Callable[..., tuple[int, str, str]], option: str, said: str):
    value = [] if "=" in option else ["3"]
    code, printed, message = told("train", "text.txt", option, *value)
    assert code == 2 and printed == "" and said in message
    assert f"unknown option: {option.partition('=')[0]}." in message


def test_the_help_shows_the_defaults_of_every_task():
    command = [sys.executable, "-m", "unrolled", "train", "--help"]  # a process reads the terminal width once
    environment = {**os.environ, "COLUMNS": "300"}
    lines = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout.splitlines()
    usual = {"model": "cell hidden layers", "reading": "batch window seed", "training": "rate minutes"}
    seen = 0
    for section, keys in usual.items():
        for key in keys.split():
            (line,) = (line for line in lines if re.match(rf"\W*--{key} ", line))
            shown = re.search(r"\[default: (.*?)\]", line)
            assert shown, line
            first, _, rest = shown[1].partition("; ")
            others = dict(entry.split(": ") for entry in rest.split(", ")) if rest else {}
            for task in KINDS:
                value = Spec.read(task).sections()[section][key]
                if (section, key) == ("model", "hidden") and value is None:
                    value = 128  # the hidden size that a model then has
                wanted = "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
                assert others.get(task, first) == wanted, (task, key)
                seen += 1
    assert seen == len(KINDS) * 8


def test_a_model_takes_the_usual_hidden_size():
    from unrolled.nn.model import HIDDEN

    assert USUAL["model"]["hidden"] == HIDDEN


def test_the_defaults_of_tasks_are_options():
    assert BY_TASK.keys() == KINDS.keys()
    for task, sections in BY_TASK.items():
        for section, values in sections.items():
            with_flags = values.keys() & {name.removeprefix("--") for name in options_of("train")}
            assert with_flags <= USUAL[section].keys(), "so the help shows them"
        assert Spec.read(task), "all are options"


# runs of another kind


def test_a_stream_of_a_run_that_takes_none(made: Path, told: Callable[..., tuple[int, str, str]]):
    code, _, message = told("stream", made / "table", made / "d.csv")
    assert code == 2 and "is a run of the task 'table', which cannot read a stream" in message
    assert f"unrolled predict {made / 'table'} DATA" in message and "config.json" not in message


# system errors

LONG = "n" * 300
OUTPUTS = [
    "full{}",
    "/proc/x{}",
    "/sys/x{}",
    "text.txt/x{}",
    "folder{}",
    "nowhere/x{}",
    LONG + "{}",
    "/dev/full/x{}",
]
WRITERS = {
    "draw": (("draw", "gru", "--out"), ".svg"),
    "draw png": (("draw", "gru", "--out"), ".png"),
    "look": (("look", "rnn", "--out"), ".html"),
    "diagnose": (("diagnose", "run", "text.txt", "--steps", "5", "--out"), ".svg"),
    "diagnose json": (("diagnose", "run", "text.txt", "--steps", "5", "--out"), ".json"),
    "predict": (("predict", "table", "d.csv", "--out"), ".csv"),
    "stream": (("stream", "net.safetensors", "rows.csv", "--overwrite", "--out"), ".jsonl"),
    "resumed stream": (("stream", "run", "text.txt", "--resume", "--out"), ".jsonl"),
    "train": (("train", "text.txt", *SMALL, "--out"), ""),
    "demo": (("demo", "--seconds", "0.1", "--out"), ""),
}
MADE = ("folder", "nowhere/x")  # a training creates its folder


@pytest.mark.parametrize("writer", WRITERS)
def test_an_output_that_cannot_be_written_is_one_message(
    made: Path, told: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, writer: str
):
    monkeypatch.chdir(tmp_path)
    for name in ("text.txt", "d.csv", "rows.csv", "run", "table", "net.safetensors"):
        Path(name).symlink_to(made / name)
    arguments, ending = WRITERS[writer]
    for output in OUTPUTS:
        path = output.format(ending)
        if path.startswith("folder"):
            Path(path).mkdir()
        if path.startswith("full"):
            Path(path).symlink_to("/dev/full")
        if not ending and path in MADE:
            continue
        code, _, message = told(*arguments, path)
        assert code == 2 and len(message.splitlines()) <= 2 and "Errno" not in message, (path, message)
        assert message.startswith("unrolled: "), message
        assert not path.startswith("full") or Path(path).is_symlink(), "a device is written to, not replaced"
    assert not list(tmp_path.rglob(".*.part")), "nothing half-written is left"


def test_a_device_or_a_pipe_is_written_to(made: Path, told: Callable[..., tuple[int, str, str]], tmp_path: Path):
    """A rename would replace it by a file."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    assert told("predict", made / "table", made / "d.csv", "--out", pipe)[0] == 0
    assert os.read(reader, 1 << 16).startswith(b"sequence,label,probability\n") and pipe.is_fifo()
    os.close(reader)
    with open(tmp_path / "open.svg", "wb") as file:
        path = Path(f"/dev/fd/{file.fileno()}")
        write_bytes(path, b"content")
        assert path.is_symlink()
    assert (tmp_path / "open.svg").read_bytes() == b"content"


INPUTS = ["/proc/self/mem", "folder", "text.txt/x", "nowhere/x", LONG, "/proc/self/fd/999"]
READERS = [
    ("train", "{}", "--updates", "1"),
    *(("train", "{}", "--task", task, "--updates", "1") for task in KINDS),
    ("train", "text.txt", "--updates", "1", "--config", "{}"),
    ("train", "text.txt", "--updates", "1", "--cell", "{}.py"),
    ("train", "--resume", "{}"),
    ("train", "{}", "--resume", "run"),
    ("evaluate", "{}", "text.txt"),
    ("evaluate", "run", "{}"),
    ("evaluate", "table", "{}"),
    ("predict", "{}", "d.csv"),
    ("predict", "table", "{}"),
    ("sample", "{}"),
    ("stream", "{}", "text.txt"),
    ("stream", "run", "{}"),
    ("stream", "net.safetensors", "{}"),
    ("stream", "{}.safetensors", "rows.csv"),
    ("look", "{}"),
    ("look", "run", "--data", "{}", "--out", "o.html"),
    ("diagnose", "{}"),
    ("diagnose", "table", "{}"),
    ("replay", "faults/{}"),
    ("equations", "{}.py"),
]


def test_an_input_that_cannot_be_read_is_one_message(
    made: Path, told: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    for name in ("text.txt", "d.csv", "rows.csv", "run", "table", "net.safetensors"):
        Path(name).symlink_to(made / name)
    for reader in READERS:
        for path in INPUTS:
            arguments = [word.format(path) for word in reader]
            code, printed, message = told(*arguments)
            assert code == 2 and printed == "" and "Errno" not in message, (arguments, message)
            assert message.startswith("unrolled") and len(message.splitlines()) <= 2, (arguments, message)
    assert not Path("o.html").exists() and not Path("runs").exists()


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.EIO, errno.ENOSPC, errno.EDQUOT])
def test_whatever_fails_while_a_file_is_written_is_one_message(
    told: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: int
):
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.chdir(tmp_path)
    Path("gru.svg").write_text("before")
    monkeypatch.setattr("unrolled.files.write.os.fsync", refuse)
    ended, _, message = told("draw", "gru", "--out", "gru.svg")
    assert ended == 2 and f"'gru.svg' cannot be written: {os.strerror(code).lower()}. " in message
    assert ("free there" in message) == (code in (errno.ENOSPC, errno.EDQUOT))
    assert Path("gru.svg").read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["gru.svg"]


PROGRAM = "import sys; from unrolled.cli import main; sys.exit(main(sys.argv[1:]))"


@pytest.mark.parametrize("arguments", [["cells"], ["cells", "--json"], ["equations", "lstm"], ["plan", "gru"]])
def test_standard_output_on_a_full_disk_is_one_message(arguments: list[str]):
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, *arguments], stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert (done.returncode, done.stderr) == (2, "unrolled: standard output: no space left on device\n")


@pytest.mark.parametrize("caught", ["KeyboardInterrupt", "BaseException"])
def test_an_interrupted_import_ends_the_process_at_once(tmp_path: Path, caught: str):
    """Even if a module raises another error for it, as numpy does."""
    (tmp_path / "cell.py").write_text(
        f"import time\nprint('here', flush=True)\ntry:\n    time.sleep(60)\n"
        f"except {caught}:\n    raise ImportError('a long text about how numpy was built')\n"
    )
    command = [sys.executable, "-c", PROGRAM, "equations", "cell.py"]
    child = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "here\n"
    child.send_signal(signal.SIGINT)
    _, said = child.communicate(timeout=30)
    assert (child.returncode, said) == (130, "\nunrolled: interrupted\n")


def test_an_interrupt_elsewhere_is_a_keyboard_interrupt(told: Callable[..., tuple[int, str, str]], monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr("unrolled.cli.cell.find_cell", lambda name: os.kill(os.getpid(), signal.SIGINT))
    assert told("equations", "gru") == (130, "", "unrolled: interrupted\n")
    assert signal.getsignal(signal.SIGINT) is before


# JSON


def test_json_has_no_nan():
    from unrolled.cli.screen import as_json

    values = {"a": float("nan"), "b": [1.5, float("inf"), ("x", -float("inf"))], "c": {"d": True, "e": None}}
    found = json.loads(as_json(values), parse_constant=lambda name: pytest.fail(name))
    assert found == {"a": None, "b": [1.5, None, ["x", None]], "c": {"d": True, "e": None}}


def test_rows_without_a_target_measure_nothing(told: Callable[..., tuple[int, str, str]], monkeypatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    rows = [f"{t},{t % 7}" if t < 60 or t == 99 else f"{t}," for t in range(100)]
    Path("blank.csv").write_text("\n".join(["t,y", *rows]) + "\n")
    learn = ("train", "blank.csv", "--set", "data.time=t", *SMALL, "--out", "run")
    code, _, message = told(*learn)
    assert code == 2 and "no row in the validation part has a value in column 'y'" in message
    assert not Path("run").exists()
    Path("full.csv").write_text("\n".join(["t,y", *(f"{t},{t % 7}" for t in range(100))]) + "\n")
    assert told("train", "full.csv", *learn[2:])[0] == 0
    Path("none.csv").write_text("\n".join(["t,y", "1,2", *(f"{t}," for t in range(2, 9))]) + "\n")
    code, printed, message = told("evaluate", "run", "none.csv", "--json")
    assert (code, printed) == (2, "") and "no row to compare with has a value in column 'y'" in message


def test_arrow_holds_no_python_object_and_starts_no_threads(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """If an Arrow thread holds a Python object when Python exits, the process sometimes aborts (apache/arrow#34314)."""
    import pyarrow
    from pyarrow import parquet

    from unrolled.data.tables.read import read_sheet

    sources: list[type] = []
    threads: list[bool] = []

    class Watched(parquet.ParquetFile):
        def __init__(self, source: object, pre_buffer: bool) -> None:
            if isinstance(source, pyarrow.BufferReader):
                whole = source.read_buffer()
                assert (whole.parent or whole).is_mutable, "memory of Arrow, not the bytes of Python"
                source.seek(0)
            sources.append(type(source))
            threads.append(pre_buffer)
            super().__init__(source, pre_buffer=pre_buffer)

        def read_row_groups(self, groups: list[int], use_threads: bool) -> object:
            threads.append(use_threads)
            return super().read_row_groups(groups, use_threads=use_threads)

    monkeypatch.setattr(parquet, "ParquetFile", Watched)
    path = tmp_path / "d.parquet"
    parquet.write_table(pyarrow.table({"a": [1, 2], "b": ["x", "y"]}), path)
    with gzip.open(tmp_path / "d.parquet.gz", "wb") as packed:
        packed.write(path.read_bytes())
    for name in ("d.parquet", "d.parquet.gz"):
        assert read_sheet(tmp_path / name).frame.to_dict("list") == {"a": [1, 2], "b": ["x", "y"]}
    assert sources == [pyarrow.OSFile] * 2 + [pyarrow.BufferReader] * 2
    assert threads and not any(threads)
