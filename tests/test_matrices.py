"""Values of rank 2 in a step: states, inputs and outputs that are matrices, on every engine in every kind of call."""

from __future__ import annotations

import pickle
from random import Random

import pytest
import torch
import torch.nn.functional as F

import unrolled
from cells_for_tests import ENGINES
from unrolled import (
    InputError,
    Ragged,
    Recurrent,
    State,
    circuit,
    columns,
    normalised,
    outer,
    rows,
    sigmoid,
    softmax,
    sum,
    tanh,
)  # fmt: skip
from unrolled.engines.registry import choose
from unrolled.errors import EngineError
from unrolled.graph import stored
from unrolled.graph.equations import equations
from unrolled.testing import calls
from unrolled.testing.strategies import random_circuit


@circuit
def gated(x, X, S, *, K, V, Q, F, A):
    """A matrix memory with a gate for each row, and a matrix input."""
    k, v, q, f = K @ x, V @ x, Q @ x, sigmoid(F @ x)
    S = columns(f) * S + outer(v, k) + 0.1 * tanh(A * X)
    h = S @ q
    return {"S": S, "h": h, "a": softmax(S, axis=0).T @ h, "P": S + rows(sum(X, axis=0) * q)}


SIZES = {"x": 3, "h": 4, "X": (4, 5)}


def by_hand(net, x, X, S):
    p, found = dict(net.named_parameters()), []
    for t in range(x.shape[1]):
        k, v, q, f = (x[:, t] @ p[n].T for n in "KVQF")
        S = f.sigmoid()[:, :, None] * S + v[:, :, None] * k[:, None] + 0.1 * torch.tanh(X[:, t] * p["A"])
        h = (S @ q[:, :, None])[:, :, 0]
        a = (torch.softmax(S, 1).mT @ h[:, :, None])[:, :, 0]
        found.append((S, h, a, S + (X[:, t].sum(1) * q)[:, None]))
    return dict(zip("ShaP", (torch.stack(v, 1) for v in zip(*found, strict=True)), strict=True))


def network(engine, dtype=torch.float64, **options):
    torch.manual_seed(0)
    try:
        return Recurrent(gated, engine=engine, dtype=dtype, **SIZES, **options)
    except EngineError as problem:
        pytest.skip(str(problem))


def data(batch=2, steps=5, dtype=torch.float64):
    torch.manual_seed(1)
    shapes = (batch, steps, 3), (batch, steps, 4, 5), (batch, 4, 5)
    return [torch.randn(*s, dtype=dtype, requires_grad=True) for s in shapes]


def gradients(found, leaves):
    generator = torch.Generator().manual_seed(2)
    loss = 0
    for n in "ShaP":
        weight = torch.randn(found[n].shape, generator=generator, dtype=torch.float64)
        loss = loss + (found[n] * weight).sum()
    return torch.autograd.grad(loss, leaves)


@pytest.mark.parametrize("engine", ENGINES)
def test_values_and_gradients_are_those_of_a_loop_in_torch(engine):
    net, (x, X, S) = network(engine), data()
    out, right = net(x, X, State(S=S)), by_hand(net, x, X, S)
    for n, value in right.items():
        torch.testing.assert_close(out[n], value)
    leaves = [x, X, S, *net.parameters()]
    for mine, theirs in zip(gradients(out, leaves), gradients(right, leaves), strict=True):
        torch.testing.assert_close(mine, theirs)
    torch.testing.assert_close(out.state.S, right["S"][:, -1])
    torch.testing.assert_close(out.last.P, right["P"][:, -1])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_cut_ragged_and_single_steps_are_the_same_bits(engine, dtype):
    net, (x, X, S) = network(engine, dtype), data(3, 7, dtype)
    out = net(x, X, State(S=S))
    first = net(x[:, :3], X[:, :3], State(S=S))
    second = net(x[:, 3:], X[:, 3:], first.state)
    assert torch.equal(torch.cat([first.S, second.S], 1), out.S) and torch.equal(second.state.S, out.state.S)
    lengths = (7, 0, 4)
    ragged = net(*(Ragged([v[i, :k] for i, k in enumerate(lengths)]) for v in (x, X)), state=State(S=S))
    for i, k in enumerate(lengths):
        torch.testing.assert_close(ragged.S[i], out.S[i, :k])
    assert torch.equal(ragged.state.S[1], S[1])
    step = net.step(x[:, 0], X[:, 0], State(S=S))
    torch.testing.assert_close(step.P, out.P[:, 0])
    torch.testing.assert_close(net.read(x, X, state=State(S=S)).a, out.a[:, -1])


