"""Diagnosis of networks whose answer is known."""

from __future__ import annotations

import json
import math
import shutil
import time
from pathlib import Path

import pytest
import torch

import unrolled
from cells_for_tests import SIZES
from unrolled import InputError, argmax, cells, circuit, softmax, take, tanh
from unrolled import rows as rows_of
from unrolled.cli import main
from unrolled.diagnosis.capacity import memory_capacity
from unrolled.diagnosis.jacobian import eigenvalues, jacobians, largest_eigenvalues
from unrolled.diagnosis.lyapunov import exponents
from unrolled.diagnosis.reach import lags_to, looked_from, rate, reach
from unrolled.diagnosis.run import diagnose_run
from unrolled.diagnosis.trajectory import follow
from unrolled.nn.model import SequenceModel
from unrolled.run.trained import Trained
from unrolled.sequence.streams import windows


@circuit
def linear(x, h, *, U, W):
    h = W @ h + U @ x
    return {"h": h}


@circuit
def logistic(s, *, r):
    """May, R. M. (1976). Simple mathematical models with very complicated dynamics. Nature 261."""
    s = r * s * (1 - s)
    return {"s": s}


def noise(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def scaled(cell, radius: float, size: int = 32, **sizes) -> unrolled.Recurrent:
    """A network whose W is a random matrix with a given spectral radius."""
    torch.manual_seed(0)
    net = unrolled.Recurrent(cell, x=3, h=size, **sizes)
    with torch.no_grad():
        W = noise(size, size, seed=2)
        net.W.copy_(radius * W / torch.linalg.eigvals(W).abs().max())
    return net


def trajectory(net, *inputs, **named):
    torch.manual_seed(0)

    def loss():
        out = net(*inputs, **named)
        return sum((out[n] * noise(out[n].shape[-1], dtype=out[n].dtype)).sum() for n in out)

    with torch.enable_grad():
        (path,) = follow(net, loss)
    return path


def of_cell(name: str, batch: int = 3, steps: int = 9) -> tuple[unrolled.Recurrent, dict]:
    torch.manual_seed(0)
    net = unrolled.Recurrent(cells.ALL[name], **SIZES[name], dtype=torch.float64)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn_like(p))
    if net.circuit.inputs:
        memory = {n: noise(batch, 7, 6, seed=3, dtype=torch.float64) for n in net.circuit.recurrence.fixed}
        return net, {"x": noise(batch, steps, 3, dtype=torch.float64), **memory}
    return net, {"steps": steps, "state": unrolled.State(s=noise(batch, 4, dtype=torch.float64))}


# measurements agree with the equations


@pytest.mark.parametrize("name", cells.ALL)
def test_the_jacobian_is_that_of_the_step(name):
    net, given = of_cell(name)
    check_jacobians(trajectory(net, **given))


def check_jacobians(path):
    """Compare with finite differences."""
    rows, steps = torch.tensor([0, 2]), torch.tensor([4, 0])
    before, eps, columns = path.before(rows, steps), 1e-6, []
    for n in path.states:
        for unit in range(before[n].shape[1]):
            moved = []
            for sign in (1, -1):
                state = {m: s.clone() for m, s in before.items()}
                state[n][:, unit] += sign * eps
                out = path.run(rows, steps, 1, state).state
                moved.append(torch.cat([out[m] for m in path.states], 1))
            columns.append((moved[0] - moved[1]).detach() / (2 * eps))
    torch.testing.assert_close(jacobians(path, rows, steps), torch.stack(columns, 2), rtol=1e-5, atol=1e-7)


@circuit
def speaker(x, w, h, *, E, U, W, V):
    """A step that reads its own symbol."""
    h = tanh(W @ h + U @ x + take(E, w))
    return {"h": h, "w": argmax(V @ h)}


def test_no_gradient_flows_through_the_states_that_are_tokens():
    torch.manual_seed(0)
    net = unrolled.Recurrent(speaker, x=3, h=4, w=5, dtype=torch.float64)
    given = {"x": noise(3, 9, 3, dtype=torch.float64), "state": unrolled.State(w=torch.tensor([0, 3, 1]))}

    def loss():
        return net(**given).h.square().sum()

    (path,) = follow(net, loss)
    assert path.states == ("h",) and path.units == 4
    check_jacobians(path)
    again = path.run(torch.tensor([1]), torch.tensor([3]), 4, path.before(torch.tensor([1]), torch.tensor([3])))
    assert torch.equal(again["w"][0, :, 0], net(**given).w[1, 3:7]) and unrolled.diagnose(net, **given).kind
    with pytest.raises(InputError, match="every state of 'echo' is a token"):
        unrolled.diagnose(unrolled.Recurrent(echo, w=5), steps=4)


