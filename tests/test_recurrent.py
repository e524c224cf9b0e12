"""Recurrent as users call it: shapes, state, teacher forcing, free running, single steps, and torch's conventions."""

from __future__ import annotations

import copy
import io

import pytest
import torch
from torch.utils.checkpoint import checkpoint

import unrolled
from cells_for_tests import CIRCUITS, ENGINES, SIZES, lecture
from unrolled import Recurrent, State, abs, circuit, cos, erf, exp, log, sigmoid, sin, softplus, tanh
from unrolled.cells import autonomous, elman, jordan, lstm
from unrolled.testing import assert_close


def network(name, **options):
    return Recurrent(CIRCUITS[name], **SIZES[name], **options)


def inputs_of(name, batch=3, steps=8, dtype=torch.float32):
    values = {}
    for n in CIRCUITS[name].inputs:
        size = SIZES[name].get(n, 2)
        values[n] = torch.randint(2, (batch, steps)) if n == "y" else torch.randn(batch, steps, size, dtype=dtype)
    return values or {}


def call(net, name, values, state=None, steps=8):
    return net(**values, state=state, **({} if values else {"steps": steps}))


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [n for n in CIRCUITS if not CIRCUITS[n].recurrence.fixed])
def test_cutting_a_sequence_and_carrying_the_state_gives_the_same_bits(name, engine):
    net = network(name, engine=engine)
    values = inputs_of(name)
    whole = call(net, name, values, State(**dict(net.initial_state(3))))
    state, pieces = net.initial_state(3), []
    for start, stop in ((0, 1), (1, 1), (1, 5), (5, 8)):
        piece = {n: v[:, start:stop] for n, v in values.items()}
        out = call(net, name, piece, state, stop - start)
        state = out.state
        pieces.append(out)
    for n in whole:
        assert torch.equal(torch.cat([p[n] for p in pieces], 1), whole[n]), n
    for n in state:
        assert torch.equal(state[n], whole.state[n])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("size", [1, 5, 16, 33])
def test_a_cut_changes_no_bit_of_functions_of_inputs(size: int, engine: str):
    """Outside the loop, engine torch computes functions of all steps at once."""

    @circuit
    def gated(x, s):
        s = 0.5 * s + sigmoid(x) * tanh(x) + exp(-abs(x)) * softplus(x) + sin(x) * cos(x) + erf(x)
        return {"s": s, "o": log(1 + exp(s))}

    net = Recurrent(gated, x=size, s=size, engine=engine)
    x = torch.randn(3, 16, size)
    whole = net(x)
    for at in (1, 7, 15):
        first = net(x[:, :at])
        second = net(x[:, at:], state=first.state)
        for name in ("s", "o"):
            assert torch.equal(torch.cat([first[name], second[name]], 1), whole[name]), name
    state = net.initial_state(3)
    for t in range(16):
        step = net.step(x[:, t], state)
        state = step.state
        assert torch.equal(step.o, whole.o[:, t])


# batch, input, hidden
SHAPES = [(1, 1, 1), (3, 7, 3), (2, 64, 16), (8, 33, 65), (5, 90, 31), (17, 3, 100), (33, 16, 128)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("batch", "inputs", "hidden"), SHAPES)
def test_cutting_changes_no_bit_at_any_shape(batch, inputs, hidden, dtype, engine):
    """On engine c, computing a gradient makes no difference either."""
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS["gru"], engine=engine, dtype=dtype, x=inputs, h=hidden)
    x = torch.randn(batch, 30, inputs, dtype=dtype)
    with torch.no_grad():
        whole = net(x)
        for at in (1, 13, 29):
            first = net(x[:, :at])
            second = net(x[:, at:], state=first.state)
            assert torch.equal(torch.cat([first.h, second.h], 1), whole.h)
    if engine == "c":
        assert torch.equal(net(x).h, whole.h)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", [n for n in CIRCUITS if not CIRCUITS[n].recurrence.fixed])
def test_one_step_at_a_time_gives_the_same_bits(name, engine, batch):
    net = network(name, engine=engine)
    values = inputs_of(name, batch)
    whole = call(net, name, values, net.initial_state(batch))
    state = net.initial_state(batch)
    for t in range(8):
        step = net.step(**{n: v[:, t] for n, v in values.items()}, state=state)
        state = step.state
        for n in whole:
            assert torch.equal(step[n], whole[n][:, t])


