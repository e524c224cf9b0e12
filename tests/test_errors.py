"""A catalogue of misuses: each raises one clear error, compared with golden text. test_cli.py has those of the command
line."""

from __future__ import annotations

import builtins
import inspect
import math
import pickle
import re

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.fx.experimental.proxy_tensor import make_fx

import unrolled
from unrolled import (
    CircuitError,
    Recurrent,
    UnrolledError,
    circuit,
    concat,
    nll,
    outer,
    relu,
    rows,
    sigmoid,
    softmax,
    split,
    tanh,
    where,
)
from unrolled.cells import autonomous, elman, jordan, lstm, rnn
from unrolled.circuits import functional, orthogonal
from unrolled.circuits.advice import ADVICE
from unrolled.graph.language import FUNCTIONS
from unrolled.nn import interop

MISUSES = {}


def misuse(function):
    MISUSES[function.__name__] = function
    return function


# equations that make no sense


@misuse
def python_if_on_a_symbol():
    @circuit
    def cell(x, h, *, W):
        if h > 0:
            h = tanh(W @ h + x)
        return {"h": h}


@misuse
def python_max_on_symbols():
    @circuit
    def cell(x, h):
        return {"h": max(x, h)}


@misuse
def python_sum_of_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": h + sum(x)}


@misuse
def own_max_of_two_values():
    @circuit
    def cell(x, h):
        return {"h": h + unrolled.max(x, h)}


@misuse
def own_min_of_two_values():
    @circuit
    def cell(x, h):
        return {"h": h + unrolled.min(0.5, h)}


@misuse
def stack_of_vectors():
    @circuit
    def cell(x, h):
        return {"h": h + unrolled.stack(x, h)}


@misuse
def stack_of_a_comparison():
    @circuit
    def cell(x, h):
        return {"h": h + unrolled.stack(unrolled.max(x) > 0, 1.0)}


@misuse
def cumsum_of_a_scalar():
    @circuit
    def cell(x, h):
        return {"h": h + unrolled.cumsum(unrolled.sum(x))}


@misuse
def maximum_of_different_sizes():
    @circuit
    def cell(x, h, *, W):
        return {"h": h + W @ unrolled.maximum(x, unrolled.concat(x, h))}


@misuse
def constant_without_a_value():
    @circuit(constant="A")
    def cell(x, h, *, A):
        return {"h": tanh(A @ h + x)}


@misuse
def constant_that_is_no_parameter():
    @circuit(constant={"AA": [[1.0]]})
    def cell(x, h, *, A):
        return {"h": tanh(A @ h + x)}


@misuse
def constant_that_is_no_name():
    @circuit(constant=3)
    def cell(x, h, *, A):
        return {"h": tanh(A @ h + x)}


@misuse
def constant_with_two_values():
    @circuit(init={"A": [[1.0]]}, constant={"A": [[2.0]]})
    def cell(x, h, *, A):
        return {"h": tanh(A @ h + x)}


@misuse
def start_that_is_no_array():
    @circuit(init={"A": 0.5})
    def cell(x, h, *, A):
        return {"h": tanh(A @ h + x)}


@misuse
def constant_of_another_shape():
    @circuit(constant={"A": np.eye(3)})
    def cell(x, h, *, A):
        return {"h": tanh(A @ h + x)}

    unrolled.Recurrent(cell, h=4)


@misuse
def constant_of_lists_of_different_lengths():
    @circuit(constant={"A": [[1.0, 2.0], [3.0]]})
    def cell(x, h, *, A):
        return {"h": tanh(A @ h + x)}

    unrolled.Recurrent(cell, h=2)


@misuse
def constant_of_complex_numbers():
    @circuit(constant={"A": np.eye(2) * 1j})
    def cell(x, h, *, A):
        return {"h": tanh(A @ h + x)}

    unrolled.Recurrent(cell, h=2)


@misuse
def a_number_too_large():
    @circuit
    def cell(x, h):
        return {"h": x + 10**400 * h}


