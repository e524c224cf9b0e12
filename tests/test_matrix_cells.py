"""The cells with matrices, compared with plain loops in torch: values and all gradients, on every engine."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from cells_for_tests import ENGINES, SIZES
from unrolled import Recurrent, State
from unrolled.cells import ALL


def bahdanau(p, x, state, M):
    h, found = state["h"], []
    for x_t in x.unbind(1):
        a = (torch.tanh(M @ p["K"].T + (h @ p["A"].T)[:, None]) @ p["v"]).softmax(1)
        c = torch.einsum("bm,bmn->bn", a, M)
        z, r, k = (p["b"] + x_t @ p["U"].T + c @ p["C"].T).chunk(3, 1)
        zh, rh = (h @ p["W"].T).chunk(2, 1)
        z, r = torch.sigmoid(z + zh), torch.sigmoid(r + rh)
        h = (1 - z) * h + z * torch.tanh(k + (r * h) @ p["V"].T)
        found.append({"h": h, "a": a})
    return found


def fast_weights(p, x, state):
    h, A, found = state["h"], state["A"], []
    for x_t in x.unbind(1):
        A = 0.95 * A + 0.5 * h[:, :, None] * h[:, None]
        a = h @ p["W"].T + x_t @ p["C"].T
        inner = a + torch.einsum("bij,bj->bi", A, a.relu())
        h = F.layer_norm(inner, inner.shape[1:], p["g"], p["b"]).relu()
        found.append({"h": h, "A": A})
    return found


def mlstm(p, x, state):
    """Without the stabiliser: C and n are those of the equations, multiplied by exp(m)."""
    scale = state["m"].exp()
    C, n, found = state["C"] * scale[:, None, None], state["n"] * scale[:, None], []
    for x_t in x.unbind(1):
        q, k, v = (p[f"b{s.lower()}"] + x_t @ p[s].T for s in "QKV")
        i, f = (x_t @ p["G"].T + torch.cat([p["bi"], p["bf"]])).unbind(1)
        i, f = i.exp(), f.sigmoid()
        C = f[:, None, None] * C + i[:, None, None] * v[:, :, None] * k[:, None]
        n = f[:, None] * n + i[:, None] * k
        read = torch.einsum("bij,bj->bi", C, q) / (n * q).sum(1).abs().clamp(min=1)[:, None]
        found.append({"h": torch.sigmoid(p["bo"] + x_t @ p["O"].T) * read})
    return found


def delta(p, x, state):
    """With the matrix of the paper: S α (I - β k kᵀ) + β v kᵀ."""
    S, found = state["S"], []
    for x_t in x.unbind(1):
        q, k = (x_t @ p[s].T for s in "QK")
        q, k = (a / (a.square().sum(1, keepdim=True) + 1e-6).sqrt() for a in (q, k))
        v = x_t @ p["V"].T
        alpha, beta = torch.sigmoid(x_t @ p["G"].T + torch.cat([p["ba"], p["bb"]])).T[:, :, None, None]
        forget = torch.eye(k.shape[1]).double() - beta * k[:, :, None] * k[:, None]
        S = alpha * S @ forget + beta * v[:, :, None] * k[:, None]
        found.append({"S": S, "h": torch.einsum("bij,bj->bi", S, q)})
    return found


LOOPS = {f.__name__: f for f in (bahdanau, fast_weights, mlstm, delta)}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", LOOPS)
def test_cells_are_plain_loops(name, engine):
    torch.manual_seed(0)
    net = Recurrent(ALL[name], engine=engine, dtype=torch.float64, **SIZES[name])
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    p = dict(net.named_parameters())
    x = torch.randn(3, 9, 3, dtype=torch.float64, requires_grad=True)
    shapes = {n: s.shape for n, s in net.initial_state(3).items()}
    state = {n: (0.3 * torch.randn(shape, dtype=torch.float64)).requires_grad_() for n, shape in shapes.items()}
    fixed = {n: torch.randn(3, 7, 6, dtype=torch.float64, requires_grad=True) for n in net.circuit.recurrence.fixed}
    out, right = net(x, state=State(**state), **fixed), LOOPS[name](p, x, state, **fixed)
    series = {n: torch.stack([step[n] for step in right], 1) for n in right[0]}
    weights = {n: torch.randn_like(v) for n, v in series.items()}
    for n, value in series.items():
        torch.testing.assert_close(out[n], value)
    leaves = [x, *state.values(), *fixed.values(), *p.values()]
    ours, theirs = (sum((found[n] * w).sum() for n, w in weights.items()) for found in (out, series))
    pairs = zip(*(torch.autograd.grad(loss, leaves) for loss in (ours, theirs)), strict=True)
    for mine, expected in pairs:
        torch.testing.assert_close(mine, expected)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_gates_of_mlstm_never_overflow(engine):
    """exp(200) is larger than any float32."""
    torch.manual_seed(0)
    net = Recurrent(ALL["mlstm"], engine=engine, x=3, h=4, k=5)
    torch.nn.init.constant_(net.bi, 200.0)
    out = net(torch.randn(2, 50, 3))
    assert out.h.isfinite().all() and out.h.abs().max() > 1e-3
    out.h.sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters())
