"""The C engine: its functions and its text. Threads, compilers and the digest have files of their own."""

from __future__ import annotations

import functools
import shutil

import pytest
import torch

import unrolled
from cells_for_tests import CIRCUITS, SIZES, needs_compiler
from unrolled import (
    EngineError,
    Recurrent,
    State,
    abs,
    circuit,
    concat,
    cos,
    erf,
    exp,
    floor,
    log,
    nll,
    relu,
    sigmoid,
    sign,
    sin,
    softmax,
    softplus,
    split,
    sqrt,
    sum,
    take,
    tanh,
    where,
)
from unrolled.engines.c import blocks, build
from unrolled.engines.c.render import part, render
from unrolled.engines.lowering.lower import lower
from unrolled.engines.lowering.place import place
from unrolled.graph.bind import bind
from unrolled.plan.plan import make_plan
from unrolled.testing import assert_close

pytestmark = needs_compiler


def apply(function, values):
    """A function as the loop computes it: one step of a circuit whose state is the argument."""

    @circuit
    def cell(s):
        return {"s": function(s)}

    net = Recurrent(cell, s=values.numel(), engine="c", dtype=values.dtype)
    return net(state=State(s=values[None]), steps=1).s[0, 0]


FUNCTIONS = {
    "tanh": (tanh, torch.tanh, (-12, 12)),
    "sigmoid": (sigmoid, torch.sigmoid, (-87, 90)),
    "exp": (exp, torch.exp, (-87, 88)),
    "log": (log, torch.log, (1e-30, 100)),
    "sqrt": (sqrt, torch.sqrt, (0, 100)),
    "relu": (relu, torch.relu, (-5, 5)),
    "softplus": (softplus, lambda x: torch.logaddexp(x, torch.zeros_like(x)), (-87, 90)),
    "erf": (erf, torch.erf, (-6, 6)),
    "sin": (sin, torch.sin, (-100, 100)),
    "cos": (cos, torch.cos, (-100, 100)),
    "floor": (floor, torch.floor, (-9, 9)),
    "abs": (abs, torch.abs, (-9, 9)),
    "sign": (sign, torch.sign, (-9, 9)),
}


