"""The steps that are exported compute what the model computes."""

import pytest
import torch
from torch import Tensor

from cells_for_tests import SIZES
from unrolled import Recurrent, cells
from unrolled.circuits.circuit import Circuit
from unrolled.errors import UsageError
from unrolled.export.network import ANSWER, READ, Network, Step, network_of
from unrolled.nn import SequenceModel


def run(step: Step, x: Tensor, backward: bool = False) -> Tensor:
    net = Recurrent(Circuit.stored(step.recurrence), engine="reference", dtype=torch.float64)
    net.load_state_dict(dict(step.weights))
    result = net(**{READ: x.flip(1) if backward else x})[ANSWER]
    return result.flip(1) if backward else result


def answer(network: Network, x: Tensor, ends: bool) -> Tensor:
    for layer in network.layers:
        found = [run(step, x, backward=bool(k)) for k, step in enumerate(layer)]
        x = torch.cat(found, -1)
    if ends:
        x = torch.cat([found[0][:, -1:], found[1][:, :1]], -1)
    x = run(network.head, x) if network.head else x
    return x if network.answer == "every" else x[:, -1]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layers": 3, "residual": True},
        {"embedding": 5, "tied": False},
        {"embedding": 4, "tied": True},
        {"answer": "last"},
        {"answer": "mean", "embedding": 6},
    ],
    ids=str,
)
def test_the_steps_compute_what_the_model_computes(options, bidirectional):
    torch.manual_seed(0)
    model = SequenceModel(cells.gru, 6, 6, hidden=3, bidirectional=bidirectional, **options).double().eval()
    x = torch.randint(6, (2, 7)) if "embedding" in options else torch.randn(2, 7, 6, dtype=torch.float64)
    ends = bidirectional and model.answer == "last"
    with torch.no_grad():
        assert torch.allclose(answer(network_of(model), x, ends), model(x)[0], rtol=0, atol=1e-14)


def test_a_model_without_an_embedding_may_read_tokens():
    model = SequenceModel(cells.gru, 6, 6, hidden=3).double()
    x = torch.randint(6, (2, 7))
    with torch.no_grad():
        assert torch.allclose(answer(network_of(model, tokens=True), x, False), model(x)[0], rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", ["elman", "layernorm_lstm", "mlstm"])
def test_a_network_alone_keeps_its_names(name):
    net = Recurrent(getattr(cells, name), **SIZES[name])
    [[step]] = network_of(net).layers
    kept, own = step.recurrence, net.circuit.recurrence
    assert list(kept.returns) == list(own.returns) and list(kept.parameters) == list(own.parameters)
    assert all(not size.names for node in kept.nodes for size in node.type.dims)


def test_other_modules_are_refused():
    with pytest.raises(UsageError, match="only a Recurrent or a SequenceModel can be exported, got a Linear"):
        network_of(torch.nn.Linear(2, 3))
