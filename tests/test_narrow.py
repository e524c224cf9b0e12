"""Narrow weights: how they are rounded, and that networks compute with them what the reference computes."""

from __future__ import annotations

import copy
import pickle
from dataclasses import fields, replace
from random import Random

import pytest
import torch
from torch import nn

import unrolled
from cells_for_tests import needs_compiler
from unrolled import EngineError, InputError, Ragged, Recurrent, State, cells
from unrolled.data.writing import write
from unrolled.nn import EncoderDecoder, SequenceModel
from unrolled.nn.narrow_linear import NarrowLinear
from unrolled.nn.narrow_weights import narrow_weights
from unrolled.nn.stack import Stack
from unrolled.nn.stored import save_network
from unrolled.sequence.rounding import rounded
from unrolled.testing import TOLERANCES, assert_close, calls
from unrolled.testing.strategies import random_circuit
from unrolled.transform.multiplied import multiplied


def test_int8_rounds_to_the_nearest_multiple_of_the_scale_of_the_row():
    torch.manual_seed(0)
    weights = torch.randn(50, 33) * torch.logspace(-20, 20, 50)[:, None]
    weights[7] = 0
    narrow = rounded(weights, "int8")
    scales = weights.abs().amax(1) / 127
    assert torch.equal(narrow.scales, scales)
    assert int(narrow.values.abs().max()) == 127 and not narrow.values[7].any()
    assert bool(((narrow.wide() - weights).abs() <= scales[:, None] * 0.5001).all())
    again = rounded(narrow.wide(), "int8")
    assert torch.equal(again.values, narrow.values)


def test_int8_rounds_halves_to_even_and_leaves_minus_128_out():
    weights = torch.tensor([[127.0, 0.5, 1.5, -0.5, -2.5, -127.0], [-127.0, 3, 3, 3, 3, 3]])
    assert rounded(weights, "int8").values.tolist() == [[127, 0, 2, 0, -2, -127], [-127, 3, 3, 3, 3, 3]]


def test_bf16_rounds_to_the_nearest_and_halfway_to_the_even_one():
    step = 2.0**-7  # between 1 and 2
    weights = torch.tensor([[1 + step / 2, 1 + 1.5 * step, 1 + 0.51 * step, -1 - step / 2]])
    assert rounded(weights, "bf16").wide().tolist() == [[1, 1 + 2 * step, 1 + step, -1]]


@pytest.mark.parametrize("kind", ["bf16", "int8"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 3.4e38])
def test_what_cannot_be_rounded_is_refused(kind, bad):
    weights = torch.ones(2, 2)
    weights[1, 0] = bad
    if bad == 3.4e38 and kind == "int8":
        assert rounded(weights, kind).wide().isfinite().all()
        return
    with pytest.raises(InputError, match="infinite, NaN or too large"):
        rounded(weights, kind)


def test_other_kinds_dtypes_and_shapes_are_refused():
    with pytest.raises(InputError, match="weights='int4' does not exist"):
        rounded(torch.ones(2, 2), "int4")
    with pytest.raises(InputError, match=r"float32 \(rows, columns\)"):
        rounded(torch.ones(2, 2, dtype=torch.float64), "int8")
    with pytest.raises(InputError, match=r"float32 \(rows, columns\)"):
        rounded(torch.ones(2), "bf16")


def made_wide(net, engine="reference", dtype=torch.float64):
    """The network with the numbers that its narrow weights stand for, on another engine."""
    wide = Recurrent(net.circuit, engine=engine, dtype=dtype, **net.sizes).eval()
    weights = {n: w.wide() for n, w in narrow_weights(net).items()} | net._weights()
    with torch.no_grad():
        for n in net.circuit.parameters:
            getattr(wide, n).copy_(weights[n])
    return wide


def model_made_wide(model, narrow):
    """A model with the numbers that the narrow weights of its copy stand for."""
    wide = copy.deepcopy(model).eval()
    state = narrow.state_dict()
    for name, own in [(n, m) for n, m in narrow.named_modules() if isinstance(m, Recurrent)]:
        for n, w in narrow_weights(own).items():
            state[f"{name}.{n}"] = w.wide()
    renamed = {n.replace(".net.", "."): t for n, t in state.items() if not n.endswith("_scales")}
    wide.load_state_dict(renamed)
    return wide


