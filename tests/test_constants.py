"""Constant arrays: parameters of the equations that are given, saved and moved, but never trained."""

from __future__ import annotations

import copy
import io
import json

import numpy as np
import pytest
import torch

import unrolled
from cells_for_tests import ENGINES
from unrolled import CircuitError, Recurrent, Snapshots, State, circuit, tanh
from unrolled.circuits import orthogonal
from unrolled.circuits.circuit import Circuit
from unrolled.graph import stored
from unrolled.nn.model import SequenceModel
from unrolled.nn.stored import load_network, save_network
from unrolled.nn.weight_drop import recurrent_weights, run_dropped
from unrolled.testing import check_gradients

MASK = [[1, 0, 1, 0], [0, 1, 1, 1], [1, 1, 0, 1], [0, 0, 1, 1]]


@circuit(init={"W": orthogonal()}, constant={"M": MASK, "A": np.eye(4) * 0.5})
def sparse(x, h, s, *, U, W, M, A, B):
    """Masked recurrent weights, and a linear memory with a given matrix (both need a product of M and W)."""
    h = tanh((M * W) @ h + U @ x + s)
    s = A @ s + B @ h
    return {"h": h, "s": s}


def network(**options):
    torch.manual_seed(0)
    return Recurrent(sparse, x=3, h=4, s=4, **options)


def test_constants_are_buffers():
    net = network()
    assert sparse.constants == ("M", "A") and sparse.parameters == ("U", "W", "M", "A", "B")
    assert [n for n, _ in net.named_parameters()] == ["U", "W", "B"]
    assert sorted(net.state_dict()) == ["A", "B", "M", "U", "W"]
    assert net.M.tolist() == MASK and torch.equal(net.A, torch.eye(4) * 0.5)
    assert not net.M.requires_grad and net.M.dtype == torch.float32
    assert net.double().M.dtype == torch.float64


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("engine", ENGINES)
def test_values_and_gradients_are_those_of_torch(engine, dtype):
    net = network(engine=engine, dtype=dtype)
    x = torch.randn(2, 7, 3, dtype=dtype, requires_grad=True)
    out = net(x)
    (out.h.sum() + (out.s**2).sum()).backward()
    leaves = {n: p.detach().clone().requires_grad_() for n, p in net.named_parameters()}
    mine = x.detach().clone().requires_grad_()
    h = s = torch.zeros(2, 4, dtype=dtype)
    total = 0
    for t in range(7):
        h = (h @ (net.M * leaves["W"]).T + mine[:, t] @ leaves["U"].T + s).tanh()
        s = s @ net.A.T + h @ leaves["B"].T
        total = total + h.sum() + (s**2).sum()
    total.backward()
    torch.testing.assert_close(x.grad, mine.grad)
    for n, p in net.named_parameters():
        torch.testing.assert_close(p.grad, leaves[n].grad)
    assert net.M.grad is None and net.A.grad is None
    assert not net.W.grad[~net.M.bool()].any()


def test_a_step_does_not_compute_their_gradients(monkeypatch):
    from unrolled.engines import registry

    engine, wanted = registry.ENGINES["reference"], []
    original = type(engine).backward

    def backward(self, call, kept, grads, names):
        wanted.append(names)
        return original(self, call, kept, grads, names)

    monkeypatch.setattr(type(engine), "backward", backward)
    network(engine="reference")(torch.randn(1, 3, 3)).h.sum().backward()
    assert wanted and wanted[0].isdisjoint({"M", "A"}) and wanted[0] >= {"U", "W", "B"}


@pytest.mark.parametrize("engine", ENGINES)
def test_a_gradient_is_there_for_who_asks_for_it(engine):
    net = network(engine=engine)
    net.A.requires_grad_()
    net(torch.randn(1, 3, 3)).s.sum().backward()
    assert net.A.grad is not None and net.A.grad.any()


def test_the_adjoint_is_right_and_leaves_them_out_of_its_equations():
    check_gradients(sparse, 5, x=3, h=4, s=4)
    lines = sparse.adjoint().equations()
    assert "∇W = " in lines and "∇M" not in lines and "∇A" not in lines
    assert "∇M" not in sparse.plan().explain() and "∇W" in sparse.plan().explain()


def test_copies_and_files(tmp_path):
    net = network()
    with torch.no_grad():
        net.A.mul_(3)  # the changed state_dict is saved
    x = torch.randn(2, 5, 3)
    expected = net(x).h
    for again in (copy.deepcopy(net), _through_a_state_dict(net), _through_a_file(net, tmp_path)):
        assert torch.equal(again(x).h, expected)
        assert [n for n, _ in again.named_parameters()] == ["U", "W", "B"] and torch.equal(again.A, net.A)


def _through_a_state_dict(net):
    file = io.BytesIO()
    torch.save(net.state_dict(), file)
    file.seek(0)
    other = network()
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


def _through_a_file(net, folder):
    save_network(net, folder / "net.safetensors")
    return load_network(folder / "net.safetensors")[0]