def ours_and_exact(name, values):
    ours, exact, _ = FUNCTIONS[name]
    return apply(ours, values), exact(values.double())


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_are_accurate_to_two_units_in_the_last_place(name):
    low, high = FUNCTIONS[name][2]
    torch.manual_seed(0)
    values = torch.cat([torch.linspace(low, high, 20_011), torch.randn(5_000).abs() * 1e-3 + max(low, 0)])
    actual, exact = ours_and_exact(name, values)
    unit = torch.nextafter(exact.float().abs(), torch.tensor(torch.inf)) - exact.float().abs()
    assert ((actual.double() - exact).abs() / unit.double()).max() <= 2.0


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_in_float64(name):
    low, high = FUNCTIONS[name][2]
    values = torch.linspace(low, high, 20_011, dtype=torch.float64)
    actual, exact = ours_and_exact(name, values)
    torch.testing.assert_close(actual, exact, rtol=2e-15, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_extremes_are_as_in_torch(name, dtype):
    values = torch.tensor(
        [0.0, -0.0, 1e4, -1e4, 1e-40, -1e-40, torch.inf, -torch.inf, torch.nan, 89.5, -104.5], dtype=dtype
    )
    actual, expected = apply(FUNCTIONS[name][0], values), FUNCTIONS[name][1](values)
    torch.testing.assert_close(actual, expected, rtol=1e-6, atol=1e-44, equal_nan=True)


@pytest.mark.parametrize("value", [1e4, -1e4, torch.inf, torch.nan])
def test_softmax_of_extremes_is_as_in_torch(value):
    values = torch.tensor([0.5, value, -3.0, 1.0])
    torch.testing.assert_close(apply(softmax, values), torch.softmax(values, 0), equal_nan=True)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", ["max", "logsumexp", "softmax", "mean", "sum"])
def test_reductions_of_extremes_are_as_in_torch(name, dtype):
    """Whatever stands among the entries, wherever it stands."""
    functions = {"max": torch.amax, "logsumexp": torch.logsumexp, "softmax": torch.softmax}
    ours, theirs = getattr(unrolled, name), functions.get(name) or getattr(torch, name)

    @circuit
    def cell(x, s):
        return {"s": x, "o": ours(x)}

    net = Recurrent(cell, s=19, engine="c", dtype=dtype)
    x = torch.linspace(-2, 1, 19, dtype=dtype).repeat(1, 24, 1)
    for i, value in enumerate((torch.inf, -torch.inf, torch.nan, 1e4, -1e4, 0.0)):
        for j, at in enumerate((0, 7, 18, slice(None))):
            x[0, 4 * i + j, at] = value
    torch.testing.assert_close(net(x).o, theirs(x, -1), rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.parametrize("name", ["rnn", "lstm", "layernorm_lstm"])
def test_rendered_text(golden, name):
    """The passes of a training step forward and backward in C, to be read beside the equations."""
    recurrence = CIRCUITS[name].recurrence
    sizes, plan = bind(recurrence, {"x": 3, "h": 20}), make_plan(recurrence)
    way = plan.backward(plan.step.returns, plan.step.parameters)
    lowered = lower(plan.forward(keep=True), (*plan.step.returns.values(), *plan.kept)), lower(way, way.wanted)
    texts = [render(place(statements), sizes, double=False) for statements in lowered]
    golden(f"{name}.c", "\n\n".join(text.split(part("lanes"))[1].strip() for text in texts) + "\n")


@pytest.mark.parametrize("name", [name for name in CIRCUITS if not CIRCUITS[name].recurrence.fixed])
@pytest.mark.slow
def test_a_row_gives_the_same_bits_in_every_batch(name):
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS[name], engine="c", **SIZES[name] | {"h": 21} if "h" in SIZES[name] else SIZES[name])
    values = {n: torch.randn(13, 6, net.sizes[n]) for n in net.circuit.inputs if n != "y"}
    values |= {"y": torch.randint(2, (13, 6))} if "y" in net.circuit.inputs else {}
    start = State(**{n: torch.randn_like(s) for n, s in net.initial_state(13).items()})
    steps = {} if values else {"steps": 6}
    whole = net(**values, state=start, **steps)
    for rows in ([0], [12], [3, 4, 5], list(range(12, -1, -1))):
        part = net(**{n: v[rows] for n, v in values.items()}, state=start.select(rows), **steps)
        for n in whole:
            assert torch.equal(part[n], whole[n][rows]), (n, rows)


@circuit
def pieces(h, *, W, b):
    """Parts of a concatenation are kept, read and joined again, some of them more than once."""
    a = b + W @ h
    both = concat(a, tanh(a), a)
    first, second, third = split(both, 3)
    k = concat(second * third, first)
    return {"h": tanh(split(k, 2)[0] * second + 0.5 * split(k, 2)[1])}


@circuit
def recomputed(x, h, *, W, U, b):
    """What is kept is computed from what is returned, and the other way round."""
    a = tanh(b + W @ h + U @ x)
    o = 2.0 * a
    k = 1.0 - o
    return {"h": sigmoid(k * o * a), "o": o}


@circuit
def read_late(x, h, s, *, W, U, b):
    """The old h is read behind two slow functions, when the new one has been there for long."""
    return {"h": 0.5 * h + U @ x, "s": tanh(tanh(h) - W @ s) * h + b}


@circuit
def handed_on_in_parts(h, s, r):
    """A state becomes parts of another one, which is changed at the same step."""
    first, second = split(s, 2)
    return {"s": tanh(concat(h, r)), "h": first, "r": second}


@circuit
def first_part(x, h, s, *, W, b):
    """A state becomes the first part of a larger value."""
    a = b + W @ concat(h, s, x)
    return {"h": split(a, 4)[0], "s": tanh(split(a, 4)[1] + s)}


@circuit
def parts_of_an_input(x, h, *, V, U):
    """Products with an input and with its first part."""
    return {"h": tanh(0.5 * h + V @ split(x, 3)[0] + U @ x)}


@circuit
def rectified_matrices(x, h, *, W, V, U, b):
    """Functions of parameter matrices: relu, where, a quotient, a difference."""
    W = relu(W) - V / (1 + V * V)
    return {"h": tanh(b + W @ h + where(U > 0.1, U, 0.2 * U) @ x)}


@circuit
def tied(w, y, h, *, E, W, b):
    """One matrix as a table of embeddings and as the last layer."""
    h = tanh(b + W @ h + take(E, w))
    return {"h": h, "L": nll(E @ h, y)}


UNUSUAL = (
    pieces, recomputed, read_late, handed_on_in_parts, first_part, parts_of_an_input, rectified_matrices, tied,
)  # fmt: skip


@pytest.mark.parametrize("cell", UNUSUAL)
def test_values_and_gradients_of_unusual_circuits(cell):
    """In float64, up to the order in which terms are added up."""
    sizes = {"h": 5} | {n: size for n, size in {"x": 3, "w": 6}.items() if n in cell.inputs}
    inputs = {"x": torch.randn(2, 7, 3, dtype=torch.float64)} if "x" in cell.inputs else {}
    inputs |= {n: torch.randint(6, (2, 7)) for n in ("w", "y") if n in cell.inputs}
    found, weights = [], None
    for engine in ("c", "reference"):
        net = Recurrent(cell, engine=engine, dtype=torch.float64, **sizes)
        weights = weights or net.state_dict()
        net.load_state_dict(weights)
        torch.manual_seed(0)
        start = {n: torch.randn(2, net.sizes[n], dtype=torch.float64, requires_grad=True) for n in cell.states}
        out = net(**inputs, state=State(**start), **({} if inputs else {"steps": 7}))
        functools.reduce(torch.add, [(out[n] ** 2).sum() for n in out]).backward()
        found.append([*(out[n].detach() for n in out), *(p.grad for p in (*net.parameters(), *start.values()))])
    for ours, right in zip(*found, strict=True):
        torch.testing.assert_close(ours, right, rtol=1e-12, atol=1e-14)


def test_inputs_need_not_be_contiguous():
    net = Recurrent(CIRCUITS["lstm"], x=3, h=4, engine="c")
    x = torch.randn(5, 3, 7)
    assert torch.equal(net(x.mT).h, net(x.mT.contiguous()).h)
    assert torch.equal(net(x.mT.flip(1)).h, net(x.mT.flip(1).contiguous()).h)
    net(torch.randn(5, 6, 3)).h.sum().backward()  # the gradient of a sum is one number, expanded
    assert net.W.grad.isfinite().all()


def test_weights_are_never_stale():
    net = Recurrent(CIRCUITS["rnn"], x=3, h=40, engine="c")
    x = torch.randn(1, 5, 3)
    net(x)
    changes = (
        lambda: net.W.data.mul_(0.5),
        lambda: net.W.data.copy_(torch.eye(40)),
        net.reset_parameters,
        lambda: net.W.data.neg_(),
        lambda: net.U.data.neg_(),
        lambda: net.W.data.copy_(net.W.data.flip(0)),
        lambda: net.W.data.numpy().__setitem__((0, 0), 7.0),
    )
    for change in changes:
        change()
        torch.testing.assert_close(net(x).h, Recurrent_like(net)(x).h)

    state = net.initial_state(1)
    for change in (net.initial_state, *changes):  # one step reads the weights as they are
        change()
        torch.testing.assert_close(net.step(x[:, 0], state).h, Recurrent_like(net).step(x[:, 0], state).h)
    net.W.data = net.W.data.T  # not contiguous
    torch.testing.assert_close(net.step(x[:, 0], state).h, Recurrent_like(net).step(x[:, 0], state).h)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("hidden", [1, 7, 19, 70])
def test_matrices_read_as_they_are_give_the_same_bits(hidden, dtype):
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS["rnn"], x=37, h=hidden, engine="c", dtype=dtype)
    x, start = torch.randn(2, 2, 37, dtype=dtype), State(h=torch.randn(2, hidden, dtype=dtype))
    whole, first = net(x, state=start).h, net.step(x[:, 0], start)
    assert torch.equal(first.h, whole[:, 0]) and torch.equal(net.step(x[:, 1], first.state).h, whole[:, 1])


