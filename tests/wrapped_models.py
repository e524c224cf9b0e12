"""One of several processes: gradients of wrapped models on a share of a batch, beside those of the model alone on the
whole batch."""

from __future__ import annotations

import copy
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.nn.parallel import DistributedDataParallel

import unrolled
from unrolled import Ragged, Recurrent, cells
from unrolled.nn import SequenceModel
from unrolled.nn.interop import from_torch

RANK, SIZE = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
X = torch.linspace(-1, 1, 4 * 6 * 3).view(4, 6, 3)


class Tagger(nn.Module):
    """A recurrent layer inside a model, which also has a parameter that the loss does not depend on."""

    def __init__(self, layer: nn.Module, accelerated: bool = False) -> None:
        super().__init__()
        self.layer, self.scores = layer, nn.Linear(4, 2)
        if accelerated:
            unrolled.accelerate(self)

    def forward(self, x: Tensor) -> Tensor:
        found = self.layer(x)
        return self.scores(found.h if isinstance(found, dict) else found[0])


def torch_layer(**options: Any) -> nn.LSTM:
    return nn.LSTM(3, 4, batch_first=True, **options)


def ragged(x: Tensor) -> Ragged:
    return Ragged([row[: 6 - i] for i, row in enumerate(x)])


def whole(found: Any) -> Tensor:
    """A loss that depends on everything that a model returns."""
    if isinstance(found, Tensor):
        return found.square().sum()
    if isinstance(found, Ragged):
        return found.values.square().sum()
    parts = (
        [*found.values(), found.state] if hasattr(found, "state") else list(getattr(found, "values", lambda: found)())
    )
    return sum((whole(part) for part in parts), torch.zeros(()))


MODELS: dict[str, tuple[Callable[[], nn.Module], Callable[[Tensor], Any]]] = {
    "torch.nn.LSTM in a model": (lambda: Tagger(torch_layer()), lambda x: x),
    "unrolled.nn.LSTM in a model": (
        lambda: Tagger(unrolled.nn.LSTM(3, 4, batch_first=True)),
        lambda x: x,
    ),
    "an accelerated model": (lambda: Tagger(torch_layer(), accelerated=True), lambda x: x),
    "Recurrent in a model": (lambda: Tagger(Recurrent(cells.lstm, x=3, h=4)), lambda x: x),
    "Recurrent": (lambda: Recurrent(cells.lstm, x=3, h=4), lambda x: x),
    "Recurrent on Ragged": (lambda: Recurrent(cells.lstm, x=3, h=4), ragged),
    "Stack": (lambda: from_torch(torch_layer(num_layers=2, bidirectional=True)), lambda x: x),
    "SequenceModel": (lambda: SequenceModel(cells.lstm, 3, 2, 4), lambda x: x),
}


def parallel(**options: Any) -> Callable[[nn.Module], nn.Module]:
    return lambda model: DistributedDataParallel(model, **options)


def sharded(model: nn.Module) -> nn.Module:
    mesh = init_device_mesh("cpu", (SIZE,))
    for part in model.children():
        if isinstance(part, nn.RNNBase | Recurrent):
            fully_shard(part, mesh=mesh)
    return fully_shard(model, mesh=mesh)


WRAPPERS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "DistributedDataParallel": parallel(),
    "find_unused_parameters": parallel(find_unused_parameters=True),
    "static_graph": parallel(static_graph=True),
    "fully_shard": sharded,
}


def gradients(model: nn.Module) -> dict[str, Tensor]:
    found = {n: p.grad for n, p in model.named_parameters() if p.grad is not None}
    return {n: (g.full_tensor() if hasattr(g, "full_tensor") else g).detach().clone() for n, g in found.items()}


def compared(model: str, wrapper: str) -> dict[str, tuple[Tensor, Tensor]]:
    """For each parameter, the gradient of the wrapped model and that of the model alone."""
    torch.manual_seed(0)
    made, given = MODELS[model]
    wrapped, alone = (m := made()), copy.deepcopy(m)
    if wrapper in ("find_unused_parameters", "static_graph"):
        wrapped.unused = nn.Parameter(torch.zeros(2))
    parallel = WRAPPERS[wrapper](wrapped)
    for _ in range(2):
        parallel.zero_grad()
        whole(parallel(given(X)[RANK::SIZE] if given(X) is X else given(X).select(range(RANK, 4, SIZE)))).backward()
    whole(alone(given(X))).backward()
    found, wanted = gradients(wrapped), gradients(alone)
    return {n: (found[n] * SIZE, wanted[n]) for n in wanted}


if __name__ == "__main__":
    warnings.filterwarnings("ignore", "FSDP2-wrapped module")
    dist.init_process_group("gloo")
    results = {}
    for model in MODELS:
        for wrapper in WRAPPERS:
            try:
                results[model, wrapper] = compared(model, wrapper)
            except Exception as problem:
                results[model, wrapper] = f"{type(problem).__name__}: {problem}"
    torch.save(results, f"{sys.argv[1]}.{RANK}")
    dist.destroy_process_group()
