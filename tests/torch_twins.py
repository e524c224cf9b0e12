"""torch.nn's layers and ours with the same weights, and all that a call gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

import unrolled
from cells_for_tests import needs_compiler
from unrolled import Ragged
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