@misuse
def torch_name_for_stop_gradient():
    @circuit
    def cell(x, h):
        return {"h": x + h.detach()}


@misuse
def forgotten_state():
    @circuit
    def cell(x, h, *, W, V):
        h = tanh(W @ h + x)
        o = V @ h
        return {"o": o}


@misuse
def nothing_recurrent():
    @circuit
    def cell(x, h, *, W):
        return {"out": tanh(W @ h + x)}


@misuse
def returns_no_dictionary():
    @circuit
    def cell(x, h):
        return tanh(h + x)


@misuse
def returns_nothing():
    @circuit
    def cell(x, h):
        h = tanh(h + x)


@misuse
def returns_a_parameter():
    @circuit
    def cell(x, h, *, W):
        return {"h": tanh(W @ h + x), "W": W}


@misuse
def returns_a_number():
    @circuit
    def cell(x, h):
        return {"h": tanh(h + x), "one": 1.0}


@misuse
def reserved_name():
    @circuit
    def cell(state, h):
        return {"h": tanh(h + state)}


@misuse
def sizes_cannot_be_equal():
    @circuit
    def cell(x, h, c, *, W, U):
        a = W @ h + U @ x
        _, f, g, o = split(a, 4)
        c = sigmoid(f) * c + sigmoid(a) * tanh(g)
        h = sigmoid(o) * tanh(c)
        return {"h": h, "c": c}


@misuse
def state_changes_size():
    @circuit
    def cell(x, h):
        return {"h": tanh(unrolled.concat(h, x))}


@misuse
def matrix_for_two_sizes():
    @circuit
    def cell(x, h, *, W, U):
        both = unrolled.concat(h, x)
        return {"h": tanh(W @ h + U @ (W @ both))}


@misuse
def vector_left_of_a_product():
    @circuit
    def cell(x, h):
        return {"h": tanh(h @ x)}


@misuse
def matrix_plus_vector():
    @circuit
    def cell(x, h, *, W):
        return {"h": tanh((W + h) @ x)}


@misuse
def scalar_state():
    @circuit
    def cell(x, h, *, W):
        return {"h": unrolled.mean(W @ h + x)}


@misuse
def torch_function_on_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": torch.tanh(h + x)}


@misuse
def math_function_on_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": math.tanh(h + x)}


@misuse
def numpy_function_on_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": np.ones(3) * h + x}


@misuse
def method_of_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": (h + x).tanh()}


@misuse
def method_in_place():
    @circuit
    def cell(x, h):
        return {"h": (h + x).relu_()}


@misuse
def shape_of_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": (h + x).view(1, -1)}


@misuse
def size_of_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": (h + x) / h.shape[0]}


@misuse
def device_of_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": (h + x).to("cuda")}


@misuse
def number_of_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": h + x.item()}


@misuse
def dropout_on_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": F.dropout(h, 0.5) + x}


@misuse
def layer_norm_of_torch():
    @circuit
    def cell(x, h):
        return {"h": F.layer_norm(h + x, (4,))}


@misuse
def layer_of_torch():
    linear = torch.nn.Linear(4, 4)

    @circuit
    def cell(x, h):
        return {"h": linear(h) + x}


@misuse
def torch_function_on_a_list():
    @circuit
    def cell(x, h):
        return {"h": torch.cat([h, x])}


@misuse
def operator_that_there_is_not():
    @circuit
    def cell(x, h):
        return {"h": h % 2 + x}


@misuse
def numpy_function_of_one_symbol():
    @circuit
    def cell(x, h):
        return {"h": np.tanh(h + x)}


@misuse
def unknown_op():
    @circuit
    def cell(x, h):
        return {"h": (h + x).softplus()}


@misuse
def tensor_in_a_circuit():
    W = torch.eye(3)

    @circuit
    def cell(x, h):
        return {"h": tanh(W @ h + x)}


@misuse
def index_into_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": h[0] + x}


@misuse
def loop_over_a_symbol():
    @circuit
    def cell(x, h):
        return {"h": sum(v for v in h) + x}


