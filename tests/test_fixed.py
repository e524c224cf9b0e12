"""Inputs that are fixed in time: vectors and memories with one value per sequence, on every engine."""

from __future__ import annotations

import pytest
import torch

import unrolled
from cells_for_tests import ENGINES, needs_compiler
from unrolled import CircuitError, InputError, Ragged, Recurrent, State, circuit, rows, softmax, tanh
from unrolled.engines.c import launch
from unrolled.engines.row_counts import rounded
from unrolled.errors import EngineError
from unrolled.graph import stored
from unrolled.testing import check_gradients
from unrolled.transform.hoist import hoisted


@circuit(fixed=("s", "M"))
def look(x, h, s, M, *, W, U, A, K, v, C, b):
    """Additive attention, and a summary that is given to every step."""
    q = A @ h
    a = softmax(tanh(M @ K.T + rows(q)) @ v)
    c = M.T @ a
    h = tanh(b + W @ h + U @ x + C @ c + s)
    return {"h": h, "a": a}


SIZES = {"x": 3, "h": 4, "M": 6, "q": 5}


def network(engine, **options):
    torch.manual_seed(0)
    try:
        return Recurrent(look, engine=engine, dtype=torch.float64, **SIZES, **options)
    except EngineError as problem:
        pytest.skip(str(problem))


def data(batch=3, steps=5, many=7):
    torch.manual_seed(1)
    shapes = {"x": (batch, steps, 3), "s": (batch, 4), "M": (batch, many, 6), "h": (batch, 4)}
    return {n: torch.randn(*shape, dtype=torch.float64, requires_grad=True) for n, shape in shapes.items()}


def by_hand(p, x, s, M, h):
    hs, weights = [], []
    for t in range(x.shape[1]):
        a = (torch.tanh(M @ p["K"].T + (h @ p["A"].T)[:, None]) @ p["v"]).softmax(1)
        c = (M.mT @ a[:, :, None])[:, :, 0]
        h = torch.tanh(p["b"] + h @ p["W"].T + x[:, t] @ p["U"].T + c @ p["C"].T + s)
        hs.append(h)
        weights.append(a)
    return {"h": torch.stack(hs, 1), "a": torch.stack(weights, 1)}


def run(net, d, **options):
    return net(d["x"], s=d["s"], M=d["M"], state=State(h=d["h"]), **options)


def loss(found):
    return (found["h"] * torch.arange(4.0).double()).sum() + found["a"].square().sum()


