"""ONNX files: checked against the reference, of every cell, of models, of random circuits; and what is refused."""

from __future__ import annotations

import builtins
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import numpy
import onnx
import onnxruntime
import pytest
import torch

import unrolled.export
from cells_for_tests import CIRCUITS, SIZES
from unrolled import Recurrent, cells, circuit, sigmoid, split, tanh, zoneout
from unrolled.circuits.circuit import Circuit
from unrolled.errors import EngineError, UsageError
from unrolled.export.about import About
from unrolled.export.exporting import export
from unrolled.export.network import network_of
from unrolled.export.onnx import check as checking
from unrolled.export.onnx import known_cells
from unrolled.export.onnx.file import write
from unrolled.export.onnx.loops import loops
from unrolled.export.onnx.operators import OPERATORS
from unrolled.graph.ops import OPS
from unrolled.nn import SequenceModel
from unrolled.plan.plan import make_plan
from unrolled.testing.strategies import random_circuit

MODELS = {
    "one direction": dict(layers=2, embedding=4, tied=True, residual=True),
    "last": dict(answer="last"),
    "mean": dict(answer="mean", layers=2),
    "both directions": dict(bidirectional=True, layers=2, residual=True),
    "both, last": dict(bidirectional=True, answer="last", embedding=3),
    "both, mean": dict(bidirectional=True, answer="mean"),
}


OWN = {"lstm": "LSTM", "peephole_lstm": "LSTM", "gru": "GRU", "gru_reset_before": "GRU"}
OWN |= dict.fromkeys(["rnn", "irnn", "elman", "lecture"], "RNN")  # the other cells are loops


def loops_of(path: Path) -> list[str]:
    """The operators of a file that run over time."""
    return [node.op_type for node in onnx.load(path).graph.node if node.op_type in {"Scan", *OWN.values()}]


def test_every_op_has_an_operator():
    assert OPERATORS.keys() == OPS.keys()


@pytest.mark.parametrize("name", CIRCUITS)
def test_every_cell_is_exported(name: str, tmp_path: Path):
    """The export compares sequences, single steps and ten pieces with the reference, for a batch of three."""
    torch.manual_seed(1)
    report = export(Recurrent(CIRCUITS[name], **SIZES[name]), tmp_path / "model.onnx")
    assert [path.name for path in report.files] == ["model.onnx", "model_step.onnx"]
    assert report.figures["error"] < 1e-5
    assert loops_of(report.files[0])[:1] == [OWN.get(name, "Scan")] and loops_of(report.files[1]) == []


@pytest.mark.parametrize("name", MODELS)
def test_every_kind_of_model_is_exported(name: str, tmp_path: Path):
    torch.manual_seed(1)
    model = SequenceModel(cells.gru, 6, 6, hidden=5, **MODELS[name]).eval()
    report = export(model, tmp_path / "model.onnx")
    assert len(report.files) == (1 if "both" in name else 2)
    assert loops_of(report.files[0]).count("GRU") == MODELS[name].get("layers", 1) * (3 - len(report.files))
    session = onnxruntime.InferenceSession(report.files[0])
    tokens = model.embedding is not None
    x = torch.randint(6, (2, 9)) if tokens else torch.randn(2, 9, 6)
    states = {i.name: numpy.zeros((2, *i.shape[1:]), numpy.float32) for i in session.get_inputs() if i.name != "x"}
    found = session.run(["o"], {"x": x.numpy(), **states})[0]
    with torch.no_grad():
        assert torch.allclose(torch.from_numpy(found), model(x)[0], atol=1e-6)


