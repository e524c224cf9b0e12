"""A trained model over streams: outputs are those of one call over the whole, and what was stopped goes on the same."""

from __future__ import annotations

import json
import math
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy
import pytest
import safetensors.torch
import soundfile
import torch

import unrolled
from cells_for_tests import needs_compiler, said
from unrolled import cells
from unrolled.cli import main
from unrolled.data.writing import write
from unrolled.errors import DataError, InputError, UsageError
from unrolled.nn.stored import load_network, save_network
from unrolled.run.trained import Trained
from unrolled.sequence.losses import nll
from unrolled.sources import AudioFile, LogMel
from unrolled.stream.options import StreamOptions
from unrolled.stream.streaming import Streaming, open_streamed

TEXT = "The quick brown fox jumps over the lazy dög.\nPack my box with five dozen liquor jugs!\n" * 30
RATE = 8000


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model, a network that reads rows, and one that reads recordings, with what they read."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    small = ("--hidden", "8", "--batch", "4", "--window", "16", "--updates", "6")
    assert main(["train", str(folder / "text.txt"), *small, "--out", str(folder / "run"), "--json"]) == 0
    torch.manual_seed(0)
    save_network(unrolled.Recurrent(cells.elman, x=3, h=5, o=2), folder / "rows.safetensors")
    numpy.savetxt(folder / "rows.csv", numpy.random.default_rng(0).standard_normal((400, 3)), "%.7g", ",")
    noise = numpy.random.default_rng(1).standard_normal(RATE * 30) * numpy.linspace(0, 0.2, RATE * 30)
    soundfile.write(folder / "voice.flac", noise, RATE, "PCM_16")
    features = LogMel(AudioFile(folder / "voice.flac"), mels=20, low=50)
    save_network(unrolled.Recurrent(cells.gru, x=20, h=6), folder / "voice.safetensors", features)
    return folder


