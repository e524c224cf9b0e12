"""Algebra: every rule gives a shorter expression with the same value, for all numbers."""

from __future__ import annotations

import pytest
import torch

from unrolled.graph.node import Node, leaf, matrix, order, vector
from unrolled.graph.ops import constant, make
from unrolled.graph.size import Size
from unrolled.transform.evaluate import evaluate
from unrolled.transform.simplify import RULES, simplify

N, M = Size.of("n"), Size.of("m")
SIZES = {"n": 3, "m": 2}
a, b, c, d = (leaf("input", vector(N), name=name) for name in "abcd")
u, A, B = leaf("input", vector(M), name="u"), leaf("parameter", matrix(M, N), name="A"), leaf("parameter", matrix(M, N))
zero, one = constant(0.0, (N,)), constant(1.0, (N,))
none = constant(0.0, (M, N))


def neg(x: Node) -> Node:
    return make("neg", x)


def spread(x: Node) -> Node:
    return make("broadcast", make("max", x), dims=(N,))


def joined(x: Node, y: Node) -> Node:
    return make("concat", x, y)


def piece(x: Node, index: int, *sizes: Size) -> Node:
    return make("slice", x, index=index, sizes=sizes)


# op: expressions that are simplified
CASES = {
    "add": [
        make("add", a, zero),
        make("add", zero, a),
        make("add", a, neg(b)),
        make("add", neg(a), b),
        make("add", neg(a), neg(b)),
        make("add", joined(a, u), joined(b, make("exp", u))),
        make("add", joined(a, zero), joined(zero, b)),
    ],
    "sub": [make("sub", a, zero), make("sub", zero, a), make("sub", a, neg(b)), make("sub", zero, neg(a))],
    "mul": [
        make("mul", a, one),
        make("mul", one, a),
        make("mul", a, zero),
        make("mul", zero, a),
        make("mul", a, constant(-1.0, (N,))),
        make("mul", constant(-1.0, (N,)), neg(a)),
        make("mul", neg(a), b),
        make("mul", a, neg(b)),
        make("mul", neg(a), neg(b)),
    ],
    "div": [make("div", zero, a), make("div", a, one)],
    "neg": [neg(neg(a)), neg(constant(2.5, (N,)))],
    "transpose": [
        make("transpose", make("transpose", A)),
        make("transpose", make("outer", u, a)),
        make("transpose", make("repeat", u, axis=1, dims=(M, N))),
        make("transpose", constant(2.5, (M, N))),
    ],
    "matvec": [make("matvec", none, a), make("matvec", A, zero)],
    "matmul": [make("matmul", none, make("transpose", A)), make("matmul", A, make("transpose", none))],
    "outer": [make("outer", constant(0.0, (M,)), a), make("outer", u, zero)],
    "sum": [
        make("sum", neg(a)),
        make("sum", make("mul", a, spread(b))),
        make("sum", make("div", a, spread(b))),
        make("sum", make("mul", neg(a), spread(b))),
        make("sum", zero),
        make("sum", none),
        make("sum", neg(make("outer", u, a)), axis=1),
    ],
    "broadcast": [make("broadcast", constant(2.5), dims=(N,)), make("broadcast", constant(2.5), dims=(M, N))],
    "repeat": [make("repeat", constant(2.5, (N,)), axis=0, dims=(M, N))],
    "concat": [joined(zero, constant(0.0, (M,)))],
    "slice": [
        piece(joined(a, u), 0, N, M),
        piece(joined(a, u), 1, N, M),
        piece(joined(joined(a, b), u), 0, N + N, M),
        piece(constant(2.5, (N + M,)), 1, N, M),
    ],
    "where": [make("where", make("less", a, b), c, c)],
}


def test_every_rule_is_tried():
    assert set(CASES) == set(RULES)


@pytest.mark.parametrize("op", CASES)
def test_what_is_simplified_is_shorter_and_worth_the_same(op: str):
    torch.manual_seed(0)
    like = torch.empty(0, dtype=torch.float64)
    values = {x: torch.randn(5, 3, dtype=torch.float64) for x in (a, b, c, d)}
    values |= {x: torch.randn(2, 3, dtype=torch.float64) for x in (A, B)}
    values[u] = torch.randn(5, 2, dtype=torch.float64)
    for node in CASES[op]:
        short = simplify([node], {x: x for x in values})[node]
        assert short.type == node.type and short is not node, node.args
        assert len(order([short])) <= len(order([node])), node.args
        before, after = (evaluate([n], values, SIZES, like)[n] for n in (node, short))
        torch.testing.assert_close(*torch.broadcast_tensors(after, before), rtol=1e-14, atol=0)


@pytest.mark.parametrize(
    "node",
    [
        make("add", joined(a, u), joined(u, a)),
        make("sum", make("mul", spread(a), b)),
        piece(joined(a, u), 0, M, N),
        make("where", make("less", a, b), c, d),
        make("div", a, zero),
        make("sub", neg(a), b),
    ],
    ids=lambda node: node.op,
)
def test_what_looks_like_it_is_left_alone(node: Node):
    assert simplify([node], {})[node] is node
