"""An exported C file computes what the network computes, without a library and without a warning."""

import json
import random
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy
import pytest
import torch

import unrolled
from cells_for_tests import CIRCUITS, SIZES, needs_compiler
from unrolled import EngineError, Recurrent, UsageError, cells
from unrolled.cli import main
from unrolled.engines.c import spelling
from unrolled.engines.c.build import compiler
from unrolled.export.about import About
from unrolled.export.c.file import made
from unrolled.export.c.functions import library, needed
from unrolled.export.c.loss import lost
from unrolled.export.c.numbers import string
from unrolled.export.c.spelling import named
from unrolled.export.c.text import File, header_of, text_of
from unrolled.export.network import network_of
from unrolled.export.options import Options
from unrolled.nn import SequenceModel
from unrolled.run.trained import Trained
from unrolled.testing.strategies import random_circuit

STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
OLD = Path(__file__).parent / "old_runs"


def network(name: str, seed: int = 0) -> Recurrent:
    torch.manual_seed(seed)
    net = Recurrent(CIRCUITS[name], **SIZES[name])
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return net


def file_of(net: Recurrent | SequenceModel, name: str = "model", **options: object) -> File:
    options = {"rows": 7, "longest": 40, **options}
    return made(network_of(net), About(), Options(name=name, **options))


def build(folder: Path, text: str, *flags: str) -> Path:
    """Compile a C text without libraries; a warning fails."""
    command = compiler()
    assert command is not None
    (folder / "test.c").write_text(text)
    program = folder / "test"
    words = [*command, *STRICT, *flags, "test.c", "-o", str(program)]
    result = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr[:4000]
    return program


def prove(folder: Path, files: list[File], *flags: str) -> list[str]:
    """Compile files as one program, and run the proof of each. Returns what they print."""
    for f in files:
        (folder / f"{f.name}.c").write_text(text_of(f))
    parts = [
        f'#define {f.name.upper()}_TEST\n#define main main_{f.name}\n#include "{f.name}.c"\n#undef main' for f in files
    ]
    calls = " | ".join(f"main_{f.name}()" for f in files)
    program = build(folder, "\n".join([*parts, f"int main(void) {{ return {calls}; }}"]), *flags)
    result = subprocess.run([str(program)], capture_output=True, text=True, check=False)
    lines = result.stdout.splitlines()
    assert result.returncode == 0, result.stdout
    assert len(lines) == len(files)
    return lines


@needs_compiler
@pytest.mark.slow
def test_every_cell_computes_what_the_reference_computes(tmp_path: Path) -> None:
    nets = {n: network(n) for n in CIRCUITS}
    files = [
        file_of(net, f"{n}_{how}", static=how == "static") for n, net in nets.items() for how in ("vector", "static")
    ]
    for line in prove(tmp_path, files, "-O0"):
        assert "(limit 2e-06): passed" in line, line


@needs_compiler
def test_random_circuits(tmp_path: Path) -> None:
    drawn = [random_circuit(random.Random(n).choice, matrices=n % 3 == 2, tokens=n % 5 == 4) for n in range(20, 32)]
    torch.manual_seed(0)
    files = [file_of(Recurrent(d.circuit, **d.sizes), f"c{k}", static=bool(k % 2), rows=5) for k, d in enumerate(drawn)]
    prove(tmp_path, files, "-O0")


@needs_compiler
def test_models_of_one_and_two_directions(tmp_path: Path) -> None:
    files = []
    shapes = ({"residual": True, "layers": 2}, {"embedding": 4, "tied": True}, {"answer": "last"}, {"answer": "mean"})
    for k, shape in enumerate(shapes):
        for both in (False, True):
            torch.manual_seed(k)
            outputs = 5 if "embedding" in shape else 3
            net = SequenceModel(cells.gru, inputs=5, outputs=outputs, hidden=6, bidirectional=both, **shape)
            files.append(file_of(net, f"m{k}{'both' if both else 'one'}", static=bool(k % 2)))
    for line in prove(tmp_path, files):
        assert "(limit 2e-06): passed" in line, line


@needs_compiler
def test_narrow_weights_are_those_that_the_proof_uses(tmp_path: Path) -> None:
    net = network("lstm")
    files = [
        file_of(net, f"{kind}{int(s)}", weights=kind, static=s) for kind in ("bf16", "int8") for s in (False, True)
    ]
    prove(tmp_path, files)
    wide, narrow = file_of(net), files[-1]
    assert narrow.parts[0].weight_bytes() < 0.6 * wide.parts[0].weight_bytes()
    apart = (narrow.proof.outputs["h"] - wide.proof.outputs["h"]).abs().max()
    assert 1e-5 < apart < 0.1


