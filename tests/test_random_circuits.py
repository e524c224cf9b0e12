"""Random circuits in random calls on every engine, compared with the independent interpreter of ``testing``: a short
version of ``make fuzz``."""

from __future__ import annotations

from random import Random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cells_for_tests import needs_compiler
from unrolled import CircuitError, Recurrent
from unrolled.graph.bind import nameable
from unrolled.testing import calls
from unrolled.testing.strategies import Drawn, circuits, random_circuit, read

ENGINES = [
    "reference",
    "torch",
    pytest.param("c", marks=[needs_compiler, pytest.mark.slow]),
]  # each circuit is compiled


@pytest.mark.parametrize("engine", ["reference", "torch"])
@settings(max_examples=60)
@given(drawn=circuits(), seed=st.integers(0, 2**20))
def test_random_calls(drawn: Drawn, seed, engine):
    calls.check(calls.random_case(drawn, seed), engine)


@needs_compiler
@pytest.mark.slow
@settings(max_examples=30)  # each circuit is compiled
@given(drawn=circuits(), seed=st.integers(0, 2**20))
def test_random_calls_of_compiled_circuits(drawn: Drawn, seed):
    calls.check(calls.random_case(drawn, seed), "c")


@pytest.mark.parametrize("engine", ENGINES)
def test_random_calls_of_circuits_whose_tokens_come_back(engine):
    equal = 0
    for number in range(8 if engine == "c" else 60):
        drawn = random_circuit(Random(number).choice, most_lines=5, matrices=number % 3 == 2, tokens=True)
        equal += calls.check(calls.random_case(drawn, number), engine) == "equal"
    assert equal > (5 if engine == "c" else 45)


# Past failures: each line is a kind of circuit on which an engine crashed, or which it computed wrongly.
ONCE = {  # name: arguments, lines, returned values
    "one product of a concatenation": ("x, h, *, W, b", "", "'h': tanh(W @ concat(x, h) + b)"),
    "a parameter is returned": ("x, h, *, U, b", "", "'h': tanh(U @ x + h + 0 * b), 'o': b"),
    "pieces are exchanged": (
        "x, h, *, W",
        "p, q = split(tanh(concat(x, h)), 2)",
        "'h': tanh(W @ q), 'o': concat(q, p)",
    ),
    "a gate is returned": ("x, h, *, W, U", "i, k = split(sigmoid(W @ h + U @ x), 2)", "'h': k * h + i, 'k': k"),
    "a negative concatenation is used twice": (
        "x, h, *, W, U",
        "a = -concat(h, x)",
        "'h': tanh(W @ h + U @ a), 'o': tanh(a)",
    ),
    "the mean of an input": ("x, h, *, W", "", "'h': tanh(W @ h + mean(x))"),
    "the sum of a product": ("x, h, *, W, U", "", "'h': tanh(U @ x + sum(W @ h + x) * h)"),
    "a gate from a mean": ("x, h, *, W, U", "a = W @ h + U @ x", "'h': sigmoid(mean(a)) * tanh(a)"),
    "the mean of an embedding": ("y, h, *, W, E", "e = take(E, y)", "'h': tanh(W @ h + mean(e))"),
    "a mean is returned": ("x, h, *, W", "", "'h': tanh(W @ h + x), 'o': mean(h)"),
    "a delay line": ("x, a, b", "", "'a': x, 'b': a"),
    "only an output needs the input": ("x, h, *, W", "", "'h': tanh(W @ h), 'o': h + x"),
    "a part of an old state is returned": (
        "x, h, s, *, W, U",
        "p, q = split(s, 2)",
        "'h': tanh(U @ x + W @ p), 's': tanh(s), 'o': q",
    ),
    "a part of a negative vector is returned": (
        "x, h, *, U",
        "a = 1 - h",
        "'h': tanh(U @ x + a), 'o': split(-a, 2)[1]",
    ),
    "a table that moves": ("x, y, h, *, E", "", "'h': tanh(h + take(mean(x) * E, y))"),
    "a scalar state": (
        "x, s, h, *, w, U, g",
        "s = 0.9 * s + sum(w * x)",
        "'s': s, 'h': tanh(s * h + U @ x), 'L': g * s",
    ),
    "a state whose gradient is a constant": ("x, h, s, *, W", "", "'h': tanh(W @ x), 's': tanh(x)"),
    "states that exchange": ("x, a, b, *, U", "", "'a': b, 'b': tanh(U @ x + a)"),
}


@pytest.mark.parametrize("engine", ["reference", "torch", pytest.param("c", marks=needs_compiler)])
@pytest.mark.parametrize("name", ONCE)
def test_what_failed_once(name, engine):
    arguments, line, returned = ONCE[name]
    source = f"def f({arguments}):\n    {line or 'pass'}\n    return {{{returned}}}\n"
    made = read(source)
    sizes = {n: 5 if n == "y" else 4 for n in (*made.inputs, *made.states, "e") if n in nameable(made.recurrence)}
    for seed in range(8):
        calls.check(calls.random_case(Drawn(made, source, sizes), seed), engine)


@pytest.mark.parametrize("engine", ["reference", "torch", pytest.param("c", marks=needs_compiler)])
def test_outputs_have_memory_of_their_own(engine):
    """Changing a returned value does not change inputs, parameters or other outputs."""
    made = read(
        "def f(x, h, *, b):\n    p, q = split(x, 2)\n    return {'h': x, 'o': x, 'p': p, 'q': q, 'b2': b + 0 * x}\n"
    )
    net = Recurrent(made, engine=engine, x=4)
    x = torch.randn(2, 3, 4)
    before, out = x.clone(), net(x)
    with torch.no_grad():
        for n in out:
            others = {m: out[m].clone() for m in out if m != n}
            out[n].zero_()
            assert torch.equal(x, before) and all(torch.equal(out[m], v) for m, v in others.items())


def test_states_that_could_be_scalars_are_drawn_as_vectors():
    source = """def drawn(h, s, r, *, W):
    a = where(mean(s) > 0.03, s, h)
    return {"h": -r, "s": tanh(W @ a), "r": tanh(r + 0.5 * r)}
"""
    with pytest.raises(CircuitError, match="state 'h' is a scalar"):
        read(source)
    drawn = Drawn(read(source, "hsr"), source, {"h": 4, "s": 4, "r": 4})
    for seed in range(8):
        assert calls.check(calls.random_case(drawn, seed), "torch") == "equal"
    for seed in (2726, 4902, 9380, 11465):  # each once gave a circuit without meaning
        assert random_circuit(Random(seed).choice).circuit.recurrence.states["h"].type.dims
