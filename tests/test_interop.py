"""torch.nn.RNN, LSTM, GRU: the same weights give the same outputs, states and gradients."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from unrolled import InputError, Ragged, Recurrent, State, cells
from unrolled.nn import Stack
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
    ours = net(x2, state=State(h=h2, c=c2) if kind == "lstm" else State(h=h2))
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


STACKS = {
    "several layers": lambda: torch.nn.GRU(7, 11, 3, dropout=0.5, dtype=torch.float64),
    "two directions": lambda: torch.nn.RNN(7, 11, bidirectional=True, nonlinearity="relu", dtype=torch.float64),
    "both": lambda: torch.nn.LSTM(7, 11, 2, bidirectional=True, dtype=torch.float64),
    "both, without biases": lambda: torch.nn.GRU(7, 11, 2, bidirectional=True, bias=False, dtype=torch.float64),
    "a projection": lambda: torch.nn.LSTM(7, 11, proj_size=3, dtype=torch.float64),
    "all": lambda: torch.nn.LSTM(7, 11, 2, bidirectional=True, proj_size=3, dtype=torch.float64),
}


def state_of(module: torch.nn.RNNBase, batch: int) -> tuple[State, Any]:
    """A random state, by our names and as torch takes it."""
    sizes = {"h": module.proj_size or 11} | ({"c": 11} if module.mode == "LSTM" else {})
    count = module.num_layers * (1 + module.bidirectional)
    values = {n: torch.randn(count, batch, size, dtype=torch.float64) for n, size in sizes.items()}
    suffixes = [f"_l{k}{r}" for k in range(module.num_layers) for r in ("", "_reverse")[: 1 + module.bidirectional]]
    if count == 1:
        suffixes = [""]
    named = {n + suffix: v[k] for n, v in values.items() for k, suffix in enumerate(suffixes)}
    return State(**named), tuple(values.values()) if len(values) > 1 else values["h"]


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("kind", STACKS)
def test_stacks(kind):
    torch.manual_seed(0)
    module = STACKS[kind]().eval()
    net = from_torch(module).eval()
    x = torch.randn(4, 6, 7, dtype=torch.float64)
    state, hx = state_of(module, 4)
    output, ends = module(x.transpose(0, 1), hx)
    out = net(x, state=state)
    assert_close("outputs", out.h, output.transpose(0, 1), "torch.nn, float64")
    for name, end in zip("hc", ends if isinstance(ends, tuple) else (ends,), strict=False):
        found = torch.stack([v for n, v in out.state.items() if n.startswith(name)])
        assert_close(f"last {name}", found, end, "torch.nn, float64")
    again = net(x, state=out.state)
    assert_close("gone on with", again.h, module(x.transpose(0, 1), ends)[0].transpose(0, 1), "torch.nn, float64")
    ragged = net(Ragged([x[0, :2], x[1, :6], x[2, :1]])).h
    for i, length in enumerate((2, 6, 1)):
        assert_close("ragged", ragged[i], module(x[i, :length])[0], "torch.nn, float64")
    back = to_torch(net)
    for option in ("mode", "num_layers", "bidirectional", "proj_size", "dropout"):
        assert getattr(back, option) == getattr(module, option)
    assert_close("and back", back.eval()(x, hx)[0], output.transpose(0, 1), "torch.nn, float64")


def test_dropout_between_the_layers_of_a_stack():
    stack = from_torch(torch.nn.GRU(7, 11, 2, dropout=1.0))
    x = torch.randn(2, 5, 7)
    assert torch.equal(stack(x).h, stack(2 * x).h) and not torch.equal(stack.eval()(x).h, stack(2 * x).h)


def test_what_is_refused():
    with pytest.raises(InputError, match=r"from_torch takes torch\.nn\.RNN, LSTM or GRU, got Linear"):
        from_torch(torch.nn.Linear(2, 2))
    with pytest.raises(InputError, match="lstm_projected and gru, got elman"):
        to_torch(Recurrent(cells.elman, x=3, h=4, o=2))
    with pytest.raises(InputError, match="got mgu"):
        to_torch(Stack([[Recurrent(cells.gru, x=3, h=4)], [Recurrent(cells.mgu, x=4, h=4)]]))
    with pytest.raises(InputError, match="one or two networks each"):
        Stack([])
