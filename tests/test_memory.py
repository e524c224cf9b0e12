"""Memory policies: in bounded memory the gradient is the same as in unbounded memory."""

from __future__ import annotations

import gc
from functools import cache

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

import unrolled
from cells_for_tests import CIRCUITS, ENGINES, SIZES
from unrolled import DataError, InputError, Ragged, Recurrent, Snapshots, State, Store, Truncated
from unrolled.plan.segments import Segments, least_budget, least_work
from unrolled.testing import assert_close


def found(net, series, start, reset=None):
    """Values, and the gradients of all leaves."""
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


@settings(max_examples=12, deadline=None)
@given(every=st.integers(1, 310), name=st.sampled_from(["gru", "lstm", "lecture"]))
def test_segments_of_any_length_in_float32(name, every):
    """All gradients of a long sequence to 1e-6 of their largest entry, and the values to the bit."""
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS[name], **SIZES[name])
    series = {n: [torch.randint(2, (300,)) if n == "y" else torch.randn(300, net.sizes[n])] for n in net.circuit.inputs}
    start = State(**{n: torch.randn(1, net.sizes[n]) for n in net.circuit.states})
    values, gradients = found(net, series, start)
    net.memory = Snapshots(every=every)
    other_values, other_gradients = found(net, series, start)
    assert all(torch.equal(a, b) for a, b in zip(values, other_values, strict=True)) or net.engine != "c"
    allowed = 1e-6 if net.engine == "c" else 2e-6  # torch rounds products of fewer rows differently
    for a, b in zip(other_gradients, gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=allowed * float(b.abs().max()))


class Steps:
    """A source of random steps."""

    def __init__(self, length, size, dtype=torch.float64):
        self.length = length
        self.values = torch.randn(length, size, dtype=dtype, generator=torch.Generator().manual_seed(3))

    def read(self, start, stop):
        return self.values[start:stop]


@pytest.mark.parametrize(
    "memory", [Store(), Snapshots(every=13), Snapshots(every=1), 17_000, "several levels"], ids=str
)
def test_backpropagate_equals_one_backward_pass(monkeypatch, memory):
    monkeypatch.setattr("unrolled.nn.backpropagate.LEAST", 7)
    if memory == "several levels":
        monkeypatch.setattr("unrolled.nn.backpropagate.least_work", lambda length, *_: Segments(length, 7, 3))
        memory = 1
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS["lstm"], x=3, h=5, dtype=torch.float64)
    head = torch.nn.Linear(5, 1, dtype=torch.float64)
    source, told = Steps(100, 3), []
    start = State(h=torch.randn(1, 5, dtype=torch.float64, requires_grad=True))

    def loss(out, begin, end):
        return (head(out.h)[0, :, 0] - source.values[begin:end, 0]).square().sum()

    out = net(source.values[None], state=start)
    expected = loss(out, 0, 100)
    expected.backward()
    whole = {p: p.grad.clone() for p in (*net.parameters(), *head.parameters(), start.h)}
    for p in whole:
        p.grad = torch.ones_like(p)  # gradients are added to it
    total = unrolled.backpropagate(net, source, loss, memory, start, lambda *done: told.append(done))
    assert total == pytest.approx(expected.item(), rel=1e-12)
    for p, gradient in whole.items():
        torch.testing.assert_close(p.grad - 1, gradient, rtol=1e-10, atol=1e-12)
    assert told[-1] == ("backward", 100, 100) and all(0 < done <= length for _, done, length in told)


def step_of(net, x, h):
    """One step of the lecture's network, by its equations."""
    return torch.tanh(net.b + h @ net.W.mT + x @ net.U.mT)


@pytest.mark.parametrize("engine", ENGINES)
@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([0, 1, 5, 12]), min_size=1, max_size=3).filter(any),
    window=st.integers(1, 14),
    stride=st.integers(1, 14),
)
@example(lengths=[12, 1, 5], window=5, stride=2)  # overlapping windows
def test_truncated_is_that_of_williams_and_peng(engine, lengths, window, stride):
    """BPTT(h; h') of Williams and Peng, literally, for one sequence at a time: after every h' steps and at the end, the
    errors of the steps since the last time go back over h steps, through the stored values."""
    stride = min(stride, window)
    torch.manual_seed(0)
    net = Recurrent(unrolled.cells.rnn, x=2, h=3, engine=engine, dtype=torch.float64, memory=Truncated(window, stride))
    xs = [torch.randn(n, 2, dtype=torch.float64, requires_grad=True) for n in lengths]
    start = torch.randn(len(lengths), 3, dtype=torch.float64, requires_grad=True)
    weights = [torch.randn(n, 3, dtype=torch.float64) for n in lengths]
    leaves = [*net.parameters(), start, *xs]

    out = net(Ragged(xs), state=State(h=start))
    (out.h.values * torch.cat(weights)).sum().backward()
    found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in leaves]
    for p in leaves:
        p.grad = None
    for i, (x, weight) in enumerate(zip(xs, weights, strict=True)):
        states = [start[i]]
        for t in range(len(x)):
            states.append(step_of(net, x[t], states[-1].detach()).detach())
        for last in [*range(stride, len(x), stride), len(x)] if len(x) else []:
            taught = last - ((last - 1) % stride + 1)
            h = states[max(0, last - window)]
            for t in range(max(0, last - window), last):
                h = step_of(net, x[t], h)
                if t >= taught:
                    (h * weight[t]).sum().backward(retain_graph=True)
    expected = [torch.zeros_like(p) if p.grad is None else p.grad for p in leaves]
    for k, (a, b) in enumerate(zip(found, expected, strict=True)):
        assert_close(str(k), a, b, "engines, float64")