LARGE = {
    "lstm": (cells.lstm, {"x": 33, "h": 50}),
    "gru": (cells.gru, {"x": 20, "h": 36}),
    "elman": (cells.elman, {"x": 5, "h": 64, "o": 3}),
    "rg_lru": (cells.rg_lru, {"x": 24, "h": 24}),
    "neural_stack": (cells.neural_stack, {"x": 17, "h": 18, "S": (5, 6)}),
}


@needs_compiler
@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("kind", ["bf16", "int8"])
def test_cells_compute_what_the_reference_computes_with_the_rounded_weights(name, kind):
    torch.manual_seed(0)
    circuit, sizes = LARGE[name]
    net = unrolled.narrow(Recurrent(circuit, **sizes), kind)
    wide, x = made_wide(net), torch.randn(3, 6, net.sizes["x"])
    assert net._narrow == multiplied(circuit.recurrence) and net.engine == "c"
    right = wide(x.double())
    for _ in range(3):  # checked, in the cache, bound
        out = net(x)
        for n in right:
            assert_close(n, out[n].double(), right[n], "engines, float32")


@needs_compiler
@pytest.mark.parametrize("kind", ["bf16", "int8"])
def test_cuts_steps_rows_and_layouts_give_the_same_bits(kind):
    torch.manual_seed(0)
    net = Recurrent(cells.gru, x=21, h=37, weights=kind)
    x = torch.randn(13, 6, 21)
    with torch.no_grad():
        whole = net(x)
        first = net(x[:, :2])
        rest = net(x[:, 2:], first.state)
        assert torch.equal(torch.cat([first.h, rest.h], 1), whole.h)
        state = None
        for t in range(6):
            state = net.step(x[:1, t], state).state
            assert torch.equal(state.h, whole.h[:1, t])
        ragged = net(Ragged([x[0, :4], x[1, :0], x[2]])).h
        assert torch.equal(ragged[0], whole.h[0, :4]) and torch.equal(ragged[2], whole.h[2])
        assert torch.equal(net.read(x).h, whole.h[:, -1])


@needs_compiler
def test_threads_make_no_difference():
    torch.manual_seed(0)
    net = Recurrent(cells.rnn, x=64, h=1030, weights="int8")
    x = torch.randn(1, 3, 64)
    alone = net(x).h
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        together = net(x).h
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(alone, together)
    assert_close("h", alone.double(), made_wide(net)(x.double()).h, "engines, float32")


@needs_compiler
@pytest.mark.slow
def test_random_circuits_in_random_calls():
    equal = 0
    for number in range(6):
        drawn = random_circuit(Random(number).choice, most_lines=5, matrices=number % 3 == 2, tokens=number % 5 == 4)
        case = calls.random_case(drawn, number)
        if not multiplied(drawn.circuit.recurrence):
            continue
        net = Recurrent(drawn.circuit, weights=("bf16", "int8")[number % 2], **drawn.left_open)
        net.load_state_dict({n: p.float() for n, p in case.parameters.items()}, strict=False)
        found = calls.call(net, case.way, [in_dtype(s, torch.float32) for s in case.sequences])
        right = calls.call(made_wide(net), case.way, [in_dtype(s, torch.float64) for s in case.sequences])
        for one, other in zip(found, right, strict=True):
            for n in [n for n in other if other[n].numel()]:
                error = (one[n].double() - other[n]).abs().max() / other[n].abs().max().clamp(min=1)
                assert error < 10 * TOLERANCES["engines, float32"], f"{drawn!r} {n}"
        equal += 1
    assert equal > 3


def in_dtype(sequence, dtype):
    """A sequence whose tensors have another dtype, but for tokens."""

    def converted(value):
        if isinstance(value, dict):
            return {k: converted(v) for k, v in value.items()}
        return value.to(dtype) if isinstance(value, torch.Tensor) and value.is_floating_point() else value

    return replace(sequence, **{f.name: converted(getattr(sequence, f.name)) for f in fields(sequence)})


