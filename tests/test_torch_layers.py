"""RNN, LSTM, GRU and their cells beside torch.nn's: values, states and all gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pack_sequence, pad_packed_sequence

import unrolled
from torch_twins import (
    DTYPES,
    KINDS,
    H,
    I,
    P,
    assert_same,
    everything,
    listed,
    needs_engine,
    pair,
    torchs_operators_refused,
)
from unrolled import Ragged
from unrolled.testing import assert_close


@dataclass
class Case:
    """A layer, and how it is called."""

    kind: str
    options: dict[str, Any]
    form: str
    lengths: list[int]
    with_states: bool
    tolerance: str

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.tolerance]

    def given(self) -> tuple[Any, Tensor]:
        """The input of torch's layer in its form, and the tensor that it is made from."""
        steps, batch, first = max(self.lengths), len(self.lengths), self.options["batch_first"]
        data = torch.randn(batch, steps, I, dtype=self.dtype, requires_grad=True)
        if self.form == "unbatched":
            return data[0], data
        if self.form == "dense":
            return (data if first else data.transpose(0, 1)), data
        order = self.form == "sorted"
        return pack_padded_sequence(data, self.lengths, batch_first=True, enforce_sorted=order), data

    def states(self) -> list[Tensor]:
        if not self.with_states:
            return []
        count = self.options["num_layers"] * (1 + self.options["bidirectional"])
        sizes = [self.options.get("proj_size") or H] + [H] * (self.kind == "LSTM")
        shape = (count,) if self.form == "unbatched" else (count, len(self.lengths))
        return [torch.randn(*shape, size, dtype=self.dtype, requires_grad=True) for size in sizes]


@st.composite
def cases(draw: st.DrawFn) -> Case:
    kind, form = (
        draw(st.sampled_from(KINDS)),
        draw(st.sampled_from(["dense", "unbatched", "sorted", "unsorted", "ragged"])),
    )
    options: dict[str, Any] = {
        "num_layers": draw(st.integers(1, 3)),
        "bias": draw(st.booleans()),
        "batch_first": draw(st.booleans()),
        "bidirectional": draw(st.booleans()),
    }
    if options["num_layers"] > 1 and draw(st.booleans()):
        options["dropout"] = 0.5
    if kind == "LSTM" and draw(st.booleans()):
        options["proj_size"] = P
    if kind == "RNN":
        options["nonlinearity"] = draw(st.sampled_from(["tanh", "relu"]))
    lengths = draw(st.lists(st.integers(1, 7), min_size=1, max_size=5))
    if form == "sorted":
        lengths.sort(reverse=True)
    return Case(kind, options, form, lengths, draw(st.booleans()), draw(st.sampled_from(list(DTYPES))))


@needs_engine
@pytest.mark.filterwarnings("ignore:LSTM with projections")
@settings(max_examples=60)
@given(cases(), st.integers(0, 2**31))
def test_values_states_and_all_gradients(case: Case, seed: int):
    torch.manual_seed(seed)
    theirs, ours = pair(case.kind, I, H, **case.options, dtype=case.dtype)
    (x, data), states = case.given(), case.states()
    torch.manual_seed(seed)  # of the dropout masks
    expected = everything(theirs, x, states, data)
    if case.form == "ragged":
        torch.manual_seed(seed)
        x = Ragged.from_padded(data, case.lengths)
        if "dropout" in case.options:  # a Ragged has an order of its own, in which masks are drawn
            theirs.eval(), ours.eval()
            packed = pack_padded_sequence(data, case.lengths, batch_first=True, enforce_sorted=False)
            expected = everything(theirs, packed, states, data)
    torch.manual_seed(seed)
    with torchs_operators_refused():
        actual = everything(ours, x, states, data)
    assert_same(actual, expected, case.tolerance)


