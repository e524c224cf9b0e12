"""Diagnosis, on cases whose answer is known."""

from __future__ import annotations

import math

import pytest
import torch

import unrolled
from cells_for_tests import SIZES
from unrolled import cells, circuit
from unrolled.diagnosis.jacobian import jacobians
from unrolled.diagnosis.lyapunov import exponents
from unrolled.diagnosis.reach import lags_to, looked_from, reach
from unrolled.diagnosis.trajectory import follow


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
    """A network whose W is a random matrix of this spectral radius."""
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

    (path,) = follow(net, loss)
    return path


def of_cell(name: str, batch: int = 3, steps: int = 9) -> tuple[unrolled.Recurrent, dict]:
    torch.manual_seed(0)
    net = unrolled.Recurrent(cells.ALL[name], **SIZES[name], dtype=torch.float64)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.3 * torch.randn_like(p))
    if net.circuit.inputs:
        return net, {"x": noise(batch, steps, 3, dtype=torch.float64)}
    return net, {"steps": steps, "state": unrolled.State(s=noise(batch, 4, dtype=torch.float64))}


# what is measured is what the equations say


@pytest.mark.parametrize("name", cells.ALL)
def test_the_jacobian_is_that_of_the_step(name):
    net, given = of_cell(name)
    path = trajectory(net, **given)
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


@pytest.mark.parametrize("name", ["elman", "lstm", "gru", "jordan"])
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
    """Each step with parameters of its own, by torch's autograd through single steps."""
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
    total, shares = unrolled.memory_capacity(net, farthest=80, steps=8000)
    assert total == pytest.approx(units, rel=0.03)
    assert len(shares) == 81 and max(shares) <= 1
