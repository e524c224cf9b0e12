"""Sequences of any lengths in one batch, and states that are reset inside a sequence."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cells_for_tests import CIRCUITS, ENGINES, SIZES
from unrolled import InputError, Ragged, Recurrent, State, circuit, sigmoid, tanh
from unrolled.engines.reference import Reference
from unrolled.testing import assert_close

NAMES = ["rnn", "gru", "lstm", "jordan", "layernorm_lstm", "lecture"]


def batch(net, lengths):
    """Random inputs of every kind, as lists of sequences."""
    series = {}
    for n in net.circuit.inputs:
        size = net.sizes[n]
        token = n == "y"
        series[n] = [torch.randint(size, (k,)) if token else torch.randn(k, size, dtype=torch.float64) for k in lengths]
    start = State(**{n: torch.randn(len(lengths), net.sizes[n], dtype=torch.float64) for n in net.circuit.states})
    return series, start


def network(name, engine):
    torch.manual_seed(0)
    return Recurrent(CIRCUITS[name], engine=engine, dtype=torch.float64, **SIZES[name])


def one_by_one(net, series, start, pieces=None):
    """Each sequence on its own, cut at its resets: outputs per sequence and the last states."""
    outputs, ends = [], []
    for i in range(len(next(iter(series.values())))):
        length = len(next(iter(series.values()))[i])
        cuts = sorted({0, length, *(pieces or {}).get(i, [])})
        state, parts = State(**{n: s[i : i + 1] for n, s in start.items()}), []
        for a, b in itertools.pairwise(cuts):
            if a in (pieces or {}).get(i, []):
                state = None
            out = net(**{n: x[i][None, a:b] for n, x in series.items()}, state=state)
            parts.append(out)
            state = out.state
        names = list(parts[0]) if parts else []
        outputs.append({n: torch.cat([p[n][0] for p in parts]) for n in names})
        ends.append(state)
    return outputs, ends


def gradients(net, loss, start):
    net.zero_grad()
    for s in start.values():
        s.grad = None
    loss.backward()
    found = {n: p.grad.clone() for n, p in net.named_parameters()}
    zero = {n: torch.zeros_like(s) for n, s in start.items()}
    return found | {f"start {n}": zero[n] if s.grad is None else s.grad for n, s in start.items()}


def weighted(outputs):
    """A scalar to which every entry of every output contributes differently."""
    return sum((v * torch.arange(1, v.numel() + 1, dtype=v.dtype).view(v.shape).sin()).sum() for v in outputs)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=6, deadline=None)
@given(
    lengths=st.lists(st.sampled_from([0, 1, 2, 5, 9]), min_size=1, max_size=7).filter(any),
    seed=st.integers(0, 99),
    resets=st.booleans(),
)
def test_ragged_equals_one_by_one(name, engine, lengths, seed, resets):
    net = network(name, engine)
    torch.manual_seed(seed)
    series, start = batch(net, lengths)
    for s in start.values():
        s.requires_grad_()
    masks = [torch.rand(k) < 0.3 if resets else torch.zeros(k, dtype=torch.bool) for k in lengths]
    pieces = {i: m.nonzero().flatten().tolist() for i, m in enumerate(masks)}
    out = net(**{n: Ragged(x) for n, x in series.items()}, state=start, reset=Ragged(masks) if resets else None)
    single, ends = one_by_one(net, series, start, pieces)
    for n in out:
        for i, k in enumerate(lengths):
            if k:
                torch.testing.assert_close(out[n][i], single[i][n], rtol=1e-12, atol=1e-12)
    for n in net.circuit.states:
        for i in range(len(lengths)):
            torch.testing.assert_close(out.state[n][i], ends[i][n][0], rtol=1e-12, atol=1e-12)
    flat = {n: torch.cat([single[i][n] for i, k in enumerate(lengths) if k]) for n in out}
    together = gradients(net, weighted([out[n].values for n in out]), start)
    apart = gradients(net, weighted(list(flat.values())), start)
    for n, g in apart.items():
        assert_close(n, together[n], g, "engines, float64")


def same_as_one_by_one(net, lengths, cuts):
    """A ragged batch with resets at some steps: last states and all gradients."""
    series, start = batch(net, lengths)
    for s in start.values():
        s.requires_grad_()
    masks = [torch.zeros(k, dtype=torch.bool) for k in lengths]
    for i, steps in cuts.items():
        masks[i][steps] = True
    out = net(**{n: Ragged(x) for n, x in series.items()}, state=start, reset=Ragged(masks))
    single, ends = one_by_one(net, series, start, cuts)
    together = gradients(net, weighted([out[n].values for n in out] + list(out.state.values())), start)
    whole = [torch.cat([one[n] for one in single if n in one]) for n in out]
    last = [torch.cat([end[n] for end in ends]) for n in net.circuit.states]
    apart = gradients(net, weighted(whole + last), start)
    for n in net.circuit.states:
        torch.testing.assert_close(out.state[n], torch.cat([end[n] for end in ends]), rtol=1e-12, atol=1e-12)
    for n, g in apart.items():
        assert_close(n, together[n], g, "engines, float64")


@pytest.mark.parametrize("engine", ENGINES)
def test_resets_and_products_of_parameters(engine):
    """The gradient of a matrix that is computed from others is not a plain sum of outer products."""

    @circuit
    def cell(x, h, *, U, W, M):
        return {"h": tanh((W @ W) @ h + sigmoid(M) @ h + (M @ U) @ x)}

    torch.manual_seed(0)
    net = Recurrent(cell, x=3, h=4, engine=engine, dtype=torch.float64)
    same_as_one_by_one(net, [5, 1, 7], {0: [2], 1: [0], 2: [0, 3, 6]})


@pytest.fixture
def uninitialised():
    """Uninitialised memory from torch is filled with NaN."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["lstm", "jordan"])