@pytest.fixture
def here(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it to work in."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "80")
    return tmp_path


KINDS = {  # model, what it reads, options
    "text": ("run", "text.txt", ()),
    "characters": ("run", "text.txt", ("--each",)),
    "rows": ("rows.safetensors", "rows.csv", ()),
    "recording": ("voice.safetensors", "voice.flac", ("--format", "csv")),
}


def stream(*arguments: str) -> int:
    return main(["stream", *arguments])


def whole(kind: str, chunk: int = 100) -> bytes:
    """What comes out when nothing stops it."""
    model, source, options = KINDS[kind]
    assert stream(model, source, *options, "--chunk", str(chunk), "--out", "whole", "--overwrite", "--json") == 0
    assert not Path("whole.state").exists(), "at the end there is nothing to go on with"
    return Path("whole").read_bytes()


def records(path: str | Path) -> list[dict]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


# values


def test_text_costs_the_bits_that_the_model_says(here: Path):
    whole("characters")
    each, trained = records("whole"), Trained.load(here / "run")
    assert "".join(row["character"] for row in each) == TEXT
    assert [row["position"] for row in each] == list(range(len(TEXT))) and each[0]["bits"] is None
    series = trained.kind.encode(TEXT)
    with torch.no_grad():
        scores, _ = trained.model(series[None, :-1])
    expected = -scores[0].double().log_softmax(1)[torch.arange(len(TEXT) - 1), series[1:]] / math.log(2)
    torch.testing.assert_close(torch.tensor([row["bits"] for row in each[1:]]).double(), expected, rtol=1e-5, atol=1e-5)

    whole("text", chunk=1000)
    chunks = records("whole")
    assert [(c["position"], c["characters"]) for c in chunks] == [(0, 1000), (1000, 1000), (2000, len(TEXT) - 2000)]
    predicted = [c["characters"] - (c["position"] == 0) for c in chunks]
    total = sum(c["bits_per_character"] * n for c, n in zip(chunks, predicted, strict=True))
    assert total == pytest.approx(nll(scores, series[None, 1:]).item() / math.log(2), rel=1e-6)


@pytest.mark.parametrize("chunk", [7, 100, 5000])
def test_pieces_of_any_size_give_the_same(here: Path, chunk: int):
    whole("characters", 333)
    expected = records("whole")[1:]
    whole("characters", chunk)
    found = records("whole")[1:]
    assert [row["character"] for row in found] == [row["character"] for row in expected]
    difference = [abs(a["bits"] - b["bits"]) for a, b in zip(found, expected, strict=True)]
    assert max(difference) < 1e-5


@needs_compiler
def test_narrow_weights(here: Path, capsys: pytest.CaptureFixture[str]):
    """``--weights`` gives what the model with rounded weights computes, in every command."""
    small = Trained.load(here / "run").with_weights("int8")
    scores, _ = small.model(small.kind.encode(TEXT)[None, :-1])
    bits = nll(scores, small.kind.encode(TEXT)[None, 1:]).item() / math.log(2) / (len(TEXT) - 1)
    assert stream("run", "text.txt", "--weights", "int8", "--chunk", "9999", "--out", "whole", "--json") == 0
    assert records("whole")[0]["bits_per_character"] == pytest.approx(bits, rel=1e-6)
    (here / "other.txt").write_text(TEXT[::-1], encoding="utf-8")
    capsys.readouterr()
    found = {}
    for weights in ("float32", "bf16", "int8"):
        assert main(["evaluate", "run", "other.txt", "--weights", weights, "--json"]) == 0
        found[weights] = json.loads(capsys.readouterr().out)
    wide = found["float32"]["bits"]
    for weights in ("bf16", "int8"):
        assert found[weights]["weights"] == weights and found[weights]["float32"]["bits"] == wide
        assert found[weights]["bits"] != wide
    assert abs(found["int8"]["bits"] - wide) < 0.01 and found["int8"]["bytes"] < found["bf16"]["bytes"]
    assert main(["evaluate", "run", "other.txt", "--weights", "int8"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 3 and "these are int8 weights" in shown[1] and f"{wide:.3f} bits" in shown[2]
    assert main(["sample", "run", "--weights", "int8", "--length", "30", "--temperature", "0"]) == 0
    kind = small.kind
    symbols = kind.vocabulary.texts(write(small.model, kind.opening(), 30, 0, border=kind.border))
    assert capsys.readouterr().out.rstrip("\n") == "".join(symbols).rstrip("\n")
    assert stream("rows.safetensors", "rows.csv", "--weights", "bf16", "--out", "rows", "--json") == 0
    net = unrolled.narrow(load_network("rows.safetensors")[0], "bf16")
    x = torch.from_numpy(numpy.loadtxt("rows.csv", delimiter=",")).float()
    assert torch.equal(torch.tensor([row["o"] for row in records("rows")]), net(x[None]).o[0])
    assert str(StreamOptions(weights="bf16")) == "--chunk 1000 --format jsonl --weights bf16"


def test_rows_give_the_outputs_of_the_network(here: Path, capsys: pytest.CaptureFixture[str]):
    whole("rows", 64)
    x = torch.from_numpy(numpy.loadtxt("rows.csv", delimiter=",")).float()
    net, audio = load_network("rows.safetensors")
    expected = net(x[None]).o[0]
    found = records("whole")
    assert audio is None and [row["step"] for row in found] == list(range(400))
    assert torch.equal(torch.tensor([row["o"] for row in found]), expected), "nine digits are a float32"
    capsys.readouterr()
    assert stream("rows.safetensors", "rows.csv", "--format", "csv") == 0
    table = capsys.readouterr().out.splitlines()
    assert table[0] == "step,o_0,o_1" and len(table) == 401
    assert torch.equal(torch.tensor([list(map(float, line.split(",")[1:])) for line in table[1:]]), expected)
    Path("named.txt").write_text("a b c\n" + Path("rows.csv").read_text().replace(",", "\t") + "\n\n")
    assert stream("rows.safetensors", "named.txt", "--chunk", "64", "--out", "named", "--json") == 0
    assert Path("named").read_bytes() == Path("whole").read_bytes(), "names, tabs and empty lines change nothing"


def test_the_first_line_is_names_or_a_row(here: Path, capsys: pytest.CaptureFixture[str]):
    text = Path("rows.csv").read_text()
    whole("rows", 64)
    Path("marked.csv").write_text("\ufeff" + text)
    Path("marked-names.csv").write_text("\ufeffa,b,c\n" + text)
    for name in ("marked", "marked-names"):
        assert stream("rows.safetensors", f"{name}.csv", "--chunk", "64", "--out", name, "--json") == 0
        assert Path(name).read_bytes() == Path("whole").read_bytes(), "a byte order mark changes nothing"
    for first in ("nan,1,2", "inf,inf,inf", "a,1,2"):
        Path("strange.csv").write_text(f"{first}\n{text}")
        capsys.readouterr()
        assert stream("rows.safetensors", "strange.csv") == 2
        assert "'strange.csv', line 1, column 1" in capsys.readouterr().err


def test_a_recording_gives_an_output_for_each_frame(here: Path):
    lines = whole("recording", 300).decode().splitlines()
    net, audio = load_network("voice.safetensors")
    source = LogMel(AudioFile("voice.flac"), mels=20, low=50)
    assert audio and audio["mel"] == source.parameters
    expected = net(source.read(0, source.length)[None]).h[0]
    assert len(lines) == 1 + source.length == 3001 and lines[0] == "step,h_0,h_1,h_2,h_3,h_4,h_5"
    found = torch.tensor([list(map(float, line.split(",")[1:])) for line in lines[1:]])
    torch.testing.assert_close(found, expected)


def test_what_is_not_finite_is_null(here: Path, capsys: pytest.CaptureFixture[str]):
    net, _ = load_network("rows.safetensors")
    with torch.no_grad():
        net.c[0] = math.inf
    save_network(net, "wild.safetensors")
    Path("two.csv").write_text("1,2,3\n4,5,6\n")
    assert stream("wild.safetensors", "two.csv") == 0
    assert [json.loads(line)["o"][0] for line in capsys.readouterr().out.splitlines()] == [None, None]


def test_a_network_comes_back_with_its_bits(tmp_path: Path):
    net = unrolled.Recurrent(cells.lstm, x=3, h=4, dtype=torch.float64)
    save_network(net, tmp_path / "net.safetensors")
    again, _ = load_network(tmp_path / "net.safetensors")
    x = torch.randn(2, 5, 3, dtype=torch.float64)
    assert torch.equal(again(x).h, net(x).h) and again.circuit.equations() == net.circuit.equations()


@pytest.mark.parametrize("chunk", [1, 40, 5000])
def test_unknown_characters_are_passed_over_as_if_they_were_not_there(here: Path, chunk: int):
    whole("characters", 5000)
    expected = [row["bits"] for row in records("whole")]
    Path("strange.txt").write_text("€€" + TEXT[:50] + "漢€" + TEXT[50:] + "€", encoding="utf-8")
    way = ("run", "strange.txt", "--skip-unknown", "--chunk", str(chunk), "--json", "--overwrite")
    assert stream(*way, "--each", "--out", "out") == 0
    found = records("out")
    assert [row["bits"] for row in found if row["character"] in "€漢"] == [None] * 5
    bits = [row["bits"] for row in found if row["character"] not in "€漢"]
    assert bits[0] is None and bits[1:] == pytest.approx(expected[1:], abs=1e-5)
    assert stream(*way, "--out", "out") == 0
    assert sum(row["unknown"] for row in records("out")) == 5


# stopped, and gone on with


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("pieces", [0, 1, 3])
def test_what_was_stopped_goes_on_to_the_same_bytes(here: Path, kind: str, pieces: int):
    expected = whole(kind)
    model, source, options = KINDS[kind]
    asked = StreamOptions(100, "csv" if "csv" in options else "jsonl", "--each" in options)
    done: list[int] = []
    running = Streaming(
        open_streamed(Path(model), asked), Path(source), Path("out"), asked, stop=lambda: len(done) >= pieces
    )
    done.extend(running.run())
    assert not running.finished and running.steps == 100 * pieces
    assert expected.startswith(Path("out").read_bytes())
    with Path("out").open("ab") as file:
        file.write(b"what a crash left behind the state\n")
    assert stream(model, source, *options, "--chunk", "100", "--out", "out", "--resume", "--json") == 0
    assert Path("out").read_bytes() == expected and not Path("out.state").exists()


def test_a_state_is_written_while_it_runs(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("unrolled.stream.streaming.EVERY", 0.0)
    expected = whole("rows")
    running = Streaming(
        open_streamed(Path("rows.safetensors"), StreamOptions()), Path("rows.csv"), Path("out"), StreamOptions(100)
    ).run()
    for _ in range(3):
        next(running)
    shutil.copy("out", "killed")
    shutil.copy("out.state", "killed.state")  # all that a killed process would leave
    running.close()
    assert stream("rows.safetensors", "rows.csv", "--chunk", "100", "--out", "killed", "--resume", "--json") == 0
    assert Path("killed").read_bytes() == expected


@pytest.mark.parametrize("pieces", [0, 1])
def test_what_is_killed_at_once_goes_on(here: Path, pieces: int):
    """Before ten seconds are over: the state is there before the first output."""
    expected = whole("rows")
    Path("killed").write_bytes(b"an output of another day\n" * 1_000)
    Path("killed.state").write_bytes(b"and its state")
    options = StreamOptions(100)
    streamed, rows = open_streamed(Path("rows.safetensors"), options), Path("rows.csv")
    running = Streaming(streamed, rows, Path("killed"), options, overwrite=True).run()
    for _ in range(pieces + 1):  # the first piece is written after the first state
        next(running)
        shutil.copy("killed", "left")
        shutil.copy("killed.state", "left.state")  # all that a killed process would leave
    assert stream("rows.safetensors", "rows.csv", "--chunk", "100", "--out", "left", "--resume", "--json") == 0
    assert Path("left").read_bytes() == expected
    running.close()


def test_two_do_not_write_one_output(here: Path, capsys: pytest.CaptureFixture[str]):
    options = StreamOptions(100)
    running = Streaming(open_streamed(Path("rows.safetensors"), options), Path("rows.csv"), Path("out"), options).run()
    next(running)
    before = Path("out").read_bytes(), Path("out.state").read_bytes()
    for how in ("--overwrite", "--resume"):
        assert stream("rows.safetensors", "rows.csv", "--chunk", "100", "--out", "out", how, "--json") == 2
        assert "another process is writing 'out'" in capsys.readouterr().err
        assert (Path("out").read_bytes(), Path("out.state").read_bytes()) == before
    for _ in running:
        pass
    assert Path("out").read_bytes() == whole("rows")


def test_a_state_holds_all_that_the_next_piece_needs(here: Path):
    """Two layers of LSTM: each tensor of the state matters, and is that of one call over what was read."""
    small = ("--cell", "lstm", "--layers", "2", "--hidden", "5", "--batch", "4", "--window", "16", "--updates", "30")
    assert main(["train", "text.txt", *small, "--rate", "0.05", "--out", "deep", "--json"]) == 0
    options = StreamOptions(100, each=True)
    running = Streaming(open_streamed(Path("deep"), options), Path("text.txt"), Path("out"), options)
    steps = running.run()
    assert [next(steps) for _ in range(3)] == [100, 200, 300]
    running.save()
    carried = safetensors.torch.load_file("out.state")
    trained = Trained.load(here / "deep")
    with torch.no_grad():
        _, states = trained.model(trained.kind.encode(TEXT[:299])[None])
    expected = {f"{i}.{n}": v for i, layer in enumerate(states) for n, v in layer.items()}
    assert carried.keys() == {"last", "0.h", "0.c", "1.h", "1.c"} and carried["last"] == trained.kind.encode(TEXT[299])
    for name, value in expected.items():
        torch.testing.assert_close(carried[name], value)
    list(steps)
    assert main(["stream", "deep", "text.txt", "--each", "--chunk", "5000", "--out", "once", "--json"]) == 0
    bits = [[row["bits"] for row in records(name)[1:]] for name in ("out", "once")]
    torch.testing.assert_close(torch.tensor(bits[0]), torch.tensor(bits[1]), rtol=1e-4, atol=1e-5)


def test_a_fault_in_the_input_keeps_what_was_before_it(here: Path, capsys: pytest.CaptureFixture[str]):
    expected, sound = whole("recording"), Path("voice.flac").read_bytes()
    Path("voice.flac").write_bytes(sound[: len(sound) // 2])
    again = ("voice.safetensors", "voice.flac", "--format", "csv", "--chunk", "100", "--out", "out")
    capsys.readouterr()
    assert stream(*again) == 2
    message = capsys.readouterr().err
    assert "'voice.flac' is damaged at 0:00:" in message and "frames were read; their results are in 'out'" in message
    assert len(Path("out").read_bytes()) > 50_000 and expected.startswith(Path("out").read_bytes())
    Path("voice.flac").write_bytes(sound)
    assert stream(*again, "--resume") == 0
    assert Path("out").read_bytes() == expected


@pytest.mark.parametrize("chunk", [7, 100, 100_000])
def test_everything_before_a_fault_is_kept_whatever_the_chunk(
    here: Path, capsys: pytest.CaptureFixture[str], chunk: int
):
    """A fault inside a chunk costs nothing of what is before it; the repaired input goes on to the same output."""
    samples, rate = soundfile.read("voice.flac")
    soundfile.write("voice.ogg", samples, rate)
    sound = {n: Path(n).read_bytes() for n in ("voice.flac", "voice.ogg", "rows.csv")}
    lines = sound["rows.csv"].split(b"\n")
    lines[300] = b"1,2,x"
    faulty = {n: content[: len(content) // 2] for n, content in sound.items()} | {"rows.csv": b"\n".join(lines)}
    for file in sound:
        model = f"{Path(file).stem}.safetensors"
        again = (model, file, "--format", "csv", "--chunk", str(chunk), "--out", f"{file}.out")
        assert stream(*again, "--overwrite") == 0
        expected = Path(f"{file}.out").read_bytes()
        Path(file).write_bytes(faulty[file])
        capsys.readouterr()
        assert stream(*again, "--overwrite") == 2
        said = re.search(r"(?:damaged|truncated) at 0:(\d+):(\d+\.\d+)|line (\d+)", capsys.readouterr().err)
        kept = Path(f"{file}.out").read_bytes()
        assert said and expected.startswith(kept)
        steps = kept.count(b"\n") - 1  # the first line names the columns
        if file == "rows.csv":
            assert steps == 300 and said[3] == "301"
        else:
            seconds = 60 * int(said[1]) + float(said[2])
            assert (steps - 1) * 0.010 + 0.025 <= seconds < steps * 0.010 + 0.025 + 0.001
        Path(file).write_bytes(sound[file])
        if file != "voice.ogg":  # whose last samples before the cut are not quite those of the whole
            assert stream(*again, "--resume") == 0
            assert Path(f"{file}.out").read_bytes() == expected


def test_another_input_is_not_gone_on_with(here: Path):
    Path("rows.csv").write_text(Path("rows.csv").read_text() + "1,2,x\n")
    with pytest.raises(DataError, match="line 401, column 3: 'x' is not a finite number\n  400 rows were read"):
        list(
            Streaming(
                open_streamed(Path("rows.safetensors"), StreamOptions()),
                Path("rows.csv"),
                Path("out"),
                StreamOptions(50),
            ).run()
        )
    state = Path("out.state").read_bytes()
    lines = Path("rows.csv").read_text().splitlines()
    lines[10] = "1,1,1"
    Path("rows.csv").write_text("\n".join(lines))
    for _ in range(2):
        with pytest.raises(DataError, match="not the one of 'out': its first 400 rows differ"):
            Streaming(
                open_streamed(Path("rows.safetensors"), StreamOptions()),
                Path("rows.csv"),
                Path("out"),
                StreamOptions(50),
                resume=True,
            )
        assert Path("out.state").read_bytes() == state, "and nothing is lost"
        Path("rows.csv").write_text("\n".join(lines[:30]))


# pipes


PIPES: dict[str, Any] = {name: subprocess.PIPE for name in ("stdin", "stdout", "stderr")}


def process(*arguments: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "unrolled", "stream", *arguments], **PIPES)


@pytest.mark.slow
def test_a_pipe_gives_the_same_as_a_file_in_whatever_portions(here: Path):
    expected = whole("text")
    content = TEXT.encode()
    with process("run", "-", "--chunk", "100") as child:
        assert child.stdin
        for at in range(0, len(content), 77):
            child.stdin.write(content[at : at + 77])
            child.stdin.flush()
        out, err = child.communicate(timeout=60)
    assert (child.returncode, said(err)) == (0, "") and out == expected


@pytest.mark.slow
def test_control_c_stops_at_once_and_a_pipe_goes_on(here: Path):
    expected = whole("text")
    content = TEXT.encode()
    with process("run", "-", "--chunk", "100", "--out", "out", "--json") as child:
        assert child.stdin and child.stdout and child.stderr
        child.stdin.write(content[:1250])
        child.stdin.flush()  # and nothing more comes: it waits in the middle of a piece
        for _ in range(600):
            time.sleep(0.05)
            if Path("out").exists() and Path("out").read_bytes().count(b"\n") == 12:
                break
        child.send_signal(signal.SIGINT)
        started = time.monotonic()
        assert child.wait(timeout=30) == 130 and time.monotonic() - started < 5
        assert (json.loads(child.stdout.read())["steps"], said(child.stderr.read())) == (1200, "")
    assert expected.startswith(Path("out").read_bytes())
    with process("run", "-", "--chunk", "100", "--out", "out", "--json", "--resume") as again:
        _, err = again.communicate(content, timeout=60)
    assert (again.returncode, said(err)) == (0, "") and Path("out").read_bytes() == expected


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(here: Path):
    with process("run", "-", "--each", "--chunk", "10") as child:
        assert child.stdin and child.stdout and child.stderr
        child.stdin.write(TEXT.encode()[:500])
        child.stdin.flush()
        assert child.stdout.readline().startswith(b'{"position": 0')
        child.stdout.close()
        child.stdin.write(TEXT.encode()[500:])
        child.stdin.close()
        assert child.wait(timeout=60) == 0 and said(child.stderr.read()) == ""


MEASURED = """
import resource, sys
from unrolled.cli import main
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_pipe(here: Path):
    def peak(blocks: int) -> int:
        block = Path("rows.csv").read_bytes() * 10
        way = ("stream", "rows.safetensors", "-", "--out", "out", "--overwrite", "--json")
        with subprocess.Popen([sys.executable, "-c", MEASURED, *way], **PIPES) as child:
            assert child.stdin and child.stdout and child.stderr
            for _ in range(blocks):
                child.stdin.write(block)
            child.stdin.close()
            assert child.wait() == 0
            assert json.loads(child.stdout.read())["steps"] == 4000 * blocks
            return int(said(child.stderr.read()))

    assert peak(100) - peak(2) < 8_000, "KiB, for fifty times as many rows"


# how it is told


def test_progress_is_told_in_lines_and_for_programs(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("unrolled.cli.progress.EVERY", 0.0)
    assert stream("rows.safetensors", "rows.csv", "--chunk", "100", "--out", "out") == 0
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in told[:-1]] == [["100%", f"{n}", "rows"] for n in (100, 200, 300, 400)]
    assert all("rows/s" in line for line in told[:-1]) and told[-1] == "  400 rows read"
    assert stream("rows.safetensors", "rows.csv", "--out", "other", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"steps": 400, "unit": "rows", "finished": True, "out": "other"}


@pytest.mark.slow
def test_a_terminal_shows_a_bar(here: Path):
    pty = pytest.importorskip("pty")
    leader, follower = pty.openpty()
    command = [sys.executable, "-m", "unrolled", "stream", *("voice.safetensors", "voice.flac", "--chunk", "50")]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
    with subprocess.Popen([*command, "--out", "out"], stdout=follower, stderr=follower, env=environment) as child:
        os.close(follower)
        shown = b""
        while select.select([leader], [], [], 60)[0]:
            try:
                shown += os.read(leader, 4096)
            except OSError:  # the other side is closed
                break
    os.close(leader)
    assert child.returncode == 0
    assert "━".encode() in shown and b"frames/s" in shown and b"3,000 frames read" in shown, shown


# what is wrong


def misuses() -> list[tuple[str, tuple[str, ...]]]:
    rows, voice = "rows.safetensors", "voice.safetensors"
    return [
        ("input is missing", ("run",)),
        ("no such input", ("run", "texxt.txt")),
        ("folder for an input", ("run", ".")),
        ("empty input", ("run", "empty")),
        ("no model", ("rum", "text.txt")),
        ("model of another task", ("other", "text.txt")),
        ("damaged network", ("broken.safetensors", "rows.csv")),
        ("tensors of something else", ("foreign.safetensors", "rows.csv")),
        ("text that is not UTF-8", ("run", "latin.txt")),
        ("text with unseen characters", ("run", "strange.txt")),
        ("rows too short", (rows, "short.csv")),
        ("rows with a word", (rows, "word.csv")),
        ("rows with nan", (rows, "nan.csv")),
        ("text for rows", (rows, "text.txt")),
        ("text for a recording", (voice, "text.txt")),
        ("recording with another rate", (voice, "fast.wav")),
        ("recording with two channels", ("voice.safetensors", "stereo.wav")),
        ("recording that was cut off", ("voice.safetensors", "cut.wav")),
        ("empty recording", ("voice.safetensors", "empty")),
        ("recording from a pipe", (voice, "-")),
        ("no chunk", ("run", "text.txt", "--chunk", "0")),
        ("unknown format", ("run", "text.txt", "--format", "xml")),
        ("each of a network", (rows, "rows.csv", "--each")),
        ("json without out", ("run", "text.txt", "--json")),
        ("resume without out", ("run", "text.txt", "--resume")),
        ("output that is there", ("run", "text.txt", "--out", "empty")),
        ("output onto the input", ("run", "text.txt", "--out", "./text.txt", "--overwrite")),
        ("output in a missing folder", ("run", "text.txt", "--out", "nowhere/out")),
        ("nothing to go on with", ("run", "text.txt", "--out", "out", "--resume")),
        ("damaged state", (rows, "rows.csv", "--out", "hurt", "--resume")),
        ("state of another model", ("run", "text.txt", "--out", "kept", "--resume")),
        (
            "state with other options",
            (rows, "rows.csv", "--out", "kept", "--resume", "--format", "csv", "--chunk", "50"),
        ),
        ("output that was cut", (rows, "rows.csv", "--out", "kept", "--resume", "--chunk", "50")),
    ]


def test_every_misuse_gets_one_clear_message(here: Path, capsys: pytest.CaptureFixture[str], golden):
    (here / "empty").touch()
    shutil.copytree("run", "other")
    config = json.loads((here / "other" / "config.json").read_text())
    (here / "other" / "config.json").write_text(json.dumps({**config, "task": "music"}))
    (here / "broken.safetensors").write_bytes((here / "rows.safetensors").read_bytes()[:-9])
    safetensors.torch.save_file({"W": torch.zeros(3)}, "foreign.safetensors")
    (here / "latin.txt").write_bytes("The lazy dög".encode("latin1"))
    (here / "strange.txt").write_text("The quick €\n")
    (here / "short.csv").write_text("1,2,3\n4,5\n")
    (here / "word.csv").write_text("1,2,3\n4,five,6\n")
    (here / "nan.csv").write_text("1,2,3\nnan,5,6\n")
    soundfile.write("fast.wav", numpy.zeros(1600), 16000)
    soundfile.write("stereo.wav", numpy.zeros((1600, 2)), RATE)
    soundfile.write("cut.wav", numpy.zeros(RATE), RATE)
    (here / "cut.wav").write_bytes((here / "cut.wav").read_bytes()[: RATE + 44])  # half of it
    options, done = StreamOptions(50), []
    running = Streaming(
        open_streamed(Path("rows.safetensors"), StreamOptions()),
        Path("rows.csv"),
        Path("kept"),
        options,
        stop=lambda: len(done) > 1,
    )
    done.extend(running.run())
    (here / "kept").write_bytes((here / "kept").read_bytes()[:100])
    shutil.copy("kept", "hurt")
    (here / "hurt.state").write_bytes((here / "kept.state").read_bytes()[:60])
    told = []
    for name, arguments in misuses():
        before = {path: path.read_bytes() for path in here.rglob("*") if path.is_file()}
        capsys.readouterr()
        assert stream(*arguments) == 2, name
        captured = capsys.readouterr()
        sound = re.search(r"  ([\d,]+) (?:rows|frames) were read", captured.err)  # those before a fault are written
        assert captured.out.count("\n") == (int(sound[1].replace(",", "")) if sound else 0), name
        assert "Traceback" not in captured.err, name
        assert {path: path.read_bytes() for path in here.rglob("*") if path.is_file()} == before, name
        told.append(f"{name}\n$ unrolled stream {' '.join(arguments)}\n{captured.err}\n")
    golden("stream_errors.txt", re.sub(r"but \d+ were", "but N were", "".join(told)))  # as many as digits take


def test_networks_that_cannot_be_streamed_are_refused(tmp_path: Path):
    net = unrolled.Recurrent(cells.elman, x=3, h=5, o=2)
    with pytest.raises(InputError, match=r"must end in .safetensors, got 'net.pt'"):
        save_network(net, "net.pt")
    with pytest.raises(InputError, match="'autonomous' does not read vectors"):
        save_network(unrolled.Recurrent(cells.autonomous, s=3), tmp_path / "net.safetensors")
    soundfile.write(tmp_path / "a.wav", numpy.zeros(800), RATE)
    with pytest.raises(InputError, match="reads 3 numbers per step, but the features have 40"):
        save_network(net, tmp_path / "net.safetensors", LogMel(AudioFile(tmp_path / "a.wav")))
    with pytest.raises(UsageError, match="--chunk must be a whole number from 1, got -2"):
        StreamOptions(-2)
    assert list(tmp_path.iterdir()) == [tmp_path / "a.wav"]


def test_damage_of_any_byte_of_a_network_is_survived(here: Path):
    content = (here / "rows.safetensors").read_bytes()
    for at in range(0, len(content), 41):
        (here / "hurt.safetensors").write_bytes(content[:at] + bytes([content[at] ^ 0x15]) + content[at + 1 :])
        try:
            load_network("hurt.safetensors")
        except DataError as problem:
            assert "'hurt.safetensors' is not a network, or is damaged" in str(problem)