@misuse
def fractional_power():
    @circuit
    def cell(x, h):
        return {"h": (h + x) ** 0.5}


@misuse
def split_into_no_pieces():
    @circuit
    def cell(x, h):
        a, b = split(h, 0)
        return {"h": a + b + x}


@misuse
def split_of_a_matrix():
    @circuit
    def cell(x, h, *, W):
        a, b = split(W, 2)
        return {"h": tanh(a @ h + b @ x)}


@misuse
def comparison_as_a_number():
    @circuit
    def cell(x, h, *, W):
        return {"h": tanh(W @ h + x) * (h > 0)}


@misuse
def comparison_returned():
    @circuit
    def cell(x, h, *, W):
        h = tanh(W @ h + x)
        return {"h": h, "positive": h > 0}


@misuse
def matrix_where_a_vector_is_needed():
    @circuit
    def cell(x, S):
        S = 0.9 * S + outer(x, x)
        return {"S": S, "o": concat(S, x)}


@misuse
def matrix_state_plus_vector():
    @circuit
    def cell(x, S):
        S = 0.9 * S + outer(x, x)
        return {"S": S, "o": S @ x + S}


@misuse
def softmax_of_a_matrix():
    @circuit
    def cell(x, S):
        S = S + outer(x, x)
        return {"S": S, "o": softmax(S) @ x}


@misuse
def axis_of_a_vector():
    @circuit
    def cell(x, h, *, W):
        return {"h": h + unrolled.sum(tanh(W @ x), axis=0)}


@misuse
def axis_that_there_is_not():
    @circuit
    def cell(x, S):
        return {"S": S + outer(x, x), "o": unrolled.sum(S, axis=2)}


@misuse
def rows_of_which_nobody_knows_how_many():
    @circuit
    def cell(x, h):
        return {"h": h + unrolled.sum(rows(x), axis=0)}


@misuse
def matrix_of_another_size():
    @circuit
    def cell(x, y, S):
        return {"S": S + outer(x, y) + outer(concat(x, x), y)}


@misuse
def size_of_a_matrix_is_one_number():
    @circuit
    def cell(x, S, *, W):
        return {"S": S @ W.T + outer(W @ x, x)}

    Recurrent(cell, S=4)


@misuse
def size_of_a_matrix_is_missing():
    @circuit
    def cell(X, S, *, W):
        return {"S": 0.9 * S + X @ W.T, "o": unrolled.sum(X, axis=0)}

    Recurrent(cell, X=(3, 4))


@misuse
def condition_is_no_comparison():
    @circuit
    def cell(x, h):
        return {"h": where(h, x, h)}


@misuse
def token_of_a_state():
    @circuit
    def cell(x, h, *, W):
        return {"h": tanh(W @ h + x), "L": nll(x, h)}


@misuse
def parameter_never_used():
    @circuit
    def cell(x, h, *, W, U):
        return {"h": tanh(W @ h + x)}


@misuse
def parameter_of_no_known_size():
    @circuit
    def cell(x, h, *, W, V):
        return {"h": tanh(W @ (V @ x) + h)}


@misuse
def default_of_an_input():
    @circuit
    def cell(x, h=0):
        return {"h": tanh(h + x)}


@misuse
def star_arguments():
    @circuit
    def cell(x, h, **parameters):
        return {"h": tanh(h + x)}


@misuse
def init_of_no_parameter():
    @circuit(init={"w": orthogonal()})
    def cell(x, h, *, W):
        return {"h": tanh(W @ h + x)}


@misuse
def decorated_class():
    circuit(torch.nn.Linear)


@misuse
def circuit_called_like_a_network():
    elman(torch.zeros(1, 2, 3))


@misuse
def unknown_format():
    elman.equations("latx")


@misuse
def adjoint_of_nothing_returned():
    elman.adjoint(of="hh")


# networks


@misuse
def size_missing():
    unrolled.Recurrent(elman, x=3, h=4)


