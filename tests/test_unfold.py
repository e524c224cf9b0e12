"""Unfolding: one copy of each value per step, each parameter once, and the same bits as running the recurrence."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cells_for_tests import CIRCUITS, SIZES
from unrolled import CircuitError, InputError, Recurrent
from unrolled.graph.node import order
from unrolled.plan.stages import EACH, Kinds
from unrolled.testing.gradients import random_leaves
from unrolled.testing.strategies import Drawn, circuits


def run_both(cell, sizes, steps, batch):
    """Every returned value, computed by the unfolded graph and by running the network."""
    net = Recurrent(cell, dtype=torch.float64, **sizes)
    values = random_leaves(cell.recurrence, net._sizes, steps, batch)
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            parameter.copy_(values[name])
    values |= {name: net.get_buffer(name) for name in cell.constants}
    from unrolled import State

    out = net(
        **{n: values[n] for n in cell.inputs},
        state=State(**{n: values[n] if x.type.dims else values[n][:, 0] for n, x in cell.recurrence.states.items()}),
        **({} if cell.recurrence.series else {"steps": steps}),
    )
    unfolded = cell.unfold(steps if cell.recurrence.series else steps + 1).evaluate(**values)
    return out, unfolded


@pytest.mark.parametrize("name", CIRCUITS)
def test_same_bits_as_running(name):
    torch.manual_seed(0)
    out, unfolded = run_both(CIRCUITS[name], SIZES[name], steps=6, batch=3)
    for n in CIRCUITS[name].recurrence.returns:
        assert torch.equal(out[n].reshape(unfolded[n].shape), unfolded[n]), n  # a scalar has no size there


@settings(max_examples=40)
@given(drawn=circuits(), steps=st.integers(1, 5), batch=st.integers(1, 3))
def test_same_bits_for_random_circuits(drawn: Drawn, steps, batch):
    out, unfolded = run_both(drawn.circuit, drawn.sizes, steps, batch)
    for n in drawn.circuit.recurrence.returns:
        assert torch.equal(out[n], unfolded[n])


@pytest.mark.parametrize("name", CIRCUITS)
def test_each_parameter_once_and_each_piece_once_per_step(name):
    cell, steps = CIRCUITS[name], 5
    graph = cell.unfold(steps)
    parameters = [n for n in graph.nodes if n.op == "parameter"]
    assert len(parameters) == len(cell.parameters)
    kinds = Kinds(cell.recurrence)
    moving = {node for node in cell.recurrence.nodes if kinds[node] > EACH}
    once = len(cell.recurrence.nodes) - len(moving)
    per_step = len([n for n in moving if n.op != "state"])
    assert len(graph.nodes) == once + len(cell.states) + per_step * len(graph.unfolded.times)


def test_acyclic_by_construction():
    nodes = CIRCUITS["lstm"].unfold(4).nodes
    position = {node: i for i, node in enumerate(nodes)}
    assert all(position[a] < position[n] for n in nodes for a in n.args)
    assert nodes == order(nodes)


def test_long_unfolding_needs_no_deep_recursion():
    assert len(CIRCUITS["gru"].unfold(2000).nodes) > 2000 * 15


def test_refusals():
    with pytest.raises(CircuitError, match="must be 1 or more, got 0"):
        CIRCUITS["lstm"].unfold(0)
    with pytest.raises(CircuitError, match="must be 2 or more, got 1"):
        CIRCUITS["autonomous"].unfold(1)
    graph = CIRCUITS["rnn"].unfold(3)
    with pytest.raises(InputError, match="evaluate needs the values of h, U, W, b"):
        graph.evaluate(x=torch.zeros(1, 3, 2))
    with pytest.raises(InputError, match="no input, state or parameter 'z'"):
        graph.evaluate(z=torch.zeros(1))
    values = dict(h=torch.zeros(1, 4), U=torch.zeros(4, 2), W=torch.zeros(4, 4), b=torch.zeros(4))
    with pytest.raises(InputError, match=r"'x' must have shape \(batch, 3, ...\), got \(1, 2, 2\)"):
        graph.evaluate(x=torch.zeros(1, 2, 2), **values)
    with pytest.raises(InputError, match=r"'x' must be a vector of x, got shape|'U' must be a matrix of h × x"):
        graph.evaluate(x=torch.zeros(1, 3, 5), **values)
