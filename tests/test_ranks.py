"""Scalars, vectors and matrices are inferred from the use of arguments; scalar states work everywhere."""

from __future__ import annotations

import pickle

import pytest
import torch

import unrolled
from cells_for_tests import ENGINES
from unrolled import CircuitError, InputError, Ragged, Recurrent, State, circuit, sum, tanh
from unrolled.testing.strategies import read

RANKS = ("scalar", "vector", "matrix")

# arguments, new state, rank of each argument that is not an input
CASES = {
    "a reduction is added": ("x, s, *, w", "0.9 * s + sum(w * x)", {"s": "scalar", "w": "vector"}),
    "a scalar parameter": ("x, s, *, w, a", "a * s + sum(w * x)", {"s": "scalar", "w": "vector", "a": "scalar"}),
    "nothing tells": ("s, *, a", "a * s", {"s": "vector", "a": "vector"}),
    "a bias": ("h, *, W, b", "tanh(b + W @ h)", {"h": "vector", "W": "matrix", "b": "vector"}),
    "a vector by a product": ("x, h, *, W", "h + mean(x) + 0 * (W @ h)", {"h": "vector", "W": "matrix"}),
    "a vector by a reduction": ("x, h", "h * mean(h) + mean(x) * h", {"h": "vector"}),
    "a parameter meets a vector by way of a scalar": (
        "x, h, *, g",
        "(g * mean(x)) * x + h",
        {"h": "vector", "g": "vector"},
    ),
    "a gate by a comparison": ("x, s", "where(mean(x) > 0, 1.0, 0.5 * s)", {"s": "scalar"}),
    "what is stacked": (
        "x, h, *, a, b",
        "h * max(x) + stack(a, b)",
        {"h": "vector", "a": "scalar", "b": "scalar"},
    ),
    "of two factors under a product one is a vector": (
        "x, s, *, v, W",
        "0.9 * s + sum(W @ (s * v * x) + x)",
        {"s": "scalar", "v": "vector", "W": "matrix"},
    ),
    "a table": ("y, h, *, E", "tanh(h + take(E, y))", {"h": "vector", "E": "matrix"}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_ranks(name):
    arguments, new, expected = CASES[name]
    state = "s" if "s" in arguments else "h"
    step = read(f"def f({arguments}):\n    return {{'{state}': {new}}}\n").recurrence
    found = {n: RANKS[len(node.type.dims)] for n, node in {**step.states, **step.parameters}.items()}
    assert found == expected


def test_a_long_chain_of_what_is_untold_takes_no_time():
    @circuit
    def long(x, s, *, a):
        for _ in range(2_000):
            s = s + a * s
        return {"s": s + 0 * x}

    assert long.shapes(x=3) == {"a": (3,)}


@circuit
def gain(x, s, h, *, w, W, U):
    """A leaky sum of the input controls the gain."""
    s = 0.9 * s + sum(w * x)
    h = tanh(s * (W @ h) + U @ x)
    return {"s": s, "h": h}


def by_hand(net, x, s, h):
    for t in range(x.shape[1]):
        s = 0.9 * s + (net.w * x[:, t]).sum(1)
        h = torch.tanh(s[:, None] * (h @ net.W.T) + x[:, t] @ net.U.T)
    return s, h


@pytest.mark.parametrize("engine", ENGINES)
def test_a_scalar_state_has_no_size(engine):
    torch.manual_seed(0)
    net = Recurrent(gain, engine=engine, dtype=torch.float64, x=3, h=4)
    torch.nn.init.normal_(net.w)
    x, begin = torch.randn(2, 5, 3, dtype=torch.float64), State(s=torch.randn(2).double(), h=torch.randn(2, 4).double())
    out = net(x, state=begin)
    assert out.s.shape == (2, 5) and out.state.s.shape == out.last.s.shape == (2,)
    s, h = by_hand(net, x, begin.s, begin.h)
    torch.testing.assert_close(out.state.s, s)
    torch.testing.assert_close(out.state.h, h)
    found = torch.autograd.grad(out.state.s.sum() + out.state.h.sum(), list(net.parameters()))
    expected = torch.autograd.grad(s.sum() + h.sum(), list(net.parameters()))
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b)

    step = net.step(x[:, 0], begin)
    assert step.s.shape == step.state.s.shape == net.initial_state(2).s.shape == (2,)
    again = net(x[:, 1:], state=step.state)
    torch.testing.assert_close(again.state.s, s)
    ragged = net(Ragged([x[0], x[1, :0]]), begin)
    torch.testing.assert_close(ragged.state.s, torch.stack([s[0], begin.s[1]]))
    fed = net(x, state=begin, given={"s": out.s.detach()})
    torch.testing.assert_close(fed.h, out.h)
    assert torch.equal(out.state.reset(torch.tensor([True, False])).s, out.state.s * torch.tensor([0, 1]))
    with pytest.raises(InputError, match=r"given\['s'\] takes scalars, \(batch, time\), got \(2, 5, 1\)"):
        net(x, given={"s": out.s[..., None]})
    with pytest.raises(InputError, match=r"state 's' must be \(2,\), got \(2, 1\)"):
        net(x, state=State(s=torch.zeros(2, 1).double()))


def test_a_state_that_could_be_either_is_a_vector_for_who_gives_it_a_size():
    @circuit
    def either(x, h):
        return {"h": tanh(h + unrolled.mean(x))}

    x = torch.randn(2, 5, 3)
    scalar, vector = Recurrent(either, x=3), Recurrent(either, x=3, h=4)
    assert scalar(x).h.shape == (2, 5) and vector(x).h.shape == (2, 5, 4)
    assert torch.equal(vector(x).h[..., 1], scalar(x).h)
    assert Recurrent(either, x=3, h=4).circuit is vector.circuit
    assert torch.equal(pickle.loads(pickle.dumps(vector))(x).h, vector(x).h)
    with pytest.raises(CircuitError, match="state 's' is a vector, but its new value is a scalar"):
        Recurrent(read("def f(x, s, *, w):\n    return {'s': sum(w * x)}\n"), x=3, s=2)


def test_a_scalar_state_in_models_pictures_and_diagnoses():
    torch.manual_seed(0)
    net = Recurrent(gain, x=3, h=4)
    torch.nn.init.normal_(net.w)
    assert "exponents" in str(unrolled.diagnose(net, torch.randn(2, 40, 3)))
    assert unrolled.measure(net, x=torch.randn(6, 3)).values["s"].shape == (6, 1)
    graph = gain.unfold(3).evaluate(
        x=torch.randn(2, 3, 3), s=torch.ones(2), h=torch.zeros(2, 4), **dict(net.named_parameters())
    )
    assert graph["s"].shape == (2, 3)
    assert "<svg" in gain.draw().svg and "s(t)" in gain.plan().explain()
    model = unrolled.nn.SequenceModel(gain, 3, 2, hidden=5, layers=2)
    assert model(torch.randn(2, 7, 3))[0].shape == (2, 7, 2)