def test_a_window_as_long_as_the_sequence_truncates_nothing_and_a_short_one_does():
    torch.manual_seed(0)
    net, x = Recurrent(CIRCUITS["lstm"], x=3, h=4, dtype=torch.float64), torch.randn(2, 20, 3, dtype=torch.float64)
    found = []
    for memory in (Store(), Truncated(20), Truncated(39, 20), Truncated(5)):
        net.memory = memory
        net.zero_grad()
        net(x).h.square().sum().backward()
        found.append(net.W.grad.clone())
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=0)
    torch.testing.assert_close(found[2], found[0], rtol=1e-12, atol=0)
    assert not torch.allclose(found[3], found[0], rtol=1e-3)


def test_backpropagate_in_windows_is_the_truncated_gradient_and_reads_once():
    torch.manual_seed(0)
    net, source, read = Recurrent(CIRCUITS["gru"], x=3, h=4, dtype=torch.float64), Steps(49, 3), []
    net.memory = Truncated(7)
    net(source.values[None]).h.square().sum().backward()
    expected = {n: p.grad.clone() for n, p in net.named_parameters()}
    net.zero_grad()
    net.memory = Store()

    class Noted(Steps):
        def read(self, start, stop):
            read.append(start)
            return super().read(start, stop)

    unrolled.backpropagate(net, Noted(49, 3), lambda out, *_: out.h.square().sum(), Truncated(7))
    assert read == [*range(0, 49, 7)]
    for n, p in net.named_parameters():
        torch.testing.assert_close(p.grad, expected[n], rtol=1e-12, atol=1e-14)


def test_between_segments_nothing_but_states_is_kept():
    net, source, seen = Recurrent(CIRCUITS["gru"], x=3, h=16), Steps(1200, 3, torch.float32), []

    def bytes_alive(*_):
        alive = [t.untyped_storage() for t in gc.get_objects() if type(t) is torch.Tensor and t.layout is torch.strided]
        seen.append(sum({s.data_ptr(): s.nbytes() for s in alive}.values()))

    unrolled.backpropagate(net, source, lambda out, *_: out.h.sum(), Snapshots(every=100), told=bytes_alive)
    states = 12 * 16 * 4
    assert len(seen) == 23 and abs(seen[10] - seen[0]) <= states, (
        "a view of a segment's last row would keep 100 times as much"
    )


@pytest.mark.parametrize("count", [1, 2, 7, 30])
def test_moves_do_as_little_as_can_be_done(count):
    """For every number of stored states: each segment runs once, the last first; no more states are stored than fit;
    and as few segments are recomputed as in the best order, found by trying all."""

    @cache
    def best(count, states):
        if states == 1 or count == 1:
            return count * (count - 1) // 2
        return min(k + best(k, states) + best(count - k, states - 1) for k in range(1, count))

    for states in range(1, count + 1):
        segments, kept, order, runs = Segments(10 * count, 10, states), [0], [], [0] * count
        for keep, k in segments.moves():
            for i in range(kept[-1], k):
                runs[i] += 1
            if keep:
                kept.append(k)
            else:
                order.append(k)
                kept = kept[: len(kept) - (kept[-1] == k)]
            assert len(kept) <= states
        assert order == [*reversed(range(count))]
        assert 10 * sum(runs) == segments.again == 10 * best(count, states) and max(runs) == segments.passes


def test_the_least_memory_that_is_named_works_and_a_byte_less_does_not():
    for length, step, state in [(1, 7, 3), (1000, 100, 10), (30_000_000, 9000, 512)]:
        least = least_budget(length, step, state, 64, 4096)
        assert least_work(length, step, state, least - 1, 64, 4096) is None
        found = least_work(length, step, state, least, 64, 4096)
        assert found.every * step + found.states * state <= least and found.passes <= 10
        ample = least_work(length, step, state, 100 * least, 64, 4096)
        assert ample.again <= found.again and ample.passes <= 1


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
        "every must be a number of steps, at least 1, got 0": lambda: Snapshots(every=0),
        "memory must be Store\\(\\), Snapshots\\(...\\) or Truncated": lambda: Recurrent(
            CIRCUITS["gru"], x=3, h=4, memory="500 MB"
        ),
        "window must be a number of steps, at least 1, got 0": lambda: Truncated(0),
        "stride must be a number of steps, at least 1, got 1.5": lambda: Truncated(5, 1.5),
        "stride \\(7\\) must not be longer than window \\(5\\): the errors of 2 in 7 steps would": lambda: Truncated(
            5, 7
        ),
        "stride must be window \\(5\\), got 2": lambda: unrolled.backpropagate(
            net, Steps(50, 3), total, Truncated(5, 2)
        ),
        "'300 B' is too small for 50 sequences: one step of all of them needs": lambda: Recurrent(
            CIRCUITS["gru"], x=3, h=4, memory=Snapshots(memory="300 B")
        )(torch.randn(50, 100, 3)),
        "memory 1000 is too small for 9,000 steps: give at least": lambda: unrolled.backpropagate(
            net, Steps(9000, 3, torch.float32), total, memory=1000
        ),
        "a source needs an integer 'length' and read": lambda: unrolled.backpropagate(net, torch.ones(3), total),
        "the source has 0 steps": lambda: unrolled.backpropagate(net, Steps(0, 3), total),
        "the loss of a segment must be one number, got \\(1, 50, 4\\)": lambda: unrolled.backpropagate(
            net, Steps(50, 3, torch.float32), lambda out, *_: out.h
        ),
    }
    with pytest.raises(DataError, match="gave other values when steps 40 to 45 were read again"):
        unrolled.backpropagate(net, Fickle(50, 3, torch.float32), total, Snapshots(every=5))
    for message, call in cases.items():
        with pytest.raises(InputError, match=message):
            call()
    assert net.W.grad is None