@circuit
def echo(w, *, E):
    return {"w": argmax(take(E, w))}


def test_memories_of_different_length_are_those_of_each_sequence():
    _, given = of_cell("bahdanau")
    torch.manual_seed(0)
    net, lengths = unrolled.Recurrent(cells.bahdanau, x=3, h=4, q=5, M=6, dtype=torch.float64), (7, 3, 1)
    memories = [M[:k] for M, k in zip(given["M"], lengths, strict=True)]
    path = trajectory(net, given["x"], M=unrolled.Ragged(memories))
    rows, steps = torch.tensor([0, 1, 2]), torch.tensor([4, 5, 3])
    found = jacobians(path, rows, steps)
    for row, step in zip(range(3), steps.tolist(), strict=True):
        alone = trajectory(net, given["x"][row : row + 1], M=memories[row][None])
        (right,) = jacobians(alone, torch.tensor([0]), torch.tensor([step]))
        torch.testing.assert_close(found[row], right)
    (layer,) = unrolled.diagnose(net, given["x"], M=unrolled.Ragged(memories)).layers
    assert [a.units for a in layer.activities] == [5, 4, 4, 4]  # tanh(...), z, r, k


def test_the_rows_of_a_memory_are_samples_of_the_same_units_and_only_real_rows_count():
    @circuit(fixed=("M",))
    def look(x, h, M, *, U):
        return {"h": 0.5 * h + U @ x + M.T @ tanh(M @ h)}

    @circuit(fixed=("M",))
    def gated(x, h, M, *, U, K):
        return {"h": 0.5 * h + U @ x + unrolled.sum(tanh(M @ K.T), axis=0)}

    torch.manual_seed(0)
    by_row = unrolled.diagnose(unrolled.Recurrent(look, x=3, h=4, M=4), noise(2, 9, 3), M=noise(2, 7, 4))
    assert [(a.name, a.units) for a in by_row.layers[0].activities] == [("tanh(...)", 1)]
    net = unrolled.Recurrent(gated, x=3, h=4, M=4)
    with torch.no_grad():
        net.K.copy_(torch.eye(4))
    memory = unrolled.Ragged([torch.tensor([[9.0, 0.0, 9.0, 0.0]]), torch.tensor([[9.0, 0.0, 0.0, 9.0]] * 19)])
    (activity,) = unrolled.diagnose(net, noise(2, 20, 3), M=memory).layers[0].activities
    assert activity.saturated == (0, 3)  # of 20 rows per step, 19 are in the second memory


def test_a_state_with_an_entry_per_row_needs_memories_of_one_length():
    @circuit(fixed=("M",))
    def coverage(x, c, M, *, U, v):
        a = softmax(tanh(M @ U.T + rows_of(x)) @ v - c)
        return {"c": c + a, "o": M.T @ a}

    net, M = unrolled.Recurrent(coverage, x=3, M=4, dtype=torch.float64), noise(3, 6, 4, dtype=torch.float64)
    check_jacobians(trajectory(net, noise(3, 9, 3, dtype=torch.float64), M=M))
    with pytest.raises(InputError, match="'c' of 'coverage' has one entry per row of a memory, and 'M' is Ragged"):
        unrolled.diagnose(net, noise(3, 9, 3, dtype=torch.float64), M=unrolled.Ragged([M[0], M[1, :2], M[2]]))


@pytest.mark.parametrize("name", ["jordan", "elman"])
def test_states_that_are_given_carry_no_gradient_where_they_are_given(name):
    net, inputs = of_cell(name, steps=20)
    state, size = net.circuit.states[0], net.sizes[net.circuit.states[0]]
    targets, there = noise(3, 20, size, dtype=torch.float64), torch.rand(3, 20) < 0.5
    path = trajectory(net, **inputs, given={state: (targets, there)})
    out, rows, steps = net(**inputs, given={state: (targets, there)}), torch.arange(3), torch.tensor([4, 9, 15])
    torch.testing.assert_close(path.run(rows, steps, 5, path.before(rows, steps))[state][1], out[state][1, 9:14])
    after = jacobians(path, rows, steps)
    own, given = ~there[rows, steps], there[rows, steps]
    assert own.any() and given.any() and (after[own] != 0).any() and (after[given] == 0).all()
    always = unrolled.diagnose(net, **inputs, given={state: targets})
    assert always.layers[0].exponents[0] == -math.inf and always.layers[0].reach.jacobian[0] == 0


