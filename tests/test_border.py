"""The border to torch: replaced parameters, unusual tensors, tracing and transforms, modified tokens, pickles. Each
gives the same numbers as an ordinary clone, or a clear error."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.utils import parametrizations, prune
from torch.testing._internal.two_tensor import TwoTensor

import unrolled
from cells_for_tests import CIRCUITS, ENGINES, SIZES, needs_compiler
from unrolled import EngineError, InputError, Ragged, Recurrent, State, Truncated, cells, circuit, take, tanh
from unrolled.circuits import constant, gate, glorot, identity, orthogonal, uniform
from unrolled.engines import last_rows
from unrolled.engines.steps import steps_of
from unrolled.errors import CircuitError
from unrolled.nn import rows
from unrolled.testing.compare import assert_close

X, OTHER = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0)), torch.ones(2, 5, 3)
every_engine = pytest.mark.parametrize("engine", ENGINES)


@circuit
def spoken(y, h, *, E, W):
    return {"h": tanh(take(E, y) + W @ h)}


@circuit
def bare(x, h):
    return {"h": tanh(x + h)}


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def gru(engine: str, **options) -> Recurrent:
    return Recurrent(cells.gru, x=3, h=4, engine=engine, **options)


def close(a: torch.Tensor, b: torch.Tensor) -> None:
    assert a.dtype == b.dtype
    assert_close("from outside", a, b, "benchmark, float32" if a.dtype == torch.float32 else "engines, float64")


def gradients(net: nn.Module, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    named = dict(net.named_parameters())
    return dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def same_gradients(net: nn.Module, loss: torch.Tensor, expected: torch.Tensor) -> None:
    found, right = gradients(net, loss), gradients(net, expected)
    for name, g in right.items():
        close(found[name], g)


# parameters


REPLACED = {
    "transposed": (
        lambda n: setattr(n, "W", nn.Parameter(torch.randn(4, 12))),
        r"'W' must be \(12, 4\), got \(4, 12\)",
    ),
    "too small": (lambda n: setattr(n, "W", nn.Parameter(torch.randn(3, 3))), r"'W' must be \(12, 4\), got \(3, 3\)"),
    "too short": (lambda n: setattr(n, "b", nn.Parameter(torch.randn(1))), r"'b' must be \(12,\), got \(1,\)"),
    "too large": (lambda n: setattr(n.W, "data", torch.randn(96, 32)), r"'W' must be \(12, 4\), got \(96, 32\)"),
    "of another dtype": (lambda n: setattr(n.W, "data", n.W.data.double()), "'U' has float32, 'W' has float64"),
    "on another device": (lambda n: setattr(n, "W", nn.Parameter(torch.empty(12, 4, device="meta"))), "'W' has meta"),
    "sparse": (lambda n: setattr(n, "W", nn.Parameter(n.W.detach().to_sparse())), "'W' must be a dense tensor"),
    "not there": (lambda n: setattr(n, "W", None), "'W' must be a tensor, got NoneType"),
    "not initialised": (lambda n: setattr(n, "W", nn.UninitializedParameter()), "'W' is not initialised"),
}


@every_engine
@pytest.mark.parametrize("what", REPLACED)
def test_a_parameter_that_does_not_fit_is_refused_by_name(engine: str, what: str):
    net = gru(engine)
    net(X), net(X), net.step(X[:, 0])  # so that these kinds of calls are cached
    change, message = REPLACED[what]
    change(net)
    for call in (lambda: net(X), lambda: net.step(X[:, 0]), lambda: net.read(X), lambda: net(Ragged([X[0]]))):
        with pytest.raises(InputError, match=message):
            call()


@every_engine
def test_a_checkpoint_of_another_dtype_is_assigned(engine: str):
    net, exact = gru(engine), gru(engine).double()
    net(X)
    net.load_state_dict(exact.state_dict(), assign=True)
    with pytest.raises(InputError, match="'x' is float32, but the parameters are float64"):
        net(X)
    close(net(X.double()).h, exact(X.double()).h)
    net.load_state_dict({**exact.state_dict(), "U": torch.zeros(12, 3)}, assign=True)
    with pytest.raises(InputError, match="'U' has float32, 'W' has float64"):
        net(X)


def test_a_checkpoint_in_bfloat16_is_assigned():
    small, net = Recurrent(cells.gru, x=3, h=4, dtype=torch.bfloat16), Recurrent(cells.gru, x=3, h=4)
    net(X)
    net.load_state_dict(small.state_dict(), assign=True)
    assert net.engine == "torch"
    assert torch.equal(net(X.bfloat16()).h, small(X.bfloat16()).h)
    with pytest.raises(InputError, match="'x' is float32, but the parameters are bfloat16"):
        net(X)


@every_engine
def test_a_network_that_was_made_on_meta_takes_a_checkpoint(engine: str):
    made = gru(engine)
    with torch.device("meta"):
        net = Recurrent(cells.gru, x=3, h=4)
    net.load_state_dict(made.state_dict(), assign=True)
    net.to("cpu").use(engine)
    assert torch.equal(net(X).h, made(X).h) and not dict(net.named_buffers())


def test_a_network_without_parameters_follows_to():
    net = Recurrent(bare, h=3)
    assert net(X).h.dtype == torch.float32 and not net.state_dict()
    net.double()
    assert net(X.double()).h.dtype == torch.float64
    with pytest.raises(InputError, match="float32, but the parameters are float64"):
        net(X)
    assert Recurrent(bare, h=3, dtype=torch.float64).initial_state().h.dtype == torch.float64


@every_engine
def test_parametrized_and_pruned_weights_are_read_as_attributes(engine: str):
    for change in (
        lambda n: parametrizations.weight_norm(n, "W"),
        lambda n: parametrizations.spectral_norm(n, "W"),
        lambda n: prune.l1_unstructured(n, "W", 0.5),
    ):
        net = gru(engine).eval()
        change(net)
        plain = gru(engine)
        plain.load_state_dict({n: net(X) and getattr(net, n) for n in ("U", "W", "b", "d")})
        close(net(X).h, plain(X).h)
        net(X).h.sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())
    with pytest.raises(InputError, match="'W' is computed from other parameters"):
        net.reset_parameters()


def test_a_subclass_may_have_parameters_of_its_own():
    class Mine(unrolled.Recurrent):
        def __init__(self) -> None:
            super().__init__(unrolled.cells.gru, x=3, h=4)
            self.h0 = nn.Parameter(torch.ones(4))

        def forward(self, x: torch.Tensor):
            return super().forward(x, state=State(h=self.h0.expand(len(x), -1)))

    net = Mine()
    net.reset_parameters()
    assert torch.equal(net.h0, torch.ones(4))
    net(X).h.sum().backward()
    assert net.h0.grad is not None


# unusual tensors


def negative(tensor: torch.Tensor) -> torch.Tensor:
    return torch._neg_view(-tensor)


@every_engine
def test_the_negative_bit_is_resolved(engine: str):
    net, start, forced = gru(engine), torch.randn(2, 4), torch.randn(2, 5, 4)
    for _ in range(2):  # the second call could be answered from the cache
        assert torch.equal(net(negative(X)).h, net(X).h)
        assert torch.equal(net(X, state=State(h=negative(start))).h, net(X, state=State(h=start)).h)
        assert torch.equal(net.step(negative(X[:, 0])).h, net.step(X[:, 0]).h)
        assert torch.equal(net.read(negative(X)).h, net.read(X).h)
        assert torch.equal(net(X, given={"h": negative(forced)}).h, net(X, given={"h": forced}).h)
        ragged = Ragged(values=negative(X[0]), lengths=[2, 3])
        assert torch.equal(net(ragged).h.values, net(Ragged(values=X[0], lengths=[2, 3])).h.values)
    right = net(X).h
    g = torch.randn(2, 5, 4)
    found = torch.autograd.grad(net(X).h, list(net.parameters()), negative(g))
    for a, b in zip(found, torch.autograd.grad(net(X).h, list(net.parameters()), g), strict=True):
        assert torch.equal(a, b)
    net.W.data = negative(net.W.data)
    assert torch.equal(net(X).h, right)


@every_engine
def test_strided_and_expanded_inputs(engine: str):
    net = gru(engine)
    for x in (X[:1, :1].expand(2, 5, 3), X.mT.contiguous().mT, X.repeat(1, 1, 2)[..., ::2]):
        assert torch.equal(net(x).h, net(x.clone(memory_format=torch.contiguous_format)).h)


@every_engine
def test_inference_tensors(engine: str):
    net = gru(engine)
    with torch.inference_mode():
        x = X.clone()
        made = gru(engine)
        inside, state = made(x).h, net(x).state
        assert torch.equal(made(x).h, inside)
    with torch.no_grad():
        assert torch.equal(made(x).h, inside) and torch.equal(net(x).h, net(X).h)
    for _ in range(2):
        same_gradients(net, net(x).h.sum(), net(X).h.sum())
        same_gradients(net, net(X, state=state).h.sum(), net(X, state=State(h=state.h.clone())).h.sum())
    with pytest.raises(InputError, match="'U' was created in inference mode"):
        made(x)


@every_engine
def test_tensors_made_in_inference_mode_are_not_kept_for_training(engine: str):
    for remembered in (last_rows._indices, steps_of, rows._earlier):
        remembered.cache_clear()
    net, ragged = gru(engine), Ragged([X[0], X[0, :0], X[1, :2]])
    with torch.inference_mode():
        net(ragged)
    with torch.device("meta"):
        first = net(ragged).h.values.sum()
    same_gradients(net, first, net(ragged).h.values.sum())


class Named(torch.Tensor):
    """A subclass that behaves like a tensor."""


class Logged(torch.Tensor):
    """A subclass that records its operations."""

    seen: list[str] = []  # noqa: RUF012

    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        cls.seen.append(getattr(function, "__name__", ""))
        return super().__torch_function__(function, types, args, kwargs or {})


@every_engine
def test_subclasses_of_tensor(engine: str):
    net, right = gru(engine), gru(engine)
    right.load_state_dict(net.state_dict())
    for _ in range(2):
        found = net(X.as_subclass(Named)).h
        assert type(found) is torch.Tensor and torch.equal(found, right(X).h)
    close(net(X.as_subclass(Logged)).h.as_subclass(torch.Tensor), right(X).h)
    assert "tanh" in Logged.seen
    both = net(TwoTensor(X, OTHER)).h
    close(both.a, right(X).h), close(both.b, right(OTHER).h)
    values = {n: TwoTensor(p.detach(), 2 * p.detach()) for n, p in net.named_parameters()}
    close(torch.func.functional_call(net, values, (X,)).h.a, right(X).h)


@every_engine
def test_gradients_of_other_kinds(engine: str):
    net = gru(engine)
    first = torch.zeros(2, 1, 4, dtype=torch.int64)
    sparse = torch.gather(net(X).h, 1, first, sparse_grad=True).sum()
    same_gradients(net, sparse, torch.gather(net(X).h, 1, first).sum())
    zero = torch.autograd.grad(net(X).h, list(net.parameters()), torch._efficientzerotensor((2, 5, 4)))
    assert not any(g.any() for g in zero)
    with pytest.raises(EngineError, match="one ordinary gradient at a time"):
        torch.autograd.grad(net(X).h.sum((0, 1)), list(net.parameters()), torch.eye(4), is_grads_batched=True)


@every_engine
def test_what_saved_tensors_hooks_give_back_is_checked(engine: str):
    net = gru(engine)

    def loss(unpack):
        with torch.autograd.graph.saved_tensors_hooks(lambda t: t, unpack):
            return net(X).h.sum()

    same_gradients(net, loss(lambda t: t.repeat_interleave(2, -1)[..., ::2]), net(X).h.sum())
    for wrong in (lambda t: t.double(), lambda t: t[:0], lambda t: t.to("meta")):
        with pytest.raises(EngineError, match="saved_tensors_hooks returned"):
            gradients(net, loss(wrong))


# operations that torch sees one by one


class Outputs(nn.Module):
    """Functions that can be traced."""

    def __init__(self, net: Recurrent) -> None:
        super().__init__()
        self.net = net

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        out = self.net(*given)
        return *(out[n] for n in out), *out.state.values(), *(out.last[n] for n in out.last)


@pytest.mark.parametrize("name", ["gru", "layernorm_lstm", "peephole_lstm", "lecture"])
def test_traced_models_compute(name: str):
    net = Outputs(Recurrent(CIRCUITS[name], **SIZES[name]))
    given = [(x, torch.randint(2, (2, 5))) if name == "lecture" else (x,) for x in (X, OTHER)]
    model = torch.jit.trace(net, given[0])
    for found, right in zip(model(*given[1]), net(*given[1]), strict=True):
        close(found, right)
    same_gradients(net, sum(v.sum() for v in model(*given[1])), sum(v.sum() for v in net(*given[1])))
    with pytest.raises(RuntimeError, match="split"):
        model(*(v.reshape(5, 2, *v.shape[2:]) for v in given[0]))  # the same number of rows, but other sequences


class Ways(nn.Module):
    """A step, ``read``, and teacher forcing."""

    def __init__(self, net: Recurrent) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor, h: torch.Tensor) -> tuple[torch.Tensor, ...]:
        forced = self.net(x, given={"h": x.mean(-1, keepdim=True).expand(-1, -1, 4)})
        return self.net.step(x[:, 0], State(h=h)).h, self.net.read(x).h, forced.h, forced.state.h


@every_engine
def test_every_way_to_call_is_traced(engine: str):
    ways = Ways(gru(engine))
    model = torch.jit.trace(ways, (X, torch.zeros(2, 4)))
    for found, right in zip(model(OTHER, torch.ones(2, 4)), ways(OTHER, torch.ones(2, 4)), strict=True):
        close(found, right)


@every_engine
def test_tokens_are_traced(engine: str):
    net, y, z = Recurrent(spoken, y=7, h=4, engine=engine), torch.arange(6).view(2, 3), torch.ones(2, 3).long()
    model = torch.jit.trace(Outputs(net), (y,))
    close(model(z)[0], net(z).h)
    with pytest.raises(RuntimeError, match="out of range"):
        model(y - 1)
    one_hot = Recurrent(cells.gru, x=7, h=4, engine=engine)
    close(torch.jit.trace(Outputs(one_hot), (y,))(z)[0], one_hot(z).h)
    close(make_fx(lambda y: net(y).h)(y)(z), net(z).h)
    close(torch.func.vmap(lambda y: net(y).h)(torch.stack([y, z]))[1], net(z).h)


@every_engine
@pytest.mark.parametrize("mode", ["real", "fake", "symbolic"])
def test_make_fx(engine: str, mode: str):
    net = gru(engine)
    graph = make_fx(lambda x: net(x).h, tracing_mode=mode, _allow_non_fake_inputs=True)(X)
    close(graph(OTHER), net(OTHER).h)


def test_what_a_trace_would_fix_is_refused():
    net = Recurrent(cells.gru, x=3, h=4)
    with pytest.raises(InputError, match="cannot trace reset"):
        torch.jit.trace(lambda x: net(x, reset=x[..., 0] > 0).h, (X,))
    with pytest.raises(InputError, match="cannot trace reset"):
        make_fx(lambda x, reset: net(x, reset=reset).h)(X, X[..., 0] > 0)
    cut = Recurrent(cells.gru, x=3, h=4, memory=Truncated(window=2))
    with pytest.raises(EngineError, match="memory=Truncated"):
        torch.func.functionalize(lambda x: cut(x).h)(X)
    with torch.no_grad():
        close(torch.func.functionalize(lambda x: cut(x).h)(X), cut(X).h)


@every_engine
def test_fake_tensors_have_no_memory_that_is_read(engine: str):
    with FakeTensorMode():
        for net, x in ((gru(engine), torch.randn(2, 5, 3)), (Recurrent(spoken, y=7, h=4), torch.ones(2, 5).long())):
            out = net(x)
            stepped = net.step(x[:, 0], out.state)
            (out.h.sum() + stepped.h.sum()).backward()
            assert type(out.h).__name__ == "FakeTensor" and out.h.shape == (2, 5, 4) and stepped.h.shape == (2, 4)
            assert net.W.grad is not None and net.W.grad.shape == net.W.shape


@every_engine
def test_transforms_of_functions(engine: str):
    net, both = gru(engine), torch.stack([X, OTHER])
    for found in (torch.func.vmap(lambda x: net(x).h)(both), torch.func.functionalize(lambda x: net(x).h)(X)[None]):
        close(found[0], net(X).h)
    named = dict(net.named_parameters())
    found = torch.func.grad(lambda p: torch.func.functional_call(net, p, (X,)).h.pow(2).sum())(named)
    for n, g in gradients(net, net(X).h.pow(2).sum()).items():
        close(found[n], g)
    with torch.autograd.forward_ad.dual_level():
        dual = net(torch.autograd.forward_ad.make_dual(X, OTHER)).h
        tangent = torch.autograd.forward_ad.unpack_dual(dual).tangent
    exact = copy.deepcopy(net).double().use("reference")
    step = 1e-6 * OTHER.double()
    close(tangent, ((exact(X.double() + step).h - exact(X.double() - step).h) / 2e-6).float())


@every_engine
def test_modes_around_the_backward_pass_change_nothing(engine: str):
    class Seen(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            return function(*args, **(kwargs or {}))

    net = gru(engine)
    loss = net(X).h.sum()
    with Seen(), torch.device("meta"):
        found = gradients(net, loss)
    for n, g in gradients(net, net(X).h.sum()).items():
        assert torch.equal(found[n], g)


@every_engine
def test_another_default_device_changes_nothing(engine: str):
    """In a new process, since results are cached. Otherwise memory would be allocated on the default device."""
    text = f"""