def test_what_was_in_memory_is_never_read(name, engine, uninitialised):
    net = network(name, engine)
    same_as_one_by_one(net, [4, 0, 2, 1, 0], {})
    same_as_one_by_one(net, [3, 0, 5], {0: [0], 2: [1, 4]})


@pytest.mark.parametrize("engine", ENGINES)
def test_resets_in_a_batch_of_equal_lengths(engine):
    net = network("gru", engine)
    x = torch.randn(3, 8, 3, dtype=torch.float64)
    reset = torch.zeros(3, 8, dtype=torch.bool)
    reset[0, 0] = reset[1, 3] = reset[1, 7] = True
    start = State(h=torch.randn(3, net.sizes["h"], dtype=torch.float64))
    out = net(x, state=start, reset=reset)
    torch.testing.assert_close(out.h[0], net(x[:1]).h[0])
    torch.testing.assert_close(out.h[1, 3:7], net(x[1:2, 3:7]).h[0])
    torch.testing.assert_close(out.h[2], net(x[2:], state=start.select([2])).h[0])
    torch.testing.assert_close(out.state.h[1], net(x[1:2, 7:]).state.h[0])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("lengths", [(4, 0, 9, 1), (5, 5, 5), (0, 0)])
@pytest.mark.parametrize("also", [False, True])
def test_last_states_are_the_last_rows(engine, lengths, also):
    """Values and gradients have their own memory; a sequence without steps gives the initial state."""
    net = network("gru", engine)
    series, start = batch(net, lengths)
    start.h.requires_grad_()
    out = net(Ragged(series["x"]), state=start) if len({*lengths}) > 1 else net(torch.stack(series["x"]), state=start)
    weight = torch.randn(len(lengths), net.sizes["h"], dtype=torch.float64)
    rows = [*out.h] if isinstance(out.h, Ragged) else out.h.unbind(0)
    same = torch.stack([h[-1] if len(h) else start.h[i] for i, h in enumerate(rows)])
    assert torch.equal(out.state.h, same)
    assert out.state.h.untyped_storage().nbytes() == out.state.h.nbytes
    beside = sum((h**2).sum() for h in rows) if also else 0  # those of the series, too
    ours = torch.autograd.grad((out.state.h * weight).sum() + beside, [net.W, start.h], retain_graph=True)
    right = torch.autograd.grad((same * weight).sum() + beside, [net.W, start.h], allow_unused=True)
    for a, b in zip(ours, right, strict=True):
        torch.testing.assert_close(a, torch.zeros_like(a) if b is None else b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("engine", ENGINES)
def test_teacher_forcing_of_ragged_sequences(engine):
    net = network("jordan", engine)
    lengths = [4, 0, 1, 3]
    x = [torch.randn(k, net.sizes["x"], dtype=torch.float64) for k in lengths]
    o = [torch.randn(k, net.sizes["o"], dtype=torch.float64) for k in lengths]
    start = State(o=torch.randn(4, net.sizes["o"], dtype=torch.float64))
    for state in (None, start):
        out = net(Ragged(x), state=state, given={"o": Ragged(o)})
        for i in (0, 2, 3):
            alone = net(x[i][None], state=state.select([i]) if state else None, given={"o": o[i][None]})
            torch.testing.assert_close(out.o[i], alone.o[0])
            torch.testing.assert_close(out.state.o[i], o[i][-1])
    assert torch.equal(out.state.o[1], start.o[1])


@pytest.mark.parametrize("engine", ENGINES)
def test_teacher_forcing_begins_anew_where_the_state_does(engine):
    net = network("jordan", engine)
    x, o = (torch.randn(2, 6, net.sizes[n], dtype=torch.float64, requires_grad=True) for n in "xo")
    start = State(o=torch.randn(2, net.sizes["o"], dtype=torch.float64))
    reset = torch.zeros(2, 6, dtype=torch.bool)
    reset[0, 2] = reset[1, 0] = reset[1, 5] = True
    pieces = [(0, 0, 2, start.select([0])), (0, 2, 6, None), (1, 0, 5, None), (1, 5, 6, None)]
    out = net(x, state=start, given={"o": o}, reset=reset).o
    apart = [net(x[i : i + 1, a:b], s, given={"o": o[i : i + 1, a:b]}).o[0] for i, a, b, s in pieces]
    torch.testing.assert_close(out.flatten(0, 1), torch.cat(apart), rtol=1e-12, atol=1e-12)
    leaves = [x, o, *net.parameters()]
    ours, right = (torch.autograd.grad(weighted([v]), leaves) for v in (out.flatten(0, 1), torch.cat(apart)))
    for mine, theirs in zip(ours, right, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-12, atol=1e-12)


def test_order_and_company_change_no_bit():
    net = Recurrent(CIRCUITS["lstm"], x=5, h=33)
    if net.engine != "c":
        pytest.skip("engine c is not here")
    x = [torch.randn(k, 5) for k in (7, 300, 1, 0, 40, 40, 3)]
    together = net(Ragged(x)).h
    for order in ([6, 5, 4, 3, 2, 1, 0], [1], [2, 4, 0]):
        other = net(Ragged([x[i] for i in order])).h
        assert all(torch.equal(other[k], together[i]) for k, i in enumerate(order))
    dense = net(x[1][None]).h[0]
    assert torch.equal(dense, together[1])
    cut = net(Ragged([x[1][:13]]))
    assert torch.equal(torch.cat([cut.h[0], net(Ragged([x[1][13:]]), state=cut.state).h[0]]), dense)


def test_padding_is_never_read():
    net = Recurrent(CIRCUITS["rnn"], x=3, h=4)
    x = torch.randn(2, 6, 3)
    x[1, 2:] = torch.nan
    out = net(Ragged.from_padded(x, lengths=[6, 2]))
    out.h.sum().backward()
    assert out.h.values.isfinite().all() and all(p.grad.isfinite().all() for p in net.parameters())


def test_misuse():
    net = Recurrent(CIRCUITS["jordan"], x=3, h=4, o=2)
    x = Ragged([torch.randn(2, 3), torch.randn(5, 3)])
    for message, call in {
        "'x' is Ragged, but 'o' is not": lambda: net(x, given={"o": torch.randn(2, 5, 2)}),
        "all series of a call must have the same lengths; those of 'o' differ": lambda: net(
            x, given={"o": Ragged([torch.randn(5, 2), torch.randn(2, 2)])}
        ),
        "must be \\(rows, 3\\)": lambda: net(Ragged([torch.randn(2, 4)])),
        "reset must be a Ragged of booleans": lambda: net(x, reset=torch.zeros(2, 5, dtype=torch.bool)),
        "reset must be booleans \\(1, 2\\)": lambda: net(torch.randn(1, 2, 3), reset=torch.zeros(1, 2)),
        "one boolean per step, \\(1, 2\\)": lambda: net(torch.randn(1, 2, 3), reset=torch.zeros(1, 3) > 0),
        "the inputs have their own lengths": lambda: net(x, steps=5),
        "a sequence of length 0 has no last step": lambda: net(Ragged([torch.randn(0, 3)])).last,
    }.items():
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["lecture", "lstm", "jordan"])
def test_reading_everything_answers_as_the_last_step(name, engine):
    net = network(name, engine)
    series, start = batch(net, [1, 7, 3])
    ragged = {n: Ragged(x) for n, x in series.items()}
    out, answer = net(**ragged, state=start), net.read(**ragged, state=start)
    for n in out:
        torch.testing.assert_close(answer[n], out[n].last, rtol=1e-12, atol=1e-12)
    for n in net.circuit.states:
        torch.testing.assert_close(answer.state[n], out.state[n], rtol=1e-12, atol=1e-12)
    dense = {n: x[1][None] for n, x in series.items()}
    torch.testing.assert_close(net.read(**dense).state[n], net(**dense).state[n])
    read = gradients(net, weighted([answer[n] for n in out]), start)
    whole = gradients(net, weighted([out[n].last for n in out]), start)
    for n, g in whole.items():
        assert_close(n, read[n], g, "engines, float64")


def test_reading_computes_outputs_once(monkeypatch):
    calls, real = [], Reference.forward
    monkeypatch.setattr(Reference, "forward", lambda *given, **kept: calls.append(given[1]) or real(*given, **kept))
    net = Recurrent(CIRCUITS["elman"], x=3, h=4, o=2, engine="reference")
    net.read(torch.randn(2, 9, 3))
    assert [(call.layout.longest, "o" in call.recurrence.returns) for call in calls] == [(8, False), (1, True)]
    with pytest.raises(InputError, match="has no steps"):
        net.read(torch.randn(2, 0, 3))
    with pytest.raises(InputError, match="sequence 1 of 'x' has no steps"):
        net.read(Ragged([torch.randn(2, 3), torch.randn(0, 3)]))
