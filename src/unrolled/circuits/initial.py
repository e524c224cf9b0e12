"""Starting values of parameters: an initialiser, which fills a tensor in place, or an array, for each parameter."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import CircuitError

if TYPE_CHECKING:
    from torch import Tensor

Initialiser = Callable[["Tensor"], object]
Start = Any  # an initialiser, a tensor, a numpy array, nested lists


def is_start(value: object) -> bool:
    """Whether the value is an initialiser or looks like an array."""
    return callable(value) or isinstance(value, (list, tuple)) or hasattr(value, "__array__")


def kept(start: Start) -> Start:
    """A copy of an array, so that the user may change the original; an initialiser unchanged."""
    if callable(start):
        return start
    return start.detach().clone() if hasattr(start, "detach") else deepcopy(start)


def fill(parameter: Tensor, array: object, of: str) -> None:
    """Copy the numbers of an array into a parameter (rows, columns), (size,) or (1,).

    Args:
        parameter: the tensor to fill.
        array: a tensor, numpy array or nested lists of the same shape.
        of: the name of the parameter, for messages.

    Raises:
        CircuitError: the array has another shape, or does not hold real numbers.
    """
    import torch

    try:
        given = torch.as_tensor(array)
    except (TypeError, ValueError, RuntimeError) as problem:
        raise CircuitError(f"the starting value of {of} must be an array of real numbers: {problem}") from None
    if given.is_complex():
        raise CircuitError(f"the starting value of {of} must be an array of real numbers, got {given.dtype}")
    if given.shape != parameter.shape:
        raise CircuitError(
            f"{of} has shape {tuple(parameter.shape)} for these sizes, but its starting value has shape "
            f"{tuple(given.shape)}. Change the sizes or the array"
        )
    parameter.copy_(given.to_dense())


def default(parameter: Tensor) -> None:
    """The default initialiser. Matrices (rows, columns): Glorot and Bengio (2010), eq. 16. Vectors (size,): zero."""
    if parameter.ndim == 2:
        _glorot(parameter, 1)
    else:
        parameter.zero_()


def glorot(gates: int = 1) -> Initialiser:
    """Uniform in ±sqrt(6 / (rows + columns)), for the block of each gate (Glorot and Bengio 2010, eq. 16)."""
    return partial(_glorot, gates=gates)


def orthogonal(gates: int = 1) -> Initialiser:
    """An orthogonal block for each gate, so that repeated products preserve lengths (Saxe et al. 2014)."""
    return partial(_orthogonal, gates=gates)


def identity(scale: float = 1.0) -> Initialiser:
    """The identity matrix times ``scale`` (Le et al. 2015)."""
    return partial(_identity, scale=scale)


def uniform(low: float, high: float) -> Initialiser:
    """Uniform between two bounds."""
    return partial(_uniform, low=low, high=high)


def constant(value: float) -> Initialiser:
    """The same value in every entry."""
    return partial(_constant, value=value)


def gate(index: int, of: int, value: float) -> Initialiser:
    """Zero everywhere except for one gate of a stacked bias, which gets ``value``: gate(1, of=4, value=1.0) sets the
    forget bias of an LSTM with gates i f g o to 1 (Jozefowicz et al. 2015)."""
    return partial(_gate, index=index, of=of, value=value)


# These are functions of the module, not closures, because closures cannot be pickled.


def _glorot(p: Tensor, gates: int) -> None:
    from torch.nn.init import xavier_uniform_

    for block in p.chunk(gates):
        xavier_uniform_(block)


def _orthogonal(p: Tensor, gates: int) -> None:
    from torch.nn.init import orthogonal_

    for block in p.chunk(gates):
        exact = block.double()  # torch finds no orthogonal matrices in half precision
        orthogonal_(exact)
        block.copy_(exact)


def _identity(p: Tensor, scale: float) -> None:
    from torch.nn.init import eye_

    eye_(p)
    p.mul_(scale)


def _uniform(p: Tensor, low: float, high: float) -> None:
    p.uniform_(low, high)


def _constant(p: Tensor, value: float) -> None:
    p.fill_(value)


def _gate(p: Tensor, index: int, of: int, value: float) -> None:
    p.zero_()
    p.chunk(of)[index].fill_(value)


# pickling

Packed = dict[str, tuple[str, bytes]]  # for each parameter: the name of its initialiser, and its pickle or b""


@dataclass(frozen=True)
class Lost:
    """Replaces an initialiser that could not be pickled or loaded. Raises an error when it is called, because another
    initialiser would silently change the starting values."""

    name: str
    called: str

    def __call__(self, parameter: Tensor) -> NoReturn:
        raise CircuitError(
            f"parameter '{self.name}' has no initialiser: the pickled circuit did not include its function "
            f"({self.called}). Set one, for example circuit.init['{self.name}'] = orthogonal()"
        )


def packed(init: Mapping[str, Start]) -> Packed:
    """The initialisers as bytes; empty for one that cannot be pickled, such as a lambda."""
    found: Packed = {}
    for name, initialiser in init.items():
        called = getattr(initialiser, "__qualname__", type(initialiser).__name__)
        try:
            found[name] = called, pickle.dumps(initialiser)
        except Exception:  # what pickle raises depends on the object
            found[name] = called, b""
    return found


def unpacked(init: Packed) -> dict[str, Start]:
    """The initialisers that ``packed`` stored; ``Lost`` for each one that cannot be loaded."""
    found: dict[str, Start] = {}
    for name, (called, content) in init.items():
        try:
            found[name] = pickle.loads(content)
        except Exception:  # its module may not be here
            found[name] = Lost(name, called)
    return found
