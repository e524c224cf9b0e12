"""accelerate and restore: the same numbers, the same objects, and what is left as it is."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import unrolled
from cells_for_tests import needs_compiler
from unrolled import InputError
from unrolled.nn import acceleration as room
from unrolled.nn import torch_layers
from unrolled.testing import assert_close

pytestmark = needs_compiler


class Named(nn.LSTM):
    """A subclass that computes nothing of its own."""


class Counting(nn.GRU):
    """A subclass that overrides ``forward``."""

    calls = 0

    def forward(self, x: Tensor, hx: Tensor | None = None) -> Any:
        self.calls += 1
        return super().forward(x, hx)


class Tagger(nn.Module):
    """Dense, packed and stateful: every way to call a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(20, 5)
        self.encoder = nn.LSTM(5, 6, 2, batch_first=True, bidirectional=True, dropout=0.3)
        self.stream = Named(12, 7)
        self.cell = nn.GRUCell(7, 4)
        self.read_out = nn.Linear(4, 3)

    def forward(self, words: Tensor, lengths: Tensor) -> Tensor:
        packed = pack_padded_sequence(self.embedding(words), lengths, batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.encoder(packed)[0])
        first, hx = self.stream(states[:2])
        second, _ = self.stream(states[2:], hx)
        h, steps = None, []
        for step in torch.cat([first, second]):
            h = self.cell(step, h)
            steps.append(self.read_out(h))
        return torch.stack(steps)


WORDS, LENGTHS = torch.arange(24).view(4, 6) % 20, torch.tensor([3, 6, 5, 4])


def learned(model: nn.Module, optimizer: torch.optim.Optimizer) -> Tensor:
    """The answers after three updates in training, dropout included."""
    torch.manual_seed(1)
    for _ in range(3):
        optimizer.zero_grad()
        model(WORDS, LENGTHS).square().mean().backward()
        optimizer.step()
    return model.eval()(WORDS, LENGTHS)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_a_model_learns_the_same(dtype):
    torch.manual_seed(0)
    theirs = Tagger().to(dtype)
    ours = copy.deepcopy(theirs)
    before, names = dict(ours.named_parameters()), list(ours.state_dict())
    optimizer = torch.optim.Adam(ours.parameters(), lr=0.01)  # made before
    report = unrolled.accelerate(ours)
    assert [layer.name for layer in report.replaced] == ["encoder", "stream", "cell"] and not report.left
    assert all(p is before[n] for n, p in ours.named_parameters()) and list(ours.state_dict()) == names
    tolerance = f"torch.nn, {str(dtype).removeprefix('torch.')}"
    assert_close("before", ours.eval()(WORDS, LENGTHS), theirs.eval()(WORDS, LENGTHS), tolerance)
    expected = learned(theirs.train(), torch.optim.Adam(theirs.parameters(), lr=0.01))
    actual = learned(ours.train(), optimizer)
    torch.testing.assert_close(actual, expected, rtol=1e-9 if dtype == torch.float64 else 1e-4, atol=1e-5)


def test_what_is_there_stays():
    model = Tagger().eval()
    seen = []
    model.encoder.register_forward_hook(lambda *_: seen.append("hook"))
    encoder, cell = model.encoder, model.cell
    unrolled.accelerate(model)
    assert model.encoder is encoder and model.cell is cell and not model.encoder.training
    assert type(encoder) is unrolled.nn.LSTM and type(cell) is unrolled.nn.GRUCell
    assert isinstance(model.stream, Named) and isinstance(model.stream, unrolled.nn.LSTM)
    model(WORDS, LENGTHS)
    assert seen == ["hook"]


def test_restore_undoes_it():
    model = Tagger().eval()
    expected, kinds = model(WORDS, LENGTHS), [type(m) for m in model.modules()]
    unrolled.accelerate(model)
    unrolled.restore(model)
    assert [type(m) for m in model.modules()] == kinds
    assert torch.equal(model(WORDS, LENGTHS), expected)


