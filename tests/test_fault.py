"""Numbers that go wrong: found where they were first, nothing learned from them, kept to be read again."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

import pytest
import torch
from torch import nn

import torture
import unrolled
from unrolled import circuit, exp, sigmoid, softmax, sqrt, tanh, where
from unrolled.cells import bahdanau, gru, lstm
from unrolled.cli import main
from unrolled.errors import NumberError
from unrolled.run.checkpoint import checkpoints
from unrolled.sequence.streams import Window
from unrolled.train.fault import Fault, find_fault
from unrolled.train.loop import Loss, Training
from unrolled.train.settings import Settings


class Two(nn.Module):
    """Two layers, the second of which is given."""

    def __init__(self, second) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = (
            unrolled.Recurrent(lstm, x=3, h=4),
            unrolled.Recurrent(second, x=4, h=5),
        )

    def forward(self, x):
        return self.second(self.first(x).h).h


def fault_of(model: nn.Module, x: torch.Tensor, loss=lambda h: h.square().sum()) -> Fault:
    return find_fault(model, lambda: loss(model(x)))


def test_an_input_a_parameter_and_a_loss_are_named():
    model, x = Two(gru), torch.randn(3, 7, 3)
    x[1, 4, 2] = torch.inf
    fault = fault_of(model, x)
    assert (fault.name, fault.value, fault.layer, fault.step, fault.sequence) == ("x", torch.inf, "first", 4, 1)
    with torch.no_grad():
        model.second.W[2, 1] = torch.nan
    assert fault_of(model, torch.randn(3, 7, 3)).name == "parameter second.W"
    assert fault_of(Two(gru), torch.randn(3, 7, 3), lambda h: (h.sum() - h.sum()) / 0).name == "the loss"


def test_the_earliest_step_is_named_whichever_layer_it_is_in():
    model, x = Two(gru), torch.randn(2, 3, 7, 3)
    early, late = x.clone()
    early[1, 2, 0] = late[0, 5, 1] = torch.nan
    fault = find_fault(model, lambda: model.first(late).h.sum() + model.second(model.first(early).h).h.sum())
    assert fault and (fault.name, fault.step, fault.sequence) == ("x", 2, 1)


@circuit
def masking(x, h, *, U, W):
    a = U @ x + W @ h
    scores = where(x > 0, a, -math.inf)
    h = tanh(softmax(scores) + sqrt(h - 1.0))
    return {"h": h, "scores": scores}


def test_a_fault_of_what_an_encoder_reads_is_not_one_of_its_decoder():
    torch.manual_seed(0)
    net = unrolled.nn.EncoderDecoder(lstm, bahdanau, 9, 7, hidden=4)
    source = unrolled.Ragged([torch.randint(9, (5,)), torch.randint(9, (3,))])
    target = unrolled.Ragged([torch.randint(1, 7, (4,)), torch.randint(1, 7, (6,))])
    assert find_fault(net, lambda: net(source, target).values.square().sum()) is None
    handle = net.encoder.layers[0].register_forward_pre_hook(with_nan, with_kwargs=True)
    fault = find_fault(net, lambda: net(source, target).values.square().sum())
    handle.remove()
    assert fault is not None and (fault.name, fault.layer, fault.step, fault.sequence) == (
        "c(t-1)",
        "encoder.layers.0",
        0,
        0,
    )
    poisoned = unrolled.Recurrent(bahdanau, x=3, h=4, q=5, M=6)
    M = torch.randn(2, 7, 6)
    M[1, 2] = torch.nan
    fault = find_fault(poisoned, lambda: poisoned(torch.randn(2, 3, 3), M=M).h.sum())
    assert fault is not None and (fault.name, fault.step, fault.sequence) == ("M", 0, 1)


def test_the_gradient_of_a_network_with_a_memory_is_searched_step_by_step():
    @circuit(fixed=("M",))
    def root(x, h, M):
        return {"h": x + sqrt(h * h) + M.T @ softmax(M @ x)}

    net, memory = unrolled.Recurrent(root, x=1, M=1), unrolled.Ragged([torch.zeros(2, 1), torch.zeros(3, 1)])
    x = torch.tensor([[1.0, 1.0, -2.0, 1.0], [1.0, 1.0, 1.0, 1.0]])[:, :, None].requires_grad_()
    fault = find_fault(net, lambda: net(x, M=memory).h.sum())
    assert fault is not None and (fault.name, fault.step, fault.sequence) == ("∇h", 2, 0)


def with_nan(_, args, kwargs):
    state = unrolled.State(c=torch.tensor([[torch.nan] * 4, [0.0] * 4]))
    return args, {**kwargs, "state": state}


def test_the_infinity_of_a_mask_is_no_fault():
    net, x = unrolled.Recurrent(masking, x=4, h=4), torch.randn(2, 5, 4)
    x[..., 0] = 1
    fault = find_fault(net, lambda: net(x).h.sum())
    assert (fault.name, fault.step) == ("h", 0)
    assert math.isnan(fault.value)


@circuit
def bursting(x, h, *, U, W):
    grown = exp(U @ x + 40 * (W @ h))
    gate = sigmoid(x)
    h = grown * gate
    return {"h": h}


@pytest.mark.parametrize("row", [0, 2])
def test_the_gate_and_the_step_are_those_where_it_began(row: int):
    net = unrolled.Recurrent(bursting, x=2, h=2)
    with torch.no_grad():
        net.U.copy_(torch.eye(2))
        net.W.copy_(torch.eye(2))
    x = torch.full((3, 6, 2), -90.0)
    x[row, 3, 1] = 3.0  # grown(3) = e^3, which at the next step is far too much
    fault = fault_of(net, x, lambda h: h) if False else find_fault(net, lambda: net(x).h.sum())
    assert (fault.name, fault.step, fault.sequence, fault.circuit) == ("grown", 4, row, "bursting")
    assert fault.value == torch.inf
    assert str(fault) == f"grown is inf at time step 4 of sequence {row} in layer '' (bursting)"


@circuit
def steep(x, h, *, W):
    a = 1e30 * (W @ h) + x
    h = tanh(a)
    return {"h": h}


def test_a_gradient_is_named_by_the_step_that_back_propagation_comes_to_first():
    net = unrolled.Recurrent(steep, x=2, h=2, engine="torch")
    with torch.no_grad():
        net.W.copy_(torch.eye(2))
    x = torch.zeros(2, 6, 2)
    x[0] = 1.0
    fault = find_fault(net, lambda: net(x).h.sum())
    assert (fault.name, fault.step, fault.sequence, fault.circuit) == ("∇h", 3, 1, "steep")


def test_faults_of_ragged_batches_are_named_by_sequence_and_step():
    model = Two(gru)
    for spoiled, step, sequence in ((torch.inf, 2, 3), (torch.nan, 0, 1)):
        parts = [torch.randn(n, 3) for n in (2, 1, 0, 5)]
        parts[sequence][step, 1] = spoiled
        fault = find_fault(model, lambda parts=parts: model(unrolled.Ragged(parts)).values.square().sum())
        assert fault and (fault.name, fault.layer, fault.step, fault.sequence) == ("x", "first", step, sequence)


@circuit
def doubling(x, h, *, W):
    h = 1e20 * (W @ h) + x
    return {"h": h}


@pytest.mark.parametrize("layout", ["dense", "ragged"])
def test_where_a_sequence_begins_anew_nothing_comes_from_before(layout: str):
    net = unrolled.Recurrent(doubling, x=1, h=1)
    with torch.no_grad():
        net.W.copy_(torch.eye(1))
    x, reset = torch.zeros(2, 6, 1), torch.zeros(2, 6, dtype=torch.bool)
    x[1, 0], x[1, 3], reset[1, 1] = 1.0, 1.0, True  # 1e20 at step 4, too much at step 5
    read: dict = {"x": x, "reset": reset}
    if layout == "ragged":
        read = {n: unrolled.Ragged([v[0, :2], v[1], v[0, :0]]) for n, v in read.items()}
    fault = find_fault(net, lambda: net(**read).h.sum())
    assert fault and (fault.name, fault.value, fault.step, fault.sequence) == ("h", torch.inf, 5, 1)


def test_a_gradient_of_a_ragged_batch_is_named_by_the_step_that_back_propagation_comes_to_first():
    net = unrolled.Recurrent(steep, x=2, h=2, engine="torch")
    with torch.no_grad():
        net.W.copy_(torch.eye(2))
    parts = [torch.ones(8, 2), torch.zeros(6, 2), torch.zeros(1, 2)]
    fault = find_fault(net, lambda: net(unrolled.Ragged(parts)).h.sum())
    assert fault and (fault.name, fault.step, fault.sequence, fault.circuit) == ("∇h", 3, 1, "steep")
    reset = [torch.zeros(len(part), dtype=torch.bool) for part in parts]
    reset[1][4:] = True
    fault = find_fault(net, lambda: net(unrolled.Ragged(parts), reset=unrolled.Ragged(reset)).h.sum())
    assert fault and (fault.name, fault.step, fault.sequence) == ("∇h", 1, 1), "no gradient goes across a beginning"


class Batches:
    """A lesson whose third batch is spoiled."""

    def __init__(self) -> None:
        torch.manual_seed(1)
        self.model = nn.Sequential(nn.Dropout(0.5), unrolled.Recurrent(gru, x=3, h=4))
        self.reads: list[float] = []

    def batches(self, epoch: int):
        for i in range(5):
            x = torch.randn(2, 6, 3, generator=torch.Generator().manual_seed(i))
            if i == 2:
                x[1, 5, 0] = torch.nan
            yield Window(x, x)

    def loss(self, model, batch: Window, states) -> Loss:
        return Loss(model(batch.x).h.square().sum(), 12)

    def validate(self, model) -> float:
        return 1.0


def test_nothing_is_learned_from_a_batch_that_goes_wrong():
    task = Batches()
    training = Training(task.model, task, Settings(updates=5))
    updates, kept = [], {}
    with pytest.raises(NumberError, match=r"update 3: x is nan at time step 5 of sequence 1 in layer '1' \(gru\)"):
        for progress in training.run():
            updates.append(progress.update)
            kept = {n: v.clone() for n, v in task.model.state_dict().items()}
            moments = [v["exp_avg"].clone() for v in training.optimizer.state_dict()["state"].values()]
            generator = torch.get_rng_state()
    assert updates == [1, 2]
    assert torch.equal(torch.get_rng_state(), generator), "dropout has drawn nothing"
    assert all(torch.equal(v, kept[n]) for n, v in task.model.state_dict().items())
    now = [v["exp_avg"] for v in training.optimizer.state_dict()["state"].values()]
    assert all(torch.equal(a, b) for a, b in zip(moments, now, strict=True))


def test_a_training_that_fails_keeps_the_batch_and_names_the_command(tmp_path: Path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(torture.TEXT)
    Path("cell.py").write_text(
        "from unrolled import circuit, exp\n@circuit\ndef wild(x, h, *, U, W):\n"
        "    grown = exp(3 * (U @ x) + W @ h)\n    return {'h': grown}\n"
    )
    command = [
        "train",
        "text.txt",
        "--cell",
        "cell.py:wild",
        "--updates",
        "50",
        "--rate",
        "0.3",
        "--out",
        "run",
        "--json",
    ]
    assert main(command) == 2
    told = capsys.readouterr().err
    found = re.search(
        r"update (\d+): (\S+) is inf at time step (\d+) of sequence (\d+) in layer 'layers.0' \(wild\)", told
    )
    assert found and found[2] == "h", told
    folder = re.search(r"unrolled replay (\S+)", told)
    assert folder and Path(folder[1]).is_dir()
    assert main(["replay", folder[1]]) == 2
    again = capsys.readouterr().err
    assert found[0] in again
    assert checkpoints(Path("run")), "what was learned before is there"
    assert all(json.loads(line)["update"] < int(found[1]) for line in Path("run/log.jsonl").read_text().splitlines())
    assert main(["replay", "run"]) == 2
