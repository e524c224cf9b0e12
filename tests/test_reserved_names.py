"""Names that the interface uses: a circuit whose values had them could not be used, so it is refused where it is
written."""

from __future__ import annotations

from inspect import signature

import pytest
import torch

import unrolled
from unrolled import Recurrent, State, tanh
from unrolled.cells import rnn
from unrolled.circuits.unfolded import Graph
from unrolled.nn.result import Result, Step

TAKING_NAMES = (
    Recurrent.__init__, Recurrent.forward, Recurrent.step, Recurrent.read, unrolled.Circuit.shapes, Graph.evaluate,
    State.__init__,
)  # fmt: skip
ARGUMENTS = {n for f in TAKING_NAMES for n, p in signature(f).parameters.items() if p.default is not p.empty} | {"self"}
ARGUMENTS -= {"weights"}  # a number is the size of a value with this name: see test_narrow.py
RESULTS = {n for empty in (Result({}, State()), Step({}, State())) for n in dir(empty) if hasattr(empty, n)}
OF_STATES = {*dir(State())} - {"_abc_impl"}
OF_NETWORKS = {*dir(Recurrent(rnn, x=3, h=4))} - {*rnn.parameters}


def circuit_with(arguments: str, returned: str) -> unrolled.Circuit:
    scope: dict[str, object] = {}
    exec(f"def cell({arguments}):\n    return {{{returned}}}", {"tanh": tanh}, scope)
    return unrolled.circuit(scope["cell"])


@pytest.mark.parametrize("name", sorted(ARGUMENTS | RESULTS))
def test_arguments_and_attributes_of_results_are_reserved(name: str):
    for arguments, returned in (
        (f"{name}, h, *, W", f'"h": tanh(W @ h + {name})'),
        (f"x, {name}, *, W", f'"{name}": tanh(W @ {name} + x)'),
        (f"x, h, *, {name}", f'"h": tanh({name} @ h + x)'),
        ("x, h, *, W", f'"h": tanh(W @ h + x), "{name}": x'),
    ):
        with pytest.raises(unrolled.CircuitError, match=rf"in circuit 'cell'(.|\n)*'{name}' is reserved"):
            circuit_with(arguments, returned)


def test_the_names_that_users_meet_are_among_them():
    assert {"state", "given", "reset", "steps", "engine", "memory", "device", "dtype"} <= ARGUMENTS
    assert {"last", "state", "keys", "values", "items", "get"} <= RESULTS


@pytest.mark.parametrize("name", sorted(OF_STATES))
def test_attributes_of_states_are_reserved_for_states(name: str):
    with pytest.raises(unrolled.CircuitError, match=f"'{name}' is reserved"):
        circuit_with(f"x, {name}, *, W", f'"{name}": tanh(W @ {name} + x)')


@pytest.mark.parametrize("name", sorted(OF_NETWORKS))
def test_no_parameter_hides_what_a_network_has(name: str):
    with pytest.raises(unrolled.CircuitError, match=rf"in circuit 'cell'(.|\n)*'{name}' (is reserved|would hide)"):
        Recurrent(circuit_with(f"x, h, *, {name}", f'"h": tanh({name} @ h + x)'), h=4)


def test_a_reserved_name_names_no_size_that_must_be_given():
    def cell(x, h, *, V, W):
        memory = V @ x
        return {"h": tanh(W @ memory + h)}

    with pytest.raises(unrolled.CircuitError, match=r"memory = V @ x\n.*'memory' is reserved, but the size"):
        unrolled.circuit(cell)


def test_a_value_with_a_reserved_name_is_fine_where_its_size_follows():
    @unrolled.circuit
    def cell(x, h, *, V, W):
        memory = V @ x + h
        return {"h": tanh(W @ memory)}

    net = Recurrent(cell, x=3, h=4)
    x = torch.randn(1, 1, 3)
    assert "memory" not in net.sizes
    torch.testing.assert_close(net(x).h[0, 0], torch.tanh(net.W @ (net.V @ x[0, 0])))


def test_methods_of_dict_that_change_it_take_no_name():
    @unrolled.circuit
    def cell(x, h, *, W):
        update = tanh(W @ h + x)
        return {"h": h + update, "update": update, "copy": x}

    out = Recurrent(cell, h=4)(torch.randn(2, 5, 4))
    assert out.update is out["update"] and out.last.copy.shape == (2, 4) and not hasattr(out, "pop")
