"""Sizes by unification, the contract of a graph, circuits as data, losses."""

from __future__ import annotations

import contextlib
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cells_for_tests import CIRCUITS, SIZES
from unrolled import DataError, GraphError, circuit, concat, losses, split, tanh
from unrolled.graph import stored
from unrolled.graph.bind import bind, shapes
from unrolled.graph.equations import equations
from unrolled.graph.node import leaf, vector
from unrolled.graph.ops import constant, make
from unrolled.graph.recurrence import Recurrence
from unrolled.graph.size import Conflict, Size, Solver
from unrolled.testing.strategies import Drawn, circuits


def test_sizes_follow_from_the_few_that_are_given():
    assert CIRCUITS["lstm"].shapes(x=3, h=5) == {"U": (20, 3), "W": (20, 5), "b": (20,)}
    assert CIRCUITS["lstm"].shapes(x=3, c=5) == CIRCUITS["lstm"].shapes(x=3, h=5, c=5)

    @circuit
    def cell(x, h, *, W, V):
        a, b = split(W @ concat(h, x), 2)
        narrow = tanh(V @ a)
        h = a * b
        return {"h": h, "narrow": narrow}

    assert cell.shapes(x=3, h=4, narrow=2) == {"W": (8, 7), "V": (2, 4)}


def test_a_named_value_gives_a_size_its_name():
    @circuit
    def jordan(x, o, *, U, W, b, V, c):
        h = tanh(b + W @ o + U @ x)
        o = c + V @ h
        return {"o": o}

    assert jordan.shapes(x=3, h=8, o=2)["V"] == (2, 8)


@given(st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5)), min_size=1, max_size=4), st.integers(1, 9))
def test_solver_agrees_with_arithmetic(terms, number):
    """n0 = number, n(k+1) = a * n(k) + b: the solver finds every size and detects a contradiction."""
    solver, value = Solver(), number
    for k, (a, b) in enumerate(terms):
        solver.equal(Size.of(f"n{k + 1}"), Size.of(f"n{k}") * a + Size.of(b))
        value = a * value + b
    solver.equal(Size.of("n0"), Size.of(number))
    assert solver.resolve(Size.of(f"n{len(terms)}")) == Size.of(value)
    with pytest.raises(Conflict):
        solver.equal(Size.of(f"n{len(terms)}"), Size.of(value + 1))


def test_a_size_is_positive():
    with pytest.raises(Conflict):
        Solver().equal(Size.of("h"), Size.of("h") * 4)
    with pytest.raises(Conflict):
        Solver().equal(Size.of("h") + Size.of("x"), Size.of("h"))


def test_pieces_must_come_out_even():
    from unrolled import CircuitError

    @circuit
    def halves(x, h, *, W):
        a, b = split(W @ h + x, 2)
        return {"h": concat(b, tanh(a))}

    assert halves.shapes(h=4) == {"W": (4, 4)}
    with pytest.raises(CircuitError, match="would have 5/2 entries"):
        halves.shapes(h=5)


def test_nodes_are_hash_consed_and_immutable():
    n = Size.of("n")
    a, b = leaf("input", vector(n), name="a"), leaf("input", vector(n), name="b")
    assert make("add", a, b) is make("add", a, b) and make("add", a, b) is not make("add", b, a)
    assert leaf("input", vector(n), name="a") is not a
    with pytest.raises(AttributeError, match="immutable"):
        a.op = "state"


def test_the_contract_is_checked():
    n = Size.of("n")
    x, h = leaf("input", vector(n), name="x"), leaf("state", vector(n), name="h")
    new = make("add", h, x)
    with pytest.raises(GraphError, match="'add' takes 2 arguments"):
        make("add", x)
    with pytest.raises(GraphError, match="in 'add' of vector of n, vector of m"):
        make("add", x, leaf("input", vector(Size.of("m")), name="m"))
    with pytest.raises(GraphError, match="is not a leaf of 'r'"):
        Recurrence("r", {}, {"h": h}, {}, {"h": new})
    with pytest.raises(GraphError, match="state 'h' is not returned"):
        Recurrence("r", {"x": x}, {"h": h}, {}, {"o": new})
    with pytest.raises(GraphError, match="its new value is a scalar"):
        Recurrence("r", {"x": x}, {"h": h}, {}, {"h": make("sum", new)})
    with pytest.raises(GraphError, match="listed under state, but"):
        Recurrence("r", {}, {"x": x}, {}, {"x": new})
    assert constant(1.0, (n,)) is constant(1.0, (n,))


@pytest.mark.parametrize("name", CIRCUITS)
def test_stored_and_loaded(name):
    recurrence = CIRCUITS[name].recurrence
    again = stored.load(json.loads(json.dumps(stored.dump(recurrence))))
    assert equations(again) == equations(recurrence)
    assert shapes(again, bind(again, SIZES[name])) == shapes(recurrence, bind(recurrence, SIZES[name]))


@given(circuits())
def test_random_circuits_stored_and_loaded(drawn: Drawn):
    again = stored.load(json.loads(json.dumps(stored.dump(drawn.circuit.recurrence))))
    assert stored.dump(again) == stored.dump(drawn.circuit.recurrence)


@given(st.data())
def test_damaged_circuits_are_refused_with_one_exception(data):
    """Any file gives either the circuit or DataError. It never runs code and never raises another exception."""
    text = json.dumps(stored.dump(CIRCUITS["gru"].recurrence))
    position = data.draw(st.integers(0, len(text) - 1))
    damaged = text[:position] + data.draw(st.sampled_from('0129{}[]",:ahx-')) + text[position + 1 :]
    with contextlib.suppress(json.JSONDecodeError, DataError):
        stored.load(json.loads(damaged))


def test_an_attribute_that_no_operation_has_is_refused():
    data = stored.dump(CIRCUITS["gru"].recurrence)
    row = next(row for row in data["nodes"] if row["op"] == "slice")
    row["attrs"]["undex"] = row["attrs"].pop("index")
    with pytest.raises(DataError, match="'slice' must have the attributes"):
        stored.load(data)


def test_losses_are_sums_over_steps():
    torch.manual_seed(0)
    o, y = torch.randn(2, 5, 3), torch.randint(3, (2, 5))
    total = -sum(o[b, t].log_softmax(-1)[y[b, t]] for b in range(2) for t in range(5))
    torch.testing.assert_close(losses.nll(o, y), total)
    torch.testing.assert_close(losses.nll(o, y, reduction="mean"), total / 10)
    torch.testing.assert_close(losses.nll(o[:, -1], y[:, -1]), -o[:, -1].log_softmax(-1)[[0, 1], y[:, -1]].sum())
    keys = torch.randint(2, (2, 5, 3))
    p = o.sigmoid()
    expected = -(keys * p.log() + (1 - keys) * (1 - p).log()).sum()
    torch.testing.assert_close(losses.bce(o, keys), expected)
    torch.testing.assert_close(losses.bce(o, keys, reduction="mean"), expected / 10)
    torch.testing.assert_close(losses.squared_error(o, p), ((o - p) ** 2).sum())
    torch.testing.assert_close(losses.squared_error(o, p, "mean"), ((o - p) ** 2).sum() / 10)