@pytest.mark.parametrize("answer", ["every", "last"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_loops_without_an_operator_read_in_both_directions(bidirectional: bool, answer: str, tmp_path: Path):
    model = SequenceModel(cells.delta, 3, 4, hidden=5, layers=2, bidirectional=bidirectional, answer=answer)
    assert loops_of(export(model, tmp_path / "model.onnx").files[0]) == ["Scan"] * (4 if bidirectional else 2)


def test_a_model_may_read_tokens_as_one_hot_vectors(tmp_path: Path):
    network = network_of(SequenceModel(cells.lstm, 6, 6, hidden=3, layers=2), tokens=True)
    assert loops_of(write(network, About(tokens=True), tmp_path / "model.onnx").files[0]) == ["LSTM", "LSTM"]


def test_a_file_has_nothing_that_is_not_used(tmp_path: Path):
    """The operator multiplies its input itself: a product for all steps at once would be wasted."""
    net = Recurrent(cells.gru, x=3, h=4)
    whole, step = (onnx.load(file).graph for file in export(net, tmp_path / "model.onnx").files)
    assert sum(node.op_type == "MatMul" for node in whole.node) == 0
    assert sum(node.op_type == "MatMul" for node in step.node) == 2
    for graph in (whole, step):
        read = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
        assert all(read.intersection(node.output) for node in graph.node)
        assert all(tensor.name in read for tensor in graph.initializer)


def test_a_circuit_that_is_almost_an_lstm_is_a_loop(tmp_path: Path):
    @circuit
    def other(x, h, c, *, U, W, b):  # the order of the gates differs
        i, f, o, g = split(b + W @ h + U @ x, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return {"h": sigmoid(o) * tanh(c), "c": c}

    @circuit
    def watched(x, h, c, *, U, W, b):  # more than h is read
        i, f, g, o = split(b + W @ h + U @ x, 4)
        c = sigmoid(f) * c + sigmoid(i) * tanh(g)
        return {"h": sigmoid(o) * tanh(c), "c": c, "o": f - c}

    for net in (zoneout(cells.lstm, h=0.1), other, watched):
        file = export(Recurrent(net, x=3, h=4), tmp_path / "model.onnx", overwrite=True).files[0]
        assert loops_of(file) == ["Scan"]


def test_a_state_that_does_not_depend_on_itself_needs_no_loop(tmp_path: Path):
    @circuit
    def moving(x, h, *, U):
        return {"h": tanh(U @ x), "o": h}

    @circuit
    def swapped(x, h, g, s, *, U):
        return {"h": g, "g": h, "s": s, "o": tanh(U @ x) + h}

    found = [
        loops_of(export(Recurrent(net, x=3, h=4, **more), tmp_path / "model.onnx", overwrite=True).files[0])
        for net, more in ((moving, {}), (swapped, {"s": 2}))
    ]
    assert found == [[], ["Scan", "Scan"]]


def test_states_that_depend_on_each_other_share_a_loop():
    [step] = network_of(SequenceModel(cells.lstm, 3, 2, hidden=4, layers=2)).layers[0]
    found = loops(step.recurrence, [step.recurrence.returns["o"]])
    assert [states for states, _ in found] == [("h_layer1", "c_layer1"), ("h_layer2", "c_layer2")]


@pytest.mark.parametrize("cell", [cells.mlstm, cells.delta])
def test_no_series_of_matrices_is_stored(cell: Circuit):
    step = make_plan(network_of(SequenceModel(cell, 3, 2, hidden=4, layers=2)).layers[0][0].recurrence).step
    for _, loop in loops(step, [step.returns["o"]]):
        assert all(len(node.type.dims) < 2 for node in (*loop.moving, *loop.keep))


@pytest.mark.slow
def test_random_circuits_are_exported(tmp_path: Path):
    for number in range(int(os.environ.get("UNROLLED_ONNX_CIRCUITS", 25))):  # more: make test-onnx
        drawn = random_circuit(Random(number).choice, most_lines=6, matrices=number % 3 == 2, tokens=number % 2 == 1)
        net = Recurrent(drawn.circuit, **(drawn.left_open if number % 4 < 2 else drawn.sizes))
        export(net, tmp_path / "model.onnx", overwrite=True)


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
        export(Recurrent(cells.jordan, x=3, h=4, o=2), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["_lstm", "_gru", "_gru_reset_before", "_rnn"])
def test_a_wrong_order_of_weights_is_noticed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stored = getattr(known_cells, name)
    wrong = [
        replace(known, stored=lambda p: {**stored(p), "R": stored(p)["R"][::-1]})
        for known in known_cells.OPERATORS
        if known.stored is stored
    ]
    monkeypatch.setattr(known_cells, "OPERATORS", wrong)
    with pytest.raises(EngineError, match="does not compute what the network computes"):
        export(Recurrent(getattr(cells, name[1:]), x=3, h=4), tmp_path / "model.onnx")


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