def test_a_stored_circuit_knows_its_constants():
    again = stored.load(json.loads(json.dumps(stored.dump(sparse.recurrence))))
    assert again.constants == ("M", "A")
    net = Recurrent(Circuit(sparse.function, again), x=3, h=4, s=4)  # values come with the parameters
    assert [n for n, _ in net.named_parameters()] == ["U", "W", "B"]


@pytest.mark.parametrize("engine", ENGINES)
def test_other_ways_to_run(engine):
    net, x = network(engine=engine), torch.randn(2, 6, 3)
    whole = net(x)
    state = net.initial_state(2)
    for t in range(6):
        out = net.step(x[:, t], state)
        state = out.state
        torch.testing.assert_close(out.h, whole.h[:, t])
    torch.testing.assert_close(net.read(x).h, whole.last.h)
    ragged = net(unrolled.Ragged([x[0], x[1, :2]]))
    torch.testing.assert_close(ragged.h[0], whole.h[0])
    whole.h.sum().backward()
    kept = copy.deepcopy(net)
    kept.memory = Snapshots(every=2)
    kept.zero_grad()
    kept(x).h.sum().backward()
    for (n, p), q in zip(net.named_parameters(), kept.parameters(), strict=True):
        torch.testing.assert_close(q.grad, p.grad, msg=n)


def test_backpropagate_and_weight_drop_and_models():
    class Steps:
        length = 6
        values = torch.randn(6, 3)

        def read(self, start, stop):
            return self.values[start:stop]

    net = network()
    unrolled.backpropagate(net, Steps(), lambda out, start, stop: out.h.sum(), memory=Snapshots(every=2))
    found = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    net(Steps.values[None]).h.sum().backward()
    for p, g in zip(net.parameters(), found, strict=True):
        torch.testing.assert_close(p.grad, g)

    assert recurrent_weights(sparse.recurrence) == ["W"], "no constant is dropped, but what is under a mask is"
    dropped = {tuple(run_dropped(net, 0.5, x=torch.ones(1, 2, 3)).h.flatten().tolist()) for _ in range(5)}
    assert len(dropped) > 1 and net.M.tolist() == MASK

    @circuit(constant={"M": MASK})
    def cell(x, h, *, U, W, M):
        return {"h": tanh((M * W) @ h + U @ x)}

    model = SequenceModel(cell, 3, 2, hidden=4, layers=2)
    scores, _ = model(torch.randn(2, 5, 3))
    scores.sum().backward()
    assert sorted(n for n, _ in model.named_buffers() if n.endswith("M")) == ["layers.0.M", "layers.1.M"]
    with pytest.raises(CircuitError, match=r"'M' of circuit 'cell' has shape \(8, 8\) for these sizes.*\(4, 4\)"):
        SequenceModel(cell, 3, 2, hidden=8)


@pytest.mark.parametrize(
    "array",
    [
        torch.tensor(MASK).bool(),
        np.array(MASK),
        tuple(map(tuple, MASK)),
        torch.tensor(MASK).float().to_sparse(),
        torch.tensor(MASK).double().requires_grad_() * 1,
        lambda p: p.copy_(torch.tensor(MASK)),
    ],
    ids=["bool", "numpy", "tuples", "sparse", "with gradient", "function"],
)
def test_arrays_of_every_kind(array):
    @circuit(init={"M": array}, constant="M")
    def cell(x, h, *, M):
        return {"h": tanh(M @ h + x)}

    assert Recurrent(cell, h=4).M.tolist() == MASK


def test_an_array_is_copied():
    array = np.array(MASK, dtype=np.float32)

    @circuit(constant={"M": array})
    def cell(x, h, *, M):
        return {"h": tanh(M @ h + x)}

    array[:] = 7
    net = Recurrent(cell, h=4)
    net.M.mul_(5)
    assert Recurrent(cell, h=4).M.tolist() == MASK


def test_parameters_may_start_as_arrays_too():
    @circuit(init={"b": [0.5, -1.0]})
    def cell(x, h, *, b):
        return {"h": tanh(h + x + b)}

    net = Recurrent(cell, h=2)
    assert isinstance(net.b, torch.nn.Parameter) and net.b.tolist() == [0.5, -1.0]
    with torch.no_grad():
        net.b.zero_()
    net.reset_parameters()
    assert net.b.tolist() == [0.5, -1.0]


def test_an_array_made_on_the_meta_device_is_filled_later():
    net = network(device="meta")
    net.to_empty(device="cpu")
    net.reset_parameters()
    assert net.M.tolist() == MASK


def test_a_circuit_of_constants_alone_runs():
    @circuit(constant={"A": np.eye(2) * 0.5})
    def decay(s, *, A):
        return {"s": A @ s}

    out = Recurrent(decay, s=2)(state=State(s=torch.tensor([[1.0, 2.0]])), steps=2)
    assert out.s.tolist() == [[[0.5, 1.0], [0.25, 0.5]]]


@pytest.mark.parametrize("engine", ENGINES)
def test_a_constant_that_is_changed_is_seen(engine):
    net, x = network(engine=engine), torch.randn(1, 4, 3)
    before = net(x).s
    net.A.mul_(-1)
    other = network(engine=engine)
    other.load_state_dict(net.state_dict())
    assert torch.equal(net(x).s, other(x).s) and not torch.equal(net(x).s, before)