@pytest.mark.parametrize("engine", ENGINES)
def test_a_matrix_state_given_reset_and_recomputed(engine):
    net, (x, X, S) = network(engine), data()
    given = torch.randn(2, 5, 4, 5, dtype=torch.float64)
    forced = net(x, X, given={"S": given}, state=State(S=S))
    before = torch.cat([S[:, None], given[:, :-1]], 1)
    alone = net(x.flatten(0, 1)[:, None], X.flatten(0, 1)[:, None], State(S=before.flatten(0, 1)))
    torch.testing.assert_close(forced.S.flatten(0, 1), alone.S[:, 0])
    reset = torch.tensor([[False, False, True, False, False], [True, False, False, False, True]])
    cut = net(x, X, State(S=S), reset=reset)
    torch.testing.assert_close(cut.S[0, 2:], net(x[:1, 2:], X[:1, 2:]).S[0])
    leaves = [x, X, S, *net.parameters()]
    stored_values = gradients(net(x, X, State(S=S), reset=reset), leaves)
    again = Recurrent(gated, engine=engine, dtype=torch.float64, memory=unrolled.Snapshots(every=2), **SIZES)
    again.load_state_dict(net.state_dict())
    recomputed = gradients(again(x, X, State(S=S), reset=reset), [x, X, S, *again.parameters()])
    for a, b in zip(stored_values, recomputed, strict=True):
        torch.testing.assert_close(a, b)


def test_matrices_in_equations_files_pickles_and_pictures():
    again = stored.from_text(stored.as_text(gated.recurrence))
    assert stored.as_text(again) == stored.as_text(gated.recurrence) and equations(again) == gated.equations()
    net, (x, X, _) = network("torch"), data()
    assert torch.equal(pickle.loads(pickle.dumps(net))(x, X).S, net(x, X).S)
    assert "S(t) = f(t) 1ᵀ ⊙ S(t-1) + v(t) k(t)ᵀ" in gated.equations()
    assert "∇S(t)ᵀ v(t)" in gated.adjoint().equations() and r"\operatorname{sum}_i" in gated.equations("latex")
    assert "h × a" in gated.plan().explain() and "<svg" in gated.draw().svg and "<svg" in gated.adjoint().draw().svg
    values = gated.unfold(5).evaluate(x=x, X=X, S=torch.zeros(2, 4, 5).double(), **dict(net.named_parameters()))
    assert torch.equal(values["P"], network("reference")(x, X).P)


@circuit
def fast(x, h, A, *, W, C):
    """A matrix state made from a vector state."""
    A = 0.9 * A + 0.5 * outer(h, h)
    h = tanh(W @ h + C @ x + A @ h)
    return {"h": h, "A": A}


def test_matrices_in_models_measurements_and_diagnoses():
    torch.manual_seed(0)
    net = Recurrent(fast, x=3, h=4)
    assert "exponents" in str(unrolled.diagnose(net, torch.randn(2, 40, 3)))
    assert unrolled.measure(net, x=torch.randn(6, 3)).values["A"].shape == (6, 16)
    model = unrolled.nn.SequenceModel(fast, 3, 2, hidden=5, layers=2)
    assert model(torch.randn(2, 7, 3))[0].shape == (2, 7, 2)
    assert net.initial_state(3).A.shape == (3, 4, 4)


def test_wrong_shapes_are_named():
    net, (x, X, S) = network("torch"), data()
    with pytest.raises(InputError, match=r"input 'X' must be \(batch, time, 4, 5\), got \(2, 5, 5\)"):
        net(x, X[..., 0, :])
    with pytest.raises(InputError, match=r"state 'S' must be \(2, 4, 5\), got \(2, 5, 4\)"):
        net(x, X, State(S=S.mT))
    with pytest.raises(InputError, match=r"for one step, input 'X' must be \(batch, 4, 5\), got \(2, 5, 4, 5\)"):
        net.step(x[:, 0], X)
    with pytest.raises(InputError, match=r"given\['S'\] must be \(batch, time, 4, 5\)"):
        net(x, X, given={"S": S})


@pytest.mark.parametrize("engine", ENGINES)
def test_normalised_is_the_layer_norm_of_torch(engine):
    @circuit
    def norms(x, S, *, U):
        S = 0.5 * S + outer(U @ x, x)
        return {"S": S, "down": normalised(S, axis=0), "across": normalised(S, axis=1), "n": normalised(x)}

    torch.manual_seed(0)
    net = Recurrent(norms, x=4, S=(5, 4), engine=engine, dtype=torch.float64)
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    out = net(x)
    right = [F.layer_norm(out.S.mT, (5,)).mT, F.layer_norm(out.S, (4,)), F.layer_norm(x, (4,))]
    leaves, mine = [x, net.U], [out.down, out.across, out.n]
    gradients = [torch.autograd.grad(sum_of(found), leaves, retain_graph=True) for found in (mine, right)]
    for a, b in zip([*mine, *gradients[0]], [*right, *gradients[1]], strict=True):
        torch.testing.assert_close(a, b)


def sum_of(values):
    return torch.stack([v.sin().sum() * k for k, v in enumerate(values, 1)]).sum()


@pytest.mark.parametrize("engine", ENGINES)
def test_random_circuits_with_matrices(engine):
    equal = 0
    for number in range(12 if engine == "c" else 40):
        drawn = random_circuit(Random(number).choice, matrices=True)
        equal += calls.check(calls.random_case(drawn, number), engine) == "equal"
    assert equal > 8


def test_an_engine_that_cannot_says_so_and_auto_takes_another():
    engine, reason = choose("auto", gated.recurrence)
    assert engine.name in ("c", "torch") and (engine.name == "c" or "not 'c': " in reason)