def test_a_step_is_checked_whatever_came_before():
    net = Recurrent(lstm, x=3, h=4)
    x, state = torch.randn(2, 3), net.step(torch.randn(2, 3)).state
    assert net.step(x, state).h.shape == net.step(x, state).h.shape == (2, 4)
    with pytest.raises(unrolled.errors.InputError, match="float64"):
        net.step(x.double(), state)
    with pytest.raises(unrolled.errors.InputError, match="must be \\(rows, 3\\)"):
        net.step(torch.randn(2, 4), state)
    with pytest.raises(unrolled.errors.InputError, match="state 'h' must be"):
        net.step(x[:1], state)
    with pytest.raises(unrolled.errors.InputError, match="tensor"):
        net.step([[1.0, 2.0, 3.0]], state)
    assert net.double().step(x.double(), state.to(torch.float64)).h.dtype == torch.float64
    with pytest.raises(unrolled.errors.InputError, match="float64"):
        net.step(x, state)


def test_tokens_of_a_step_are_checked_whatever_came_before():
    net = Recurrent(lstm, x=3, h=4)
    state = net.step(torch.tensor([0])).state
    expected = net.step(torch.tensor([[0.0, 0.0, 1.0]]), state).h
    for _ in range(2):
        assert torch.equal(net.step(torch.tensor([2], dtype=torch.int32), state).h, expected)
    with pytest.raises(unrolled.errors.InputError, match="from 0 to 2, got 3"):
        net.step(torch.tensor([3]), state)


def test_sequences_are_checked_whatever_came_before():
    net = Recurrent(lstm, x=3, h=4)
    x, state = torch.randn(2, 5, 3), net.initial_state(2)
    expected = net(x)
    for again in (
        net(x),
        net(x, state=state),
        net(x=x, state=State(h=state.h)),
        net(x=x, state=State(c=state.c, h=state.h)),
    ):
        assert torch.equal(again.h, expected.h) and torch.equal(again.state.c, expected.state.c)
    tokens = torch.tensor([[0, 2, 1]])
    one_hot = net(torch.nn.functional.one_hot(tokens, 3).float()).h
    for _ in range(2):
        torch.testing.assert_close(net(tokens).h, one_hot)
    for given, problem in (
        (x.double(), "float64"),
        (x[:, :, :2], r"must be \(batch, time, 3\)"),
        (tokens + 1, "from 0 to 2, got 3"),
        (x[0], r"write x\[None\]"),
    ):
        with pytest.raises(unrolled.errors.InputError, match=problem):
            net(given)
    with pytest.raises(unrolled.errors.InputError, match="state 'h' must be"):
        net(x[:1], state=state)
    with pytest.raises(unrolled.errors.InputError, match="must be a State"):
        net(x, state=state.h)
    assert net(x, steps=5).h.shape == net(x, reset=torch.zeros(2, 5, dtype=torch.bool)).h.shape == (2, 5, 4)
    with pytest.raises(unrolled.errors.InputError, match="Leave steps out"):
        net(x, steps=6)
    net.memory = unrolled.Snapshots(every=2)
    net(x).h.sum().backward()
    assert net(x).h.grad_fn is not None and torch.equal(net(x).h, expected.h)


def test_a_network_that_has_stepped_can_be_copied_and_given_another_engine():
    net = Recurrent(lstm, x=3, h=4)
    x, state = torch.randn(1, 3), net.step(torch.randn(1, 3)).state
    for _ in range(2):
        out = net.step(x, state)
    out.h.sum().backward()
    kept = io.BytesIO()
    torch.save(net, kept)
    kept.seek(0)
    for twin in (copy.deepcopy(net), torch.load(kept, weights_only=False), net.use("reference")):
        assert_close(twin.engine, twin.step(x, state).h, out.h, "engines, float32")


def test_shapes_and_names():
    net = Recurrent(elman, x=65, h=256, o=65)
    out = net(torch.randn(8, 10, 65))
    assert out.o.shape == (8, 10, 65) and out.h.shape == (8, 10, 256) and out.last.o.shape == (8, 65)
    assert out.state.h.shape == (8, 256) and torch.equal(out.last.h, out.state.h)
    assert set(net.state_dict()) == {"U", "W", "b", "V", "c"}
    assert repr(net) == f"Recurrent(elman, x=65, h=256, o=65, engine={net.engine})"
    assert f"engine '{net.engine}'" in net.explain()