def test_the_largest_eigenvalues_of_a_large_jacobian():
    net, given = of_cell("lstm")
    path = trajectory(net, **given)
    rows, ends, _ = looked_from(path)
    expected = eigenvalues(path)[0]
    found = largest_eigenvalues(path, rows[:1], ends[:1])
    assert torch.allclose(torch.tensor(found), torch.tensor(expected), atol=1e-8)
    wide = trajectory(scaled(cells.elman, 1.5, size=64, o=2), 0.01 * noise(2, 9, 3))
    few = largest_eigenvalues(wide, torch.tensor([0]), torch.tensor([5]), basis=40)
    assert len(few) == 40 and abs(few[0]) == pytest.approx(abs(eigenvalues(wide)[0][0]), rel=0.02)


def test_a_network_with_random_masks_is_diagnosed_with_their_means():
    torch.manual_seed(0)
    net = unrolled.Recurrent(unrolled.zoneout(cells.lstm, h=0.3, c=0.3), x=3, h=4)
    x = noise(3, 20, 3)
    training = str(unrolled.diagnose(net.train(), x))
    assert net.training and training == str(unrolled.diagnose(net.eval(), x))


def test_a_model_of_pairs_is_diagnosed_layer_by_layer():
    torch.manual_seed(0)
    net = unrolled.nn.EncoderDecoder(cells.rnn, cells.luong, 9, 7, hidden=4, bidirectional=True).double()
    source = unrolled.Ragged([torch.randint(9, (5,)), torch.randint(9, (3,))])
    target = unrolled.Ragged([torch.randint(1, 7, (4,)), torch.randint(1, 7, (6,))])
    found = unrolled.diagnose(net, source, target)
    assert [layer.name for layer in found.layers] == [
        "encoder.layers.0",
        "encoder.backward_layers.0",
        "decoder.layers.0",
    ]
    assert all(max(layer.reach.gradient) > 0 for layer in found.layers)


@pytest.mark.parametrize("name", ["elman", "lstm", "gru", "jordan", "bahdanau"])
def test_gradients_against_lag_are_products_of_jacobians(name):
    net, given = of_cell(name, batch=2, steps=30)
    path = trajectory(net, **given)
    found = reach(path, 20, torch.Generator().manual_seed(0))
    rows, ends, depth = looked_from(path)
    assert found.lags == lags_to(20)
    for k, lag in enumerate(found.lags):
        squares = []
        for row, end in zip(rows[depth >= lag].tolist(), ends[depth >= lag].tolist(), strict=True):
            state = {n: s.requires_grad_() for n, s in path.before(torch.tensor([row]), torch.tensor([end])).items()}
            out = path.run(torch.tensor([row]), torch.tensor([end]), 1, state)
            value = sum((out[n][0, 0] * g[row, end]).sum() for n, g in path.direct.items())
            gradient = torch.cat(torch.autograd.grad(value, list(state.values())), 1)
            for step in range(end - 1, end - lag, -1):
                gradient = gradient @ jacobians(path, torch.tensor([row]), torch.tensor([step]))[0]
            squares.append(float(gradient.square().sum()))
        assert found.gradient[k] == pytest.approx(math.sqrt(sum(squares) / len(squares)), rel=1e-6)


def test_what_lags_contribute_adds_up_to_the_gradient_of_the_parameters():
    """With separate parameters for each step, differentiated by torch's autograd."""
    net, given = of_cell("lstm", batch=8, steps=12)
    path = trajectory(net, **given)
    found = reach(path, 12, torch.Generator().manual_seed(0))
    copies, state = [], net.initial_state(8)
    for step in range(12):
        copies.append({n: p.detach().clone().requires_grad_() for n, p in net.named_parameters()})
        out = torch.func.functional_call(net, copies[-1], (given["x"][:, step : step + 1], state))
        state = out.state
    total = sum((out[n][:, -1] * g[:, -1]).sum() for n, g in path.direct.items())
    gradients = [
        dict(zip(c, torch.autograd.grad(total, list(c.values()), retain_graph=True), strict=True)) for c in copies
    ]
    near = 0
    for k, far in enumerate(found.lags):
        for n, parts in found.parameters.items():
            wanted = sum(gradients[12 - 1 - lag][n] for lag in range(near, far)).norm()
            assert parts[k] == pytest.approx(float(wanted), rel=1e-6, abs=1e-12)
        near = far