def test_a_narrow_network_is_exported_as_it_is() -> None:
    torch.manual_seed(0)
    model = SequenceModel(cells.lstm, inputs=3, outputs=2, hidden=8)
    same = file_of(unrolled.narrow(model, "int8"), weights="int8")
    for found, wanted in zip(
        same.proof.outputs.values(), file_of(model, weights="int8").proof.outputs.values(), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-7)


FUNCTIONS = {
    "tanh": torch.tanh, "sigmoid": torch.sigmoid, "exp": torch.exp, "log": torch.log, "sqrt": torch.sqrt,
    "sin": torch.sin, "cos": torch.cos, "erf": torch.erf, "softplus": torch.nn.functional.softplus,
    "floor": torch.floor, "abs": torch.abs, "sign": torch.sign, "relu": torch.relu,
}  # fmt: skip


@needs_compiler
def test_functions_without_the_c_library(tmp_path: Path) -> None:
    special = [0.0, 1e-45, 1e-38, 1e-7, 0.5, 0.999, 1.0, 1.001, 2.0, 88.0, 104.0, 3e38, float("inf")]
    spread = torch.cat([torch.linspace(-20, 20, 2001), torch.logspace(-30, 30, 400), -torch.logspace(-30, 3, 200)])
    x = torch.cat([torch.tensor(special), -torch.tensor(special), torch.tensor([float("nan")]), spread]).float()
    names = [f"u_{n}" for n in FUNCTIONS]
    calls = "\n".join(f'printf("%.9g\\n", (double){n}(values[j]));' for n in names)
    values = ", ".join(f"(float){v!r}" if v == v and abs(v) < 1e39 else "0.0f" for v in x.tolist())
    fixed = [(j, v) for j, v in enumerate(x.tolist()) if v != v or abs(v) > 1e39]
    specials = "\n".join(f"values[{j}] = {'-' * (v < 0)}INFINITE{' - INFINITE' * (v != v)};" for j, v in fixed)
    text = (
        "#include <stdint.h>\n#include <stdio.h>\n#define T_INFINITY __builtin_inff()\n#define T_INLINE static inline\n"
    )
    text += "\n".join(needed(" ".join(names)))
    text += f"\nstatic float values[{len(x)}] = {{{values}}};\nint main(void) {{\n{specials}\n"
    text += f"for (int j = 0; j < {len(x)}; j++) {{\n{calls}\n}}\nreturn 0; }}\n"
    program = build(tmp_path, named(text, "t"))
    lines = subprocess.run([str(program)], capture_output=True, text=True, check=True).stdout.split()
    found = torch.tensor([float(v) for v in lines], dtype=torch.float64).reshape(len(x), len(FUNCTIONS))
    for k, (name, function) in enumerate(FUNCTIONS.items()):
        exact, here = function(x.double()).float().double(), found[:, k]
        known = (x.abs() < 8192) | ~x.isfinite() if name in ("sin", "cos") else torch.ones_like(x, dtype=torch.bool)
        same = (here == exact) | (here.isnan() & exact.isnan())
        close = (here - exact).abs() <= 3e-7 * exact.abs() + 2e-38
        if name in ("sin", "cos"):
            close |= (here - exact).abs() <= 1e-7 + x.double().abs() * 1e-8
        wrong = known & ~same & ~close
        assert not wrong.any(), (name, [(float(x[j]), float(here[j]), float(exact[j])) for j in wrong.nonzero()[:5, 0]])


@needs_compiler
def test_every_function_of_the_library_is_had() -> None:
    spelled = {f"u_{n}" for n in (*FUNCTIONS, "maximum", "minimum", "sum", "mean", "max", "min", "argmax", "logsumexp")}
    assert spelled <= {*library()}
    assert "#" not in "".join(library().values())


@needs_compiler
def test_runs_of_another_version_are_exported(tmp_path: Path) -> None:
    files = []
    for task in ("text", "labels", "music", "forecast", "voice"):
        run = Trained.load(OLD / task)
        about = About.of(run.kind)
        net = network_of(run.layers, about.tokens)
        files.append(made(net, about, Options(name=task, longest=40, header=True), f"{task}.h"))
        again = made(net, about, Options(name=task, longest=40, header=True), f"{task}.h")
        assert text_of(again) == text_of(files[-1])
        (tmp_path / f"{task}.h").write_text(header_of(files[-1]))
    prove(tmp_path, files, "-O0")


@needs_compiler
def test_a_file_is_proved_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    report = unrolled.export(OLD / "text", tmp_path / "a.c", header=True)
    assert report.files == (tmp_path / "a.c", tmp_path / "a.h")
    assert dict(report.lines)["proof"].endswith("passed")
    assert report.figures["seconds"] > 0
    monkeypatch.setitem(spelling.OPS, "tanh", "u_sigmoid({})")
    with pytest.raises(EngineError, match="FAILED"):
        unrolled.export(OLD / "text", tmp_path / "b.c")
    assert not (tmp_path / "b.c").exists()