import torch, unrolled
from unrolled import Ragged, Recurrent, Snapshots, cells
from unrolled.sequence import document_windows
torch.set_default_device("meta")
x = torch.ones(2, 5, 3, device="cpu")
for memory in (None, Snapshots(every=2)):
    net = Recurrent(cells.gru, x=3, h=4, engine="{engine}", memory=memory, device="cpu")
    ragged = Ragged.from_padded(x, mask=torch.ones(2, 5, dtype=torch.bool, device="cpu"))
    assert all(len(Ragged.from_packed(ragged.to_packed())[i]) == 5 for i in range(2)) and ragged.mask().all()
    assert torch.equal(ragged.to_padded()[0], x) and len(list(document_windows(ragged, 2, 3)))
    out, apart = net(x), net(Ragged([x[0], x[1, :2]]))
    again, begun = net(x, given={{"h": out.h.detach()}}), net(x, reset=x[..., 0] > 0)
    (out.h.sum() + apart.h.values.sum() + begun.h.sum() + again.h.sum() + net.read(x).h.sum()).backward()
    assert torch.equal(apart.h[0], out.h[0]) or (apart.h[0] - out.h[0]).abs().max() < 1e-6
    assert net.W.grad.device.type == "cpu" and net.W.grad.isfinite().all()