@misuse
def size_unknown():
    unrolled.Recurrent(elman, x=3, hidden=4, o=2)


@misuse
def size_no_number():
    unrolled.Recurrent(lstm, x=3, h=4.0)


@misuse
def sizes_contradict():
    unrolled.Recurrent(lstm, x=3, h=128, c=512)


@misuse
def function_for_a_circuit():
    unrolled.Recurrent(lambda x, h: h, x=3, h=4)


@misuse
def unknown_engine():
    unrolled.Recurrent(rnn, x=3, h=4, engine="referense")


@misuse
def attribute_of_states():
    @circuit
    def cell(x, detach):
        return {"detach": tanh(detach + x)}


@misuse
def reserved_name_of_a_size():
    @circuit
    def cell(x, h, *, V, W):
        engine = V @ x
        return {"h": tanh(W @ engine + h)}


@misuse
def parameter_hides_a_method():
    @circuit
    def cell(x, h, *, train):
        return {"h": tanh(train @ h + x)}

    unrolled.Recurrent(cell, x=3)


NET = unrolled.Recurrent(elman, x=3, h=4, o=2)


def argument_of_torch(name: str, value: object) -> None:
    def made() -> None:
        unrolled.Recurrent(elman, x=3, h=4, o=2, **{name: value})

    made.__name__ = f"torch_argument_{name}"
    misuse(made)


argument_of_torch("input_size", 3)
argument_of_torch("hidden_size", 4)
argument_of_torch("batch_first", True)
argument_of_torch("num_layers", 2)
argument_of_torch("bidirectional", True)
argument_of_torch("dropout", 0.5)
argument_of_torch("bias", False)
argument_of_torch("proj_size", 2)
argument_of_torch("nonlinearity", "relu")


@misuse
def wrong_feature_size():
    NET(torch.zeros(1, 5, 7))


@misuse
def no_batch():
    NET(torch.zeros(5, 3))


@misuse
def time_and_feature_exchanged():
    NET(torch.zeros(1, 3, 5))


@misuse
def mixed_dtypes():
    NET(torch.zeros(1, 5, 3, dtype=torch.float64))


@misuse
def whole_numbers_for_a_vector():
    NET(torch.zeros(1, 5, 3, dtype=torch.int64))


@misuse
def series_for_one_step():
    NET.step(torch.zeros(1, 5, 3))


def changed(change) -> unrolled.Recurrent:
    net = unrolled.Recurrent(elman, x=3, h=4, o=2)
    change(net)
    return net


@misuse
def parameter_of_another_shape():
    changed(lambda net: setattr(net, "U", torch.nn.Parameter(torch.zeros(3, 4))))(torch.zeros(1, 5, 3))


@misuse
def parameters_of_two_dtypes():
    changed(lambda net: setattr(net.V, "data", net.V.data.double()))(torch.zeros(1, 5, 3))


@misuse
def parameter_removed():
    changed(lambda net: setattr(net, "W", None))(torch.zeros(1, 5, 3))


@misuse
def parameters_of_whole_numbers():
    unrolled.Recurrent(rnn, x=3, h=4, dtype=torch.int64)


@misuse
def sparse_input():
    NET(torch.zeros(1, 5, 3).to_sparse())


@misuse
def nested_input():
    NET(torch.nested.nested_tensor([torch.zeros(2, 3), torch.zeros(5, 3)], layout=torch.jagged))


@misuse
def complex_input():
    NET(torch.zeros(1, 5, 3, dtype=torch.complex64))


@misuse
def network_made_in_inference_mode():
    with torch.inference_mode():
        net = unrolled.Recurrent(rnn, x=3, h=4)
    net(torch.zeros(1, 5, 3))


@misuse
def batch_of_gradients():
    out = NET(torch.zeros(1, 5, 3)).o.sum((0, 1))
    torch.autograd.grad(out, list(NET.parameters()), torch.eye(2), is_grads_batched=True)


@misuse
def reset_in_a_trace():
    make_fx(lambda x, reset: NET(x, reset=reset).o)(torch.zeros(1, 5, 3), torch.zeros(1, 5, dtype=torch.bool))