# known cases


def test_an_elman_network_of_spectral_radius_half_vanishes_at_the_rate_of_its_jacobian_products():
    net, x = scaled(cells.elman, 0.5, o=2), 0.1 * noise(8, 100, 3)
    report = unrolled.diagnose(net, x)
    (layer,) = report.layers
    path = trajectory(net, x)
    norms, product = [], torch.eye(32)
    for step in range(99, 69, -1):
        product = product @ jacobians(path, torch.tensor([0]), torch.tensor([step]))[0]
        norms.append(float(product.norm()))
    predicted = (norms[29] / norms[9]) ** (1 / 20)
    assert report.kind == "vanish" and layer.reach.steps < 15
    assert layer.reach.rate == pytest.approx(predicted, rel=0.02)
    assert layer.reach.rate == pytest.approx(0.5, rel=0.03), "for small states the slope of tanh is 1"
    assert math.exp(layer.exponents[0]) == pytest.approx(0.5, rel=0.03)
    assert f"vanish within {layer.reach.steps} steps" in report.verdict and "lstm, gru" in report.verdict


def test_an_elman_network_of_spectral_radius_one_and_a_half_explodes():
    net = scaled(cells.elman, 1.5, size=64, o=2)
    report = unrolled.diagnose(net, 0.01 * noise(8, 200, 3))
    assert report.kind == "explode"
    assert report.layers[0].exponents[0] > 0.01
    exact = unrolled.diagnose(scaled(linear, 1.5), noise(4, 40, 3))
    assert exact.kind == "explode" and exact.layers[0].radius == pytest.approx(1.5, rel=1e-4)
    assert exact.layers[0].reach.rate == pytest.approx(1.5, rel=0.02)
    assert "clip the gradient" in exact.verdict


def test_an_lstm_with_forget_bias_three_keeps_what_its_gate_keeps():
    torch.manual_seed(0)
    net = unrolled.Recurrent(cells.lstm, x=3, h=16)
    with torch.no_grad():
        net.W.mul_(0.01)
        net.U.mul_(0.01)
        net.b[16:32] = 3.0
    report = unrolled.diagnose(net, noise(8, 300, 3))
    (layer,) = report.layers
    kept = 1 / (1 + math.exp(-3))
    assert layer.reach.rate == pytest.approx(kept, rel=0.003)
    assert layer.exponents[0] == pytest.approx(math.log(kept), rel=0.03)
    assert abs(layer.reach.steps - (1 + math.log(0.01) / math.log(kept))) <= 3
    assert report.kind == "healthy"


def test_the_irnn_is_healthy_where_it_starts():
    torch.manual_seed(0)
    net = unrolled.Recurrent(cells.irnn, x=3, h=32)
    report = unrolled.diagnose(net, noise(8, 200, 3).abs())
    assert report.kind == "healthy" and not report.layers[0].reach.seen
    assert report.verdict.startswith("Healthy: gradients reach back all 200 steps")


def test_the_lyapunov_exponent_of_the_logistic_map_is_ln_2():
    net = _logistic()
    path = trajectory(net, steps=4000, state=unrolled.State(s=torch.tensor([[0.3], [0.41], [0.123], [0.77]]).double()))
    (found,) = exponents(path, 1, torch.Generator().manual_seed(0), steps=4000)
    assert found == pytest.approx(math.log(2), rel=0.01)


def _logistic():
    net = unrolled.Recurrent(logistic, s=1, dtype=torch.float64)
    with torch.no_grad():
        net.r.fill_(4.0)
    return net


def test_the_lyapunov_exponents_of_a_linear_network_are_those_of_its_eigenvalues():
    net = scaled(linear, 0.9, size=8)
    (layer,) = unrolled.diagnose(net, noise(4, 256, 3), exponents=8).layers
    wanted = torch.linalg.eigvals(net.W).abs().log().sort(descending=True).values.tolist()
    assert layer.exponents == pytest.approx(wanted, rel=0.05, abs=0.02)


