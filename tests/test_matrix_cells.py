"""The cells with matrices, attention or gated linear recurrences, compared with plain loops in torch: values and all
gradients, on every engine."""

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


def luong(p, x, state, M):
    h, c, read, found = state["h"], state["c"], state["htilde"], []
    for x_t in x.unbind(1):
        i, f, g, o = (p["b"] + x_t @ p["U"].T + read @ p["F"].T + h @ p["W"].T).chunk(4, 1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * g.tanh()
        h = torch.sigmoid(o) * c.tanh()
        a = torch.einsum("bm,bkm->bk", h @ p["A"].T, M).softmax(1)
        read = torch.tanh(torch.einsum("bk,bkm->bm", a, M) @ p["C"].T + h @ p["D"].T)
        found.append({"h": h, "htilde": read, "a": a})
    return found


def slstm(p, x, state):
    """Without the stabiliser: c and n are those of the equations, multiplied by exp(m)."""
    scale = state["m"].exp()
    h, c, n, found = state["h"], state["c"] * scale, state["n"] * scale, []
    for x_t in x.unbind(1):
        z, i, f, o = (p["b"] + x_t @ p["U"].T + h @ p["W"].T).chunk(4, 1)
        c = f.sigmoid() * c + i.exp() * z.tanh()
        n = f.sigmoid() * n + i.exp()
        h = o.sigmoid() * c / n
        found.append({"h": h})
    return found


def mingru(p, x, state):
    z, k = (p["b"] + x @ p["U"].T).chunk(2, 2)
    h, found = state["h"], []
    for z_t, k_t in zip(z.sigmoid().unbind(1), k.unbind(1), strict=True):
        h = h + z_t * (k_t - h)
        found.append({"h": h})
    return found


def rg_lru(p, x, state):
    """With the power of the paper: a = sigmoid(λ)^(8 r)."""
    v, h, found = x @ p["V"].T, state["h"], []
    r, i = (torch.sigmoid(p[b] + v @ p[w].T) for b, w in (("ba", "A"), ("bb", "B")))
    a = p["lam"].sigmoid() ** (8 * r)
    for t in range(x.shape[1]):
        h = a[:, t] * h + (1 - a[:, t].square()).sqrt() * i[:, t] * v[:, t]
        found.append({"h": h})
    return found


def neural_stack(p, x, state):
    h, S, found = state["h"], state["S"], []
    for x_t in x.unbind(1):
        h = torch.sigmoid(p["b"] + x_t @ p["U"].T + h @ p["W"].T + S[:, 0] @ p["R"].T)
        a = (h @ p["A"].T + torch.cat([p[f"b{k}"] for k in (1, 2, 3)])).softmax(1)
        push, pop, keep = a.T[:, :, None, None]
        pushed = torch.cat([torch.sigmoid(h @ p["D"].T)[:, None], S[:, :-1]], 1)
        popped = torch.cat([S[:, 1:], torch.zeros_like(S[:, :1])], 1)
        S = push * pushed + pop * popped + keep * S
        found.append({"h": h, "S": S})
    return found


LOOPS = {f.__name__: f for f in (bahdanau, fast_weights, mlstm, delta, luong, slstm, mingru, rg_lru, neural_stack)}


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
    if name == "slstm":  # the divisor is positive in all states that the equations reach from zero
        state["n"] = state["n"].detach().abs().requires_grad_()
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