"""
    run = subprocess.run([sys.executable, "-W", "error", "-c", text], capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr


# torch.compile


class Model(nn.Module):
    def __init__(self, engine: str) -> None:
        super().__init__()
        self.table, self.net, self.scores = nn.Embedding(7, 3), gru(engine), nn.Linear(4, 7)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        out = self.net(self.table(tokens))
        again = self.net.step(self.table(tokens[:, 0]), out.state).h + self.net.read(self.table(tokens)).h
        return self.scores(out.h).sum() + again.sum()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning:torch")  # of torch.compile, about itself
@every_engine
def test_compiled_models_compute(engine: str):
    torch.compiler.reset()
    model = Model(engine)
    compiled = torch.compile(model, backend="aot_eager")
    for steps in (5, 6, 9):
        tokens = torch.randint(7, (2, steps))
        same_gradients(model, compiled(tokens), model(tokens))
    alone = torch.compile(model.net, backend="aot_eager")
    assert torch.equal(alone(X, state=State(h=torch.ones(2, 4))).h, model.net(X, state=State(h=torch.ones(2, 4))).h)
    torch.compiler.reset()


# changes between calls


@every_engine
def test_a_token_buffer_may_be_filled_again(engine: str):
    buffer = np.arange(12).reshape(3, 4) % 7
    net, tokens = Recurrent(spoken, y=7, h=4, engine=engine), torch.from_numpy(buffer.copy())
    right = gradients(net, net(tokens).h.sum())
    for call in (
        lambda x: net(x).h.sum(),
        lambda x: net(Ragged(values=x.flatten(), lengths=[4, 4, 4])).h.values.sum(),
    ):
        for _ in range(2):
            loss = call(torch.from_numpy(buffer))
            buffer[:] = 2**40
            found = gradients(net, loss)
            buffer[:] = tokens.numpy()
            for n, g in right.items():
                close(found[n], g)
    loss = net.step(torch.from_numpy(buffer)[:, 0]).h.sum()
    buffer[:] = 2**40
    same_gradients(net, loss, net.step(tokens[:, 0]).h.sum())


@every_engine
def test_lengths_that_were_changed_are_refused(engine: str):
    net, ragged = gru(engine), Ragged([X[0], X[1]])
    for lengths in ([5, 500], [11, -1]):
        ragged.lengths[:] = torch.tensor(lengths)
        with pytest.raises(InputError, match="the lengths of 'x' were changed"):
            net(ragged)


def test_remembered_calls_may_vanish_at_any_time():
    """As happens when another thread finds the cache full."""

    class Vanishing(dict):
        def __contains__(self, key: object) -> bool:
            return super().__contains__(key) and not self.clear()

        def get(self, key, default=None):
            found = super().get(key, default)
            self.clear()
            return found

    net = Recurrent(cells.gru, x=3, h=4)
    right = net(X).h
    net._known = Vanishing(net._known)
    for _ in range(3):
        assert torch.equal(net(X).h, right)


# pickles


def scaled(scale: float):
    @circuit(init={"W": orthogonal(), "b": constant(0.5)})
    def cell(x, h, *, W, b):
        """A circuit created by a function."""
        return {"h": tanh(scale * (W @ h) + x + b)}

    return cell


cell = scaled(1.0)  # scaled(...) gives other circuits the same name


def test_a_circuit_made_in_a_function_is_pickled_with_its_equations(tmp_path):
    net = Recurrent(scaled(-3.0), h=3)
    torch.save(net, tmp_path / "net.pt")
    loaded = torch.load(tmp_path / "net.pt", weights_only=False)
    twins = [loaded, pickle.loads(pickle.dumps(net)), copy.deepcopy(net), pickle.loads(pickle.dumps(loaded))]
    for twin in twins:
        assert torch.equal(twin(X).h, net(X).h)
        assert twin.circuit.equations() == net.circuit.equations()
        assert twin.circuit.__doc__ == net.circuit.__doc__
    for twin in twins:
        torch.manual_seed(3)
        twin.reset_parameters()
        drawn = dict(twin.named_parameters())
        torch.manual_seed(3)
        net.reset_parameters()
        assert all(torch.equal(p, drawn[n]) for n, p in net.named_parameters())
    with pytest.raises(CircuitError, match="cannot be called inside another circuit"):

        @circuit
        def outer(x, h, *, W, b):
            return loaded.circuit(x, h, W=W, b=b)


def test_a_name_is_trusted_only_where_the_equations_are_the_same(monkeypatch: pytest.MonkeyPatch):
    module = types.ModuleType("a_module_of_circuits")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    held = scaled(2.0)
    held.__module__, held.function.__qualname__ = module.__name__, "cell"
    module.cell = held
    content = pickle.dumps(held)
    assert pickle.loads(content) is held
    for now in (scaled(5.0), None, "something else"):
        module.cell = now
        assert pickle.loads(content) is not now
        assert pickle.loads(content).equations() == held.equations()
    monkeypatch.delitem(sys.modules, module.__name__)
    assert pickle.loads(content).equations() == held.equations()
    assert copy.copy(held) is held


@pytest.mark.parametrize("name", list(CIRCUITS))
def test_views_are_pickled(name: str):
    of = CIRCUITS[name]
    again = pickle.loads(pickle.dumps(of))
    assert again is of or (name == "regularised" and again.equations() == of.equations())
    adjoint, graph, plan = (pickle.loads(pickle.dumps(v)) for v in (of.adjoint(), of.unfold(3), of.plan()))
    assert adjoint.equations() == of.adjoint().equations()
    assert graph.equations() == of.unfold(3).equations() and len(graph.nodes) == len(of.unfold(3).nodes)
    assert plan.explain() == of.plan().explain()
    with pytest.raises(TypeError, match="pickle its circuit"):
        pickle.dumps(of.recurrence)


def test_results_are_pickled():
    net, ragged = Recurrent(cells.lstm, x=3, h=4), Ragged([X[0], X[0, :0]])
    with torch.no_grad():
        for value in (net(X), net(X).last, net(X).state, net.step(X[:, 0]), net(ragged), ragged):
            for twin in (pickle.loads(pickle.dumps(value)), copy.deepcopy(value), copy.copy(value)):
                assert repr(twin) == repr(value)
        twin = pickle.loads(pickle.dumps(net(X)))
        assert torch.equal(twin.h, net(X).h) and torch.equal(twin.state.c, net(X).state.c)


@pytest.mark.parametrize(
    "init", [glorot(2), orthogonal(2), identity(0.5), uniform(-1, 1), constant(3.0), gate(1, of=2, value=1.0)]
)
def test_initialisers_are_pickled(init):
    a, b = torch.zeros(4, 4), torch.zeros(4, 4)
    for initialiser, parameter in ((init, a), (pickle.loads(pickle.dumps(init)), b)):
        torch.manual_seed(0)
        initialiser(parameter)
    assert torch.equal(a, b) and a.any()


def test_an_initialiser_that_cannot_be_pickled_is_missed_when_it_is_needed():
    @circuit(init={"W": lambda p: p.fill_(0.25)})
    def mine(x, h, *, W):
        return {"h": tanh(W @ h + x)}

    net = Recurrent(mine, h=3)
    twin = pickle.loads(pickle.dumps(net))
    assert torch.equal(twin(X).h, net(X).h)
    with pytest.raises(CircuitError, match="'W' has no initialiser"):
        twin.reset_parameters()
    twin.circuit.init["W"] = constant(2.0)
    twin.reset_parameters()
    assert torch.equal(twin.W, torch.full((3, 3), 2.0))


@pytest.mark.slow
@needs_compiler
def test_spawned_processes_get_the_same_circuit(tmp_path):
    (tmp_path / "script.py").write_text(
        """
import torch
from unrolled import Recurrent, circuit, tanh

def make(scale):
    @circuit
    def cell(x, h, *, W):
        return {"h": tanh(scale * (W @ h) + x)}
    return cell

cell = make(1.0)

def child(net, x, queue):
    queue.put(net(x).h.tolist())

if __name__ == "__main__":
    context = torch.multiprocessing.get_context("spawn")
    queue, x = context.Queue(), torch.ones(1, 3, 2)
    for of in (make(-3.0), cell):
        net = Recurrent(of, h=2)
        net.requires_grad_(False)
        process = context.Process(target=child, args=(net, x, queue))
        process.start()
        assert queue.get(timeout=100) == net(x).h.tolist()
        process.join()
"""
    )
    run = subprocess.run(
        [sys.executable, "-W", "error", "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=200
    )
    assert run.returncode == 0, run.stderr
