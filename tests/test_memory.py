"""Bounded memory gives the gradient of unbounded memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import unrolled
from cells_for_tests import CIRCUITS, ENGINES, SIZES
from unrolled import InputError, Ragged, Recurrent, Snapshots, State, Store
from unrolled.testing import assert_close


def found(net, series, start, reset=None):
    """Values, and the gradients of everything."""
    net.zero_grad()
    start = State(**{n: s.clone().requires_grad_() for n, s in start.items()})
    series = {n: [x.clone().requires_grad_(x.is_floating_point()) for x in xs] for n, xs in series.items()}
    out = net(**{n: Ragged(xs) for n, xs in series.items()}, state=start, reset=reset)
    outputs = [out[n].values for n in out] + [out.state[n] for n in net.circuit.states]
    sum((v * torch.arange(1, v.numel() + 1, dtype=v.dtype).view(v.shape).sin()).sum() for v in outputs).backward()
    gradients = [p.grad for p in net.parameters()] + [s.grad for s in start.values()]
    gradients += [x.grad for xs in series.values() for x in xs if x.requires_grad]
    return [v.detach() for v in outputs], [g for g in gradients if g is not None]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["gru", "lstm", "jordan", "lecture"])
@settings(max_examples=5, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([0, 1, 4, 13]), min_size=1, max_size=4).filter(any),
    every=st.integers(1, 14),
    resets=st.booleans(),
)
def test_snapshots_give_the_same_gradients(name, engine, lengths, every, resets):
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS[name], engine=engine, dtype=torch.float64, **SIZES[name])
    series = {
        n: [torch.randint(2, (k,)) if n == "y" else torch.randn(k, net.sizes[n], dtype=torch.float64) for k in lengths]
        for n in net.circuit.inputs
    }
    start = State(**{n: torch.randn(len(lengths), net.sizes[n], dtype=torch.float64) for n in net.circuit.states})
    reset = Ragged([torch.rand(k) < 0.3 for k in lengths]) if resets else None
    values, gradients = found(net, series, start, reset)
    net.memory = Snapshots(every=every)
    other_values, other_gradients = found(net, series, start, reset)
    assert all(torch.equal(a, b) for a, b in zip(values, other_values, strict=True)) or engine != "c"
    for k, (a, b) in enumerate(zip(other_gradients, gradients, strict=True)):
        assert_close(str(k), a, b, "engines, float64")


def test_snapshots_in_float32_and_from_a_budget():
    torch.manual_seed(0)
    net, x = Recurrent(CIRCUITS["gru"], x=3, h=16), torch.randn(2, 1000, 3)
    results = []
    for memory in (Store(), Snapshots(every=37), Snapshots(memory="100 KB")):
        net.memory = memory
        net.zero_grad()
        net(x).h.square().sum().backward()
        results.append(net.W.grad.clone())
    for other in results[1:]:
        torch.testing.assert_close(other, results[0], rtol=1e-6, atol=1e-6 * float(results[0].abs().max()))


class Steps:
    """A source of random steps."""

    def __init__(self, length, size, dtype=torch.float64):
        self.length = length
        self.values = torch.randn(length, size, dtype=dtype, generator=torch.Generator().manual_seed(3))

    def read(self, start, stop):
        return self.values[start:stop]


def test_backpropagate_equals_one_backward_pass(monkeypatch):
    monkeypatch.setattr("unrolled.nn.backpropagate.LEAST", 7)
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS["lstm"], x=3, h=5, dtype=torch.float64)
    head = torch.nn.Linear(5, 1, dtype=torch.float64)
    source, told = Steps(100, 3), []
    start = State(h=torch.randn(1, 5, dtype=torch.float64, requires_grad=True))

    def loss(out, begin, end):
        return (head(out.h)[0, :, 0] - source.values[begin:end, 0]).square().sum()

    out = net(source.values[None], start)
    expected = loss(out, 0, 100)
    expected.backward()
    whole = {p: p.grad.clone() for p in (*net.parameters(), *head.parameters(), start.h)}
    for p in whole:
        p.grad = torch.ones_like(p)  # it is added to
    state = State(h=start.h, c=torch.zeros(1, 5, dtype=torch.float64))
    total = unrolled.backpropagate(net, source, loss, 17_000, state, lambda *done: told.append(done))
    assert total == pytest.approx(expected.item(), rel=1e-12)
    for p, gradient in whole.items():
        torch.testing.assert_close(p.grad - 1, gradient, rtol=1e-10, atol=1e-12)
    assert told[-1] == ("backward", 100, 100) and len(told) > 6


def test_misuse():
    net = Recurrent(CIRCUITS["gru"], x=3, h=4)

    def total(out, *_):
        return out.h.sum()

    class Fickle(Steps):
        def read(self, start, stop):
            self.values = self.values + 1
            return super().read(start, stop)

    cases = {
        "Snapshots takes either every=": lambda: Snapshots(),
        "memory must be bytes, or text such as '500 MB'": lambda: Snapshots(memory="500 Mb?"),
        "every must be a whole number of steps from 1, got 0": lambda: Snapshots(every=0),
        "memory must be Store\\(\\) or Snapshots": lambda: Recurrent(CIRCUITS["gru"], x=3, h=4, memory="500 MB"),
        "is too small for 1 sequences of up to 100,000 steps: Snapshots need about": lambda: Recurrent(
            CIRCUITS["gru"], x=3, h=4, memory=Snapshots(memory="1 KB")
        )(torch.randn(1, 100_000, 3)),
        "memory 0.0 MB is too small for 9,000 steps: give at least": lambda: unrolled.backpropagate(
            net, Steps(9000, 3, torch.float32), total, memory=1000
        ),
        "a source has a whole number 'length' and read": lambda: unrolled.backpropagate(net, torch.ones(3), total),
        "the source has 0 steps": lambda: unrolled.backpropagate(net, Steps(0, 3), total),
        "the loss of a segment must be one number, got \\(1, 50, 4\\)": lambda: unrolled.backpropagate(
            net, Steps(50, 3, torch.float32), lambda out, *_: out.h
        ),
        "the source gave something else when steps 0 to 50 were read again": lambda: unrolled.backpropagate(
            net, Fickle(50, 3, torch.float32), total
        ),
    }
    for message, call in cases.items():
        with pytest.raises(InputError, match=message):
            call()
    assert net.W.grad is None
