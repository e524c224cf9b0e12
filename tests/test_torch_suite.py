"""What torch tests of its recurrent layers beside their numbers, done with ours beside torch's.

The list follows torch's own tests (test/test_nn.py and test/nn of PyTorch 2.13), in words and code of this project.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from torch_twins import KINDS, H, I, listed, needs_engine, pair
from unrolled.testing import assert_close

CELLS = ["RNNCell", "LSTMCell", "GRUCell"]
FLOAT64 = "torch.nn, float64"

pytestmark = needs_engine


def twins(kind: str, *sizes: int, **options: Any) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return pair(kind, *(sizes or (I, H)), **options, dtype=torch.float64)


def x_of(*shape: int) -> Tensor:
    return torch.linspace(-1, 1, torch.Size(shape).numel(), dtype=torch.float64).view(shape).sin()


def gradients(layer: nn.Module, loss: Tensor, *leaves: Tensor, **options: Any) -> list[Tensor | None]:
    wanted = [*layer.parameters(), *leaves]
    return list(torch.autograd.grad(loss, wanted, allow_unused=True, **options))


def same(actual: list[Tensor | None], expected: list[Tensor | None]) -> None:
    assert len(actual) == len(expected)
    for k, (ours, theirs) in enumerate(zip(actual, expected, strict=True)):
        zero = theirs is None or not theirs.any()
        if ours is None or theirs is None:
            assert zero and (ours is None or not ours.any()), f"gradient {k}: {ours}, {theirs}"
        else:
            assert_close(f"gradient {k}", ours, theirs, FLOAT64)


def states_of(kind: str, *shape: int) -> Any:
    count = 2 if kind.startswith("LSTM") else 1
    states = tuple(x_of(*shape) * (k + 1) for k in range(count))
    return states if count == 2 else states[0]


# the backward pass


@pytest.mark.parametrize("kind", KINDS)
def test_a_graph_that_is_kept_gives_the_same_gradient_again(kind: str):
    for layer in twins(kind, num_layers=2):
        layer = layer.train()
        loss = layer(x_of(5, 2, I))[0].sum()
        first, second = gradients(layer, loss, retain_graph=True), gradients(layer, loss)
        for a, b in zip(first, second, strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("only", [0, 1, 2])
@pytest.mark.parametrize("kind", KINDS)
def test_a_loss_of_one_returned_value_alone(kind: str, only: int):
    theirs, ours = twins(kind, num_layers=2, bidirectional=True)
    x, hx = x_of(5, 2, I).requires_grad_(), states_of(kind, 4, 2, H)
    leaves = [x, *(h.requires_grad_() for h in listed(hx))]
    found = []
    for layer in (theirs, ours):
        output, ends = layer(x, hx)
        values = [output, *listed(ends)]
        found.append(gradients(layer, values[min(only, len(values) - 1)].square().sum(), *leaves))
    same(found[1], found[0])


@pytest.mark.parametrize("only", [0, 1])
@pytest.mark.parametrize("kind", CELLS)
def test_a_loss_of_one_state_of_a_cell_alone(kind: str, only: int):
    theirs, ours = twins(kind)
    x, hx = x_of(2, I).requires_grad_(), states_of(kind, 2, H)
    leaves = [x, *(h.requires_grad_() for h in listed(hx))]
    found = []
    for cell in (theirs, ours):
        values = listed(cell(x, hx))
        found.append(gradients(cell, values[min(only, len(values) - 1)].square().sum(), *leaves))
    same(found[1], found[0])


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_an_output_that_is_changed_in_place(kind: str, batch_first: bool):
    found = []
    for layer in twins(kind, batch_first=batch_first, bidirectional=True):
        x = x_of(5, 2, I).requires_grad_()
        output, _ = layer(x)
        output *= 2  # as in a residual connection: output += x
        found.append(gradients(layer, output.square().sum(), x))
    same(found[1], found[0])


# sizes of zero


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradient_of_no_sequences_is_zero(kind: str):
    for layer in twins(kind, num_layers=2, bidirectional=True):
        output, ends = layer(x_of(5, 0, I))
        loss = output.sum() + sum(end.sum() for end in listed(ends))
        assert not any(g.any() for g in gradients(layer, loss) if g is not None)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
@pytest.mark.parametrize(("inputs", "hidden"), [(10, 0), (0, 4), (0, 0)])
@pytest.mark.parametrize("kind", CELLS)
def test_cells_without_entries(kind: str, inputs: int, hidden: int):
    found = []
    for cell in twins(kind, inputs, hidden):
        states = listed(cell(x_of(3, inputs), states_of(kind, 3, hidden)))
        assert all(state.shape == (3, hidden) for state in states)
        found.append([*states, *gradients(cell, sum(state.square().sum() for state in states))])
    same(found[1], found[0])


# layouts in memory


@pytest.mark.parametrize("kind", KINDS)
def test_inputs_states_and_weights_that_are_not_contiguous(kind: str):
    theirs, ours = twins(kind, num_layers=2)
    wide, hx = x_of(4, I, 10).permute(2, 0, 1)[::2], states_of(kind, 2, H, 4)
    hx = tuple(h.transpose(1, 2) for h in hx) if isinstance(hx, tuple) else hx.transpose(1, 2)
    expanded = x_of(2, 1, H).expand(2, 4, H)
    for layer in (theirs, ours):
        for p in layer.parameters():
            p.data = p.data.T.contiguous().T if p.ndim == 2 else torch.stack([p.data, p.data], -1)[..., 0]
    for given in (hx, tuple(expanded for _ in hx) if isinstance(hx, tuple) else expanded):
        found = []
        for layer in (theirs, ours):
            x = wide.detach().requires_grad_()
            output, ends = layer(x, given)
            loss = output.square().sum() + sum(end.sum() for end in listed(ends))
            found.append([output, *gradients(layer, loss, x)])
        same(found[1], found[0])


# options that change


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_that_changes_after_a_layer_was_made(kind: str):
    theirs, ours = twins(kind, num_layers=3, dropout=0.5)
    x = x_of(5, 2, I)
    for dropout, training in ((0.5, True), (0.2, True), (0.0, True), (0.7, False), (1.0, True)):
        found = []
        for layer in (theirs, ours):
            layer.dropout = dropout
            layer.train(training)
            torch.manual_seed(3)
            output, _ = layer(x)
            found.append([output, *gradients(layer, output.square().sum())])
        same(found[1], found[0])


@pytest.mark.parametrize("kind", KINDS)
def test_training_on_after_an_evaluation_without_gradient(kind: str):
    theirs, ours = twins(kind, num_layers=2)
    x, found = x_of(5, 2, I), []
    for layer in (theirs, ours):
        optimizer, outputs = torch.optim.SGD(layer.parameters(), lr=0.1), []
        for _ in range(3):
            optimizer.zero_grad()
            layer(x)[0].square().sum().backward()
            optimizer.step()
            with torch.no_grad():
                outputs.append(layer.eval()(x)[0])
            layer.train()
        found.append(outputs)
    same(found[1], found[0])


# packed sequences


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("enforce_sorted", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_each_packed_sequence_has_the_result_that_it_has_alone(kind: str, enforce_sorted: bool, batch_first: bool):
    lengths = [6, 4, 4, 1] if enforce_sorted else [4, 1, 6, 4]
    x, hx = x_of(4, 6, I), states_of(kind, 4, 4, H)
    _, layer = twins(kind, num_layers=2, bidirectional=True, batch_first=batch_first)
    packed, ends = layer(pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=enforce_sorted), hx)
    padded, _ = pad_packed_sequence(packed, batch_first=True)
    for row, length in enumerate(lengths):
        alone = x[row : row + 1, :length]
        start = tuple(h[:, row : row + 1] for h in hx) if isinstance(hx, tuple) else hx[:, row : row + 1]
        output, last = layer(alone if batch_first else alone.transpose(0, 1), start)
        output = output[0] if batch_first else output[:, 0]
        assert_close(f"output {row}", padded[row, :length], output, FLOAT64)
        for end, wanted in zip(listed(ends), listed(last), strict=True):
            assert_close(f"state {row}", end[:, row], wanted[:, 0], FLOAT64)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("shape", [(2, 2, H), (2, 2, 3), (2, 3, 2), (1, 2, 2), (2, 2)])
def test_states_of_other_sizes_than_the_projection_are_refused(shape: tuple[int, ...]):
    theirs, ours = twins("LSTM", num_layers=2, proj_size=2)
    for layer in (theirs, ours):
        layer(x_of(5, 2, I), (x_of(2, 2, 2), x_of(2, 2, H)))
    with pytest.raises(Exception) as expected:
        theirs(x_of(5, 2, I), (x_of(*shape), x_of(2, 2, H)))
    with pytest.raises(type(expected.value)) as found:
        ours(x_of(5, 2, I), (x_of(*shape), x_of(2, 2, H)))
    assert str(found.value) == str(expected.value)
