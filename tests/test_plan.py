"""The plan: what leaves the loop, and that regrouping changes nothing but rounding (values: test_gradients.py)."""

from __future__ import annotations

import pytest

from cells_for_tests import CIRCUITS
from unrolled import CircuitError, circuit, take, tanh
from unrolled.plan.plan import make_plan


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


@pytest.mark.parametrize("name", CIRCUITS)
def test_the_loop_holds_only_what_the_next_state_needs(name):
    plan = make_plan(CIRCUITS[name].recurrence)
    for way in (plan.forward(keep=True), plan.backward(plan.step.returns, plan.step.parameters)):
        needed = set(way.loop.new)
        for node in reversed(way.loop.nodes):
            assert node in needed
            needed.update(node.args)
        assert not set(way.loop.nodes) & {*way.stages.once, *way.stages.before, *way.stages.after}