@pytest.mark.parametrize("memory", [None, unrolled.Snapshots(every=2)])
@pytest.mark.parametrize("engine", ENGINES)
def test_values_and_gradients_are_those_of_a_loop_in_torch(engine, memory):
    net, d = network(engine, memory=memory), data()
    p = dict(net.named_parameters())
    out, right = run(net, d), by_hand(p, **d)
    leaves = [*d.values(), *p.values()]
    torch.testing.assert_close(out.h, right["h"])
    torch.testing.assert_close(out.a, right["a"])
    for mine, theirs in zip(
        torch.autograd.grad(loss(out), leaves), torch.autograd.grad(loss(right), leaves), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_the_gradient_of_a_memory_by_the_complex_step():
    for engine in ("reference", "torch"):
        check_gradients(look, 4, engine=engine, x=3, h=4, M=(5, 6), q=5)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_way_to_call(engine):
    net, d = network(engine), data()
    out = run(net, d)
    first = net(d["x"][:, :2], s=d["s"], M=d["M"], state=State(h=d["h"]))
    second = net(d["x"][:, 2:], s=d["s"], M=d["M"], state=first.state)
    assert torch.equal(torch.cat([first.h, second.h], 1), out.h)
    lengths = (5, 0, 2)
    x = Ragged([d["x"][i, :k] for i, k in enumerate(lengths)])
    ragged = net(x, s=d["s"], M=d["M"], state=State(h=d["h"]))
    for i, k in enumerate(lengths):
        torch.testing.assert_close(ragged.h[i], out.h[i, :k])
    step = net.step(d["x"][:, 0], s=d["s"], M=d["M"], state=State(h=d["h"]))
    torch.testing.assert_close(step.h, out.h[:, 0])
    torch.testing.assert_close(net.read(d["x"], d["s"], d["M"], state=State(h=d["h"])).h, out.h[:, -1])
    forced = net(d["x"], s=d["s"], M=d["M"], state=State(h=d["h"]), given={"h": out.h.detach()})
    torch.testing.assert_close(forced.h, out.h)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_reset_does_not_end_the_sum_over_time(engine):
    """A sequence that restarts still reads the same memory, whose gradient is the sum over all its steps."""
    net, d = network(engine), data(2)
    reset = torch.tensor([[False, False, True, False, True], [False] * 5])
    out = run(net, d, reset=reset)
    parts = [(0, 0, 2, d["h"][:1]), (0, 2, 4, 0 * d["h"][:1]), (0, 4, 5, 0 * d["h"][:1]), (1, 0, 5, d["h"][1:])]
    p = dict(net.named_parameters())
    pieces = [by_hand(p, d["x"][i : i + 1, a:b], d["s"][i : i + 1], d["M"][i : i + 1], h) for i, a, b, h in parts]
    torch.testing.assert_close(out.h[0], torch.cat([pieces[k]["h"][0] for k in range(3)]))
    leaves = [d["x"], d["s"], d["M"], *p.values()]
    right = torch.autograd.grad(sum(loss(piece) for piece in pieces), leaves)
    for mine, theirs in zip(torch.autograd.grad(loss(out), leaves), right, strict=True):
        torch.testing.assert_close(mine, theirs)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_sequence_is_the_same_alone(engine):
    net, d = network(engine), data()
    out = run(net, d)
    for i in range(3):
        alone = run(net, {n: v[i : i + 1] for n, v in d.items()})
        torch.testing.assert_close(alone.h[0], out.h[i], rtol=1e-14, atol=1e-14)


def test_derivatives_of_higher_order_and_batches_of_calls():
    net, d = network("torch"), data(2, 2)
    leaves = (*d.values(), *net.parameters())
    assert torch.autograd.gradgradcheck(lambda x, s, M, h, *_: net(x, s=s, M=M, state=State(h=h)).h, leaves)
    x, s, M = (d[n].detach() for n in "xsM")
    batched = torch.func.vmap(lambda x, s, M: net(x[None], s[None], M[None]).h[0])(x, s, M)
    torch.testing.assert_close(batched, net(x, s, M).h)
    tangent = torch.func.jvp(lambda M: net(x, s, M).h, (M,), (M,))[1]
    step = 1e-6
    near = (net(x, s, (1 + step) * M).h - net(x, s, (1 - step) * M).h) / (2 * step)
    torch.testing.assert_close(tangent, near, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("engine", ENGINES)
def test_calls_like_an_earlier_one_skip_the_checks_and_give_the_same(engine):
    net, state = network(engine), State(h=data()["h"])
    for seed, many in ((1, 7), (2, 7), (3, 4), (4, 7)):
        torch.manual_seed(seed)
        d = {"x": torch.randn(3, 5, 3).double(), "s": torch.randn(3, 4).double(), "M": torch.randn(3, many, 6).double()}
        right = by_hand(dict(net.named_parameters()), **d, h=state.h)
        torch.testing.assert_close(net(d["x"], s=d["s"], M=d["M"], state=state).h, right["h"])
        torch.testing.assert_close(net.step(d["x"][:, 0], d["s"], d["M"], state).a, right["a"][:, 0])
        torch.testing.assert_close(
            net(d["x"], d["s"], d["M"]).h, by_hand(dict(net.named_parameters()), **d, h=0 * state.h)["h"]
        )
    assert len(net._known) == 6  # three ways to call, with two numbers of rows
    with pytest.raises(InputError, match="is fixed in time"):
        net(d["x"], d["s"], d["M"][0])


def test_backpropagate_with_a_memory():
    """The memory and the summary get the gradient of one backward pass, also where they are computed from others."""
    net, d = network("torch"), data(1, 20)
    x = d["x"].detach()[0]

    class Source:
        length = 20

        def read(self, start, stop):
            return x[start:stop]

    def leaves():
        return [d["s"], d["M"], *net.parameters()]

    out = net(x[None], s=d["s"], M=2 * d["M"])
    right = torch.autograd.grad((out.h**2).sum() + out.a.square().sum(), leaves())

    def square(out, start, stop):
        return (out.h**2).sum() + out.a.square().sum()

    for memory in (unrolled.Snapshots(every=6), "1 MB"):
        for leaf in leaves():
            leaf.grad = None
        unrolled.backpropagate(net, Source(), square, memory, fixed={"s": d["s"], "M": 2 * d["M"]})
        for leaf, expected in zip(leaves(), right, strict=True):
            torch.testing.assert_close(leaf.grad, expected)
    with pytest.raises(InputError, match="'M' is fixed in time"):
        unrolled.backpropagate(net, Source(), square, fixed={"s": d["s"], "M": d["M"][0]})


def test_keys_are_computed_once_per_sequence():
    first, step = hoisted(look.recurrence)
    assert [n.op for n in first.returns.values()] == ["matmul"] and "K" not in step.parameters
    text = look.plan().explain()
    assert "once per sequence" in text and "M Kᵀ" in text.split("in the loop")[0]
    assert hoisted(step) is None


def test_equations_files_and_pictures():
    assert "c(t) = Mᵀ a(t)" in look.equations() and "∇M = Σ_t" in look.adjoint().equations()
    assert "h(1) = f(h(0), x(1), s, M; θ)" in look.unfold(2).equations()
    again = stored.from_text(stored.as_text(look.recurrence))
    assert stored.as_text(again) == stored.as_text(look.recurrence) and again.fixed == ("s", "M")
    assert "input fixed in time" in look.draw().svg
    net, d = network("reference"), data()
    assert torch.equal(look.unfold(5).evaluate(**d, **dict(net.named_parameters()))["a"], run(net, d).a)


def test_a_network_that_reads_only_its_memory():
    @circuit(fixed=("M",))
    def write(h, M, *, W, U):
        return {"h": tanh(W @ h + U @ (M.T @ softmax(M @ h)))}

    net = Recurrent(write, h=4, M=4, dtype=torch.float64)
    M = torch.randn(2, 5, 4, dtype=torch.float64)
    for engine in ("reference", "torch"):
        out, h = net.use(engine)(M=M, steps=3).h, torch.zeros(2, 4, dtype=torch.float64)
        for t in range(3):
            read = (M.mT @ (M @ h[:, :, None]).softmax(1))[:, :, 0]
            h = torch.tanh(h @ net.W.T + read @ net.U.T)
            torch.testing.assert_close(out[:, t], h)


def test_a_state_with_an_entry_per_row():
    @circuit(fixed=("M",))
    def coverage(x, c, M, *, U, v):
        a = softmax(tanh(M @ U.T + rows(x)) @ v - c)
        return {"c": c + a, "o": M.T @ a}

    net = Recurrent(coverage, x=3, M=4)
    x, M = torch.randn(2, 5, 3), torch.randn(2, 6, 4)
    out = net(x, M=M)
    assert out.c.shape == (2, 5, 6) and torch.allclose(out.c[:, -1].sum(1), torch.full((2,), 5.0))
    assert torch.equal(net(x[:, 3:], M=M, state=net(x[:, :3], M=M).state).c, out.c[:, 3:])
    with pytest.raises(InputError, match="the size of state 'c' is the number of rows of M"):
        net.initial_state(2)


def test_wrong_use_is_named():
    net, d = network("torch"), data()
    x, s, M = d["x"], d["s"], d["M"]
    with pytest.raises(InputError, match=r"'M' is fixed in time: it takes one matrix per sequence, \(batch, rows, 6\)"):
        net(x, s, M[:, None].expand(3, 5, 7, 6))
    with pytest.raises(InputError, match=r"one vector per sequence, \(batch, 4\), got \(3, 5, 4\). A series"):
        net(x, s[:, None].expand(3, 5, 4), M)
    with pytest.raises(InputError, match=r"'x' must be \(batch, time, 3\), got \(3, 3\).*Only s, M are fixed in time"):
        net(x[:, 0], s, M)
    with pytest.raises(InputError, match="has no rows"):
        net(x, s, M[:, :0])
    with pytest.raises(InputError, match="'M' has values for 1 sequences, but the batch has 3"):
        net(x, s, M[:1])
    with pytest.raises(InputError, match="needs input 'M' to compute its state 'h'"):
        net(x, s)
    with pytest.raises(InputError, match="needs input 's', 'M' to compute its state 'h'"):
        unrolled.measure(net, x=x[0])
    with pytest.raises(CircuitError, match="fixed= names 'h', but a state gets a new value at every step"):

        @circuit(fixed="h")
        def cell(x, h):
            return {"h": h + x}

    with pytest.raises(CircuitError, match="fixed= names 'y', which is not an input"):

        @circuit(fixed="y")
        def other(x, h):
            return {"h": h + x}

    with pytest.raises(CircuitError, match="the size of parameter 'W' would be the number of rows of 'M'"):

        @circuit(fixed="M")
        def wide(x, h, M, *, W):
            return {"h": h + W @ (M @ x)}

    with pytest.raises(InputError, match="'M' must have 4 rows"):
        Recurrent(look_back, x=3, h=4)(torch.randn(2, 5, 3), M=torch.randn(2, 3, 3))


@circuit(fixed="M")
def look_back(x, h, M):
    """As many rows as the state has entries."""
    return {"h": tanh(h + M @ x)}


@circuit(fixed=("M",))
def many_ways(x, h, c, M, *, K):
    """Every reduction over the rows of a memory, and a state with an entry per row."""
    e = M @ x - c
    a = softmax(e)
    k = tanh(M @ K.T + rows(h))
    h = tanh(h + k.T @ a + softmax(k, axis=0).T @ e + unrolled.mean(k, axis=0) - unrolled.logsumexp(M, axis=0))
    h = h + unrolled.max(M, axis=0) * unrolled.min(e) + unrolled.mean(e) + unrolled.sum(unrolled.cumsum(e) * a)
    h = tanh(h + unrolled.min(k, axis=0) + unrolled.max(k) + unrolled.mean(k) + k.T @ (k @ x))
    return {"h": h, "c": 0.5 * c + a, "e": e}


@pytest.mark.parametrize("engine", ENGINES)
def test_memories_of_different_length_in_one_batch(engine):
    """Each sequence gives what it gives alone with its own memory: values, and gradients of the memory's rows."""
    torch.manual_seed(0)
    try:
        net = Recurrent(many_ways, x=4, engine=engine, dtype=torch.float64)
    except EngineError as problem:
        pytest.skip(str(problem))
    x = torch.randn(3, 5, 4, dtype=torch.float64)
    memories = [torch.randn(k, 4, dtype=torch.float64, requires_grad=True) for k in (6, 1, 3)]
    out = net(x, M=Ragged(memories))
    assert not out.e[1, :, 1:].any() and not out.c[2, :, 3:].any() and out.state.c.shape == (3, 6)
    ours = torch.autograd.grad(out.h.sum() + out.e.square().sum(), [*memories, *net.parameters()])
    alone = [net(x[i : i + 1], M=m[None]) for i, m in enumerate(memories)]
    for i, one in enumerate(alone):
        torch.testing.assert_close(out.h[i], one.h[0])
        torch.testing.assert_close(out.e[i, :, : len(memories[i])], one.e[0])
    right = torch.autograd.grad(
        sum(one.h.sum() + one.e.square().sum() for one in alone), [*memories, *net.parameters()]
    )
    for mine, theirs in zip(ours, right, strict=True):
        torch.testing.assert_close(mine, theirs)
    step = net.step(x[:, 0], M=Ragged(memories))
    torch.testing.assert_close(step.h, out.h[:, 0])
    both = net(Ragged([x[0], x[1, :2], x[2, :0]]), M=Ragged(memories))
    torch.testing.assert_close(both.h[1], out.h[1, :2])


def test_rows_that_are_not_there_spoil_no_gradient():
    """The logarithm of a padded zero would be infinite, and its gradient NaN."""

    @circuit(fixed="M")
    def logs(x, h, M):
        return {"h": 0.5 * h + x + unrolled.sum(unrolled.log(M), axis=0) / unrolled.sum(M)}

    net = Recurrent(logs, x=2, dtype=torch.float64)
    memories = [torch.rand(k, 2, dtype=torch.float64).requires_grad_() for k in (3, 1)]
    for engine in ("reference", "torch"):
        net.use(engine)(torch.randn(2, 3, 2).double(), M=Ragged(memories)).h.sum().backward()
        assert all(m.grad.isfinite().all() and m.grad.any() for m in memories)


def test_wrong_memories_of_different_length_are_named():
    net, d = network("torch"), data(2)
    x, s = d["x"], d["s"]
    with pytest.raises(InputError, match="input 'M' has no rows in sequence 1: there is nothing to look at"):
        net(x, s, Ragged([torch.zeros(2, 6).double(), torch.zeros(0, 6).double()]))
    with pytest.raises(InputError, match=r"one vector per sequence, \(batch, 4\), got a Ragged"):
        net(x, Ragged([s[0], s[1]]), d["M"])

    @circuit(fixed=("K", "V"))
    def pair(x, h, K, V):
        return {"h": h + V.T @ softmax(K @ x)}

    both = Recurrent(pair, x=3, h=4)
    K, V = Ragged([torch.randn(2, 3), torch.randn(1, 3)]), Ragged([torch.randn(2, 4), torch.randn(1, 4)])
    assert both(torch.randn(2, 3, 3), K, V).h.shape == (2, 3, 4)
    with pytest.raises(InputError, match="'K' is Ragged, and 'V' has the same rows; give both as Ragged"):
        both(torch.randn(2, 3, 3), K, torch.randn(2, 2, 4))
    with pytest.raises(InputError, match="must have the same lengths"):
        both(torch.randn(2, 3, 3), K, Ragged([torch.randn(1, 4), torch.randn(2, 4)]))


def test_numbers_of_rows_are_rounded():
    found = [rounded(n) for n in range(1, 100)]
    assert all(n <= r < 1.25 * n for n, r in enumerate(found, 1)) and found == sorted(found)
    assert len(set(found)) == 23


@needs_compiler
def test_few_numbers_of_rows_are_compiled(monkeypatch):
    """Memories with 21 to 24 rows run the same compiled pass, and give what they give alone."""
    compiled = []
    real = launch.kernel
    monkeypatch.setattr(launch, "kernel", lambda *given: compiled.append(given) or real(*given))
    net, d = network("c"), data(2, 3)
    for many in range(21, 25):
        M = torch.randn(2, many, 6, dtype=torch.float64, requires_grad=True)
        out = net(d["x"], d["s"], M, state=State(h=d["h"]))
        right = by_hand(dict(net.named_parameters()), d["x"], d["s"], M, d["h"])
        torch.testing.assert_close(out.h, right["h"])
        torch.testing.assert_close(out.a, right["a"])
        mine, theirs = (torch.autograd.grad(loss(found), [M, net.K]) for found in (out, right))
        for a, b in zip(mine, theirs, strict=True):
            torch.testing.assert_close(a, b)
    assert len({given[1] for given in compiled}) == 1