def test_gradient_flows_through_the_carried_state_until_detached():
    net = network("gru")
    x = torch.randn(2, 6, 3)
    net(x).h[:, -1].sum().backward()
    whole = net.W.grad.clone()
    net.zero_grad()
    first = net(x[:, :3])
    net(x[:, 3:], state=first.state).h[:, -1].sum().backward()
    assert_close("gradient over two calls", net.W.grad, whole, "torch.nn, float32")
    net.zero_grad()
    net(x[:, 3:], state=net(x[:, :3]).state.detach()).h[:, -1].sum().backward()
    assert not torch.allclose(net.W.grad, whole)


def test_tokens_are_one_hot_vectors():
    net = Recurrent(elman, x=5, h=4, o=2)
    tokens = torch.randint(5, (3, 7))
    vectors = torch.nn.functional.one_hot(tokens, 5).float()
    assert torch.equal(net(tokens).o, net(vectors).o)


def test_a_loss_inside_the_circuit_and_its_target_left_out():
    net = Recurrent(lecture, x=3, h=4, o=2)
    x, y = torch.randn(2, 5, 3), torch.randint(2, (2, 5))
    out = net(x, y)
    assert out.L.shape == (2, 5)
    torch.testing.assert_close(out.L.sum(), unrolled.losses.nll(out.o, y))
    without = net(x)
    assert torch.equal(without.o, out.o) and "L" not in list(without)
    with pytest.raises(AttributeError, match="does not return 'L'"):
        _ = without.L


def test_teacher_forcing_feeds_the_target_of_the_step_before():
    net = Recurrent(jordan, x=3, h=4, o=2)
    x, target = torch.randn(2, 5, 3), torch.randn(2, 5, 2)
    start = State(o=torch.randn(2, 2))
    out = net(x, state=start, given={"o": target})
    fed = torch.cat([start.o[:, None], target[:, :-1]], 1)
    h = torch.tanh(net.b + fed @ net.W.T + x @ net.U.T)
    torch.testing.assert_close(out.o, net.c + h @ net.V.T)
    assert torch.equal(out.state.o, target[:, -1])


def test_free_running_feeds_the_networks_own_output():
    net = Recurrent(jordan, x=3, h=4, o=2)
    x = torch.randn(2, 5, 3)
    free = net(x)
    torch.testing.assert_close(net(x, given={"o": free.o}).o, free.o)
    assert not torch.equal(net(x, given={"o": torch.zeros(2, 5, 2)}).o, free.o)


def test_gradients_under_teacher_forcing():
    net = Recurrent(jordan, x=3, h=4, o=2, dtype=torch.float64)
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)
    target = torch.randn(2, 5, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, target, *_: net(x, given={"o": target}).o, (x, target, *net.parameters()))


def test_autonomous():
    net = Recurrent(autonomous, s=3)
    start = State(s=torch.randn(4, 3))
    out = net(state=start, steps=6)
    assert out.s.shape == (4, 6, 3)
    torch.testing.assert_close(out.s[:, 0], torch.tanh(net.b + start.s @ net.A.T))


def test_several_inputs_states_outputs():
    @circuit
    def two(x, z, h, s, *, W, U, V, A, k):
        h = tanh(W @ h + U @ x)
        s = tanh(A @ h + V @ z + k * s)
        return {"h": h, "s": s, "sum": h * 2, "prod": s * s}

    net = Recurrent(two, x=3, z=2, h=4, s=5)
    x, z = torch.randn(2, 6, 3), torch.randn(2, 6, 2)
    assert torch.equal(net(x, z).prod, net(z=z, x=x).prod) and net(x, z).sum.shape == (2, 6, 4)


