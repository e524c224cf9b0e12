"""The plan: what it moves out of the loop, and that regrouping changes only the rounding (values:
test_gradients.py)."""

from __future__ import annotations

import itertools

import pytest
import torch

from cells_for_tests import CIRCUITS
from unrolled import CircuitError, circuit, take, tanh
from unrolled.plan.plan import make_plan
from unrolled.plan.regroup import regroup
from unrolled.testing.strategies import read
from unrolled.transform.evaluate import evaluate


def ops(nodes):
    return sorted(n.op for n in nodes if n.op not in ("slice", "constant"))


@pytest.mark.parametrize("name", ["elman", "jordan", "lstm", "peephole_lstm", "layernorm_lstm"])
def test_explained(golden, name):
    golden(f"plan_{name}.txt", CIRCUITS[name].plan().explain() + "\n")


def test_under_teacher_forcing_no_loop_is_left(golden):
    golden("plan_jordan_given.txt", CIRCUITS["jordan"].plan(given="o").explain() + "\n")
    with pytest.raises(CircuitError, match=r"'jordan' has no state 'h'. Its states are o"):
        CIRCUITS["jordan"].plan(given=["h"])


def test_the_input_leaves_the_loop_and_the_read_out_follows_it():
    forward = make_plan(CIRCUITS["elman"].recurrence).forward(keep=False)
    assert ops(forward.stages.before) == ["add", "matvec"]  # b + U x
    assert ops(forward.stages.loop) == ["add", "matvec", "tanh"]
    assert ops(forward.stages.after) == ["add", "matvec"]  # c + V h


def test_a_one_hot_input_is_a_look_up():
    @circuit
    def reader(x, y, h, *, U, W, E):
        h = tanh(W @ h + U @ x + take(E, y) + U @ take(E, y))
        return {"h": h}

    @circuit
    def tokens(y, h, *, U, W):
        h = tanh(W @ h + U @ y + take(U.T, y))
        return {"h": h}

    assert ops(make_plan(reader.recurrence).forward(False).stages.before).count("take") == 1
    assert "matvec" not in ops(make_plan(tokens.recurrence).forward(False).stages.before)


@pytest.mark.parametrize("signs", ["".join(signs) for signs in itertools.product("+-", repeat=4)])
def test_regrouped_sums_keep_their_signs(signs):
    """Terms that are constant, depend on inputs, or depend on states, with all signs and in parentheses."""
    first, second, third, fourth = signs
    cell = read(
        f"def drawn(x, h, *, W, U, b, c):\n"
        f"    a = c {first} (b {second} W @ h) {third} (U @ x {fourth} (c {second} U @ x))\n"
        f"    return {{'h': tanh(a), 'o': h {first} (x {second} (b {third} h))}}\n"
    ).recurrence
    torch.manual_seed(0)
    like = torch.empty(0, dtype=torch.float64)
    values = {node: torch.randn(3, dtype=torch.float64) for node in cell.leaves.values()}
    values |= {node: torch.randn(3, 3, dtype=torch.float64) for n, node in cell.parameters.items() if n in "WU"}
    again = regroup(cell)
    assert again.returns["h"] is not cell.returns["h"]
    for name in cell.returns:
        old, new = cell.returns[name], again.returns[name]
        found = (evaluate([node], values, {"h": 3, "x": 3}, like)[node] for node in (old, new))
        torch.testing.assert_close(*found, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", CIRCUITS)
def test_the_loop_holds_only_what_the_next_state_needs(name):
    plan = make_plan(CIRCUITS[name].recurrence)
    for way in (plan.forward(keep=True), plan.backward(plan.step.returns, plan.step.parameters)):
        needed = set(way.loop.new)
        for node in reversed(way.loop.nodes):
            assert node in needed
            needed.update(node.args)
        assert not set(way.loop.nodes) & {*way.stages.once, *way.stages.before, *way.stages.after}