@circuit
def from_parameters(x, h, *, U, W, b, c, d):
    """Fixed values that are computed from parameters: sums, parts and a concatenation."""
    low, high = split(b + c, 2)
    bias = concat(high - d, low + low)
    r, n = split(bias + U @ x, 2)
    return {"h": sigmoid(r) * h + tanh(n + W @ h)}


@circuit
def product_of_parameters(x, h, *, U, W, b, c, d):
    return {"h": tanh(W @ h + (b - c * d) + U @ x)}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["lstm", "gru", "peephole_lstm", "from parameters", "a product of parameters"])
@pytest.mark.parametrize("hidden", [3, 16, 40])
def test_few_rows_give_the_bits_of_many(name, hidden, dtype):
    """Calls of one sequence, first checked and then bound, with and without a gradient: values, and the gradients of
    inputs and states; those of the parameters are sums over other rows."""
    torch.manual_seed(0)
    made = {"from parameters": from_parameters, "a product of parameters": product_of_parameters}.get(name)
    made = made or CIRCUITS[name]
    net = Recurrent(made, x=5, h=hidden, engine="c", dtype=dtype)
    for p in net.parameters():
        p.data += torch.randn_like(p) / 4
    x, weight = torch.randn(40, 3, 5, dtype=dtype, requires_grad=True), torch.randn(40, 3, hidden, dtype=dtype)
    many, tolerance = net(x), "engines, float32" if dtype == torch.float32 else "engines, float64"
    for k in (0, 7, 39):
        one, weigh = x[k : k + 1].detach().requires_grad_(), weight[k : k + 1]
        wanted = torch.autograd.grad((many.h[k] * weigh).sum(), [x, *net.parameters()], retain_graph=True)
        for _ in range(3):
            out = net(one)
            found = torch.autograd.grad((out.h * weigh).sum(), [one, *net.parameters()])
            assert torch.equal(out.h[0], many.h[k]) and torch.equal(found[0][0], wanted[0][k])
            assert torch.equal(out.state.h, out.h[:, -1])
            for name, p, right in zip(net.circuit.parameters, found[1:], wanted[1:], strict=True):
                assert_close(f"the gradient of {name}", p, right, tolerance)
            with torch.no_grad():
                assert torch.equal(net(one).h, out.h)


