"""Single operations and constants on every engine, compared with torch: values and gradients, also at kinks and
extremes."""

from __future__ import annotations

import json
import math

import pytest
import torch

import unrolled
from cells_for_tests import ENGINES
from unrolled import (
    Recurrent,
    State,
    circuit,
    cos,
    cumsum,
    erf,
    floor,
    gelu,
    logsumexp,
    maximum,
    minimum,
    sign,
    sin,
    softmax,
    softplus,
    split,
    stack,
    stop_gradient,
    sum,
    tanh,
    where,
)
from unrolled.graph import stored
from unrolled.graph.equations import equations
from unrolled.graph.ops import constant

PRECISION = {torch.float32: 2e-6, torch.float64: 1e-13}
EXTREMES = (0.0, -0.0, 1.0, -1.0, 1e30, -1e30, 88.0, -88.0, math.inf, -math.inf, math.nan)


@circuit
def one_by_one(x, z, h):
    """Each operation reads its own piece of x and of z, so that a NaN does not spread."""
    a, b = split(x, 15), split(z, 15)
    return {
        "maximum": maximum(a[0], b[0]),
        "minimum": minimum(a[1], b[1]),
        "abs": abs(a[2]),
        "sign": sign(a[3]) * b[3],
        "floor": floor(a[4]) * b[4],
        "sin": sin(a[5]),
        "cos": cos(a[6]),
        "softplus": softplus(a[7]),
        "erf": erf(a[8]),
        "gelu": gelu(a[9]),
        "cumsum": cumsum(a[10]) + cumsum(b[10], reverse=True),
        "extremes": unrolled.min(a[11]) * b[11] + unrolled.max(a[11]),
        "stack": stack(unrolled.min(a[12]), sum(b[12] * b[12]), 2.0),
        "stopped": stop_gradient(a[13]) * b[13],
        "through": (a[14] + stop_gradient(sign(a[14]) - a[14])) * b[14],
        "h": -h,
    }


def by_torch(x, z):
    a, b = x.chunk(15, -1), z.chunk(15, -1)
    smallest, largest = a[11].amin(-1, keepdim=True), a[11].amax(-1, keepdim=True)
    sums = b[12].square().sum(-1, keepdim=True)
    return {
        "maximum": torch.maximum(a[0], b[0]),
        "minimum": torch.minimum(a[1], b[1]),
        "abs": a[2].abs(),
        "sign": a[3].sign() * b[3],
        "floor": a[4].floor() * b[4],
        "sin": a[5].sin(),
        "cos": a[6].cos(),
        "softplus": torch.logaddexp(a[7], torch.zeros_like(a[7])),
        "erf": a[8].erf(),
        "gelu": 0.5 * a[9] * (1 + torch.erf(math.sqrt(0.5) * a[9])),
        "cumsum": a[10].cumsum(-1) + b[10].flip(-1).cumsum(-1).flip(-1),
        "extremes": smallest * b[11] + largest,
        "stack": torch.cat([a[12].amin(-1, keepdim=True), sums, torch.full_like(sums, 2.0)], -1),
        "stopped": a[13].detach() * b[13],
        "through": (a[14] + (a[14].sign() - a[14]).detach()) * b[14],
    }


def values_and_gradients(function, x, z, names):
    x, z = x.clone().requires_grad_(), z.clone().requires_grad_()
    out = function(x, z)
    generator = torch.Generator().manual_seed(1)
    total = 0
    for n in names:
        total = total + (out[n] * torch.randn(out[n].shape, generator=generator, dtype=torch.float64).to(x)).sum()
    total.backward()
    return {n: out[n].detach() for n in names} | {"gradient of x": x.grad, "gradient of z": z.grad}


def same_as_torch(engine, x, z, sums=1.0):
    """sums: the size of the sums, for their rounding error."""
    names = list(one_by_one.outputs)
    net = Recurrent(one_by_one, engine=engine, dtype=x.dtype, x=x.shape[-1], h=1)
    expected = values_and_gradients(by_torch, x, z, names)
    actual = values_and_gradients(net, x, z, names)
    for n, value in expected.items():
        close = {"rtol": PRECISION[x.dtype], "atol": PRECISION[x.dtype] * sums, "equal_nan": True}
        torch.testing.assert_close(actual[n], value, **close, msg=lambda message, n=n: f"{n}: {message}")