@misuse
def truncated_in_a_transform():
    net = unrolled.Recurrent(rnn, x=3, h=4, memory=unrolled.Truncated(window=2))
    torch.func.jvp(lambda x: net(x).h, (torch.zeros(1, 5, 3),), (torch.ones(1, 5, 3),))


@misuse
def second_derivative_of_a_truncated_gradient():
    x = torch.zeros(1, 5, 3, requires_grad=True)
    net = unrolled.Recurrent(rnn, x=3, h=4, memory=unrolled.Truncated(window=2))
    torch.autograd.grad(net(x).h.sum(), x, create_graph=True)[0].sum().backward()


@misuse
def tangent_of_what_is_no_input():
    rnn.tangent(of=["y"])


@misuse
def tangent_of_a_state():
    rnn.tangent(of="h")


@misuse
def starting_values_lost_in_a_pickle():
    @circuit(init={"W": lambda p: p.zero_()})
    def cell(x, h, *, W):
        return {"h": tanh(W @ h + x)}

    unrolled.Recurrent(pickle.loads(pickle.dumps(cell)), h=3)


@misuse
def no_tensor():
    NET([[0.0, 0.0, 0.0]])


@misuse
def unknown_input():
    NET(xs=torch.zeros(1, 5, 3))


@misuse
def too_many_inputs():
    NET(torch.zeros(1, 5, 3), torch.zeros(1, 5, 3))


@misuse
def state_of_torch_after_an_input():
    NET(torch.zeros(1, 5, 3), (torch.zeros(1, 1, 4), torch.zeros(1, 1, 4)))


@misuse
def state_of_torch_in_place_of_an_input():
    @circuit
    def cell(x, y, h):
        return {"h": tanh(h + x), "L": nll(h, y)}

    unrolled.Recurrent(cell, h=4)(torch.zeros(1, 5, 4), (torch.zeros(1, 1, 4), torch.zeros(1, 1, 4)))


@misuse
def state_given_twice():
    state = unrolled.State(h=torch.zeros(1, 4))
    NET(torch.zeros(1, 5, 3), state, state=state)


@misuse
def too_many_inputs_of_a_step():
    NET.step(torch.zeros(1, 3), torch.zeros(1, 4))


@misuse
def input_missing():
    NET()


@misuse
def token_out_of_range():
    NET(torch.tensor([[0, 1, 3]]))


@misuse
def state_of_another_batch():
    NET(torch.zeros(2, 5, 3), state=unrolled.State(h=torch.zeros(1, 4)))


@misuse
def state_unknown():
    NET(torch.zeros(2, 5, 3), state=unrolled.State(c=torch.zeros(2, 4)))


@misuse
def state_as_tuple():
    NET(torch.zeros(2, 5, 3), state=(torch.zeros(2, 4),))


@misuse
def reset_without_mask():
    unrolled.State(h=torch.zeros(2, 4)).reset([0])


@misuse
def given_is_no_state():
    unrolled.Recurrent(jordan, x=3, h=4, o=2)(torch.zeros(1, 5, 3), given={"h": torch.zeros(1, 5, 4)})


@misuse
def given_of_another_length():
    unrolled.Recurrent(jordan, x=3, h=4, o=2)(torch.zeros(1, 5, 3), given={"o": torch.zeros(1, 4, 2)})


@misuse
def autonomous_without_steps():
    unrolled.Recurrent(autonomous, s=3)()


@misuse
def last_of_nothing():
    return NET(torch.zeros(1, 0, 3)).last


@misuse
def unknown_result():
    return NET(torch.zeros(1, 5, 3)).output


@misuse
def result_unpacked():
    _h, _state = NET(torch.zeros(1, 5, 3))


@misuse
def step_unpacked():
    _h, _state = NET.step(torch.zeros(1, 3))


@misuse
def torch_module_of_another_kind():
    interop.from_torch(torch.nn.Linear(3, 4))