def test_one_layer_as_the_model_twice():
    layer = nn.LSTM(3, 4)
    assert str(unrolled.accelerate(layer)) == "1 of 1 recurrent layers replaced\n  (the model): LSTM(3, 4) replaced"
    again = unrolled.accelerate(layer)
    assert str(again).endswith("(the model): LSTM(3, 4) left: it is already a layer of this library")
    unrolled.restore(layer)
    unrolled.restore(layer)
    assert type(layer) is nn.LSTM


def test_shared_layers_stay_shared():
    cell = nn.GRU(3, 3)
    model = nn.ModuleList([cell, nn.ModuleDict({"again": cell})])
    assert len(unrolled.accelerate(model).replaced) == 1
    assert model[0] is model[1]["again"] and type(cell) is unrolled.nn.GRU


def test_layers_that_share_parameters_still_do():
    torch.manual_seed(0)
    first, second = nn.LSTM(3, 3), nn.LSTM(3, 3)
    for name, parameter in list(first.named_parameters()):
        setattr(second, name, parameter)
    x, model = torch.randn(5, 2, 3), nn.ModuleList([first, second])
    second(first(x)[0])[0].sum().backward()
    expected = {n: p.grad for n, p in model.named_parameters()}
    model.zero_grad()
    assert len(unrolled.accelerate(model).replaced) == 2 and first.weight_hh_l0 is second.weight_hh_l0
    second(first(x)[0])[0].sum().backward()
    for name, parameter in model.named_parameters():
        assert_close(name, parameter.grad, expected[name], "torch.nn, float32", scale=10.0)


@pytest.mark.parametrize("wrap", [nn.DataParallel, torch.fx.symbolic_trace, nn.Sequential])
def test_layers_inside_wrappers(wrap):
    model = nn.Sequential(nn.Linear(3, 3), nn.GRU(3, 4))
    wrapped, x = wrap(model), torch.randn(5, 2, 3)
    expected = wrapped(x)[0]
    assert len(unrolled.accelerate(wrapped).replaced) == 1
    assert_close("wrapped", wrapped(x)[0], expected, "torch.nn, float32")


def test_a_frozen_layer_stays_frozen():
    layer = nn.LSTM(3, 4).requires_grad_(False)
    unrolled.accelerate(layer)
    assert not layer(torch.randn(5, 2, 3))[0].requires_grad


def test_a_model_without_recurrent_layers():
    assert str(unrolled.accelerate(nn.Linear(2, 2))) == "the model has no recurrent layers"


@pytest.mark.parametrize("function", [unrolled.accelerate, unrolled.restore])
def test_what_is_no_module_is_refused(function):
    with pytest.raises(InputError, match=f"{function.__name__} takes a torch.nn.Module, got a list"):
        function([nn.LSTM(2, 2)])


# what is left as it is


def left(model: nn.Module) -> str:
    """Why the only layer of a model is left."""
    (layer,) = unrolled.accelerate(model).left
    return layer.reason


def test_a_forward_of_its_own_is_left():
    layer = Counting(3, 4)
    assert left(layer) == "it overrides forward"
    layer(torch.zeros(2, 1, 3))
    assert layer.calls == 1 and type(layer) is Counting
    patched = nn.LSTM(3, 4)
    patched.forward = lambda x: x
    assert left(patched) == "it overrides forward"


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_scripted_and_traced_layers_are_left():
    assert "it is scripted" in left(nn.Sequential(torch.jit.script(nn.LSTM(3, 4))))
    assert "it is scripted" in left(torch.jit.trace(nn.GRU(3, 4), torch.zeros(2, 1, 3)))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