@pytest.mark.parametrize("units", [8, 20])
def test_the_memory_capacity_of_a_linear_orthogonal_network_is_its_number_of_units(units):
    net = unrolled.Recurrent(linear, x=1, h=units, dtype=torch.float64, engine="torch")
    with torch.no_grad():
        net.W.copy_(0.9 * torch.linalg.qr(noise(units, units, dtype=torch.float64))[0])
        net.U.copy_(noise(units, 1, seed=3, dtype=torch.float64))
    total, shares = memory_capacity(net, farthest=80, steps=8000)
    assert total == pytest.approx(units, rel=0.03)
    assert len(shares) == 81 and max(shares) <= 1


# verdicts, some with planted faults


def test_dead_relu_units_are_counted():
    torch.manual_seed(0)
    net = unrolled.Recurrent(cells.irnn, x=3, h=20)
    with torch.no_grad():
        net.U.abs_()
        net.b[:8] = -100.0
    report = unrolled.diagnose(net, noise(8, 60, 3).abs())
    (activity,) = report.layers[0].activities
    assert activity.dead == tuple(range(8)) == report.layers[0].unmoved["h"]
    assert report.kind == "dead" and report.verdict.startswith("8 of 20 units are dead")


def test_units_that_are_seldom_alive_are_not_dead():
    net = unrolled.Recurrent(cells.irnn, x=1, h=2)
    with torch.no_grad():
        net.W.zero_()
        net.U.fill_(1.0)
        net.b.copy_(torch.tensor([-2.0, -100.0]))  # one number in fifty is above 2
    (activity,) = unrolled.diagnose(net, noise(8, 60, 1)).layers[0].activities
    assert activity.dead == (1,)


def test_the_rate_is_that_of_long_lags():
    lags = lags_to(100)
    norms = [0.5**lag if lag < 20 else 0.5**20 * 0.99 ** (lag - 20) for lag in lags]
    assert rate(lags, norms) == pytest.approx(0.99, rel=1e-9)


def test_saturated_units_are_counted():
    net = scaled(cells.rnn, 0.9, size=20)
    with torch.no_grad():
        net.b[5:12] = 20.0
    report = unrolled.diagnose(net, 0.1 * noise(8, 60, 3))
    (activity,) = report.layers[0].activities
    assert activity.saturated == tuple(range(5, 12)) and activity.name == "h (tanh)"
    assert any(f.kind == "saturated" and "7 of 20 units of h (tanh)" in f.words for _, f in report.findings)


def test_a_gate_that_closes_makes_the_gradient_vanish_and_one_that_opens_brings_it_back():
    torch.manual_seed(0)
    net, x = unrolled.Recurrent(cells.lstm, x=3, h=16), noise(8, 200, 3)
    with torch.no_grad():
        net.W.mul_(0.5)
        net.b[16:32] = -3.0
    closed = unrolled.diagnose(net, x)
    with torch.no_grad():
        net.b[16:32] = 3.0
    opened = unrolled.diagnose(net, x)
    assert closed.kind == "vanish" and "Open the gates" in closed.verdict
    assert opened.kind == "healthy" and opened.layers[0].reach.steps > 10 * closed.layers[0].reach.steps


@pytest.mark.parametrize("engine", ["reference", "torch"])
def test_values_that_are_no_numbers_are_located(engine):
    net, x = scaled(cells.elman, 0.9, size=5, o=2).use(engine), noise(3, 20, 3)
    x[2, 11, 1] = math.nan
    x[0, 15, 0] = math.inf
    report = unrolled.diagnose(net, x)
    assert report.kind == "nan" and vars(report.layers[0].problem) == {
        "name": "x", "sequence": 2, "step": 11, "unit": 1, "kind": "NaN",
    }  # fmt: skip
    assert "x is NaN at step 11 of sequence 2, unit 1" in report.verdict
    assert json.loads(json.dumps(report.as_dict()))["layers"][0]["problem"]["step"] == 11
    assert "NaN" in report.svg
    with torch.no_grad():
        net.W[1, 0] = -math.inf
    assert "parameter W is -∞" in unrolled.diagnose(net, noise(3, 20, 3)).verdict


def test_a_state_that_overflows_is_located():
    net = scaled(linear, 1e6, size=4)
    report = unrolled.diagnose(net, noise(2, 30, 3))
    first = int((~torch.isfinite(net(noise(2, 30, 3)).h)).flatten(2).any(2).any(0).int().argmax())
    assert report.kind == "nan" and report.layers[0].problem.step == first


