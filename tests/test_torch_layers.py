"""RNN, LSTM, GRU and their cells beside torch.nn's: values, all gradients, refusals, and what users do to layers."""

from __future__ import annotations

import copy
import pickle
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

import unrolled
from cells_for_tests import needs_compiler
from unrolled import InputError, Ragged
from unrolled.nn import torch_layers
from unrolled.testing import assert_close
from unrolled.testing.compare import largest

I, H, P = 3, 4, 2  # input, hidden, projection
KINDS = ["RNN", "LSTM", "GRU"]
DTYPES = {"torch.nn, float64": torch.float64, "torch.nn, float32": torch.float32}
needs_engine = needs_compiler


def pair(kind: str, *args: Any, **options: Any) -> tuple[nn.Module, nn.Module]:
    """torch's layer, and ours with the same weights."""
    theirs, ours = getattr(nn, kind)(*args, **options), getattr(unrolled.nn, kind)(*args, **options)
    ours.load_state_dict(theirs.state_dict())
    return theirs, ours


@contextmanager
def torchs_operators_refused() -> Iterator[None]:
    """Fail if a layer of ours calls a recurrent operator of torch."""
    operators = torch._VF

    class Refusing:
        def __getattr__(self, name: str) -> Any:
            assert name.removesuffix("_cell") not in torch_layers.OPERATORS, f"torch.{name} was called"
            return getattr(operators, name)

    patch = pytest.MonkeyPatch()
    patch.setattr(torch, "_VF", Refusing())
    try:
        yield
    finally:
        patch.undo()


def listed(states: Tensor | tuple[Tensor, ...]) -> list[Tensor]:
    return [states] if isinstance(states, Tensor) else list(states)


def everything(layer: nn.Module, x: Any, states: list[Tensor], data: Tensor) -> dict[str, Tensor]:
    """Output, last states, and the gradients of all that is learned or comes in, of a random loss."""
    hx = tuple(states) if len(states) > 1 else states[0] if states else None
    output, ends = layer(x, hx)
    values = output.data if isinstance(output, PackedSequence) else output
    if isinstance(output, Ragged):
        values = output.to_packed().data
    found = {"output": values} | {f"last {i}": end for i, end in enumerate(listed(ends))}
    generator = torch.Generator().manual_seed(5)
    loss = sum((v * torch.randn(v.shape, generator=generator, dtype=v.dtype)).sum() for v in found.values())
    learned = {n: p for n, p in layer.named_parameters() if p.requires_grad}
    leaves = {"x": data, **{f"first {i}": s for i, s in enumerate(states)}, **learned}
    grads = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True, retain_graph=True)
    return found | {f"gradient of {n}": g for n, g in zip(leaves, grads, strict=True) if g is not None}


def assert_same(actual: dict[str, Tensor], expected: dict[str, Tensor], tolerance: str) -> None:
    assert actual.keys() == expected.keys()
    scale = largest(v for n, v in expected.items() if n.startswith("gradient"))
    for name, value in expected.items():
        assert_close(name, actual[name], value, tolerance, max(scale, 1.0) if name.startswith("gradient") else 1.0)


# the same numbers


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

    def given(self, ragged: bool = False) -> tuple[Any, Tensor]:
        """The input in its form, and the tensor that it is made from."""
        steps, batch, first = max(self.lengths), len(self.lengths), self.options["batch_first"]
        data = torch.randn(batch, steps, I, dtype=self.dtype, requires_grad=True)
        if self.form == "unbatched":
            return data[0], data
        if self.form == "dense":
            return (data if first else data.transpose(0, 1)), data
        if ragged:
            return Ragged.from_padded(data, self.lengths), data
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


# what is refused


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


# they are torch's layers


@pytest.mark.parametrize("kind", [*KINDS, "RNNCell", "LSTMCell", "GRUCell"])
def test_they_are_torchs_layers(kind):
    options = {} if kind.endswith("Cell") else {"num_layers": 2, "bidirectional": True}
    theirs, ours = pair(kind, I, H, **options)
    assert isinstance(ours, getattr(nn, kind)) and repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    theirs.load_state_dict(ours.state_dict())
    if not kind.endswith("Cell"):
        assert [len(names) for names in ours.all_weights] == [4] * 4
        ours.flatten_parameters()
    torch.manual_seed(0)
    theirs.reset_parameters()
    torch.manual_seed(0)
    ours.reset_parameters()
    assert all(torch.equal(p, q) for p, q in zip(ours.parameters(), theirs.parameters(), strict=True))


def test_names_at_the_front_door():
    assert unrolled.LSTM is unrolled.nn.LSTM is torch_layers.LSTM
    assert unrolled.RNN is unrolled.nn.RNN and unrolled.GRU is unrolled.nn.GRU
    output, (h, c) = unrolled.LSTM(7, 11)(torch.randn(5, 3, 7))
    assert output.shape == (5, 3, 11) and h.shape == c.shape == (1, 3, 11)


@needs_engine
@pytest.mark.parametrize(
    "made", [copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m)), lambda m: m.double().float()],
    ids=["copy", "deepcopy", "pickle", "double and back"],
)  # fmt: skip
@pytest.mark.parametrize("kind", [*KINDS, "LSTMCell"])
def test_copies(kind, made):
    layer = getattr(unrolled.nn, kind)(I, H)
    x = torch.randn(2, I) if kind == "LSTMCell" else torch.randn(5, 2, I)
    again = made(layer)
    assert type(again) is type(layer) and torch.equal(again(x)[0], layer(x)[0])


# weights are read at each call


def pruned(layer: nn.Module) -> None:
    prune.random_unstructured(layer, "weight_ih_l0", amount=0.5)


