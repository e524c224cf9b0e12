"""Networks under torch.autocast, and tensors without values: meta tensors and FakeTensors."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

import unrolled
from cells_for_tests import ENGINES
from unrolled import InputError, Ragged, Recurrent, State, cells

every_engine = pytest.mark.parametrize("engine", ENGINES)
X = torch.randn(2, 5, 3, generator=torch.Generator().manual_seed(0))
LOW = [torch.bfloat16, torch.float16]


def on_cpu() -> torch.autocast:
    return torch.autocast("cpu", dtype=torch.bfloat16)


def trained(net: Recurrent, x: Tensor, state: State, backward_under_autocast: bool = False) -> list[Tensor]:
    """The values and all gradients of every way to call a network."""
    out, fed = net(x, state=state), net(x, given={"h": x.new_ones(2, 5, 4)})
    apart = net(Ragged([x[0], x[1, :2]]))
    values = [out.h, out.state.h, fed.h, apart.h.values, net.step(x[:, 0], state=state).h, net.read(x).h]
    with torch.autocast("cpu", enabled=backward_under_autocast):
        return [*values, *torch.autograd.grad(sum(v.square().sum() for v in values), list(net.parameters()))]


@every_engine
@pytest.mark.parametrize("dtype", [torch.float32, *LOW])
def test_autocast_does_not_change_the_dtype_of_a_network(dtype, engine: str):
    net, x, h = Recurrent(cells.gru, x=3, h=4, engine=engine), X.to(dtype), torch.ones(2, 4, dtype=dtype)
    right = trained(net, x.float(), State(h=h.float()))
    for backward_too in (False, True):
        with on_cpu():
            found = trained(net, x, State(h=h), backward_too)
        for a, b in zip(found, right, strict=True):
            assert a.dtype == torch.float32 and torch.equal(a, b)


def test_the_network_says_so():
    net = Recurrent(cells.gru, x=3, h=4)
    with on_cpu():
        assert "torch.autocast is on, but it computes in float32" in net.explain()
        assert "autocast" not in Recurrent(cells.gru, x=3, h=4, device="meta").explain()
    assert "autocast" not in net.explain()


def test_other_dtypes_are_refused_outside_of_autocast_and_float64_everywhere():
    net = Recurrent(cells.gru, x=3, h=4)
    with on_cpu():
        net(X.bfloat16()), net.step(X[:, 0].bfloat16())
        with pytest.raises(InputError, match="is float64, but the parameters are float32"):
            net(X.double())
    for call in (
        lambda x: net(x),
        lambda x: net.step(x[:, 0]),
        lambda x: net(X, state=State(h=x[:, 0, :1].expand(2, 4))),
    ):
        with pytest.raises(InputError, match="bfloat16"):
            call(X.bfloat16())


@every_engine
def test_autocast_and_transforms(engine: str):
    net = Recurrent(cells.gru, x=3, h=4, engine=engine)

    def loss(x: Tensor) -> Tensor:
        return net(x).h.square().sum()

    right = torch.func.grad(loss)(X), torch.func.jvp(loss, (X,), (X,))[1]
    with on_cpu():
        found = torch.func.grad(loss)(X), torch.func.jvp(loss, (X,), (X,))[1]
    for a, b in zip(found, right, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.filterwarnings("ignore::UserWarning:torch", "ignore::DeprecationWarning:torch")
def test_autocast_in_a_compiled_model():
    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.below, self.net = nn.Linear(3, 3), Recurrent(cells.gru, x=3, h=4)

        def forward(self, x: Tensor) -> Tensor:
            with on_cpu():
                return self.net(self.below(x)).h

    torch.compiler.reset()
    model = Model()
    assert torch.equal(torch.compile(model, fullgraph=True, backend="aot_eager")(X), model(X))
    torch.compiler.reset()


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_layers_of_torch_do_under_autocast_what_torch_does(kind: str):
    theirs, ours = getattr(nn, kind)(3, 4), getattr(unrolled.nn, kind)(3, 4)
    ours.load_state_dict(theirs.state_dict())
    for x in (X, X.bfloat16()):
        with on_cpu():
            a, b = ours(x)[0], theirs(x)[0]
        assert a.dtype == b.dtype and torch.equal(a, b)


# tensors without values


def test_on_meta():
    net, x = Recurrent(cells.lstm, x=3, h=4, device="meta"), X.to("meta")
    ragged = Ragged(values=x[0], lengths=[2, 3])
    assert net(x).h.shape == (2, 5, 4) and net.read(x).h.shape == (2, 4)
    assert net(ragged).h.values.shape == (5, 4)
    with pytest.raises(InputError, match="reset must have values"):
        net(x, reset=torch.zeros(2, 5, dtype=torch.bool, device="meta"))
    with pytest.raises(InputError, match="is on cpu, but the parameters are on meta"):
        net(X)
    layer = unrolled.nn.LSTM(3, 4, device="meta")
    assert layer(x)[0].shape == (2, 5, 4)
    with pytest.raises(InputError, match="a Ragged on meta"):
        layer(ragged)


def test_fake_tensors():
    mode, net = FakeTensorMode(), Recurrent(cells.lstm, x=3, h=4)
    with pytest.raises(InputError, match="input 'x' is a FakeTensor, but the parameters are not"):
        net(mode.from_tensor(X))
    with FakeTensorMode(allow_non_fake_inputs=True):
        assert net(X).h.shape == (2, 5, 4)
    with mode:
        fake = Recurrent(cells.lstm, x=3, h=4)
        x = torch.randn(2, 5, 3)
        fake(x).h.sum().backward()
        with pytest.raises(InputError, match="the parameters are FakeTensors, but input 'x' is not"):
            fake(X)
        with pytest.raises(InputError, match="reset must have values"):
            fake(x, reset=torch.zeros(2, 5, dtype=torch.bool))
        with pytest.raises(InputError, match="lengths must have values, got a FakeTensor"):
            Ragged([x[0], x[1]])