def test_a_gradient_that_is_no_number_is_located():
    net, x = scaled(cells.irnn, 1.0, size=4), noise(2, 9, 3).abs()
    report = unrolled.diagnose(net, x, loss=lambda out: (out.h[1, 5:, 2] * 0).sqrt().sum() + out.h.sum())
    assert report.kind == "nan" and str(report.layers[0].problem).startswith("∂L/∂h is NaN at step 5 of sequence 1")


# models, and what a diagnosis must not change


def test_each_layer_of_a_stack_is_diagnosed_and_nothing_is_changed():
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, inputs=7, outputs=5, hidden=[6, 9], dropout=0.3).train()
    x = unrolled.Ragged([noise(n, 7) for n in (40, 3, 0, 25)])
    parameters = {n: p.detach().clone() for n, p in model.named_parameters()}
    generator = torch.get_rng_state()
    report = unrolled.diagnose(model, x, loss=lambda given: given[0].values.square().sum())
    again = unrolled.diagnose(model, x, loss=lambda given: given[0].values.square().sum())
    assert [(layer.name, layer.units) for layer in report.layers] == [("layers.0", 6), ("layers.1", 9)]
    assert report.as_dict() == again.as_dict()
    assert model.training and torch.equal(generator, torch.get_rng_state())
    assert all(p.grad is None and torch.equal(p, parameters[n]) for n, p in model.named_parameters())
    assert report.verdict.startswith("layers.") and "layers.1: gru" in str(report)


def test_frozen_parameters_and_no_grad_change_no_number_but_what_is_learned():
    net, x = scaled(cells.rnn, 0.9, size=6), noise(3, 40, 3)
    usual = unrolled.diagnose(net, x).layers[0].reach
    net.W.requires_grad_(False)
    with torch.no_grad():
        found = unrolled.diagnose(net, x).layers[0].reach
    assert found.gradient == pytest.approx(usual.gradient) and found.jacobian == pytest.approx(usual.jacobian)
    assert set(usual.parameters) - set(found.parameters) == {"W"} and not net.W.requires_grad


def test_the_numbers_fit_a_terminal():
    report = unrolled.diagnose(scaled(cells.elman, 0.9, size=5, o=2), noise(2, 1000, 3))
    assert "memory" in str(report) and max(map(len, report.lines())) <= 80


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_short_sequences_are_diagnosed(steps):
    (layer,) = unrolled.diagnose(scaled(cells.elman, 0.9, size=5, o=2), noise(1, steps, 3)).layers
    assert layer.reach.lags == tuple(range(1, steps + 1)) and len(layer.exponents) == 3
    assert not layer.unmoved["h"] and not layer.activities[0].saturated, "too few steps to say"


def test_both_directions_are_diagnosed():
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, inputs=5, outputs=3, hidden=6, bidirectional=True, answer="mean")
    report = unrolled.diagnose(model, unrolled.Ragged([noise(30, 5), noise(12, 5)]))
    assert [layer.name for layer in report.layers] == ["layers.0", "backward_layers.0"]
    assert all(max(layer.reach.gradient) > 0 for layer in report.layers)


def test_a_reset_cuts_what_is_looked_back():
    net, x = scaled(cells.rnn, 0.95, size=8), noise(1, 40, 3)
    reset = torch.zeros(1, 40, dtype=torch.bool)
    reset[0, 25] = True
    path = trajectory(net, x, reset=reset)
    assert path.stretches == ((0, 0, 25), (0, 25, 40))
    assert not path.before(torch.tensor([0]), torch.tensor([25]))["h"].any()
    assert path.before(torch.tensor([0]), torch.tensor([24]))["h"].any()
    (layer,) = unrolled.diagnose(net, x, reset=reset).layers
    assert layer.reach.lags[-1] == 25 and layer.steps == 25


