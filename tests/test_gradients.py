"""The derived adjoint compared with the complex step and with torch.autograd, for all cells and random circuits."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cells_for_tests import CIRCUITS, SIZES, needs_compiler
from unrolled import Recurrent, State, circuit, max, onehot, relu, take, tanh, where
from unrolled.graph.bind import bind
from unrolled.testing import TOLERANCES, assert_close, check_gradients, values_and_gradients
from unrolled.testing.compare import largest
from unrolled.testing.gradients import random_leaves, random_weights
from unrolled.testing.strategies import Drawn, circuits, read
from unrolled.transform import differentiate, evaluate
from unrolled.transform.unfold import unfold

OTHERS = ["torch", pytest.param("c", marks=[needs_compiler, pytest.mark.slow])]  # each circuit is compiled
EXACT = TOLERANCES["complex step, float64"]


@pytest.mark.parametrize("steps", [1, 2, 7, 50, 500])
@pytest.mark.parametrize("name", CIRCUITS)
def test_adjoint_equals_complex_step(name, steps):
    check_gradients(CIRCUITS[name], steps, EXACT, **SIZES[name])


def autograd_gradients(recurrence, sizes, values, weights):
    """torch.autograd through the unfolded graph, with the evaluation table only."""
    steps = next(iter(weights.values())).shape[1]
    graph = unfold(recurrence, steps if recurrence.series else steps + 1)
    leaves = {n: v.clone().requires_grad_() if v.is_floating_point() else v for n, v in values.items()}
    known = {node: leaves[n] for n, node in {**graph.start, **graph.fixed, **recurrence.parameters}.items()}
    known |= {node: leaves[n][:, t - graph.times[0]] for (n, t), node in graph.inputs.items()}
    like = torch.empty(0, dtype=torch.float64)
    result = evaluate.evaluate(graph.values.values(), known, sizes, like)
    loss = sum((result[node] * weights[n][:, t - graph.times[0]]).sum() for (n, t), node in graph.values.items())
    loss.backward()
    return {n: torch.zeros_like(v) if v.grad is None else v.grad for n, v in leaves.items() if v.is_floating_point()}


def same_values_and_gradients(recurrence, sizes, steps, batch, engine):
    """Compare an engine with the reference in float64: all returned values and all gradients."""
    values, weights = random_leaves(recurrence, sizes, steps, batch), random_weights(recurrence, sizes, steps, batch)
    _, expected = values_and_gradients(recurrence, sizes, values, weights)
    _, actual = values_and_gradients(recurrence, sizes, values, weights, engine)
    for name, gradient in expected.items():
        assert_close(
            f"gradient of {name}",
            actual[name],
            gradient,
            "engines, float64",
            largest([*expected.values(), *weights.values()]),
        )


@pytest.mark.parametrize("engine", OTHERS)
@pytest.mark.parametrize("name", CIRCUITS)
def test_engines_agree_with_the_reference(name, engine):
    recurrence = CIRCUITS[name].recurrence
    same_values_and_gradients(recurrence, bind(recurrence, SIZES[name]), 9, 3, engine)


def compare_with_autograd(recurrence, sizes, steps, batch, one_scale=False):
    values, weights = (
        random_leaves(recurrence, sizes, steps, batch),
        random_weights(recurrence, sizes, steps, batch),
    )
    expected = autograd_gradients(recurrence, sizes, values, weights)
    _, actual = values_and_gradients(recurrence, sizes, values, weights)
    scale = largest([*expected.values(), *weights.values()]) if one_scale else None
    for name, gradient in expected.items():
        assert_close(f"gradient of {name}", actual[name], gradient, "autograd, float64", scale)


@pytest.mark.parametrize("name", CIRCUITS)
def test_adjoint_equals_autograd_through_the_unfolded_graph(name):
    recurrence = CIRCUITS[name].recurrence
    compare_with_autograd(recurrence, bind(recurrence, SIZES[name]), steps=9, batch=3)


@settings(max_examples=40)
@given(drawn=circuits(), steps=st.integers(1, 4))
def test_random_circuits_against_complex_step(drawn: Drawn, steps):
    numbers = sum(math.prod(shape) for shape in drawn.circuit.shapes(**drawn.sizes).values())
    assume(numbers < 3000)  # each is perturbed in a copy of all
    torch.manual_seed(0)
    check_gradients(drawn.circuit, steps, EXACT * 10, one_scale=True, **drawn.sizes)  # deep circuits cancel more


EVERY_OP_SOURCE = """
def drawn(x, h, w, y, *, U, W, M, E, b, v):
    a = b + W @ h + U @ x + take(E, y) - take(E, w)
    p, q = split(concat(tanh(a), sigmoid(a)), 2)
    r = relu(p) * exp(-q) / sqrt(1 + p * p) + log(1 + q)
    s = softmax(r) * logsumexp(p) + max(q) * mean(p) - sum(p * q) * v
    k = where(p > q, s, 2.0 * s) + where(p <= 0.3, p, q) + where(p == q, p, -q)
    m = maximum(sin(p), cos(q)) * minimum(k, 0.3 * s) + softplus(k) - erf(p) * gelu(q) + abs(k)
    n = cumsum(m * stop_gradient(s) + sign(k - 0.3) * p) + floor(3.3 * q) * k + stack(min(k), max(m), mean(s), 0.5)
    h = tanh(0.2 * n + cumsum(k, reverse=True) + (M @ M + M.T) @ h + onehot(y))
    return {"h": h, "w": where(sum(k) < 0.1, argmax(s), w), "L": nll(s, y)}
