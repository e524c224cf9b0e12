"""What torch.nn's layers refuse, ours refuse in the same words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_sequence

import unrolled
from torch_twins import (
    KINDS,
    H,
    I,
    listed,
    needs_engine,
    pair,
)
from unrolled import InputError, Ragged


def x_of(*shape: int, **options: Any) -> Tensor:
    return torch.zeros(*shape, **options)


def twice(hx: Tensor) -> tuple[Tensor, Tensor]:
    return hx, hx


WRONG: dict[str, tuple[str, Callable[[], tuple[Any, ...]]]] = {
    "one dimension": ("LSTM", lambda: (x_of(I),)),
    "four dimensions": ("GRU", lambda: (x_of(1, 2, 3, I),)),
    "input size": ("LSTM", lambda: (x_of(5, 2, I + 1),)),
    "input size, packed": ("RNN", lambda: (pack_sequence([x_of(5, I + 1)]),)),
    "state size": ("GRU", lambda: (x_of(5, 2, I), x_of(1, 2, H + 1))),
    "state layers": ("RNN", lambda: (x_of(5, 2, I), x_of(2, 2, H))),
    "state batch": ("LSTM", lambda: (x_of(5, 2, I), twice(x_of(1, 3, H)))),
    "cell size": ("LSTM", lambda: (x_of(5, 2, I), (x_of(1, 2, H), x_of(1, 2, H + 1)))),
    "state of a batch for one sequence": ("GRU", lambda: (x_of(5, I), x_of(1, 1, H))),
    "state of one sequence for a batch": ("LSTM", lambda: (x_of(5, 2, I), twice(x_of(1, H)))),
    "dtype": ("LSTM", lambda: (x_of(5, 2, I, dtype=torch.float64),)),
    "whole numbers": ("GRU", lambda: (x_of(5, 2, I, dtype=torch.int64),)),
    "dtype of the state": ("RNN", lambda: (x_of(5, 2, I), x_of(1, 2, H, dtype=torch.float64))),
    "dtype of the states": ("LSTM", lambda: (x_of(5, 2, I), twice(x_of(1, 2, H, dtype=torch.float64)))),
    "no steps": ("GRU", lambda: (x_of(0, 2, I),)),
    "no steps in an LSTM": ("LSTM", lambda: (x_of(0, 2, I),)),
    "meta device": ("GRU", lambda: (x_of(5, 2, I, device="meta"), x_of(1, 2, H))),
    "no tensor": ("RNN", lambda: ([1.0],)),
    "cell: three dimensions": ("LSTMCell", lambda: (x_of(1, 2, I),)),
    "cell: input size": ("GRUCell", lambda: (x_of(2, I + 1),)),
    "cell: state size": ("LSTMCell", lambda: (x_of(2, I), (x_of(2, H + 1), x_of(2, H)))),
    "cell: cell size": ("LSTMCell", lambda: (x_of(2, I), (x_of(2, H), x_of(2, H + 1)))),
    "cell: state batch": ("RNNCell", lambda: (x_of(2, I), x_of(3, H))),
    "cell: one state of two": ("LSTMCell", lambda: (x_of(2, I), (x_of(3, H), x_of(2, H)))),
    "cell: dtype": ("GRUCell", lambda: (x_of(2, I, dtype=torch.float64),)),
    "cell: dtype of the state": ("RNNCell", lambda: (x_of(2, I), x_of(2, H, dtype=torch.float64))),
    "cell: state dimensions": ("GRUCell", lambda: (x_of(2, I), x_of(1, 2, H))),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_torch_refuses_is_refused_in_its_words(wrong):
    kind, make = WRONG[wrong]
    theirs, ours = pair(kind, I, H)
    with pytest.raises(Exception) as expected:
        theirs(*make())
    with pytest.raises(type(expected.value), match=f"^{re.escape(str(expected.value))}$"):
        ours(*make())


@pytest.mark.parametrize("kind", ["RNN", "GRU", "RNNCell", "GRUCell"])
def test_a_call_like_a_good_one_is_checked(kind):
    theirs, ours = pair(kind, I, H)
    lead = (2,) if kind.endswith("Cell") else (5, 2)
    states = (2, H) if kind.endswith("Cell") else (1, 2, H)
    x, hx = torch.zeros(*lead, I), torch.zeros(*states)
    for _ in range(2):
        ours(x, hx)
    for wrong in [(x, torch.zeros(*states[:-1], H + 1)), (x.double(), hx), (x, hx.double()), (x[..., :2], hx)]:
        with pytest.raises(Exception) as expected:
            theirs(*wrong)
        with pytest.raises(type(expected.value)) as found:
            ours(*wrong)
        assert str(found.value) == str(expected.value)


MADE_WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("LSTM", (0, 4), {}),
    ("GRU", (3, -1), {}),
    ("LSTM", (3.0, 4), {}),
    ("RNN", (3, 4), {"nonlinearity": "sigmoid"}),
    ("GRU", (3, 4), {"proj_size": 2}),
    ("LSTM", (3, 4), {"proj_size": 4}),
    ("LSTM", (3, 4), {"proj_size": -1}),
    ("LSTM", (3, 4), {"dropout": 2}),
    ("LSTM", (3, 4), {"num_layers": 0}),
    ("LSTM", (3, 4), {"bias": 1}),
    ("LSTM", (3, 4), {"batch_first": "yes"}),
    ("LSTM", (3, 4), {"layers": 2}),
]


@pytest.mark.parametrize(("kind", "args", "options"), MADE_WRONG)
def test_arguments_that_torch_refuses(kind, args, options):
    with pytest.raises(Exception) as expected:
        getattr(nn, kind)(*args, **options)
    with pytest.raises(type(expected.value)) as found:
        getattr(unrolled.nn, kind)(*args, **options)
    assert str(found.value) == str(expected.value)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_a_wrong_shape_are_refused(kind):
    layer = getattr(unrolled.nn, kind)(I, H)
    wrong = {"weight_hh_l0": torch.zeros(2, 2)}
    with pytest.raises(InputError, match=r"weight_hh must be \(\d+, 4\), got \(2, 2\)"):
        torch.func.functional_call(layer, wrong, (torch.zeros(5, 2, I),))


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_sequences(kind):
    theirs, ours = pair(kind, I, H, 2, bidirectional=True)
    x = torch.zeros(5, 0, I)
    (output, ends), (wanted, last) = ours(x), theirs(x)
    assert output.shape == wanted.shape == (5, 0, 2 * H)
    assert [e.shape for e in listed(ends)] == [e.shape for e in listed(last)]


@needs_engine
def test_a_ragged_is_refused_like_a_packed_sequence():
    layer = unrolled.nn.GRU(I, H)
    with pytest.raises(RuntimeError, match=r"input.size\(-1\) must be equal to input_size. Expected 3, got 4"):
        layer(Ragged([torch.zeros(2, 4)]))
    with pytest.raises(RuntimeError, match=r"Expected hidden size \(1, 1, 4\), got \[1, 2, 4\]"):
        layer(Ragged([torch.zeros(2, I)]), torch.zeros(1, 2, H))
    with pytest.raises(ValueError, match=r"RNN input dtype \(torch.float64\) does not match weight dtype"):
        layer(Ragged([torch.zeros(2, I, dtype=torch.float64)]))
