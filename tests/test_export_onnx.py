"""ONNX files: checked against the reference, of every cell, of models, of random circuits; and what is refused."""

from __future__ import annotations

import builtins
import json
import sys
from pathlib import Path
from random import Random

import numpy
import onnx
import onnxruntime
import pytest
import torch

import unrolled.export
from cells_for_tests import CIRCUITS, SIZES
from unrolled import Recurrent, cells
from unrolled.errors import EngineError, UsageError
from unrolled.export.about import About
from unrolled.export.exporting import export
from unrolled.export.network import network_of
from unrolled.export.onnx import check as checking
from unrolled.export.onnx.file import write
from unrolled.export.onnx.operators import OPERATORS
from unrolled.graph.ops import OPS
from unrolled.nn import SequenceModel
from unrolled.testing.strategies import random_circuit

MODELS = {
    "one direction": dict(layers=2, embedding=4, tied=True, residual=True),
    "last": dict(answer="last"),
    "mean": dict(answer="mean", layers=2),
    "both directions": dict(bidirectional=True, layers=2, residual=True),
    "both, last": dict(bidirectional=True, answer="last", embedding=3),
    "both, mean": dict(bidirectional=True, answer="mean"),
}


def test_every_op_has_an_operator():
    assert OPERATORS.keys() == OPS.keys()


@pytest.mark.parametrize("name", CIRCUITS)
def test_every_cell_is_exported(name: str, tmp_path: Path):
    """The export compares sequences, single steps and ten pieces with the reference, for a batch of three."""
    torch.manual_seed(1)
    report = export(Recurrent(CIRCUITS[name], **SIZES[name]), tmp_path / "model.onnx")
    assert [path.name for path in report.files] == ["model.onnx", "model_step.onnx"]
    assert all(path.exists() for path in report.files) and report.figures["error"] < 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_is_exported(name: str, tmp_path: Path):
    torch.manual_seed(1)
    model = SequenceModel(cells.gru, 6, 6, hidden=5, **MODELS[name]).eval()
    report = export(model, tmp_path / "model.onnx")
    assert len(report.files) == (1 if "both" in name else 2)
    session = onnxruntime.InferenceSession(report.files[0])
    tokens = model.embedding is not None
    x = torch.randint(6, (2, 9)) if tokens else torch.randn(2, 9, 6)
    states = {i.name: numpy.zeros((2, *i.shape[1:]), numpy.float32) for i in session.get_inputs() if i.name != "x"}
    found = session.run(["o"], {"x": x.numpy(), **states})[0]
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(found), model(x)[0], atol=1e-6)


def test_random_circuits_are_exported(tmp_path: Path):
    exported = 0
    for number in range(25):
        drawn = random_circuit(Random(number).choice, most_lines=6, matrices=number % 3 == 2, tokens=number % 2 == 1)
        net = Recurrent(drawn.circuit, **drawn.sizes)
        export(net, tmp_path / "model.onnx", overwrite=True)
        exported += 1
    assert exported == 25


def test_the_same_network_gives_the_same_bytes(tmp_path: Path):
    net = Recurrent(cells.lstm, x=3, h=4)
    one, two = (export(net, tmp_path / f"{n}.onnx").files for n in "ab")
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_what_the_numbers_mean_is_in_the_file(tmp_path: Path):
    network = network_of(Recurrent(cells.elman, x=2, h=3, o=2))
    about = About(task="table", reads="two columns", columns=("a", "b"), mean=(5.0, -1.0), deviation=(2.0, 0.5))
    write(network, about, tmp_path / "model.onnx")
    model = onnx.load(tmp_path / "model.onnx")
    assert {p.key: p.value for p in model.metadata_props} == {
        "task": "table", "reads": "two columns", "columns": json.dumps(["a", "b"]),
    }  # fmt: skip
    assert "h(t) = tanh(" in model.doc_string
    assert [i.name for i in model.graph.input] == ["x", "h_in"]
    assert [o.name for o in model.graph.output] == ["o", "h_out"]


def test_a_model_that_computes_something_else_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(OPERATORS, "tanh", OPERATORS["sigmoid"])
    with pytest.raises(EngineError, match="does not compute what the network computes"):
        export(Recurrent(cells.rnn, x=3, h=4), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_states_that_are_not_carried_on_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(checking, "_next", lambda recurrence, results: checking._start(recurrence))
    with pytest.raises(EngineError, match="does not compute"):
        export(Recurrent(cells.rnn, x=3, h=4), tmp_path / "model.onnx")


def test_files_that_exist_are_kept(tmp_path: Path):
    (tmp_path / "model_step.onnx").write_text("mine")
    with pytest.raises(UsageError, match=r"model_step\.onnx' exists already"):
        export(Recurrent(cells.rnn, x=3, h=4), tmp_path / "model.onnx")
    assert (tmp_path / "model_step.onnx").read_text() == "mine"


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    original = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "onnxruntime" or (name == "onnx" and args[-1] == 0):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return original(name, *args, **kwargs)

    for name in [n for n in sys.modules if n.startswith("unrolled.export.onnx")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delattr(unrolled.export, "onnx", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(EngineError, match=r"is not installed\. Install both packages: pip install onnx onnxruntime"):
        export(Recurrent(cells.rnn, x=3, h=4), tmp_path / "model.onnx")