"""
EVERY_OP = read(EVERY_OP_SOURCE)
OF_MATRICES_SOURCE = """
def drawn(x, X, S, h, *, A, B, u):
    K = softmax(X, axis=0) + softmax(S @ A.T, axis=1) * rows(logsumexp(S, axis=0)) + columns(max(X, axis=1)) / 3
    S = 0.3 * tanh(B @ K) + outer(tanh(u), x) - rows(min(X, axis=0)) * columns(mean(K, axis=1)) + sum(K) * X
    h = tanh(0.3 * (S.T @ u + mean(S, axis=0) + h * min(S) + max(S) * x + sum(S * columns(u), axis=0)) - mean(X))
    return {"S": S, "h": h, "P": S @ S.T}
"""
OF_MATRICES = read(OF_MATRICES_SOURCE)


def test_every_op_is_differentiated_right():
    used = {node.op for node in (*EVERY_OP.recurrence.nodes, *OF_MATRICES.recurrence.nodes)}
    assert used >= set(differentiate.VJP) - {"size"}  # made only by differentiation
    check_gradients(EVERY_OP, 3, EXACT, x=2, h=4)


@pytest.mark.parametrize("engine", ["reference", "torch"])
def test_operations_on_matrices_are_differentiated_right(engine):
    check_gradients(OF_MATRICES, 3, EXACT * 10, engine, one_scale=True, X=(3, 4))


@pytest.mark.parametrize(
    "op", ["sum", "mean", "max", "min", "logsumexp", "softmax", "outer", "repeat", "matvec", "matmul", "transpose"]
)
def test_a_wrong_gradient_of_an_operation_on_matrices_is_caught(op, monkeypatch):
    """The check fails if a rule is wrong by 0.05 % for matrices."""
    rule = differentiate.VJP[op]

    def wrong(g, y, x, *others):
        off = differentiate.constant(1.0005 if len(x.type.dims) == 2 or op in ("outer", "repeat") else 1.0, g.type.dims)
        return rule(differentiate.mul(off, g), y, x, *others)

    monkeypatch.setitem(differentiate.VJP, op, wrong)
    fresh = read(OF_MATRICES_SOURCE.replace("0.3", f"0.3{len(op)}"))  # derived adjoints are cached by circuit
    with pytest.raises(AssertionError, match="relative errors"):
        check_gradients(fresh, 3, EXACT, one_scale=True, X=(3, 4))


FLAT = ["sign", "floor", "stop_gradient"]  # no gradient flows through these
SMOOTH = sorted(
    set(differentiate.VJP)
    - {"less", "less_equal", "equal", "argmax", "choose", "onehot", "constant", "size", "outer", "repeat", *FLAT}
)


@pytest.mark.parametrize("op", SMOOTH)
def test_a_gradient_wrong_by_five_in_ten_thousand_is_caught(op, monkeypatch):
    """The check fails if any rule of calculus is wrong by 0.05 %."""
    rule = differentiate.VJP[op]

    def wrong(g, y, *args):
        off = differentiate.constant(1.0005, g.type.dims)
        return rule(differentiate.mul(off, g), y, *args)

    monkeypatch.setitem(differentiate.VJP, op, wrong)
    fresh = read(EVERY_OP_SOURCE.replace("0.3", f"0.3{SMOOTH.index(op)}"))  # derived adjoints are cached by circuit
    with pytest.raises(AssertionError, match="relative errors"):
        check_gradients(fresh, 3, EXACT, x=2, h=4)


@pytest.mark.parametrize("op", FLAT)
def test_a_gradient_that_flows_where_none_should_is_caught(op, monkeypatch):
    monkeypatch.setitem(differentiate.VJP, op, lambda g, y, x: (differentiate.mul(differentiate.zeros(g), g),))
    check_gradients(read(EVERY_OP_SOURCE.replace("0.3", f"0.3{FLAT.index(op)}1")), 3, EXACT, x=2, h=4)
    monkeypatch.setitem(
        differentiate.VJP, op, lambda g, y, x: (differentiate.mul(differentiate.constant(5e-4, g.type.dims), g),)
    )
    with pytest.raises(AssertionError, match="relative errors"):
        check_gradients(read(EVERY_OP_SOURCE.replace("0.3", f"0.3{FLAT.index(op)}2")), 3, EXACT, x=2, h=4)


def test_relu_by_finite_differences():
    """irnn is not smooth, so torch.autograd.gradcheck checks it through the whole module."""
    from unrolled import Recurrent
    from unrolled.cells import irnn

    net = Recurrent(irnn, x=3, h=4, dtype=torch.float64)
    x = torch.randn(2, 5, 3, dtype=torch.float64, requires_grad=True)

    def run(x, *parameters):
        return net(x).h

    assert torch.autograd.gradcheck(run, (x, *net.parameters()))


@pytest.mark.parametrize("engine", ["reference", *OTHERS])
def test_gradients_where_entries_tie(engine):
    """For entries that are equal or zero, values and gradients are those of torch's operations."""

    @circuit
    def cell(x, h, *, b):
        choice = where(x < b, 2 * x, 3 * b) + where(x <= b, 5 * x, 7 * b) + where(x == b, 11 * x, 13 * b)
        return {"h": choice + max(x) * b + relu(x) + h, "top": max(b * x)}

    x = torch.tensor([[[1.0, 1.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0], [-1.0, 2.0, 2.0, 0.0]]], dtype=torch.float64)
    b = torch.tensor([1.0, 0.0, 0.0, -1.0], dtype=torch.float64, requires_grad=True)
    x.requires_grad_()
    net = Recurrent(cell, x=4, engine=engine, dtype=torch.float64)
    net.b.data.copy_(b)
    out = net(x)
    choice = torch.where(x < b, 2 * x, 3 * b) + torch.where(x <= b, 5 * x, 7 * b) + torch.where(x == b, 11 * x, 13 * b)
    h = (choice + x.amax(-1, keepdim=True) * b + torch.relu(x)).cumsum(1)
    top = (b * x).amax(-1)
    torch.testing.assert_close(out.h, h, rtol=1e-14, atol=0)
    torch.testing.assert_close(out.top, top, rtol=1e-14, atol=0)
    weight = torch.arange(1.0, 13.0, dtype=torch.float64).reshape(1, 3, 4)
    ours = torch.autograd.grad((out.h * weight).sum() + (out.top * weight[..., 0]).sum(), [x, net.b])
    right = torch.autograd.grad((h * weight).sum() + (top * weight[..., 0]).sum(), [x, b])
    for mine, theirs in zip(ours, right, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("engine", ["reference", *OTHERS])
def test_tokens_that_come_again(engine):
    """Each token adds its gradient to a row of the table, or to a column of the matrix."""

    @circuit
    def cell(y, h, *, E, U, W, V):
        h = tanh(take(E, y) + U @ onehot(y) + W @ h)
        return {"h": h, "o": V @ onehot(y)}

    recurrence, sizes = cell.recurrence, bind(cell.recurrence, {"y": 2, "h": 4, "o": 3})
    if engine == "reference":
        compare_with_autograd(recurrence, sizes, steps=5, batch=3)
    else:
        same_values_and_gradients(recurrence, sizes, 5, 3, engine)


@pytest.mark.parametrize("engine", ["reference", *OTHERS])
def test_a_matrix_that_a_number_is_multiplied_with(engine):
    """The gradient of the scalar is a sum over rows and columns."""

    @circuit
    def cell(x, h, *, W):
        return {"h": tanh((max(x) * W) @ h)}

    net = Recurrent(cell, x=3, h=4, engine=engine, dtype=torch.float64)
    x, h = (torch.randn(2, *shape, dtype=torch.float64, requires_grad=True) for shape in ((5, 3), (4,)))
    assert torch.autograd.gradcheck(lambda x, h, *_: net(x, state=State(h=h)).h, (x, h, *net.parameters()))


def test_zero_where_nothing_flows():
    """A parameter that the loss does not depend on has the gradient zero, not None."""

    @circuit
    def two(x, h, s, *, W, U, A, k):
        h = tanh(W @ h + U @ x)
        s = tanh(A @ s)
        return {"h": h, "s": s, "extra": k * s}

    from unrolled import Recurrent

    net = Recurrent(two, x=2, h=3, s=2)
    net(torch.randn(1, 4, 2)).h.sum().backward()
    assert net.A.grad is not None and not net.A.grad.any() and net.W.grad.any()