def test_a_circuit_inside_a_circuit():
    @circuit
    def stacked(x, h, c, h2, *, U, W, b, U2, W2):
        lower = lstm(x, h, c, U=U, W=W, b=b)
        h2 = tanh(W2 @ h2 + U2 @ lower["h"])
        return {"h": lower["h"], "c": lower["c"], "h2": h2}

    net, plain = Recurrent(stacked, x=3, h=4, h2=5), Recurrent(lstm, x=3, h=4)
    plain.load_state_dict({n: p for n, p in net.state_dict().items() if n in ("U", "W", "b")})
    x = torch.randn(2, 6, 3)
    assert torch.equal(net(x).h, plain(x).h) and net(x).h2.shape == (2, 6, 5)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_empty_and_single(batch, steps, engine):
    net = network("lstm", engine=engine)
    x = torch.randn(batch, steps, 3, requires_grad=True)
    start = State(h=torch.randn(batch, 4, requires_grad=True))
    out = net(x, state=start)
    assert out.h.shape == (batch, steps, 4) and out.state.c.shape == (batch, 4)
    if not steps:
        assert torch.equal(out.state.h, start.h)
    (out.h.sum() + out.state.h.sum()).backward()
    assert x.grad.shape == x.shape


@pytest.mark.parametrize("engine", ENGINES)
def test_states_that_are_handed_on(engine):
    """A delay line, two states that swap places, and a state that is the same at every step."""

    @circuit
    def handed(x, late, a, b, fixed, *, k):
        return {"late": x, "a": b, "b": a + x, "fixed": tanh(k), "seen": late + fixed}

    net = Recurrent(handed, late=2, a=2, fixed=2, engine=engine)
    torch.nn.init.ones_(net.k)
    x = torch.arange(1.0, 9.0).reshape(1, 4, 2).expand(2, 4, 2).clone().requires_grad_()
    out = net(x, state=State(a=torch.full((2, 2), 10.0), b=torch.full((2, 2), 20.0)))
    t = torch.tanh(torch.ones(())).item()
    assert out.late.equal(x) and out.fixed.shape == (2, 4, 2)
    assert out.a[0, :, 0].tolist() == [20, 11, 23, 16] and out.b[0, :, 0].tolist() == [11, 23, 16, 30]
    torch.testing.assert_close(out.seen[0, :, 0], torch.tensor([0.0, 1 + t, 3 + t, 5 + t]))
    (out.seen.sum() + out.b[:, -1].sum()).backward()
    assert x.grad[0, :, 0].tolist() == [1, 2, 1, 1]
    torch.testing.assert_close(net.k.grad, torch.full((2,), 6 * (1 - t * t)))


def test_constants_are_no_parameters():
    @circuit
    def euler(x, h, *, W, dt=0.25):
        h = h + dt * (tanh(W @ h + x) - h)
        return {"h": h}

    assert euler.parameters == ("W",)
    assert "0.25" in euler.equations()