def test_the_figure_shows_what_the_picture_shows(tmp_path):
    plain, broken = scaled(cells.elman, 0.9, size=8, o=2), scaled(cells.elman, 0.9, size=8, o=2)
    with torch.no_grad():
        broken.b[3] = float("nan")
    for net in (plain, broken):
        report = unrolled.diagnose(net, noise(4, 50, 3))
        (axes,) = report.figure(dark=True).axes
        written = [text.get_text() for text in axes.texts]
        assert report.verdict.split(".")[0] in " ".join(written)
        for title in () if net is broken else ("how far back gradients reach", "what the states remember"):
            assert title in written and title in report.svg
        strokes = [s for s in report.drawing.scene.strokes if s.width == 2 and len(s.line.pieces) > 1]
        assert len(strokes) == (0 if net is broken else 2 + 4 + 1), "a curve for each series"
        for stroke in report.drawing.scene.strokes:
            assert f"stroke-{stroke.colour}" in report.svg
        assert len(axes.patches) == len(report.drawing.scene.strokes)
        for name in ("d.png", "d.pdf"):
            report.save(tmp_path / name)
            assert (tmp_path / name).stat().st_size > 5000


def test_engines_agree():
    reports = [
        unrolled.diagnose(scaled(cells.elman, 0.9, size=8, o=2).use(engine), noise(4, 50, 3)).layers[0]
        for engine in ("reference", "torch", "auto")
    ]
    for other in reports[1:]:
        assert other.reach.jacobian == pytest.approx(reports[0].reach.jacobian, rel=1e-3)
        assert other.exponents == pytest.approx(reports[0].exponents, rel=1e-2, abs=1e-3)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: unrolled.diagnose(torch.nn.Linear(2, 2), noise(1, 2)), "has no recurrent layer"),
        (lambda: unrolled.diagnose(scaled(linear, 1.0), noise(1, 0, 3)), "has read a step"),
        (lambda: unrolled.diagnose(scaled(linear, 1.0), noise(1, 9, 3), loss=lambda out: out.h), "must be one number"),
        (
            lambda: unrolled.diagnose(scaled(linear, 1.0), noise(1, 9, 3), farthest=0),
            "farthest must be an integer of at least 1",
        ),
        (lambda: unrolled.diagnose(scaled(linear, 1.0), noise(1, 9, 4)), r"must be \(batch, time, 3\)"),
        (lambda: unrolled.diagnose(scaled(linear, 1.0), noise(1, 9, 3)).save("x.jpg"), ".png, .pdf, .html or .json"),
        (lambda: memory_capacity(scaled(linear, 1.0), 10, steps=50), "too few for 32 units"),
        (lambda: memory_capacity(_logistic(), 10), "needs a network with one input of vectors"),
    ],
)
def test_wrong_use_is_told(call, words):
    with pytest.raises(unrolled.InputError, match=words):
        call()


@pytest.mark.slow
def test_a_diagnosis_of_a_thousand_steps_costs_at_most_three_times_a_training_step(one_thread):
    """In turns on one thread, the best time of each, so that a busy machine does no harm.

    The gradient does not vanish, so that it is followed over all steps."""
    torch.manual_seed(0)
    net, x = unrolled.Recurrent(cells.gru, x=40, h=128), noise(16, 1000, 40)
    with torch.no_grad():
        net.b[128:256] += 4.0
    optimizer = torch.optim.Adam(net.parameters(), lr=0.0)

    def step() -> None:
        optimizer.zero_grad()
        net(x).h.square().mean().backward()
        optimizer.step()

    times: dict[str, list[float]] = {"step": [], "diagnosis": []}
    for _ in range(4):
        for name, run in (("step", step), ("diagnosis", lambda: unrolled.diagnose(net, x))):
            start = time.process_time()
            run()
            times[name].append(time.process_time() - start)
    assert min(times["diagnosis"]) < 3 * min(times["step"]), times


# on the command line, and during a training