def test_quantized_layers_are_left():
    quantized = torch.ao.quantization.quantize_dynamic(nn.Sequential(nn.LSTM(3, 4)), {nn.LSTM}, torch.qint8)
    assert "it is quantized" in left(quantized)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_layers_are_left():
    assert "torch.compile" in left(torch.compile(nn.Sequential(nn.LSTM(3, 4))))
    in_place = nn.Sequential(nn.LSTM(3, 4))
    in_place.compile()
    assert "torch.compile" in left(in_place)
    model = nn.Sequential(torch.compile(nn.Linear(3, 3)), nn.LSTM(3, 4))
    assert len(unrolled.accelerate(model).replaced) == 1


def test_where_nothing_is_gained():
    assert left(nn.LSTM(3, 4, device="meta")) == "it is on meta, where nothing is gained"
    assert left(nn.GRUCell(3, 4, dtype=torch.bfloat16)) == "it is in bfloat16, where nothing is gained"
    for cell in (nn.RNNCell(3, 4), nn.GRUCell(3, 129), nn.LSTMCell(3, 129)):
        assert left(cell) == "a single step of it is no faster here"
    assert len(unrolled.accelerate(nn.LSTMCell(3, 128)).replaced) == 1


def test_without_a_compiler(monkeypatch):
    monkeypatch.setattr(room, "compiler", lambda: None)
    monkeypatch.setattr(room, "missing", lambda: "no C compiler was found")
    assert "no C compiler was found" in left(nn.LSTM(3, 4))


def test_modules_that_are_not_initialised_yet():
    model = nn.Sequential(nn.LazyLinear(3), nn.GRU(3, 4))
    assert len(unrolled.accelerate(model).replaced) == 1
    assert model(torch.zeros(5, 2, 7))[0].shape == (5, 2, 4)


# parametrizations, copies, files


def test_a_parametrization_stays_and_can_be_removed():
    torch.manual_seed(0)
    layer = parametrizations.weight_norm(nn.LSTM(3, 4), "weight_hh_l0")
    x = torch.randn(5, 2, 3)
    expected, names = layer(x)[0], list(layer.state_dict())
    unrolled.accelerate(layer)
    assert isinstance(layer, unrolled.nn.LSTM) and parametrize.is_parametrized(layer, "weight_hh_l0")
    assert list(layer.state_dict()) == names and type(layer).__name__ == "ParametrizedLSTM"
    assert_close("parametrized", layer(x)[0], expected, "torch.nn, float32")
    parametrizations.weight_norm(layer, "weight_ih_l0")
    assert_close("one more", layer(x)[0], expected, "torch.nn, float32")
    parametrize.remove_parametrizations(layer, "weight_ih_l0")
    unrolled.restore(layer)
    assert not isinstance(layer, unrolled.nn.LSTM) and parametrize.is_parametrized(layer, "weight_hh_l0")
    assert_close("restored", layer(x)[0], expected, "torch.nn, float32")
    unrolled.accelerate(layer)
    parametrize.remove_parametrizations(layer, "weight_hh_l0")
    assert type(layer) is unrolled.nn.LSTM
    assert_close("removed", layer(x)[0], expected, "torch.nn, float32")


def test_copies_and_files_of_an_accelerated_model():
    model = Tagger().eval()
    unrolled.accelerate(model)
    expected, file = model(WORDS, LENGTHS), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(model)), loaded):
        assert [type(m) for m in again.modules()] == [type(m) for m in model.modules()]
        assert torch.equal(again(WORDS, LENGTHS), expected)
    plain = Tagger().eval()
    plain.load_state_dict(model.state_dict())
    assert_close("a checkpoint", plain(WORDS, LENGTHS), expected, "torch.nn, float32")


def test_every_class_has_a_twin():
    assert {c.__name__ for c in room.THEIRS} == {"RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"}
    assert all(issubclass(ours, theirs) for ours, theirs in room.THEIRS.items())
    assert all(getattr(torch_layers, theirs.__name__) is ours for ours, theirs in room.THEIRS.items())
