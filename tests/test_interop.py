"""torch.nn.RNN, LSTM, GRU: the same weights give the same outputs, states and gradients."""

from __future__ import annotations

import pytest
import torch

from unrolled import State
from unrolled.nn.interop import from_torch, to_torch
from unrolled.testing import assert_close

MODULES = {
    "tanh": lambda **o: torch.nn.RNN(7, 11, batch_first=True, **o),
    "relu": lambda **o: torch.nn.RNN(7, 11, nonlinearity="relu", batch_first=True, **o),
    "lstm": lambda **o: torch.nn.LSTM(7, 11, batch_first=True, **o),
    "gru": lambda **o: torch.nn.GRU(7, 11, batch_first=True, **o),
}
DTYPES = [torch.float64, torch.float32]


def mine(theirs: dict[str, torch.Tensor], gru: bool) -> dict[str, torch.Tensor]:
    """The gradients of the torch module, by the names of our parameters."""
    result = {"U": theirs["weight_ih_l0"], "W": theirs["weight_hh_l0"], "b": theirs["bias_ih_l0"]}
    return result | ({"d": theirs["bias_hh_l0"][22:]} if gru else {})


@pytest.mark.parametrize("dtype", DTYPES, ids=["float64", "float32"])
@pytest.mark.parametrize("kind", MODULES)
def test_outputs_states_and_all_gradients(kind, dtype):
    torch.manual_seed(0)
    tolerance = "torch.nn, " + str(dtype).removeprefix("torch.")
    module = MODULES[kind](dtype=dtype)
    net = from_torch(module)
    x = torch.randn(3, 20, 7, dtype=dtype)
    h, c = torch.randn(3, 11, dtype=dtype), torch.randn(3, 11, dtype=dtype)
    weight = torch.randn(3, 20, 11, dtype=dtype)

    x1, h1, c1 = (t.clone().requires_grad_() for t in (x, h, c))
    out, last = module(x1, (h1[None], c1[None]) if kind == "lstm" else h1[None])
    h_last, c_last = last if kind == "lstm" else (last, None)
    ((out * weight).sum() + h_last.sum() + (c_last.sum() if kind == "lstm" else 0)).backward()

    x2, h2, c2 = (t.clone().requires_grad_() for t in (x, h, c))
    ours = net(x2, State(h=h2, c=c2) if kind == "lstm" else State(h=h2))
    end = ours.state.h.sum() + (ours.state.c.sum() if kind == "lstm" else 0)
    ((ours.h * weight).sum() + end).backward()

    assert_close("outputs", ours.h, out, tolerance)
    assert_close("last h", ours.state.h, h_last[0], tolerance)
    assert_close("gradient of x", x2.grad, x1.grad, tolerance)
    assert_close("gradient of h", h2.grad, h1.grad, tolerance)
    if kind == "lstm":
        assert_close("last c", ours.state.c, c_last[0], tolerance)
        assert_close("gradient of c", c2.grad, c1.grad, tolerance)
    expected = mine({n: p.grad for n, p in module.named_parameters()}, kind == "gru")
    for name, parameter in net.named_parameters():
        assert_close(f"gradient of {name}", parameter.grad, expected[name], tolerance)


@pytest.mark.parametrize("kind", MODULES)
def test_there_and_back(kind):
    torch.manual_seed(0)
    module = MODULES[kind](dtype=torch.float64)
    back = to_torch(from_torch(module))
    x = torch.randn(2, 9, 7, dtype=torch.float64)
    assert_close("outputs", back(x)[0], module(x)[0], "torch.nn, float64")
    assert type(back) is type(module) and back.batch_first
    without = MODULES[kind](dtype=torch.float64, bias=False)
    assert_close("without bias", from_torch(without)(x).h, without(x)[0], "torch.nn, float64")