def test_it_is_a_torch_module():
    net = network("layernorm_lstm")
    twin = copy.deepcopy(net)
    x = torch.randn(2, 5, 3)
    assert torch.equal(twin(x).h, net(x).h) and twin.circuit is net.circuit
    file = io.BytesIO()
    torch.save(net, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x).h, net(x).h)
    model = torch.nn.ModuleDict({"rnn": net.double(), "out": torch.nn.Linear(4, 2).double()})
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    x, y = torch.randn(8, 6, 3, dtype=torch.float64), torch.randn(8, 2, dtype=torch.float64)
    losses = []
    for _ in range(60):
        optimizer.zero_grad()
        loss = (model["out"](net(x).last.h) - y).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_changed_between_forward_and_backward_is_noticed(engine):
    net = network("rnn", engine=engine)
    x = torch.randn(1, 3, 3)
    for changed in ("parameter", "output", "input"):
        out = net(x)
        with torch.no_grad():
            {"parameter": net.W, "output": out.h, "input": x}[changed].mul_(2)
        if changed == "output" and engine == "reference":  # stores its own copies
            out.h.sum().backward()
            continue
        with pytest.raises(unrolled.EngineError, match=r"changed in place, but the backward.*out\.h\.clone\(\)"):
            out.h.sum().backward()


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_kept_is_freed_by_the_backward_pass(engine):
    net = network("lstm", engine=engine)
    out = net(torch.randn(2, 5, 3))
    loss = out.h.square().sum()
    loss.backward(retain_graph=True)
    first = net.W.grad.clone()
    loss.backward()
    torch.testing.assert_close(net.W.grad, 2 * first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()


@pytest.mark.parametrize("engine", ENGINES)
def test_checkpoints_and_hooks_see_what_is_kept(engine):
    """torch recomputes the values, or stores them elsewhere."""
    net, x = network("lstm", engine=engine), torch.randn(2, 5, 3)
    net(x).h.square().sum().backward()
    expected = {n: p.grad.clone() for n, p in net.named_parameters()}
    moved = []

    def elsewhere(tensor):
        moved.append(tensor.nbytes)
        return tensor.detach().clone()

    def again():
        return checkpoint(lambda: net(x).h.square().sum(), use_reentrant=False)

    def hooked():
        with torch.autograd.graph.saved_tensors_hooks(elsewhere, lambda tensor: tensor):
            return net(x).h.square().sum()

    for run in (again, hooked):
        net.zero_grad()
        run().backward()
        for n, p in net.named_parameters():
            torch.testing.assert_close(p.grad, expected[n], rtol=0, atol=0)
    assert sum(moved) > sum(p.nbytes for p in net.parameters()) + 2 * 5 * 4 * 4 * 4  # parameters and gates


def test_no_graph_is_kept_without_gradients():
    net = network("rnn")
    with torch.no_grad():
        assert not net(torch.randn(1, 3, 3)).h.requires_grad
    assert net(torch.randn(1, 3, 3)).h.requires_grad


def test_batch_order_does_not_matter():
    net = network("gru")
    x = torch.randn(5, 7, 3)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(net(x).h[order], net(x[order]).h)


def test_state():
    state = State(h=torch.arange(6.0).reshape(3, 2), c=torch.ones(3, 2))
    assert state.select([2, 0]).h.tolist() == [[4, 5], [0, 1]]
    assert state.reset(torch.tensor([True, False, True])).h.tolist() == [[0, 0], [2, 3], [0, 0]]
    state.h.requires_grad_()
    assert not state.detach().h.requires_grad and state.h.requires_grad
    assert state.to(torch.float64).c.dtype == torch.float64 and list(state) == ["h", "c"]
    nan = State(h=torch.full((2, 2), float("nan"))).reset(torch.tensor([True, False]))
    assert nan.h[0].tolist() == [0, 0] and nan.h[1].isnan().all()


def test_initialisers():
    net = Recurrent(lstm, x=3, h=8)
    assert net.b.chunk(4)[1].eq(1).all() and net.b.chunk(4)[0].eq(0).all()
    for block in net.W.chunk(4):
        torch.testing.assert_close(block @ block.T, torch.eye(8))
    assert torch.equal(Recurrent(CIRCUITS["irnn"], x=3, h=4).W, torch.eye(4))
    torch.manual_seed(1)
    first = Recurrent(lstm, x=3, h=8)
    torch.manual_seed(1)
    assert torch.equal(first.U, Recurrent(lstm, x=3, h=8).U)


def test_absolute_value_is_as_in_torch():
    @circuit
    def cell(x, s):
        return {"s": unrolled.abs(s) + 0 * x}

    start = torch.tensor([[-2.0, 0.0, 3.0]], requires_grad=True)
    out = Recurrent(cell, s=3)(torch.zeros(1, 1, 3), state=State(s=start))
    out.s.sum().backward()
    assert out.s.tolist() == [[[2, 0, 3]]] and start.grad.tolist() == [[-1, 0, 1]]


def test_a_state_is_also_read_after_the_inputs():
    net, x = network("lstm"), torch.randn(2, 3, 3)
    state = net(x).state
    expected = net(x, state=state)
    for given in (state, dict(state), State(c=state.c, h=state.h)):
        again = net(x, given)
        assert torch.equal(again.h, expected.h) and torch.equal(again.c, expected.c)
        assert torch.equal(net.step(x[:, 0], given).h, expected.h[:, 0])
        assert torch.equal(net.read(x, given).h, expected.last.h)
    assert torch.equal(net(x, None).h, net(x).h)


def test_results_are_mappings():
    net = network("lstm")
    out = net(torch.randn(2, 3, 3))
    assert len(out) == 2 and list(out) == list(out.keys()) == ["h", "c"] and "h" in out and out.get("o") is None
    assert dict(out)["h"] is out.h and [*out.values()][1] is out.c and {**out}.keys() == out.keys()
    assert out == out and out != net(torch.randn(2, 3, 3)) and {out: 1}[out] == 1
    for found in (out, net.step(torch.randn(2, 3))):
        with pytest.raises(unrolled.InputError, match=r"cannot be unpacked.*then out.h, out.c, out.state"):
            _h, _state = found
    first, second = map(str, out)  # names, where a user asks for them
    assert (first, second) == ("h", "c")
