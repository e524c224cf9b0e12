"""What is done to RNN, LSTM, GRU and their cells: copied, loaded, parametrized, traced, transformed."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune

import unrolled
from torch_twins import (
    KINDS,
    H,
    I,
    assert_same,
    everything,
    needs_engine,
    pair,
    torchs_operators_refused,
)
from unrolled import Ragged
from unrolled.nn import torch_layers
from unrolled.testing import assert_close


@pytest.mark.parametrize("kind", [*KINDS, "RNNCell", "LSTMCell", "GRUCell"])
def test_they_are_torchs_layers(kind):
    options = {} if kind.endswith("Cell") else {"num_layers": 2, "bidirectional": True}
    theirs, ours = pair(kind, I, H, **options)
    assert isinstance(ours, getattr(nn, kind)) and repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    if not kind.endswith("Cell"):
        assert [len(names) for names in ours.all_weights] == [4] * 4
        ours.flatten_parameters()
    torch.manual_seed(0)
    theirs.reset_parameters()
    torch.manual_seed(0)
    ours.reset_parameters()
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_names_at_the_front_door():
    assert unrolled.LSTM is unrolled.nn.LSTM is torch_layers.LSTM
    assert unrolled.RNN is unrolled.nn.RNN and unrolled.GRU is unrolled.nn.GRU
    output, (h, c) = unrolled.LSTM(7, 11)(torch.randn(5, 3, 7))
    assert output.shape == (5, 3, 11) and h.shape == c.shape == (1, 3, 11)


@needs_engine
@pytest.mark.parametrize(
    "made", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: m.double().float()],
    ids=["copy", "deepcopy", "pickle", "double and back"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [*KINDS, "LSTMCell"])
def test_copies(kind, made):
    layer = getattr(unrolled.nn, kind)(I, H)
    x = torch.randn(2, I) if kind == "LSTMCell" else torch.randn(5, 2, I)
    again = made(layer)
    assert type(again) is type(layer) and torch.equal(again(x)[0], layer(x)[0])


# weights are read at each call


def pruned(layer: nn.Module) -> None:
    prune.random_unstructured(layer, "weight_ih_l0", amount=0.5)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@needs_engine
@pytest.mark.parametrize(
    "change",
    [
        lambda m: nn.utils.weight_norm(m, "weight_hh_l0"),
        lambda m: parametrizations.weight_norm(m, "weight_ih_l0"),
        lambda m: parametrizations.spectral_norm(m, "weight_hh_l0"),
        lambda m: parametrizations.orthogonal(m, "weight_hh_l0"),
        pruned,
    ],
    ids=["weight_norm, by hooks", "weight_norm", "spectral_norm", "orthogonal", "prune"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_computed_from_others(kind, change):
    theirs, ours = (getattr(m, kind)(I, H, dtype=torch.float64) for m in (nn, unrolled.nn))
    for layer in (theirs, ours):
        torch.manual_seed(1)
        change(layer)
        layer.eval()  # spectral_norm goes on by one step at each call in training
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(6, 5, I, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():  # calls in between may change nothing
        ours(x)
    expected = everything(theirs, x, [], x)
    with torchs_operators_refused():
        assert_same(everything(ours, x, [], x), expected, "torch.nn, float64")
    for layer in (theirs, ours):
        with torch.no_grad():
            for p in layer.parameters():
                p.mul_(1.5)
    assert_close("after an update", ours(x)[0], theirs(x)[0], "torch.nn, float64")


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_given_or_exchanged(kind):
    theirs, ours = pair(kind, I, H, dtype=torch.float64)
    x = torch.randn(6, 5, I, dtype=torch.float64)
    others = {n: torch.randn_like(p) for n, p in theirs.named_parameters()}
    for layer in (theirs, ours):
        layer(x)
    given_now = [torch.func.functional_call(layer, others, (x,))[0] for layer in (ours, theirs)]
    assert_close("functional_call", *given_now, "torch.nn, float64")
    for layer in (theirs, ours):
        layer.load_state_dict(others, assign=True)
    assert_close("load_state_dict(assign=True)", ours(x)[0], theirs(x)[0], "torch.nn, float64")
    for layer in (theirs, ours):
        layer.weight_hh_l0 = nn.Parameter(torch.ones_like(layer.weight_hh_l0))
    assert_close("a new parameter", ours(x)[0], theirs(x)[0], "torch.nn, float64")
    for layer in (theirs, ours):
        layer.weight_hh_l0.data.mul_(0.5)
    assert_close("data changed in place", ours(x)[0], theirs(x)[0], "torch.nn, float64")


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_frozen_weights_and_no_grad(kind):
    theirs, ours = pair(kind, I, H, 2, dtype=torch.float64)
    x = torch.randn(6, 5, I, dtype=torch.float64, requires_grad=True)
    for layer in (theirs, ours):
        layer.weight_hh_l0.requires_grad_(False)
        layer.bias_ih_l1.requires_grad_(False)
    assert_same(everything(ours, x, [], x), everything(theirs, x, [], x), "torch.nn, float64")
    with torch.no_grad():
        assert_close("no_grad", ours(x)[0], theirs(x)[0], "torch.nn, float64")
    with torch.inference_mode():
        assert_close("inference_mode", ours(x.detach().clone())[0], theirs(x)[0], "torch.nn, float64")


# where torch traces, transforms or converts


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_transforms_see_the_equations(kind):
    _, ours = pair(kind, I, H, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 2, 5, I, dtype=torch.float64)

    def f(x: Tensor) -> Tensor:
        return ours(x)[0]

    many = torch.func.vmap(f)(x)
    assert_close("vmap", many, torch.stack([f(one) for one in x]), "torch.nn, float64")
    value, tangent = torch.func.jvp(f, (x[0],), (x[1],))
    nearby = (f(x[0] + 1e-6 * x[1]) - f(x[0] - 1e-6 * x[1])) / 2e-6
    assert_close("jvp: value", value, many[0], "torch.nn, float64")
    torch.testing.assert_close(tangent, nearby, rtol=1e-7, atol=1e-7)


@pytest.mark.filterwarnings(
    "ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore:RNN module weights"
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_holds_torchs_operator(kind):
    _, ours = pair(kind, I, H)
    x = torch.randn(5, 2, I)
    traced = torch.jit.trace(ours, x)
    other = torch.randn(9, 3, I)
    torch.testing.assert_close(traced(other)[0], ours(other)[0])


@pytest.mark.parametrize("kind", [*KINDS, "LSTMCell"])
def test_half_precision_is_torchs(kind):
    theirs, ours = pair(kind, I, H, dtype=torch.bfloat16)
    x = torch.randn(2, I, dtype=torch.bfloat16) if kind == "LSTMCell" else torch.randn(5, 2, I, dtype=torch.bfloat16)
    assert torch.equal(ours(x)[0], theirs(x)[0])
    if kind != "LSTMCell":
        ragged, _ = ours(Ragged([x[:, 0], x[:3, 1]]))
        torch.testing.assert_close(ragged[0], ours(x[:, :1])[0][:, 0], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_is_torchs(kind):
    theirs, ours = pair(kind, I, H)
    x = torch.randn(5, 2, I)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, wanted = ours(x)[0], theirs(x)[0]
    assert output.dtype == wanted.dtype and torch.equal(output, wanted)