def test_only_matrices_of_products_become_narrow():
    @unrolled.circuit
    def mixed(x, y, h, *, W, U, E, D, b):
        """D is also used entry by entry, and E is a table."""
        return {"h": unrolled.tanh(W @ h + (2 * D) @ h + U.T @ x + unrolled.take(E, y) + D @ x + b)}

    assert multiplied(mixed.recurrence) == ("W", "U", "D")
    net = Recurrent(mixed, x=9, y=4, h=9, weights="int8")
    assert {n: t.dtype for n, t in net.named_buffers() if not n.endswith("_scales")} == dict.fromkeys("WUD", torch.int8)
    assert dict(net.named_parameters()).keys() == {"E", "b"}
    x, y = torch.randn(2, 5, 9), torch.randint(4, (2, 5))
    assert_close("h", net(x, y).h.double(), made_wide(net)(x.double(), y).h, "engines, float32")
    assert sum(t.nbytes for t in (net.W, net.U, net.D)) == 3 * 81


@needs_compiler
def test_tokens_for_vectors_read_a_column_of_the_narrow_matrix():
    net = Recurrent(cells.lstm, x=11, h=20, weights="int8")
    tokens = torch.randint(11, (2, 5))
    for _ in range(3):
        net(tokens)
    right = made_wide(net)
    assert_close("h", net(tokens).h.double(), right(tokens).h, "engines, float32")
    net.load_state_dict({"U": torch.randn(80, 11)}, strict=False)  # the columns are computed again
    assert_close("h", net(tokens).h.double(), made_wide(net)(tokens).h, "engines, float32")


@needs_compiler
@pytest.mark.parametrize("kind", ["bf16", "int8"])
@pytest.mark.parametrize("options", [{"embedding": 12, "tied": True}, {"layers": 2}, {"bidirectional": True}])
def test_models(kind, options):
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, inputs=19, outputs=19, hidden=20, **options)
    small = unrolled.narrow(model, kind)
    wide, tokens = model_made_wide(model, small), torch.randint(19, (3, 7))
    assert isinstance(small.read_out, NarrowLinear) and not small.training
    scores, states = small(tokens)
    right, ends = wide(tokens)
    assert_close("scores", scores, right, "engines, float32")
    for one, other in zip(states, ends, strict=True):
        assert_close("state", one.h, other.h, "engines, float32")
    if not options.get("bidirectional"):
        start = torch.zeros(1, dtype=torch.long)
        assert list(write(small, start, 40, temperature=0)) == list(write(wide, start, 40, temperature=0))


@needs_compiler
def test_encoder_and_decoder_write_the_same():
    torch.manual_seed(0)
    net = EncoderDecoder(cells.gru, cells.bahdanau, inputs=9, outputs=8, hidden=12, embedding=6, bidirectional=True)
    small = unrolled.narrow(net, "int8")
    wide, source = model_made_wide(net, small), torch.randint(9, (4, 5))
    for one, other in ((n.write(source, longest=8).symbols for n in (small, wide)),):
        assert torch.equal(one.values, other.values)
    assert small.writer("best") is small.writer("best")


@needs_compiler
def test_a_stack_and_its_states():
    torch.manual_seed(0)
    stack = unrolled.nn.interop.from_torch(nn.LSTM(7, 11, num_layers=2, bidirectional=True, batch_first=True))
    small = unrolled.narrow(stack, "bf16")
    wide, x = model_made_wide(stack, small), torch.randn(2, 5, 7)
    assert isinstance(small, Stack)
    one, other = small(x), wide(x)
    assert_close("h", one.h, other.h, "engines, float32")
    assert_close("c", one.state.c_l1_reverse, other.state.c_l1_reverse, "engines, float32")


@needs_compiler
def test_float32_and_narrow_weights_load_into_a_narrow_network():
    torch.manual_seed(0)
    net, small = Recurrent(cells.lstm, x=8, h=9), Recurrent(cells.lstm, x=8, h=9, weights="int8")
    x = torch.randn(1, 4, 8)
    small.load_state_dict(net.state_dict())
    expected = unrolled.narrow(net, "int8")(x).h
    assert torch.equal(small(x).h, expected) and torch.equal(small.W, rounded(net.W, "int8").values)
    again = Recurrent(cells.lstm, x=8, h=9, weights="int8")
    for copied in (again, copy.deepcopy(small), pickle.loads(pickle.dumps(small))):
        copied.load_state_dict(small.state_dict())
        assert torch.equal(copied(x).h, expected)
    before = small(x).h
    small.load_state_dict(Recurrent(cells.lstm, x=8, h=9).state_dict(), assign=True)  # other memory
    assert not torch.equal(small(x).h, before)
    with pytest.raises(InputError, match=r"'U' is torch.int8, but the weights of the network are bf16"):
        Recurrent(cells.lstm, x=8, h=9, weights="bf16").load_state_dict(small.state_dict(), strict=False)