@misuse
def accelerate_what_is_no_module():
    unrolled.accelerate([torch.nn.LSTM(3, 4)])


@misuse
def to_torch_of_another_cell():
    interop.to_torch(NET)


@misuse
def loss_targets_of_another_shape():
    unrolled.losses.nll(torch.zeros(2, 5, 3), torch.zeros(2, 4, dtype=torch.long))


@misuse
def loss_reduction_unknown():
    unrolled.losses.bce(torch.zeros(2, 5, 3), torch.zeros(2, 5, 3), reduction="none")


def message(function) -> str:
    try:
        function()
    except (UnrolledError, AttributeError) as error:
        return f"{type(error).__name__}\n{re.sub(r'py:[0-9]+:', 'py:LINE:', str(error))}"
    return "no error"


def test_catalogue(golden):
    texts = [f"# {name}\n{message(function)}\n" for name, function in MISUSES.items()]
    golden("errors.txt", "\n".join(texts))
    assert len(texts) >= 25 and not any("no error" in t for t in texts)


def test_errors_name_the_users_line():
    with pytest.raises(CircuitError) as caught:
        MISUSES["vector_left_of_a_product"]()
    source = caught.value.source
    assert source is not None and source.file == "test_errors.py" and "h @ x" in source.text


@pytest.mark.parametrize(
    "call",
    [
        lambda h: F.dropout(h, 0.5),
        lambda h: F.layer_norm(h, (4,)),
        lambda h: torch.nn.LayerNorm(4)(h),
        lambda h: torch.nn.Dropout()(h),
        lambda h: F.cross_entropy(h, h),
        lambda h: torch.nn.LSTMCell(4, 4)(h),
        lambda h: torch.einsum("i,i->", h, h),
        lambda h: torch.cat([h, h]),
        lambda h: torch.as_tensor(h),
        lambda h: np.tanh(h),
        lambda h: np.ones(4) @ h,
        lambda h: round(h),
        lambda h: f"{h:.2f}",
    ],
)
def test_the_users_line_is_named_wherever_it_fails(call):
    """Even if it fails inside torch or numpy, whose files do not help the user."""
    with pytest.raises(CircuitError) as caught:

        @circuit
        def cell(x, h):
            return {"h": call(h) + x}

    assert caught.value.source is not None and caught.value.source.file == "test_errors.py"
    assert "lambda h" in caught.value.source.text


def test_advice_names_functions_that_there_are():
    for text in ADVICE.values():
        for name in re.findall(r"(?<![\w.])([a-z]\w*)\(", text):
            assert name in (*FUNCTIONS, "net", "print", "variational", "zoneout"), (text, name)
    assert not set(ADVICE) & set(FUNCTIONS)


def test_other_type_errors_stay_as_they_are():
    with pytest.raises(TypeError, match="can only concatenate str"):

        @circuit
        def cell(x, h):
            return {"h": h + x + ("a" + 1)}


def test_a_helper_functions_own_line_is_named():
    def gate(a):
        return relu(a) @ a

    with pytest.raises(CircuitError) as caught:

        @circuit
        def cell(x, h):
            return {"h": gate(h + x)}

    assert "relu(a) @ a" in caught.value.source.text


def test_the_list_of_functions_is_complete():
    defined = {
        n: f for n, f in vars(functional).items() if inspect.isfunction(f) and f.__module__ == functional.__name__
    }
    assert set(FUNCTIONS) == {name for name in defined if not name.startswith("_")}
    assert set(FUNCTIONS) <= set(dir(unrolled)) and all(getattr(unrolled, n) is defined[n] for n in FUNCTIONS)


def test_importing_all_names_replaces_none_of_python():
    scope: dict[str, object] = {}
    exec("from unrolled import *", scope)
    assert not {n for n in scope if hasattr(builtins, n)}
    assert set(FUNCTIONS) - set(scope) == {"abs", "max", "min", "sum"}
    assert {"Recurrent", "circuit", "tanh", "cells", "accelerate"} <= set(scope)