def Recurrent_like(net):
    twin = Recurrent(net.circuit, engine="reference", **{n: net.sizes[n] for n in ("x", "h")})
    twin.load_state_dict(net.state_dict())
    return twin


@pytest.mark.parametrize("name", ["lstm", "layernorm_lstm", "lecture"])
def test_what_was_in_memory_before_makes_no_difference(name):
    """Room that is used again, full of NaN."""
    torch.manual_seed(0)
    net = Recurrent(CIRCUITS[name], engine="c", **SIZES[name])
    inputs = {n: torch.randn(5, 7, net.sizes[n]) for n in net.circuit.inputs if n != "y"}
    inputs |= {"y": torch.randint(2, (5, 7))} if "y" in net.circuit.inputs else {}

    def everything():
        net.zero_grad()
        out = net(**inputs)
        functools.reduce(torch.add, [out[n].sum() for n in out]).backward()
        return [out[n].detach() for n in out] + [p.grad.clone() for p in net.parameters()]

    first = everything()
    blocks.scratch(1_600_000).bytes.fill(0xFF)  # every number is NaN
    free = [block for block in blocks._blocks.values() if block.lent() is None]  # others are of networks still alive
    assert free
    for block in free:
        block.memory.fill(0xFF)
    assert all(torch.equal(a, b) for a, b in zip(first, everything(), strict=True))


def test_what_is_not_written_in_c_is_refused_by_name_and_passed_on_otherwise():
    @circuit
    def table(x, y, h, *, W, U):
        """A row of a matrix that is computed in each step."""
        h = tanh(take(W * sum(h), y) + U @ x)
        return {"h": h}

    reason = "a step takes a row of a matrix that changes"
    assert reason in Recurrent(table, x=3, y=5, h=4).explain()
    assert Recurrent(table, x=3, y=5, h=4).engine == "torch"
    with pytest.raises(EngineError, match=reason):
        Recurrent(table, x=3, y=5, h=4, engine="c")
    with pytest.raises(EngineError, match="not bfloat16 on cpu"):
        Recurrent(CIRCUITS["rnn"], x=3, h=4, engine="c", dtype=torch.bfloat16)


def test_the_reason_is_told():
    assert "compiled by" in Recurrent(CIRCUITS["rnn"], x=3, h=4).explain()
    net = Recurrent(CIRCUITS["rnn"], x=3, h=4, dtype=torch.float64)
    assert net.engine == "reference" and net.float().engine == "c"
    assert shutil.which(build.compiler()[0])
