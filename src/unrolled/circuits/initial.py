"""How parameters start: by an initialiser, which fills a tensor in place, or as an array; a circuit names one per
parameter."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from ..errors import CircuitError

if TYPE_CHECKING:
    from torch import Tensor

Initialiser = Callable[["Tensor"], object]
Start = Any  # an initialiser, a tensor, a numpy array, nested lists


def is_start(value: object) -> bool:
    """Whether it is an initialiser or looks like an array."""
    return callable(value) or isinstance(value, (list, tuple)) or hasattr(value, "__array__")


def kept(start: Start) -> Start:
    """A copy of an array, so that it may change; an initialiser as it is."""
    if callable(start):
        return start
    return start.detach().clone() if hasattr(start, "detach") else deepcopy(start)


def fill(parameter: Tensor, array: object, of: str) -> None:
    """Copy the numbers of an array.

    Raises:
        CircuitError: an array of another shape, or of something else than real numbers.
    """
    import torch

    try:
        given = torch.as_tensor(array)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise CircuitError(f"{of} starts as an array of real numbers, got {problem}") from None
    if given.is_complex():
        raise CircuitError(f"{of} starts as an array of real numbers, got complex ones")
    if given.shape != parameter.shape:
        raise CircuitError(
            f"{of} has the shape {tuple(parameter.shape)} for these sizes, but its array has the shape "
            f"{tuple(given.shape)}. Choose other sizes, or another array"
        )
    parameter.copy_(given.to_dense())


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
