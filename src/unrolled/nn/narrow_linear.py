"""A linear layer with narrow weights, the last layer of many models."""

from __future__ import annotations

from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..graph.node import leaf, matrix, vector
from ..graph.ops import make
from ..graph.recurrence import Recurrence
from ..graph.size import Size
from .recurrent import Recurrent


def _linear() -> Circuit:
    """o = bias + weight @ x, which has no state."""
    size_x, size_o = Size.of("x"), Size.of("o")
    x = leaf("input", vector(size_x), name="x")
    weight = leaf("parameter", matrix(size_o, size_x), name="weight")
    bias = leaf("parameter", vector(size_o), name="bias")
    o = make("add", bias, make("matvec", weight, x))
    return Circuit.stored(Recurrence("linear", {"x": x}, {}, {"weight": weight, "bias": bias}, {"o": o}))


LINEAR = _linear()


class NarrowLinear(nn.Module):
    """A torch.nn.Linear for inference whose weights are bf16 or int8.

    >>> NarrowLinear(nn.Linear(256, 65), "int8")(torch.randn(8, 100, 256)).shape
    torch.Size([8, 100, 65])

    Args:
        layer: it has a bias, and float32 weights.
        kind: 'bf16' or 'int8'.

    Attributes:
        net: the network, which has no state.
    """

    def __init__(self, layer: nn.Linear, kind: str) -> None:
        super().__init__()
        self.net = Recurrent(LINEAR, x=layer.in_features, o=layer.out_features, weights=kind)
        self.net.load_state_dict(layer.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """The layer's values (..., out), of x (..., in)."""
        *lead, size = x.shape
        values: Tensor = self.net(x.reshape(1, x.numel() // size, size)).o
        return values.reshape(*lead, values.shape[-1])