@pytest.mark.filterwarnings("ignore:`torch.nn.utils.weight_norm` is deprecated")
@needs_engine
@pytest.mark.parametrize(
    "change",
    [
        lambda m: nn.utils.weight_norm(m, "weight_hh_l0"),
        lambda m: parametrizations.weight_norm(m, "weight_ih_l0"),
        lambda m: parametrizations.spectral_norm(m, "weight_hh_l0"),
        lambda m: parametrizations.orthogonal(m, "weight_hh_l0"),
        pruned,
    ],
    ids=["weight_norm, by hooks", "weight_norm", "spectral_norm", "orthogonal", "prune"],
)
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_computed_from_others(kind, change):
    theirs, ours = (getattr(m, kind)(I, H, dtype=torch.float64) for m in (nn, unrolled.nn))
    for layer in (theirs, ours):
        torch.manual_seed(1)
        change(layer)
        layer.eval()  # spectral_norm goes on by one step at each call in training
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(6, 5, I, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():  # calls in between may change nothing
        ours(x)
    expected = everything(theirs, x, [], x)
    with torchs_operators_refused():
        assert_same(everything(ours, x, [], x), expected, "torch.nn, float64")
    for layer in (theirs, ours):
        with torch.no_grad():
            for p in layer.parameters():
                p.mul_(1.5)
    assert_close("after an update", ours(x)[0], theirs(x)[0], "torch.nn, float64")


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_given_or_exchanged(kind):
    theirs, ours = pair(kind, I, H, dtype=torch.float64)
    x = torch.randn(6, 5, I, dtype=torch.float64)
    others = {n: torch.randn_like(p) for n, p in theirs.named_parameters()}
    for layer in (theirs, ours):
        layer(x)
    given_now = [torch.func.functional_call(layer, others, (x,))[0] for layer in (ours, theirs)]
    assert_close("functional_call", *given_now, "torch.nn, float64")
    for layer in (theirs, ours):
        layer.load_state_dict(others, assign=True)
    assert_close("load_state_dict(assign=True)", ours(x)[0], theirs(x)[0], "torch.nn, float64")
    for layer in (theirs, ours):
        layer.weight_hh_l0 = nn.Parameter(torch.ones_like(layer.weight_hh_l0))
    assert_close("a new parameter", ours(x)[0], theirs(x)[0], "torch.nn, float64")
    for layer in (theirs, ours):
        layer.weight_hh_l0.data.mul_(0.5)
    assert_close("data changed in place", ours(x)[0], theirs(x)[0], "torch.nn, float64")


@needs_engine
@pytest.mark.parametrize("kind", KINDS)
def test_frozen_weights_and_no_grad(kind):
    theirs, ours = pair(kind, I, H, 2, dtype=torch.float64)
    x = torch.randn(6, 5, I, dtype=torch.float64, requires_grad=True)
    for layer in (theirs, ours):
        layer.weight_hh_l0.requires_grad_(False)
        layer.bias_ih_l1.requires_grad_(False)
    assert_same(everything(ours, x, [], x), everything(theirs, x, [], x), "torch.nn, float64")
    with torch.no_grad():
        assert_close("no_grad", ours(x)[0], theirs(x)[0], "torch.nn, float64")
    with torch.inference_mode():
        assert_close("inference_mode", ours(x.detach().clone())[0], theirs(x)[0], "torch.nn, float64")


# where torch traces, transforms or converts


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")
@pytest.mark.parametrize("kind", KINDS)
def test_transforms_see_the_equations(kind):
    _, ours = pair(kind, I, H, bidirectional=True, dtype=torch.float64)
    x = torch.randn(6, 2, 5, I, dtype=torch.float64)

    def f(x: Tensor) -> Tensor:
        return ours(x)[0]

    many = torch.func.vmap(f)(x)
    assert_close("vmap", many, torch.stack([f(one) for one in x]), "torch.nn, float64")
    value, tangent = torch.func.jvp(f, (x[0],), (x[1],))
    nearby = (f(x[0] + 1e-6 * x[1]) - f(x[0] - 1e-6 * x[1])) / 2e-6
    assert_close("jvp: value", value, many[0], "torch.nn, float64")
    torch.testing.assert_close(tangent, nearby, rtol=1e-7, atol=1e-7)


@pytest.mark.filterwarnings(
    "ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore:RNN module weights"
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_trace_holds_torchs_operator(kind):
    _, ours = pair(kind, I, H)
    x = torch.randn(5, 2, I)
    traced = torch.jit.trace(ours, x)
    other = torch.randn(9, 3, I)
    torch.testing.assert_close(traced(other)[0], ours(other)[0])


@pytest.mark.parametrize("kind", [*KINDS, "LSTMCell"])
def test_half_precision_is_torchs(kind):
    theirs, ours = pair(kind, I, H, dtype=torch.bfloat16)
    x = torch.randn(2, I, dtype=torch.bfloat16) if kind == "LSTMCell" else torch.randn(5, 2, I, dtype=torch.bfloat16)
    assert torch.equal(ours(x)[0], theirs(x)[0])
    if kind != "LSTMCell":
        ragged, _ = ours(Ragged([x[:, 0], x[:3, 1]]))
        torch.testing.assert_close(ragged[0], ours(x[:, :1])[0][:, 0], rtol=2e-2, atol=2e-2)


@pytest.mark.parametrize("kind", KINDS)
def test_autocast_is_torchs(kind):
    theirs, ours = pair(kind, I, H)
    x = torch.randn(5, 2, I)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, wanted = ours(x)[0], theirs(x)[0]
    assert output.dtype == wanted.dtype and torch.equal(output, wanted)