def test_scaled_columns_are_read_in_their_own_units() -> None:
    about = About(columns=("a",), mean=(1e5,), deviation=(0.5,), result=("b", 300.0, 2.0))
    net = SequenceModel(cells.gru, inputs=1, outputs=1, hidden=3)
    file = made(network_of(net), about, Options())
    x = file.proof.inputs["x"].double()
    scores, _ = net.double()((x[None] - 1e5) / 0.5)
    torch.testing.assert_close(file.proof.outputs["o"], scores[0] * 2 + 300, rtol=1e-7, atol=0)
    assert "Kelvin" not in text_of(file)


def test_texts_are_escaped() -> None:
    assert string('a"\\\n\0?é') == r'"a\"\\\n\000\?\303\251"'


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "2x"}, "C identifier"),
        ({"name": "float"}, "C identifier"),
        ({"weights": "int4"}, "--weights cannot be 'int4'"),
        ({"start": "warm"}, "--start cannot be 'warm'"),
        ({"rows": 0}, "--rows must be"),
        ({"colour": 1}, "no option 'colour'"),
    ],
)
def test_options_that_do_not_exist_are_refused(options: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        unrolled.export(network("gru"), tmp_path / "a.c", **options)
    assert not [*tmp_path.iterdir()]


def test_what_cannot_be_exported_says_why(tmp_path: Path) -> None:
    memory = Recurrent(cells.bahdanau, x=3, h=4, q=5, M=6)
    with pytest.raises(UsageError, match=r"number of rows of 'M'.*--rows N"):
        unrolled.export(memory, tmp_path / "a.c")
    both = SequenceModel(cells.gru, inputs=2, outputs=2, hidden=3, bidirectional=True)
    with pytest.raises(UsageError, match=r"both directions.*--longest N"):
        unrolled.export(both, tmp_path / "a.c")
    (tmp_path / "a.c").write_text("mine")
    with pytest.raises(UsageError, match=r"exists already.*--overwrite"):
        unrolled.export(network("gru"), tmp_path / "a.c")
    with pytest.raises(UsageError, match=r"must be one of \.c, \.onnx"):
        unrolled.export(network("gru"), tmp_path / "a.rs")
    assert (tmp_path / "a.c").read_text() == "mine"


def test_settled_is_the_state_after_silence() -> None:
    net = network("gru")
    file = file_of(net, start="settled")
    out = net.double()(torch.zeros(1, 2000, 3, dtype=torch.float64))
    assert file.start is not None
    torch.testing.assert_close(file.start["h"], out.state["h"][0], rtol=1e-6, atol=1e-8)
    assert "model_start_h" in text_of(file)
    assert numpy.isfinite(file.proof.limit)


@pytest.mark.parametrize(("cell", "static"), [("gru", False), ("lstm", True)])
def test_the_text_reads_well(cell: str, static: bool, golden) -> None:
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS[cell], **SIZES[cell])
    with torch.no_grad():
        for k, parameter in enumerate(net.parameters()):
            parameter.copy_((torch.arange(parameter.numel()).reshape(parameter.shape) % 7 - 3) / 8 + k / 16)
    file = file_of(net, cell, static=static)
    text = text_of(file).replace(unrolled.__version__, "VERSION")
    golden(f"exported_{cell}.c", text.partition(f"#ifdef {cell.upper()}_TEST")[0] if static else text)


def test_the_loss_of_rounded_weights_is_measured(tmp_path: Path) -> None:
    run = Trained.load(OLD / "text")
    (tmp_path / "text.txt").write_text("".join(run.kind.vocabulary.characters) * 40)
    said = {}
    for path in (tmp_path / "text.txt", tmp_path / "gone.txt"):
        trained = replace(run, path=path)
        before = trained.model.state_dict()
        before = {n: value.clone() for n, value in before.items()}
        net = network_of(run.layers, tokens=True)
        file = made(net, About.of(run.kind), Options(weights="int8"))
        said[path.name] = lost(file, net, trained)
        for n, value in trained.model.state_dict().items():
            assert torch.equal(value, before[n])
    exact = run.evaluate(tmp_path / "text.txt")["bits_per_character"]
    words = said["text.txt"].split()
    assert float(words[1]) == pytest.approx(exact, abs=1e-4)
    assert 0 < abs(float(words[3]) - exact) < 0.1
    assert "is not there" in said["gone.txt"]


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "text.c"
    assert main(["export", str(OLD / "text"), str(file), "--static", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["files"] == [str(file)]
    assert said["multiply_adds"] == 220
    assert main(["export", str(OLD / "text"), str(file)]) == 2
    assert "--overwrite" in capsys.readouterr().err