@needs_engine
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("tolerance", DTYPES)
@pytest.mark.parametrize("kind", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells(kind, tolerance, batched, bias):
    torch.manual_seed(0)
    theirs, ours = pair(kind, I, H, bias, dtype=DTYPES[tolerance])
    shape = (5,) if batched else ()
    x = torch.randn(*shape, I, dtype=DTYPES[tolerance], requires_grad=True)
    states = [torch.randn(*shape, H, dtype=x.dtype, requires_grad=True) for _ in range(1 + (kind == "LSTMCell"))]

    def steps(cell: nn.Module, given: Any) -> dict[str, Tensor]:
        for _ in range(3):
            given = cell(x, given)
        found = dict(enumerate(listed(given)))
        leaves = [x, *states, *cell.parameters()]
        grads = torch.autograd.grad(sum(v.square().sum() for v in found.values()), leaves, allow_unused=True)
        return {f"state {i}": v for i, v in found.items()} | {
            f"gradient {i}": g for i, g in enumerate(grads) if g is not None
        }

    hx = tuple(states) if len(states) > 1 else states[0]
    for start in (hx, None):
        expected = steps(theirs, start)
        with torchs_operators_refused():
            actual = steps(ours, start)
        assert_same(actual, expected, tolerance)


@needs_engine
def test_a_relu_cell():
    theirs, ours = pair("RNNCell", I, H, nonlinearity="relu", dtype=torch.float64)
    x = torch.randn(5, I, dtype=torch.float64)
    assert_close("h", ours(x), theirs(x), "torch.nn, float64")


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_states_that_are_not_contiguous_and_go_on(kind):
    theirs, ours = pair(kind, I, H, 2, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 5, 2 * I, dtype=torch.float64)[..., ::2]
    h = torch.randn(4, H, 5, dtype=torch.float64).mT
    hx = (h, torch.randn(5, 4, H, dtype=torch.float64).transpose(0, 1)) if kind == "LSTM" else h
    for _ in range(2):
        output, wanted = ours(x, hx), theirs(x, hx)
        assert_close("output", output[0], wanted[0], "torch.nn, float64")
        for end, other in zip(listed(output[1]), listed(wanted[1]), strict=True):
            assert_close("last", end, other, "torch.nn, float64")
        hx = output[1]


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_a_batch_survives_packing(kind):
    torch.manual_seed(0)
    layer = getattr(unrolled.nn, kind)(I, H, bidirectional=True)
    sequences = [torch.randn(n, I) for n in (2, 6, 1, 4, 6)]
    output, ends = layer(pack_sequence(sequences, enforce_sorted=False))
    padded, lengths = pad_packed_sequence(output)
    assert lengths.tolist() == [2, 6, 1, 4, 6]
    for i, sequence in enumerate(sequences):
        alone, last = layer(sequence)
        assert_close("output", padded[: len(sequence), i], alone, "torch.nn, float32")
        assert_close("last", listed(ends)[0][:, i], listed(last)[0], "torch.nn, float32")


@needs_engine
def test_a_ragged_may_hold_sequences_without_steps():
    layer = unrolled.nn.LSTM(I, H, 2, bidirectional=True)
    h, c = torch.randn(4, 3, H), torch.randn(4, 3, H)
    output, (h_n, c_n) = layer(Ragged([torch.randn(2, I), torch.randn(0, I), torch.randn(5, I)]), (h, c))
    assert output.lengths.tolist() == [2, 0, 5] and output.values.shape == (7, 2 * H)
    assert torch.equal(h_n[:, 1], h[:, 1]) and torch.equal(c_n[:, 1], c[:, 1])


@needs_engine
def test_time_first_output_is_contiguous_as_torchs_is():
    x = torch.randn(5, 3, I)
    assert nn.GRU(I, H)(x)[0].is_contiguous() and unrolled.nn.GRU(I, H)(x)[0].is_contiguous()


# dropout


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_dropout_between_layers(kind):
    theirs, ours = pair(kind, I, H, 3, dropout=0.5, dtype=torch.float64)
    x = torch.randn(6, 5, I, dtype=torch.float64)

    def drawn(layer: nn.Module) -> Tensor:
        torch.manual_seed(3)
        return layer(x)[0]

    assert_close("the same mask", drawn(ours), drawn(theirs), "torch.nn, float64")
    assert not torch.equal(ours(x)[0], ours(x)[0])
    theirs.eval(), ours.eval()
    assert torch.equal(ours(x)[0], ours(x)[0])
    assert_close("without a mask", ours(x)[0], theirs(x)[0], "torch.nn, float64")


def test_all_is_dropped():
    layer = unrolled.nn.RNN(I, H, 2, dropout=1.0, bias=False)
    assert not layer(torch.randn(6, 5, I))[0].any()
