"""Networks that write: their own symbol fed back for a number of steps, and until a stop symbol."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cells_for_tests import ENGINES
from unrolled import InputError, Ragged, Recurrent, State, argmax, cells, circuit, draw, gumbel, softmax, take, tanh
from unrolled.data import writing
from unrolled.nn import SequenceModel
from unrolled.nn.writer import writer


@circuit
def greedy(w, h, *, E, W, V):
    h = tanh(W @ h + take(E, w))
    o = V @ h
    return {"w": argmax(o), "h": h, "o": o}


@circuit(fixed=("M",))
def reader(w, noise, h, M, *, E, W, V, A, C):
    """Attention over a memory, and a drawn symbol."""
    a = softmax(M @ (A @ h))
    h = tanh(W @ h + take(E, w) + C @ (M.T @ a))
    o = V @ h
    return {"w": draw(o, noise), "h": h, "o": o, "a": a}


def network(made, engine: str, **sizes) -> Recurrent:
    torch.manual_seed(0)
    net = Recurrent(made, engine=engine, **sizes)
    for p in net.parameters():
        torch.nn.init.normal_(p)
    return net


def by_steps(net: Recurrent, state: State, steps: int) -> tuple[Tensor, State]:
    symbols = []
    for _ in range(steps):
        out = net.step(state=state)
        state = out.state
        symbols.append(out.w)
    return torch.stack(symbols, 1), state


@pytest.mark.parametrize("engine", ENGINES)
def test_steps_write_what_single_steps_write(engine: str):
    net = network(greedy, engine, w=7, h=6)
    start = State(w=torch.arange(7), h=torch.randn(7, 6))
    out = net(steps=50, state=start)
    symbols, state = by_steps(net, start, 50)
    assert torch.equal(out.w, symbols) and torch.equal(out.state.h, state.h) and torch.equal(out.state.w, state.w)
    first = net(steps=20, state=start)
    second = net(steps=30, state=first.state)
    assert torch.equal(torch.cat([first.w, second.w], 1), out.w)
    assert net(steps=3).w.shape == (1, 3) and len(out.w.unique()) > 3


@pytest.mark.parametrize("engine", ENGINES)
def test_calls_that_are_repeated_read_what_is_there_now(engine: str):
    """A call like an earlier one skips the checks, but not those of tokens; another number of steps is another call."""
    net = network(greedy, engine, w=7, h=6)
    for scale in (1.0, -0.5):
        for rows, steps in ((2, 5), (2, 9), (3, 5), (2, 5)):
            start = State(w=torch.arange(rows), h=scale * torch.randn(rows, 6))
            out, (symbols, state) = net(steps=steps, state=start), by_steps(net, start, steps)
            assert torch.equal(out.w, symbols) and torch.equal(out.state.h, state.h)
        for p in net.parameters():
            p.data.mul_(1.5)
    with pytest.raises(InputError, match="0 to 6"):
        net(steps=5, state=State(w=torch.tensor([1, 9]), h=torch.zeros(2, 6)))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("ragged", [False, True])
def test_until_cuts_each_sequence_behind_its_stop_symbol(engine: str, ragged: bool):
    net = network(reader, engine, w=7, h=6, M=3)
    noise = gumbel(9, 70, 7)
    memories = [torch.randn(4 if not ragged else 2 + i % 4, 3) for i in range(9)]
    M = Ragged(memories) if ragged else torch.stack(memories)
    whole, out = net(noise=noise, M=M), net(noise=noise, M=M, until={"w": 0})
    hits = [(row == 0).nonzero().flatten().tolist() for row in whole.w]
    lengths = [hit[0] + 1 if hit else 70 for hit in hits]
    assert out.w.lengths.tolist() == lengths and len(set(lengths)) > 5 and max(lengths) > 16
    for i, length in enumerate(lengths):
        assert torch.equal(out.w[i], whole.w[i, :length])
        for n in ("h", "o"):
            torch.testing.assert_close(out[n][i], whole[n][i, :length], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(out.state.h[i], whole.h[i, length - 1], rtol=1e-5, atol=1e-6)
        assert out.state.w[i] == whole.w[i, length - 1]
        if engine == "c":
            assert torch.equal(out.o[i], whole.o[i, :length])
    names, parameters = zip(*net.named_parameters(), strict=True)
    loss = sum(whole.o[i, :length].sin().sum() for i, length in enumerate(lengths))
    found = torch.autograd.grad(out.o.values.sin().sum(), parameters)
    for n, a, b in zip(names, found, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=lambda text, n=n: f"{n}: {text}")


@pytest.mark.parametrize("engine", ENGINES)
def test_until_with_a_state_of_the_size_of_the_memory(engine: str):
    @circuit(fixed=("M",))
    def covering(w, noise, s, M, *, A, E):
        """The state counts how much of each row was looked at."""
        s = s + softmax(M @ (A @ take(E, w)) - s)
        return {"w": draw(A.T @ (M.T @ s), noise), "s": s}

    net = network(covering, engine, w=5, M=3, noise=5)
    noise, M = gumbel(9, 70, 5), Ragged([torch.randn(2 + i % 4, 3) for i in range(9)])
    whole, out = net(noise=noise, M=M), net(noise=noise, M=M, until={"w": 0})
    lengths = [min([*(row == 0).nonzero().flatten().tolist(), 69]) + 1 for row in whole.w]
    assert out.w.lengths.tolist() == lengths and max(lengths) > 16
    for i, length in enumerate(lengths):
        assert torch.equal(out.w[i], whole.w[i, :length]) and torch.equal(out.s[i], whole.s[i, :length])


@pytest.mark.parametrize("engine", ENGINES)
def test_until_without_inputs_and_with_a_largest_number_of_steps(engine: str):
    net = network(greedy, engine, w=7, h=6)
    start = State(w=torch.arange(7), h=torch.randn(7, 6))
    whole = net(steps=40, state=start)
    stop = int(whole.w[0, 20])
    for steps in (40, 16, 5, 1, 0):
        out = net(steps=steps, state=start, until={"w": stop})
        for i, row in enumerate(whole.w[:, :steps].tolist()):
            length = row.index(stop) + 1 if stop in row else steps
            assert out.w[i].tolist() == row[:length]
            assert out.state.w[i] == (row[length - 1] if length else i)
    again = net(steps=40, state=out.state, until={"w": stop})
    assert torch.equal(again.w.values, net(steps=40, state=start, until={"w": stop}).w.values)


def test_the_first_of_several_stop_symbols_ends_a_sequence():
    @circuit
    def two(w, v, h, *, E, W, V, U):
        h = tanh(W @ h + take(E, w))
        return {"w": argmax(V @ h), "v": argmax(U @ h), "h": h}

    net = network(two, "reference", w=5, v=4, h=6)
    start = State(w=torch.arange(5), v=torch.zeros(5, dtype=torch.int64), h=torch.randn(5, 6))
    whole, out = net(steps=30, state=start), net(steps=30, state=start, until={"w": 1, "v": 2})
    for i in range(5):
        hits = ((whole.w[i] == 1) | (whole.v[i] == 2)).nonzero().flatten().tolist()
        assert len(out.w[i]) == (hits[0] + 1 if hits else 30)


def test_bad_stop_symbols_and_numbers_of_steps_are_refused():
    net, other = network(greedy, "reference", w=7, h=6), network(reader, "reference", w=7, h=6, M=3)
    noise, M = gumbel(2, 5, 7), torch.randn(2, 4, 3)
    for match, call in {
        r"the stop symbol of 'w' must be an integer from 0 to 6, got 7": lambda: net(steps=3, until={"w": 7}),
        r"the stop symbol of 'w' must be an integer from 0 to 6, got -1": lambda: net(steps=3, until={"w": -1}),
        r"the stop symbol of 'w' must be an integer from 0 to 6, got 'a'": lambda: net(steps=3, until={"w": "a"}),
        r"until= names 'h', which is not a token. Its tokens are w": lambda: net(steps=3, until={"h": 0}),
        r"until= names 'q', which the network does not return": lambda: net(steps=3, until={"q": 0}),
        r"until must name a token and its stop symbol": lambda: net(steps=3, until={}),
        r"'greedy' has no inputs, so it needs a number of steps": lambda: net(until={"w": 0}),
        r"steps=9, but the inputs have 5 steps": lambda: other(noise=noise, M=M, steps=9, until={"w": 0}),
        r"steps=9, but the inputs have 5 steps. Leave": lambda: other(noise=noise, M=M, steps=9),
        r"'reader' needs the input w|'reader' needs input 'noise'": lambda: other(M=M, steps=9),
        r"'reader' needs the input noise": lambda: other(M=M, steps=9, until={"w": 0}),
        r"Leave out given= and reset=": lambda: net(steps=3, until={"w": 0}, given={"w": torch.zeros(1, 3).long()}),
        r"must be a tensor \(batch, time, ...\), got a Ragged": lambda: other(
            noise=Ragged([torch.randn(3, 7)]), M=M[:1], until={"w": 0}
        ),
    }.items():
        with pytest.raises(InputError, match=match):
            call()


def test_under_torch_compile_a_writer_runs_between_two_graphs():
    net = network(greedy, "torch", w=7, h=6)
    compiled = torch.compile(lambda x: net(steps=12, state=State(w=x)).w + 1, backend="eager")
    x = torch.tensor([1, 2])
    assert torch.equal(compiled(x), net(steps=12, state=State(w=x)).w + 1)
    until = torch.compile(lambda x: net(steps=12, state=State(w=x), until={"w": 3}).w.values + 1, backend="eager")
    assert torch.equal(until(x), net(steps=12, state=State(w=x), until={"w": 3}).w.values + 1)


MODELS = {
    "gru": (cells.gru, {}),
    "two lstm": (cells.lstm, {"layers": 2, "embedding": 8}),
    "scores of the circuit": (cells.elman, {}),
    "tied": (cells.gru, {"embedding": 12, "tied": True, "hidden": 20}),
    "residual": (cells.rnn, {"layers": 3, "residual": True, "embedding": 24, "hidden": 24}),
    "matrix state": (cells.mlstm, {"hidden": 8}),
    "zoneout": (cells.gru, {"zoneout": 0.2}),
    "variational": (cells.gru, {"variational": 0.2}),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_joined_into_one_circuit_writes_what_it_writes_step_by_step(name: str):
    """The same symbols for a seed, at all temperatures, and with documents that begin anew."""
    cell, options = MODELS[name]
    torch.manual_seed(0)
    model = SequenceModel(cell, 17, 17, **{"hidden": 24, **options}).eval()
    for p in model.parameters():
        p.data.mul_(3)
    before = torch.get_rng_state()
    for temperature, border, start in ((0.0, None, [4]), (0.8, 3, [5, 3, 6]), (1.3, 3, [3]), (1.0, None, [1, 2])):
        given = model, torch.tensor(start), 90, temperature
        by_steps = writing._by_steps(*given, torch.Generator().manual_seed(7), 1.0, border)
        assert list(writing.write(*given, 7, 1.0, border)) == list(by_steps), (temperature, border)
    assert torch.equal(torch.get_rng_state(), before)
    net = writer(model)
    assert all(p.data_ptr() in {q.data_ptr() for q in model.parameters()} for p in net.parameters())


def test_what_no_joined_circuit_expresses_is_written_step_by_step():
    torch.manual_seed(0)
    both_ways = SequenceModel(cells.gru, 9, 9, hidden=8, bidirectional=True).eval()
    assert writer(both_ways) is None and writer(SequenceModel(cells.gru, 9, 9, answer="last")) is None
    assert len(list(writing.write(both_ways, torch.tensor([1]), 5))) == 5
    model = SequenceModel(cells.gru, 9, 9, hidden=8).eval()
    likely = list(writing.write(model, torch.tensor([1]), 40, seed=1, top_p=1e-9))
    assert likely == list(writing.write(model, torch.tensor([1]), 40, temperature=0))