@pytest.mark.parametrize(
    "size", [1, 3, pytest.param(16, marks=pytest.mark.slow), 17, pytest.param(257, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("engine", ENGINES)
def test_operations_are_those_of_torch(engine, dtype, size):
    torch.manual_seed(0)
    x, z = torch.randn(2, 3, 4, 15 * size, dtype=dtype)
    z[0] = torch.where(torch.rand(4, 15 * size) < 0.5, x[0], z[0])  # ties
    same_as_torch(engine, x, z, sums=size**0.5)


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("engine", ENGINES)
def test_operations_at_kinks_and_extremes_are_those_of_torch(engine, dtype):
    """Rows of one value, which ties with itself, against each other value; and one of these values among others."""
    pairs = torch.tensor([(a, b) for a in EXTREMES for b in EXTREMES], dtype=dtype)
    x, z = (pairs[:, k, None].repeat(1, 15 * 3) for k in (0, 1))
    mixed = x.clone()
    mixed[:, ::3] = 0.5
    same_as_torch(engine, torch.stack([x, mixed]), torch.stack([z, z]))


@circuit
def masked(x, m, h, *, W):
    """A softmax over some entries, and other masks with infinity."""
    a = W @ x + h
    s = where(m > 0, a, -math.inf)
    return {
        "h": tanh(a),
        "softmax": softmax(s),
        "logsumexp": logsumexp(s),
        "max": unrolled.max(s),
        "min": unrolled.min(where(m > 0, a, math.inf)),
        "gated": where(m > 0, a, math.nan) * 2.0,
    }


def masked_by_torch(W, x, m, h):
    a = x @ W.T + h
    s = torch.where(m > 0, a, -math.inf)
    gated = torch.where(m > 0, a, math.nan) * 2.0
    least = torch.where(m > 0, a, math.inf).amin(-1)
    return [a.tanh(), s.softmax(-1), s.logsumexp(-1), s.amax(-1), least, gated]


@pytest.mark.parametrize("name", masked.outputs)
@pytest.mark.parametrize("engine", ENGINES)
def test_masks_of_infinity(engine, name):
    """Values and gradients are finite where torch's are, row by row. One row is masked entirely."""
    torch.manual_seed(0)
    net = Recurrent(masked, engine=engine, dtype=torch.float64, x=3, h=5)
    x, m = torch.randn(4, 1, 3, dtype=torch.float64), torch.rand(4, 1, 5, dtype=torch.float64) - 0.4
    m[2], m[3] = 1, -1
    h, weight = torch.randn(2, 4, 5, dtype=torch.float64)
    for row in range(4):
        leaves = [net.W.detach(), x[row, 0], m[row, 0], h[row]]
        W, *_, start = leaves = [leaf.clone().requires_grad_() for leaf in leaves]
        expected = dict(zip(masked.recurrence.returns, masked_by_torch(*leaves), strict=True))[name]
        (expected * weight[0, : expected.numel()].view_as(expected)).sum().backward()
        series = [v[row : row + 1].clone().requires_grad_() for v in (x, m)]
        state = State(h=h[row : row + 1].clone().requires_grad_())
        actual = net(*series, state=state)[name]
        net.zero_grad()
        (actual * weight[0, : actual.numel()].view_as(actual)).sum().backward()
        torch.testing.assert_close(actual.flatten(), expected.flatten(), equal_nan=True)
        torch.testing.assert_close(net.W.grad, W.grad, equal_nan=True)
        torch.testing.assert_close(series[0].grad.flatten(), leaves[1].grad, equal_nan=True)
        torch.testing.assert_close(state.h.grad[0], start.grad, equal_nan=True)


@pytest.mark.parametrize("dtype", PRECISION)
@pytest.mark.parametrize("engine", ENGINES)
def test_constants_that_are_no_ordinary_numbers(engine, dtype):
    @circuit
    def cell(x, h):
        signs = 1.0 / where(x > 0, 0.0, -0.0)
        large = where(x > 0, 1e39, -1e39)
        return {"h": h * 0.5 + x, "signs": signs, "large": large, "nan": x * math.nan, "zero": -0.0 * x + -0.0}

    net = Recurrent(cell, engine=engine, dtype=dtype, h=2)
    x = torch.tensor([[[3.0, -3.0]]], dtype=dtype, requires_grad=True)
    out = net(x)
    assert out.signs.tolist() == [[[math.inf, -math.inf]]]
    assert out.large.tolist() == [[[1e39, -1e39] if dtype == torch.float64 else [math.inf, -math.inf]]]
    assert out.nan.isnan().all()
    assert torch.signbit(out.zero).tolist() == [[[True, False]]]
    (out.h.sum() + out.large.sum() + out.signs.sum()).backward()
    assert x.grad.tolist() == [[[1.0, 1.0]]]


@pytest.mark.parametrize("format", ["text", "latex"])
def test_operations_are_printed(golden, format):
    adjoint = one_by_one.adjoint().equations(format, inputs=True)
    unfolded = straight_through.unfold(2)
    full = unfolded.equations(format) if format == "latex" else unfolded.equations(form="full")
    golden(f"operations.{format}", f"{one_by_one.equations(format)}\n\n{adjoint}\n\n{full}\n")


@circuit
def straight_through(x, h, *, W):
    a = W @ h + x
    return {"h": a + stop_gradient(sign(a) - a)}


def test_constants_are_printed_and_stored():
    lines = masked.equations().splitlines()
    assert "s(t) = (a(t) if 0 < m(t) else -∞)" in lines
    assert "min(t) = min((a(t) if 0 < m(t) else ∞))" in lines
    assert "gated(t) = (a(t) if 0 < m(t) else nan) · 2" in lines
    latex = masked.equations("latex")
    assert r"& -\infty" not in latex and r"\\ -\infty & \text{otherwise}" in latex and r"\mathrm{nan}" in latex
    text = json.dumps(stored.dump(masked.recurrence), allow_nan=False)
    assert equations(stored.load(json.loads(text))) == masked.equations()


def test_constants_are_told_apart_by_their_bits():
    assert constant(0.0) is not constant(-0.0)
    assert constant(math.nan) is constant(float("nan"))
    assert constant(-0.0) is constant(-0.0)
    again = stored.load(json.loads(json.dumps(stored.dump(signed_zeros.recurrence))))
    assert [math.copysign(1, n["value"]) for n in again.nodes if n.op == "constant" and n["value"] == 0] == [1, -1]


@circuit
def signed_zeros(x, h):
    return {"h": h + where(x > 0, 0.0, -0.0)}
