"""Regularised circuits: zoneout, variational dropout and noise, compared with loops in torch with the same masks."""

from __future__ import annotations

import pickle

import pytest
import torch

import unrolled
from cells_for_tests import ENGINES
from unrolled import (
    CircuitError,
    Ragged,
    Recurrent,
    Snapshots,
    State,
    cells,
    circuit,
    concat,
    noise,
    tanh,
    variational,
    zoneout,
)
from unrolled.circuits import Circuit
from unrolled.errors import DataError, UsageError
from unrolled.graph import stored
from unrolled.nn import SequenceModel
from unrolled.nn.drawn import with_drawn
from unrolled.nn.weight_drop import recurrent_weights

ALL = zoneout(noise(variational(cells.lstm, x=0.2, h=0.3), x=0.1, c=0.2), h=0.1, c=0.5)


def network(made=ALL, **options):
    torch.manual_seed(0)
    return Recurrent(made, x=3, h=4, dtype=torch.float64, **options)


def by_hand(p, x, h, c, z_x, z_h, epsilon_x, epsilon_c, d_h, d_c):
    found = []
    for t in range(x.shape[1]):
        read = (x[:, t] + epsilon_x[:, t]) * z_x
        i, f, g, o = (p["b"] + (h * z_h) @ p["W"].T + read @ p["U"].T).chunk(4, 1)
        cell = torch.sigmoid(f) * c + torch.sigmoid(i) * g.tanh()
        new = torch.sigmoid(o) * cell.tanh()
        h = d_h[:, t] * h + (1 - d_h[:, t]) * new
        c = d_c[:, t] * c + (1 - d_c[:, t]) * (cell + epsilon_c[:, t])
        found.append(h)
    return torch.stack(found, 1)


def data(batch=3, steps=6):
    torch.manual_seed(1)
    x = torch.randn(batch, steps, 3, dtype=torch.float64, requires_grad=True)
    return x, [torch.randn(batch, 4, dtype=torch.float64, requires_grad=True) for _ in "hc"]


@pytest.mark.parametrize("memory", [None, Snapshots(every=2)])
@pytest.mark.parametrize("engine", ENGINES)
def test_values_and_gradients_are_those_of_a_loop_with_the_same_masks(engine, memory):
    net, (x, (h, c)) = network(engine=engine, memory=memory), data()
    torch.manual_seed(2)
    out = net(x, state=State(h=h, c=c))
    torch.manual_seed(2)
    masks = with_drawn(net, 2, (x,), {}, None)
    assert list(masks) == ["z_x", "z_h", "epsilon_x", "epsilon_c", "d_h", "d_c"]
    p = dict(net.named_parameters())
    right = by_hand(p, x, h, c, **masks)
    torch.testing.assert_close(out.h, right)
    weights, leaves = torch.randn_like(right), [x, h, c, *p.values()]
    mine, theirs = (torch.autograd.grad((found * weights).sum(), leaves) for found in (out.h, right))
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("engine", ENGINES)
def test_in_evaluation_masks_are_replaced_with_their_means(engine):
    net, (x, (h, c)) = network(engine=engine).eval(), data()
    means = dict(z_x=1.0, z_h=1.0, epsilon_x=0.0, epsilon_c=0.0, d_h=0.1, d_c=0.5)
    full = {n: torch.full((3, 6, 1), value).double() if n[0] in "ed" else value for n, value in means.items()}
    before = torch.random.get_rng_state()
    out = net(x, state=State(h=h, c=c))
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.testing.assert_close(out.h, by_hand(dict(net.named_parameters()), x, h, c, **full))


@pytest.mark.parametrize("made", [variational(cells.gru, x=0.5, h=0.5), noise(cells.gru, x=1.0, h=1.0)])
def test_in_evaluation_nothing_is_dropped_or_added(made):
    net, (x, _) = network(made).eval(), data()
    plain = network(cells.gru)
    assert torch.equal(net(x).h, plain(x).h) and not torch.equal(net.train()(x).h, plain(x).h)
    tokens = torch.tensor([[0, 2, 1]])
    assert torch.equal(net.eval()(tokens).h, plain(tokens).h)


