"""How parameters start. An initialiser fills a tensor in place; a circuit names one per parameter."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Initialiser = Callable[["Tensor"], object]


def default(parameter: Tensor) -> None:
    """Matrices: Glorot and Bengio (2010), eq. 16. Vectors: zero."""
    if parameter.ndim == 2:
        glorot()(parameter)
    else:
        constant(0.0)(parameter)


def glorot(gates: int = 1) -> Initialiser:
    """Uniform in ±sqrt(6 / (rows + columns)) of each gate's block (Glorot and Bengio 2010, eq. 16)."""
    from_torch = _nn("xavier_uniform_")
    return lambda p: [from_torch(block) for block in p.chunk(gates)]


def orthogonal(gates: int = 1) -> Initialiser:
    """Each gate's square block orthogonal, so that repeated products keep lengths (Saxe et al. 2014)."""
    from_torch = _nn("orthogonal_")

    def fill(p: Tensor) -> None:
        for block in p.chunk(gates):
            exact = block.double()  # torch finds no orthogonal matrices in half precision
            from_torch(exact)
            block.copy_(exact)

    return fill


def identity(scale: float = 1.0) -> Initialiser:
    """scale times the identity (Le et al. 2015)."""
    eye = _nn("eye_")

    def fill(p: Tensor) -> None:
        eye(p)
        p.mul_(scale)

    return fill


def uniform(low: float, high: float) -> Initialiser:
    """Uniform between two bounds."""
    return lambda p: p.uniform_(low, high)


def constant(value: float) -> Initialiser:
    """The same value everywhere."""
    return lambda p: p.fill_(value)


def gate(index: int, of: int, value: float) -> Initialiser:
    """Zero, but ``value`` for one gate of a stacked bias: gate(1, of=4, value=1.0) is the forget bias 1 of an
    LSTM with gates i f g o (Jozefowicz et al. 2015)."""

    def fill(p: Tensor) -> None:
        p.zero_()
        p.chunk(of)[index].fill_(value)

    return fill


def _nn(name: str) -> Callable[[Tensor], object]:
    def fill(p: Tensor) -> object:
        from torch.nn import init

        return getattr(init, name)(p)

    return fill