@pytest.fixture(scope="module")
def text(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("diagnosis") / "text.txt"
    path.write_text("The quick brown fox jumps over the lazy dog.\nPack my box with five dozen liquor jugs!\n" * 60)
    return path


SMALL = ("--hidden", "6", "--batch", "4", "--window", "16", "--updates", "6", "--json")


@pytest.fixture(scope="module")
def run(text) -> Path:
    folder = text.parent / "run"
    assert (
        main(["train", str(text), *SMALL, "--layers", "2", "--set", "training.diagnose=3", "--out", str(folder)]) == 0
    )
    return folder


def test_a_run_is_diagnosed_on_what_it_learned_from(run, text, tmp_path, capsys):
    capsys.readouterr()
    assert main(["diagnose", str(run), "--json", "--out", str(tmp_path / "d.html")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [layer["name"] for layer in found["layers"]] == ["layers.0", "layers.1"]
    assert found["layers"][0]["lags"][-1] == 16, "the window"
    assert found["verdict"] in (tmp_path / "d.html").read_text(encoding="utf-8")
    assert main(["diagnose", str(run), str(text), "--steps", "40"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(("layers.0: ", "layers.1: ")) and any("reach  " in line for line in shown)


def test_the_verdict_of_a_run_is_that_of_its_network(run, text):
    """The command measures the same as the library does for the same text."""
    task = Trained.load(run)
    series = task.read(text).validation
    (window, *_) = windows(series, max(1, min(16, (len(series) - 1) // 256)), 256)
    by_hand = unrolled.diagnose(
        task.model, window.x, loss=lambda given: unrolled.losses.nll(given[0], window.y), farthest=16
    )
    assert diagnose_run(run).as_dict() == by_hand.as_dict()


def test_a_training_logs_its_diagnoses_and_is_not_changed_by_them(run, text):
    without = text.parent / "without"
    assert main(["train", str(text), *SMALL, "--layers", "2", "--out", str(without)]) == 0
    log = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    diagnoses = [record for record in log if record["event"] == "diagnosis"]
    assert [record["update"] for record in diagnoses] == [3, 6]
    assert diagnoses[0]["layers"][1]["name"] == "layers.1" and diagnoses[0]["layers"][1]["reach"] >= 1
    models = [Trained.load(folder).model.state_dict() for folder in (run, without)]
    assert all(torch.equal(models[0][n], models[1][n]) for n in models[0])


@pytest.mark.parametrize(
    ("sets", "steps"),
    [
        (["data.target=v"], 407),  # reads the rows before the validation set, too
        (["data.goal=sequences", "data.sequence=s", "data.target=label"], 40),
    ],
)
def test_a_table_is_diagnosed_by_what_the_best_model_was_chosen_with(sets, steps, tmp_path):
    rows = [f"{i // 40},{math.sin(i / 7)},{'ab'[i // 40 % 2]}" for i in range(480)]
    (tmp_path / "t.csv").write_text("\n".join(["s,v,label", *rows]))
    options = [word for text in ("data.inputs=['v']", *sets) for word in ("--set", text)]
    small = ["--hidden", "4", "--updates", "2", "--json", "--out", str(tmp_path / "run")]
    assert main(["train", str(tmp_path / "t.csv"), *options, *small]) == 0
    (layer,) = diagnose_run(tmp_path / "run").layers
    assert layer.steps == steps and layer.reach is not None and layer.reach.farthest == steps


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["music/JSB_Chorales.mat", "free-spoken-digit/recordings", "tinyshakespeare/input.txt"]
)
def test_real_data_are_diagnosed(name, data, tmp_path):
    path = data(name)
    if path.is_dir():
        for file in sorted(path.glob("[01]_*_1.wav")):
            shutil.copy(file, tmp_path)
        path = tmp_path
    small = ["--hidden", "8", "--updates", "2", "--json", "--out", str(tmp_path / "run")]
    assert main(["train", str(path), *small]) == 0
    (layer,) = diagnose_run(tmp_path / "run").layers
    assert layer.reach is not None and math.isfinite(layer.exponents[0])


def test_wrong_use_of_the_command(run, text, tmp_path, capsys, golden):
    (tmp_path / "other.txt").write_text("Zürich ist eine Stadt. " * 20)
    (tmp_path / "t.csv").write_text("a,b\n1,2\n")
    gone, was = tmp_path / "gone", tmp_path / "was.txt"
    was.write_text(text.read_text())
    assert main(["train", str(was), *SMALL, "--out", str(gone)]) == 0
    was.unlink()
    calls = [
        ["diagnose"],
        ["diagnose", str(tmp_path / "nothing")],
        ["diagnose", str(tmp_path / "t.csv")],
        ["diagnose", str(run), str(tmp_path / "other.txt")],
        ["diagnose", str(run), str(tmp_path)],
        ["diagnose", str(gone)],
        ["diagnose", str(run), "--steps", "0"],
        ["diagnose", str(run), "--out", "d.jpg"],
        ["diagnose", str(run), "--out", str(tmp_path / "no" / "d.svg")],
    ]
    told = []
    for call in calls:
        capsys.readouterr()
        assert main(call) == 2
        told.append(capsys.readouterr().err.replace(str(tmp_path), "FOLDER").replace(str(run), "RUN"))
    golden("diagnosis_errors.txt", "\n".join(told))