def test_masks_are_drawn_with_their_shares():
    net = network(zoneout(variational(noise(cells.rnn, h=0.05), x=0.2, h=0.3), h=0.1))
    net.double()
    x = torch.zeros(400, 50, 3, dtype=torch.float64)
    found = with_drawn(net, 2, (x,), {}, None)
    assert [tuple(v.shape) for v in found.values()] == [(400, 50, 4), (400, 3), (400, 4), (400, 50, 4)]
    assert found["epsilon_h"].std().item() == pytest.approx(0.05, rel=0.02)
    assert abs(found["epsilon_h"].mean().item()) < 0.001
    for n, share in (("z_x", 0.2), ("z_h", 0.3)):
        assert set(found[n].unique().tolist()) == {0.0, 1 / (1 - share)}
        assert (found[n] == 0).double().mean().item() == pytest.approx(share, abs=0.05)
    assert set(found["d_h"].unique().tolist()) == {0.0, 1.0}
    assert found["d_h"].mean().item() == pytest.approx(0.1, abs=0.005)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_way_to_call_sees_the_masks_that_it_is_given(engine):
    net, (x, (h, c)) = network(engine=engine), data()
    masks, begin = with_drawn(net, 2, (x,), {}, None), State(h=h, c=c)
    whole = net(x, state=begin, **masks)
    first = net(x[:, :2], state=begin, **{n: m[:, :2] if m.ndim == 3 else m for n, m in masks.items()})
    later = net(x[:, 2:], state=first.state, **{n: m[:, 2:] if m.ndim == 3 else m for n, m in masks.items()})
    assert torch.equal(torch.cat([first.h, later.h], 1), whole.h)
    step = net.step(x[:, 0], state=begin, **{n: m[:, 0] if m.ndim == 3 else m for n, m in masks.items()})
    torch.testing.assert_close(step.h, whole.h[:, 0])
    torch.testing.assert_close(net.read(x, state=begin, **masks).h, whole.h[:, -1])
    forced = net(x, state=begin, given={"h": whole.h.detach()}, **masks)
    torch.testing.assert_close(forced.h, whole.h)
    torch.manual_seed(5)
    read = net.read(x, state=begin)
    torch.manual_seed(5)
    torch.testing.assert_close(read.h, net(x, state=begin).h[:, -1])
    lengths = (6, 0, 3)
    torch.manual_seed(6)
    ragged = net(Ragged([x[i, :k] for i, k in enumerate(lengths)]), state=begin)
    torch.manual_seed(6)
    drawn = with_drawn(net, 2, (Ragged([x[i, :k] for i, k in enumerate(lengths)]),), {}, begin)
    for i, k in enumerate(lengths):
        own = {n: m[i][None] for n, m in drawn.items()}
        alone = net(x[i : i + 1, :k], state=State(h=h[i : i + 1], c=c[i : i + 1]), **own)
        torch.testing.assert_close(alone.h[0], ragged.h[i])
    assert net.step(x[:, 0]).h.shape == (3, 4)


def test_a_circuit_without_inputs():
    net = Recurrent(zoneout(cells.autonomous, s=0.5), s=4)
    assert net(steps=5).s.shape == (1, 5, 4) and net.eval()(steps=5).s.shape == (1, 5, 4)
    assert net.train()(steps=5, state=State(s=torch.randn(2, 4))).s.shape == (2, 5, 4)