@needs_compiler
@pytest.mark.parametrize("bind", [False, True])
def test_gradients_and_transforms_are_refused(bind):
    net = Recurrent(cells.gru, x=3, h=4, weights="int8")
    x = torch.randn(2, 5, 3)
    for _ in range(3 * bind):
        net(x)
    with pytest.raises(EngineError, match=r"computes no gradients.*torch.no_grad"):
        net(x.clone().requires_grad_())
    with pytest.raises(EngineError, match="computes no gradients"):
        net(x, State(h=torch.zeros(2, 4, requires_grad=True)))
    with torch.no_grad():
        assert net(x.clone().requires_grad_()).h.shape == (2, 5, 4)
    with pytest.raises(EngineError, match="transformed by"):
        torch.func.vmap(lambda row: net(row[None]).h)(x)
    with pytest.raises(EngineError, match="cannot be traced"):
        torch.jit.trace(lambda x: net(x).h, x, check_trace=False)
    net.b.requires_grad_()
    with pytest.raises(EngineError, match="computes no gradients"):
        net(x)


def test_other_engines_dtypes_and_models_are_refused():
    with pytest.raises(EngineError, match=r"int8 weights run only on engine 'c'.*not with engine='torch'"):
        Recurrent(cells.gru, x=3, h=4, weights="int8", engine="torch")
    with pytest.raises(InputError, match=r"float32 \(rows, columns\)"):
        Recurrent(cells.gru, x=3, h=4, weights="int8", dtype=torch.float64)
    with pytest.raises(InputError, match=r"weights='int4' does not exist. Choose one of: float32, bf16, int8"):
        Recurrent(cells.gru, x=3, h=4, weights="int4")
    with pytest.raises(InputError, match="Linear contains no Recurrent"):
        unrolled.narrow(nn.Linear(3, 4), "int8")
    with pytest.raises(InputError, match=r"layer '0' is a LSTM.*from_torch"):
        unrolled.narrow(nn.Sequential(unrolled.LSTM(3, 4)), "int8")
    with pytest.raises(InputError, match="'int4' does not exist"):
        unrolled.narrow(Recurrent(cells.gru, x=3, h=4), "int4")


@needs_compiler
def test_converted_networks_are_refused():
    net = Recurrent(cells.gru, x=3, h=4, weights="bf16")
    assert str(net).endswith("engine=c, weights=bf16)") and "matrices U, W have bf16 weights" in net.explain()
    with pytest.raises(InputError, match="not initialised"):
        net.reset_parameters()
    with pytest.raises(EngineError, match=r"not with engine='reference'"):
        net.use("reference")
    with pytest.raises(InputError, match="narrow weights already"):
        unrolled.narrow(net, "int8")
    with pytest.raises((InputError, EngineError), match=r"were converted|float64 on cpu"):
        net.double()(torch.randn(2, 5, 3, dtype=torch.float64))


def test_what_reads_float32_weights_refuses_others(tmp_path):
    net = Recurrent(cells.gru, x=3, h=4, weights="int8")
    with pytest.raises(InputError, match=r"cannot be stored.*float32.*unrolled.narrow"):
        save_network(net, tmp_path / "net.safetensors")
    with pytest.raises(InputError, match=r"cannot be converted to torch.nn.*float32"):
        unrolled.nn.interop.to_torch(net)
    with pytest.raises(EngineError, match=r"computes no gradients"):
        unrolled.diagnose(net, torch.randn(2, 5, 3))


def test_a_size_may_be_named_weights():
    @unrolled.circuit
    def named(weights, h, *, W):
        return {"h": unrolled.tanh(W @ h + weights)}

    assert Recurrent(named, weights=4).sizes == {"weights": 4, "h": 4}
