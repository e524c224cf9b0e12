"""Networks and layers under torch.compile and torch.export: one graph, and the numbers of a call without them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
import torch.autograd.forward_ad as forward_ad
from torch import Tensor, nn
from torch._dynamo.exc import Unsupported
from torch._dynamo.testing import CompileCounterWithBackend
from torch.export import Dim, export
from torch.nn.utils import parametrizations
from torch.nn.utils.rnn import pack_sequence

import unrolled
from cells_for_tests import CIRCUITS, ENGINES, SIZES, needs_compiler
from unrolled import (
    EngineError,
    InputError,
    Ragged,
    Recurrent,
    Snapshots,
    State,
    Truncated,
    argmax,
    cells,
    circuit,
    take,
    tanh,
)
from unrolled.nn.compiled import _run
from unrolled.nn.description import SEQUENCES, STEP, described
from unrolled.nn.operator import pull, run

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore::DeprecationWarning:torch")
every_engine = pytest.mark.parametrize("engine", ENGINES)
X, TOKENS = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)), torch.tensor([[0, 2, 1, 1, 0]] * 2)
MEMORY = torch.randn(2, 7, 6, generator=torch.Generator().manual_seed(0))


@pytest.fixture(autouse=True)
def fresh():
    torch.compiler.reset()
    yield
    torch.compiler.reset()


def one_graph(f: Callable[..., Any]) -> tuple[Callable[..., Any], CompileCounterWithBackend]:
    counter = CompileCounterWithBackend("aot_eager")
    return torch.compile(f, fullgraph=True, backend=counter), counter


def numbers(out: Any) -> list[Tensor]:
    return [x.values if isinstance(x, Ragged) else x for x in out]


def same(module: nn.Module, compiled: Callable[..., Any], f: Callable[..., Any], *given: Any) -> None:
    """The same bits: values and all gradients."""
    parts = []
    for g in (compiled, f):
        leaves = [x.detach().clone().requires_grad_() if is_real(x) else x for x in given]
        of = [*(x for x in leaves if is_real(x)), *module.parameters()]
        values = numbers(g(*leaves))
        weighted = sum((v * torch.linspace(-1, 1, v.numel()).view(v.shape)).sum() for v in values)
        parts.append([*values, *torch.autograd.grad(weighted, of, allow_unused=True)])
    for a, b in zip(*parts, strict=True):
        assert (a is None and b is None) or torch.equal(a, b)


def is_real(x: object) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


# networks


def hidden(net: nn.Module, x: Tensor) -> list[Tensor]:
    return [net(x).h]


@pytest.mark.slow
@every_engine
def test_every_kind_of_call_is_in_one_graph(engine: str):
    net = Recurrent(cells.elman, x=3, h=4, o=2, engine=engine)

    def calls(x: Tensor, h: Tensor, tokens: Tensor, reset: Tensor, ragged: Ragged, lengths: Tensor) -> list[Any]:
        out, spoken = net(x, state=State(h=h)), net(tokens)
        apart, other = (
            net(ragged),
            net(Ragged(values=x.flatten(0, 1), lengths=lengths), reset=Ragged(values=reset.flatten(), lengths=lengths)),
        )
        fed, again = net(x, given={"h": spoken.h}), net(x, reset=reset)
        told = net(tokens, given={"h": out.h}, reset=reset, state=State(h=h))
        step, read = net.step(x[:, 0], state=out.state), net.read(x)
        one = [out.h, out.last.o, out.state.h, spoken.o, apart.o, apart.state.h, other.h]
        return [*one, told.o, told.state.h, fed.o, fed.state.h, again.h, step.o, step.state.h, read.o, read.state.h]

    compiled, counter = one_graph(calls)
    given = torch.randn(2, 4), TOKENS, TOKENS == 1, Ragged([X[0], X[1, :0], X[1]]), torch.tensor([4, 6])
    same(net, compiled, calls, X, *given)
    assert counter.frame_count == 1


def test_a_call_without_inputs():
    net = Recurrent(cells.autonomous, s=4)
    compiled, counter = one_graph(lambda s, n: [net(steps=n).s, net(state=State(s=s), steps=n).state.s, net.step().s])
    for steps in (3, 7, 9):
        same(
            net,
            compiled,
            lambda s, n: [net(steps=n).s, net(state=State(s=s), steps=n).state.s, net.step().s],
            torch.randn(2, 4),
            steps,
        )
    assert counter.frame_count == 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "memory", [Snapshots(every=2), Snapshots(memory="1 MB"), Snapshots(memory=10_000), Truncated(2), Truncated(3, 1)]
)
def test_memory_policies(memory):
    net = Recurrent(cells.lstm, x=3, h=4, memory=memory)
    compiled, _ = one_graph(lambda x: [net(x).h])
    same(net, compiled, lambda x: [net(x).h], X)


def test_dtypes_weights_from_others_and_another_engine():
    for dtype in (torch.float64, torch.bfloat16):
        net = Recurrent(cells.gru, x=3, h=4, dtype=dtype)
        same(net, one_graph(partial(hidden, net))[0], partial(hidden, net), X.to(dtype))
    net = parametrizations.weight_norm(Recurrent(cells.rnn, x=3, h=4), "W")
    compiled, counter = one_graph(lambda x: [net(x).h])
    for engine in ("torch", "reference"):
        net.use(engine)
        same(net, compiled, lambda x: [net(x).h], X)
    assert counter.frame_count == 2  # the engine is checked before each call


@every_engine
@pytest.mark.parametrize("name", CIRCUITS)
def test_the_operator_gives_the_bits_of_every_circuit(name: str, engine: str):
    net = Recurrent(CIRCUITS[name], engine=engine, **SIZES[name]).eval()
    known = net.circuit.recurrence
    inputs = {
        n: X if n == "x" else MEMORY if n in known.fixed else TOKENS % 2
        for n in known.inputs.keys() - known.drawn.keys()
    }
    state = {n: s + 0.5 for n, s in net.initial_state(2).items()}
    steps = None if inputs else 5

    def called(x: Tensor, *begun: Tensor) -> list[Tensor]:
        found = net(
            **{**inputs, **({"x": x} if "x" in inputs else {})},
            state=State(**dict(zip(state, begun, strict=True))),
            steps=steps,
        )
        return [*(found[n] for n in net.circuit.recurrence.returns), *found.state.values()]

    def as_operator(x: Tensor, *begun: Tensor) -> list[Tensor]:
        given = {**inputs, **({"x": x} if "x" in inputs else {})}
        returned, ends = _run(net, SEQUENCES, given, dict(zip(state, begun, strict=True)), {}, None, steps)
        return [*returned.values(), *ends.values()]

    same(net, as_operator, called, X, *state.values())


# lengths


class Model(nn.Module):
    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.table, self.layers, self.scores = (
            nn.Embedding(7, 3),
            layers,
            nn.Linear(layers.hidden_size * (1 + layers.bidirectional), 7),
        )

    def forward(self, tokens: Tensor) -> list[Tensor]:
        output, ends = self.layers(self.table(tokens))
        return [nn.functional.cross_entropy(self.scores(output).flatten(0, 1), tokens.flatten())[None], *ends]


def test_one_more_compilation_when_the_length_changes():
    model = Model(unrolled.nn.LSTM(3, 4, 2, batch_first=True))
    compiled, counter = one_graph(model)
    for steps in (20, 50, 200, 1000):
        same(model, compiled, model, torch.randint(7, (2, steps)))
    assert counter.frame_count == 2


def test_batches_and_short_sequences():
    net = Recurrent(cells.gru, x=3, h=4)
    compiled = torch.compile(lambda x: [net(x).h, net(x).state.h], fullgraph=True, backend="aot_eager")
    for x in (X, X[:, :1], X[:1], X[:, :0], X[:0], X[:, :3]):
        same(net, compiled, lambda x: [net(x).h, net(x).state.h], x)


# layers of torch.nn

LAYERS = [
    lambda: unrolled.nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2),
    lambda: unrolled.nn.GRU(3, 4, bias=False),
    lambda: unrolled.nn.RNN(3, 4, 2, nonlinearity="relu", batch_first=True),
]


@needs_compiler
@pytest.mark.parametrize("make", LAYERS)
def test_layers(make):
    layer = make()
    h, c = (torch.randn(layer.num_layers * (1 + layer.bidirectional), 2, n) for n in (layer.proj_size or 4, 4))

    def call(x: Tensor, h: Tensor, c: Tensor) -> list[Tensor]:
        found = []
        for hx in (None, (h, c) if isinstance(layer, nn.LSTM) else h):
            output, ends = layer(x, hx)
            found += [output, *(ends if isinstance(ends, tuple) else [ends])]
        return [*found, layer(x[:, 0])[0]]

    compiled, counter = one_graph(call)
    x = X if layer.batch_first else X.transpose(0, 1)
    same(layer, compiled, call, x, h, c)
    assert counter.frame_count == 1


@needs_compiler
def test_cells():
    lstm, gru, rnn = unrolled.nn.LSTMCell(3, 4), unrolled.nn.GRUCell(4, 2, bias=False), unrolled.nn.RNNCell(2, 2)

    def call(x: Tensor) -> list[Tensor]:
        h, c = lstm(x, lstm(x))
        return [h, c, rnn(gru(h, gru(h)))]

    compiled, _ = one_graph(call)
    same(nn.ModuleList([lstm, gru, rnn]), compiled, call, X[:, 0])


@needs_compiler
def test_dropout_between_layers():
    layer = unrolled.nn.LSTM(3, 4, 2, dropout=1.0)
    compiled, _ = one_graph(lambda x: layer(x)[0])
    assert torch.equal(compiled(X), layer(X)[0])  # nothing passes between the layers
    layer.eval()
    assert torch.equal(compiled(X), layer(X)[0])


def test_a_model_that_was_accelerated():
    model = Model(nn.LSTM(3, 4, batch_first=True))
    assert unrolled.accelerate(model).replaced
    same(model, one_graph(model)[0], model, torch.randint(7, (2, 5)))


def test_torch_itself_still_breaks_the_graph_at_its_own_layers():
    with pytest.raises(Unsupported, match="RNN, GRU, or LSTM"):
        torch.compile(nn.LSTM(3, 4), fullgraph=True, backend="aot_eager")(X)


def test_layers_run_outside_of_the_graph_where_torch_computes():
    layer, half = unrolled.nn.GRU(3, 4), unrolled.nn.GRU(3, 4, dtype=torch.bfloat16)
    packed = pack_sequence([X[0], X[1, :2]], enforce_sorted=False)
    compiled = torch.compile(lambda layer, x: layer(x), backend="aot_eager")
    assert torch.equal(compiled(layer, packed)[0].data, layer(packed)[0].data)
    assert torch.equal(
        compiled(layer, Ragged.from_packed(packed))[0].values, layer(Ragged.from_packed(packed))[0].values
    )
    assert torch.equal(compiled(half, X.bfloat16())[0], half(X.bfloat16())[0])
    for module, given, why in (
        (layer, packed, "lengths that are data"),
        (half, X.bfloat16(), "in torch.bfloat16 on cpu"),
    ):
        with pytest.raises(Unsupported, match=why):
            torch.compile(lambda layer, x: layer(x), fullgraph=True, backend="aot_eager")(module, given)


# what is refused


def test_errors_of_a_compiled_call_are_those_of_the_network():
    net = Recurrent(cells.gru, x=3, h=4)
    calls: list[tuple[Callable[..., Any], Any, str]] = [
        (lambda x: net(x).h, X[..., :2], r"must be \(batch, time, 3\), got \(2, 5, 2\)"),
        (lambda x: net(x).h, X[0, 0], r"must be \(batch, time, 3\), got \(3,\)"),
        (lambda x: net(x).h, X.double(), "is float64, but the parameters are float32"),
        (lambda x: net(x).h, TOKENS + 5, "must be from 0 to 2, got 7"),
        (lambda x: net(x, state=State(h=x[:, 0])).h, X, r"state 'h' must be \(2, 4\), got \(2, 3\)"),
        (lambda x: net(x, reset=x).h, X, "reset must be booleans"),
        (lambda x: net.step(x).h, X, r"for one step, input 'x' must be \(batch, 3\)"),
    ]
    for call, x, why in calls:
        for fullgraph in (False, True):
            torch.compiler.reset()
            with pytest.raises(InputError, match=why):
                torch.compile(call, fullgraph=fullgraph, backend="aot_eager")(x)


def test_names_that_do_not_fit():
    net = Recurrent(cells.gru, x=3, h=4)
    calls: list[tuple[Callable[..., Any], str]] = [
        (lambda x: net(y=x).h, "'gru' has no input 'y'"),
        (lambda x: net(x, x).h, "takes 1 input"),
        (lambda x: net(x, state=State(c=x[:, 0])).h, "'gru' has no state 'c'"),
        (lambda x: net(x, given={"c": x}).h, "not a state of 'gru'"),
        (lambda x: net(steps=3).h, "needs input 'x'"),
    ]
    for call, why in calls:
        for fullgraph in (False, True):
            torch.compiler.reset()
            with pytest.raises(Unsupported if fullgraph else InputError, match=why):
                torch.compile(call, fullgraph=fullgraph, backend="aot_eager")(X)


def test_lengths_that_do_not_fit():
    net = Recurrent(cells.gru, x=3, h=4)
    compiled, _ = one_graph(lambda x, lengths: net(Ragged(values=x, lengths=lengths)).h.values)
    assert compiled(X[0], torch.tensor([2, 3])).shape == (5, 4)
    for lengths in ([2, 2], [-1, 6]):
        with pytest.raises(RuntimeError, match=r"add up to the steps|0 or more"):
            compiled(X[0], torch.tensor(lengths))


@needs_compiler
@pytest.mark.parametrize("make", [lambda: Recurrent(cells.gru, x=3, h=4), lambda: unrolled.nn.GRU(3, 4)])
def test_transforms_run_outside_of_the_graph(make):
    net = make().requires_grad_(False)

    def loss(x: Tensor) -> Tensor:
        out = net(x)
        return (out.h if isinstance(net, Recurrent) else out[0]).square().sum()

    def dual(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
        def tangent(x: Tensor) -> Tensor:
            with forward_ad.dual_level():
                return forward_ad.unpack_dual(f(forward_ad.make_dual(x, x))).tangent

        return tangent

    transforms: list[Callable[[Any], Any]] = [
        torch.func.grad,
        lambda f: lambda x: torch.func.jvp(f, (x,), (x,))[1],
        lambda f: torch.func.vmap(lambda x: f(x[None])),
    ]
    for transform in transforms:
        for call in (
            torch.compile(transform(loss), backend="aot_eager"),
            transform(torch.compile(loss, backend="aot_eager")),
        ):
            torch.compiler.reset()
            assert torch.equal(call(X), transform(loss)(X))
        torch.compiler.reset()
        with pytest.raises(Unsupported, match="not available inside torch"):
            torch.compile(lambda x, to=transform: to(loss)(x), backend="aot_eager", fullgraph=True)(X)
    for fullgraph in (False, True):
        torch.compiler.reset()
        compiled = torch.compile(loss, backend="aot_eager", fullgraph=fullgraph)
        compiled(X)  # compiled without a tangent, which the next call has
        if fullgraph:
            with pytest.raises(Unsupported, match="not available inside torch"):
                dual(compiled)(X)
        else:
            assert torch.equal(dual(compiled)(X), dual(loss)(X))


def test_second_derivatives():
    net = Recurrent(cells.rnn, x=3, h=4, engine="torch")

    def second(f: Callable[[Tensor], Any]) -> Tensor:
        x = X.clone().requires_grad_()
        (g,) = torch.autograd.grad(f(x).h.square().sum(), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), x)[0]

    torch.testing.assert_close(second(torch.compile(net, backend="eager", fullgraph=True)), second(net))
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        second(torch.compile(net, backend="aot_eager", fullgraph=True))


def test_a_circuit_that_cannot_be_stored():
    net = Recurrent(cells.gru, x=3, h=4)
    net._stored = ""
    assert torch.equal(torch.compile(net, backend="aot_eager")(X).h, net(X).h)
    torch.compiler.reset()
    with pytest.raises(Unsupported, match="circuit 'gru' is too large to be stored"):
        torch.compile(net, backend="aot_eager", fullgraph=True)(X)


def test_a_network_with_a_memory():
    """Its number of rows may differ from call to call, also in an exported program."""
    net = Recurrent(cells.bahdanau, x=3, h=4, q=5, M=6, engine="torch")

    def called(x: Tensor, M: Tensor) -> list[Tensor]:
        out = net(x, M=M)
        return [out.h, out.a, out.state.h]

    def stepped(x: Tensor, M: Tensor) -> list[Tensor]:
        return [net.step(x[:, 0], M=M).a]

    def read(x: Tensor, M: Tensor) -> list[Tensor]:
        return [net.read(x, M=M).h]

    for f in (called, stepped, read):
        compiled, counter = one_graph(f)
        for rows in (7, 4, 1):
            same(net, compiled, f, X, MEMORY[:, :rows])
        assert counter.frame_count <= 3  # one row is a case of its own for torch
        torch.compiler.reset()
    apart = Ragged([X[0], X[1, :2]])
    same(net, one_graph(lambda M: [net(apart, M=M).h])[0], lambda M: [net(apart, M=M).h], MEMORY)
    program = export(Tuple(net), (X, MEMORY), dynamic_shapes={"x": None, "M": {1: Dim("rows", min=2, max=99)}}).module()
    longer = torch.randn(2, 11, 6)
    assert torch.equal(program(X, longer)[1], net(X, longer).a)


class Tuple(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor, M: Tensor) -> tuple[Tensor, ...]:
        out = self.net(x, M=M)
        return out.h, out.a


def test_memories_of_different_length_run_outside_of_the_graph():
    net = Recurrent(cells.bahdanau, x=3, h=4, q=5, M=6, engine="torch")
    memories = Ragged([MEMORY[0], MEMORY[1, :2]])
    assert torch.equal(torch.compile(lambda x: net(x, M=memories).h, backend="aot_eager")(X), net(X, M=memories).h)
    torch.compiler.reset()
    with pytest.raises(Unsupported, match="memories of different length depend on their lengths"):
        torch.compile(lambda x: net(x, M=memories).h, backend="aot_eager", fullgraph=True)(X)


def test_tokens_that_a_network_feeds_back_and_masks_that_it_draws():
    @circuit
    def speaker(x, w, h, *, E, U, W, V):
        h = tanh(W @ h + U @ x + take(E, w))
        return {"h": h, "w": argmax(V @ h)}

    net, first = Recurrent(speaker, x=3, h=4, w=5, engine="torch"), torch.tensor([1, 3])

    def called(x: Tensor, h: Tensor) -> list[Tensor]:
        out = net(x, state=State(h=h, w=first))
        return [out.h, out.w.float(), out.state.h, out.state.w.float()]

    same(net, one_graph(called)[0], called, X, torch.randn(2, 4))
    drawn = Recurrent(CIRCUITS["regularised"], x=3, h=4, engine="torch")
    compiled, _ = one_graph(partial(hidden, drawn))
    found = []
    for f in (compiled, partial(hidden, drawn)):
        torch.manual_seed(0)
        found.append(f(X)[0])
    assert torch.equal(*found)


def test_a_training_step_that_is_compiled_as_a_whole():
    net, layer = Recurrent(cells.gru, x=3, h=4), unrolled.nn.GRU(3, 4)

    def train(net: nn.Module, x: Any) -> None:
        out = net(x)
        series = out.h if isinstance(net, Recurrent) else out[0]
        (series.values if isinstance(series, Ragged) else series).sum().backward()

    for module in (net, layer):
        for x in (X, Ragged([X[0], X[1, :2]])):
            found = []
            for step in (train, torch.compile(train, backend="aot_eager")):
                module.zero_grad()
                step(module, x)
                found.append([p.grad.clone() for p in module.parameters()])
            assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


# the operators


@every_engine
@pytest.mark.parametrize("kind", [SEQUENCES, STEP])
def test_operators_are_what_torch_demands(kind: str, engine: str):
    net = Recurrent(cells.elman, x=3, h=4, o=2)
    text = described(net._stored, kind, engine, net.memory, ["x"], [], ["h"])
    x = (X if kind == SEQUENCES else X[:, 0]).clone().requires_grad_()
    tensors = [*net._weights().values(), x, torch.randn(2, 4, requires_grad=True)]
    for keep in (False, True):
        checks = ["test_schema", "test_autograd_registration", "test_faketensor"]
        if not (keep and engine == "c"):  # it keeps a block of memory with gaps, whose bytes are never the same
            checks.append("test_aot_dispatch_dynamic")
        torch.library.opcheck(run, (tensors, [], None, None, text, keep), test_utils=checks)
        plain = [t.detach() for t in tensors]
        results = run(plain, [], None, None, text, keep)
        returned = 2
        kept = results[returned + (kind == SEQUENCES) :]
        arrived = [True, False, *[True] * (kind == SEQUENCES)]
        grads = [g for g, there in zip(results, arrived, strict=False) if there]
        wanted = [n != 1 for n in range(len(tensors))]
        torch.library.opcheck(pull, (plain, [], None, None, text, [*results[:returned], *kept], grads, arrived, wanted))


# torch.export


class Exported(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.table, self.net, self.layers = (
            nn.Embedding(7, 3),
            Recurrent(cells.elman, x=3, h=4, o=2),
            unrolled.nn.LSTM(3, 4, 2),
        )

    def forward(self, tokens: Tensor, h: Tensor) -> list[Tensor]:
        x = self.table(tokens)
        out, (output, (_, c)) = self.net(x, state=State(h=h)), self.layers(x.transpose(0, 1))
        return [out.o, out.last.o, self.net.step(x[:, 0], state=out.state).h, self.net.read(x).o, output, c]


def exported(strict: bool) -> tuple[nn.Module, Any]:
    model, batch = Exported(), Dim("batch")
    shapes = {0: batch, 1: Dim("time", min=3)}, {0: batch}
    return model, export(model, (torch.randint(7, (3, 6)), torch.randn(3, 4)), dynamic_shapes=shapes, strict=strict)


LOAD = """
import torch, unrolled
program = torch.export.load({path!r}).module()
given, right, grads = torch.load({path!r} + ".right")
found = program(*given)
assert all(torch.equal(a, b) for a, b in zip(found, right))
sum(v.sum() for v in found).backward()
assert all(torch.equal(a.grad, b) for a, b in zip(program.parameters(), grads))
"""


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("strict", [False, True])
def test_an_exported_model_runs_in_another_process(tmp_path, strict: bool):
    model, program = exported(strict)
    given = torch.randint(7, (2, 11)), torch.randn(2, 4)
    right = model(*given)
    grads = torch.autograd.grad(sum(v.sum() for v in right), list(model.parameters()))
    path = str(tmp_path / "model.pt2")
    torch.export.save(program, path)
    torch.save((given, [v.detach() for v in right], grads), path + ".right")
    done = subprocess.run([sys.executable, "-c", LOAD.format(path=path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_an_export_that_is_refused():
    class Reads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = Recurrent(cells.gru, x=3, h=4)

        def forward(self, x: Tensor) -> Tensor:
            return self.net(y=x).h

    with pytest.raises(EngineError, match="cannot trace this call: 'gru' has no input 'y'"):
        export(Reads(), (X,))


def test_a_model_for_onnx_has_operations_that_onnx_knows(monkeypatch):
    from torch.onnx._internal.exporter import _flags

    net = nn.Sequential(Recurrent(cells.gru, x=3, h=4))
    monkeypatch.setattr(_flags, "_is_onnx_exporting", True)
    net[0].register_forward_hook(lambda net, x, out: out.h)
    program = export(net, (X,))
    assert "unrolled" not in str(program.graph) and (program.module()(X) - net(X)).abs().max() < 1e-6


# when torch loads its compiler

BEFORE_AND_AFTER = """
import torch
if {before}: import torch._dynamo
import unrolled
layer, x = unrolled.nn.LSTM(3, 4), torch.randn(5, 2, 3)
assert torch.equal(torch.compile(layer, fullgraph=True, backend="eager")(x)[0], layer(x)[0])
assert torch._dynamo.config.allow_rnn is False
"""


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize("before", [False, True])
def test_layers_are_traced_whenever_the_compiler_is_loaded(before: bool):
    text = BEFORE_AND_AFTER.format(before=before)
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@needs_compiler
@pytest.mark.slow
def test_with_the_default_backend():
    model = Model(unrolled.nn.LSTM(3, 4, 2, bidirectional=True, batch_first=True))
    compiled = torch.compile(model, fullgraph=True)
    for steps in (5, 9, 30):
        tokens = torch.randint(7, (2, steps))
        losses = [f(tokens)[0] for f in (compiled, model)]
        torch.testing.assert_close(*losses)
        found = [torch.autograd.grad(loss, list(model.parameters())) for loss in losses]
        torch.testing.assert_close(*found)