@pytest.mark.parametrize("engine", ENGINES)
def test_tokens_are_dropped_like_the_vectors_they_stand_for(engine):
    net = network(variational(cells.gru, x=0.5, h=0.3), engine=engine)
    tokens = torch.tensor([[0, 2, 1, 0], [1, 1, 2, 0]])
    masks = with_drawn(net, 2, (tokens,), {}, None)
    p, found = list(net.parameters()), []
    for x in (tokens, torch.nn.functional.one_hot(tokens, 3).double()):
        h = net(x, **masks).h
        found.append([h, *torch.autograd.grad(h.sin().sum(), p)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b)


def test_outputs_read_the_state_after_zoneout_and_states_the_one_before():
    made = zoneout(cells.elman, h=0.1)
    assert made.equations().splitlines() == [
        "d_h(t) ~ Bernoulli(0.1)",
        "a(t) = b + W h(t-1) + U x(t)",
        "h_new(t) = tanh(a(t))",
        "h(t) = d_h(t) ⊙ h(t-1) + (1 - d_h(t)) ⊙ h_new(t)",
        "o(t) = c + V h(t)",
    ]
    assert r"\boldsymbol{d}_{h}^{(t)} &\sim \operatorname{Bernoulli}(0.1)" in made.equations("latex")
    assert "h_new(t) = o(t) ⊙ tanh(c_new(t))" in zoneout(cells.lstm, h=0.1, c=0.5).equations()
    assert "r(t) ⊙ (h(t-1) ⊙ z_h)" in variational(cells.gru_reset_before, h=0.3).equations()
    assert "In training it draws d_h (zoneout 0.1)" in Recurrent(made, x=2, h=3, o=2).explain()


def test_a_state_that_is_part_of_a_vector_is_masked_and_its_matrix_dropped():
    @circuit
    def joined(x, h, *, W):
        return {"h": tanh(W @ concat(h, x))}

    assert variational(joined, h=0.5).equations().endswith("tanh(W [h(t-1) ⊙ z_h; x(t)])")
    assert recurrent_weights(joined.recurrence) == ["W"]
    assert recurrent_weights(cells.delta.recurrence) == []  # its matrices multiply the input
    S = zoneout(cells.delta, S=0.5)
    assert Recurrent(S, x=3, h=4, k=5)(torch.randn(2, 6, 3)).S.shape == (2, 6, 4, 5)


def test_circuits_are_stored_and_pickled():
    text = stored.as_text(ALL.recurrence)
    again = stored.from_text(text)
    assert stored.as_text(again) == text and again.drawn == ALL.recurrence.drawn
    assert pickle.loads(pickle.dumps(ALL)).equations() == ALL.equations()
    assert isinstance(ALL, Circuit) and ALL.init.keys() == cells.lstm.init.keys()
    for wrong in ('"share": 0.0', '"share": 1.5', '"share": "nan"'):
        with pytest.raises(DataError, match="share"):
            stored.from_text(text.replace('"share": 0.5', wrong))
    with pytest.raises(DataError, match="drawn as zoneout or dropout or noise"):
        stored.from_text(text.replace('"drawn": "zoneout"', '"drawn": "lots"'))


def test_torch_func_and_pickled_networks():
    net, (x, _) = network(zoneout(cells.lstm, h=0.1, c=0.5)), data()
    torch.manual_seed(3)
    right = net(x).h
    torch.manual_seed(3)
    assert torch.equal(torch.func.functional_call(net, dict(net.named_parameters()), (x,)).h, right)
    again = pickle.loads(pickle.dumps(net))
    torch.manual_seed(3)
    assert torch.equal(again(x).h, right)


def test_backpropagate_reads_the_same_masks_again(monkeypatch):
    seen = {}

    def noted(net, leading, inputs, named, state, **options):
        found = with_drawn(net, leading, inputs, named, state, **options)
        start = int(inputs[0][0, 0, 0])
        assert start not in seen or all(torch.equal(v, found[n]) for n, v in seen[start].items())
        seen[start] = found
        return found

    monkeypatch.setattr("unrolled.nn.backpropagate.with_drawn", noted)
    x = torch.cat([torch.arange(20.0)[:, None], torch.randn(20, 2)], 1).double()

    class Source:
        length = 20

        def read(self, start, stop):
            return x[start:stop]

    net = network()
    total = unrolled.backpropagate(net, Source(), lambda out, *_: out.h.square().sum(), Snapshots(every=6))
    mine = [p.grad.clone() for p in net.parameters()]
    parts = [seen[k] for k in sorted(seen)]
    assert len(parts) == 4
    masks = {n: v if v.ndim == 2 else torch.cat([m[n] for m in parts], 1) for n, v in parts[0].items()}
    loss = net(x[None], **masks).h.square().sum()
    assert total == pytest.approx(loss.item())
    for a, b in zip(mine, torch.autograd.grad(loss, list(net.parameters())), strict=True):
        torch.testing.assert_close(a, b)


def test_models_by_shares():
    model = SequenceModel(cells.lstm, 3, 2, 8, layers=2, zoneout=[0.1, 0.5], variational=0.2)
    assert list(model.first.circuit.recurrence.drawn) == ["z_x", "z_h", "d_h", "d_c"]
    x = torch.randn(2, 5, 3)
    assert not torch.equal(model(x)[0], model(x)[0])
    model.eval()
    assert torch.equal(model(x)[0], model(x)[0]) and model.circuit is cells.lstm
    assert list(SequenceModel(cells.mlstm, 3, 2, 8, zoneout=0.1).first.circuit.recurrence.drawn) == ["d_C", "d_n"]
    for wrong, message in (
        ({"zoneout": [0.1]}, "needs a number for each of h, c"),
        ({"zoneout": 1.0}, "zoneout must be at least 0 and less than 1"),
        ({"variational": 1.0}, "variational must be at least 0 and less than 1"),
    ):
        with pytest.raises(UsageError, match=message):
            SequenceModel(cells.lstm, 3, 2, 8, **wrong)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: zoneout(cells.lstm, x=0.1), "zoneout cannot act on 'x' of circuit 'lstm'. Choose from: h, c"),
        (lambda: zoneout(cells.lstm, h=1.0), "zoneout of 'h' must be a number above 0 and below 1, got 1.0"),
        (lambda: zoneout(cells.lstm, h=True), "got True"),
        (lambda: zoneout(cells.lstm), "needs at least one value to act on, such as zoneout\\(circuit, h=0.1\\)"),
        (lambda: zoneout(cells.mlstm, m=0.1), "acts on a vector or a matrix, but 'm' of circuit 'mlstm' is a scalar"),
        (lambda: zoneout(zoneout(cells.lstm, h=0.1), h=0.1), "adds an input 'd_h', but circuit 'lstm' has that name"),
        (lambda: variational(cells.indrnn, h=0.1), "never multiplies 'h' by one"),
        (lambda: variational(cells.delta, S=0.1), "acts on a vector, but 'S' of circuit 'delta' is a matrix"),
        (lambda: noise(cells.lstm, h=-1), "noise of 'h' must be a number above 0, got -1"),
        (lambda: noise(cells.bahdanau, M=0.1), "noise cannot act on 'M'"),
        (lambda: zoneout(network(), h=0.1), "takes a circuit .*, got a Recurrent"),
    ],
)
def test_wrong_use_is_named(wrong, message):
    with pytest.raises(CircuitError, match=message):
        wrong()
