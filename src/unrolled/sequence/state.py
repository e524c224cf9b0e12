"""State: the values that a recurrent network carries from one call to the next."""

from __future__ import annotations

import dis
import sys
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from typing import Self

import torch
from torch import Tensor
from torch.compiler import is_compiling

from ..errors import InputError
from .container import container

UNPACK = dis.opmap["UNPACK_SEQUENCE"], dis.opmap["UNPACK_EX"]


def unpacking() -> bool:
    """Whether an ``__iter__`` that asks was called by an assignment to several variables: ``a, b = value``."""
    if is_compiling():
        return False
    frame = sys._getframe(2)
    return frame.f_code.co_code[frame.f_lasti] in UNPACK


@container
class State(Mapping[str, Tensor]):
    """The values of a network's states for a batch of sequences.

    >>> state = State(h=torch.zeros(8, 128), c=torch.zeros(8, 128))
    >>> state.h.shape
    torch.Size([8, 128])

    Pass a state to a network and get the new one from its result; modules hold none. A state that is not named starts
    at zero.

    Args:
        values: by name, each (batch, size), (batch,) for a scalar, or (batch, rows, columns) for a matrix.

    Raises:
        InputError: a value is not such a tensor, or batch sizes differ.
    """

    _values: dict[str, Tensor]

    def __init__(self, **values: Tensor) -> None:
        batches = {n: v.shape[0] for n, v in values.items() if isinstance(v, Tensor) and v.ndim in (1, 2, 3)}
        for name, value in values.items():
            if name not in batches:
                shape = f"the shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
                raise InputError(
                    f"state '{name}' must be a tensor (batch, size), (batch,) if it is a scalar, or (batch, rows, "
                    f"columns) if it is a matrix; got {shape}"
                )
        first, *others = batches.values() or [0]
        if any(batch != first for batch in others):  # no set, since torch.export has symbols
            raise InputError(f"all states must have the same batch size, got {batches}")
        self._values = values

    @classmethod
    def of(cls, values: dict[str, Tensor]) -> Self:
        """A state from values (batch, size) that are known to be valid; not checked again."""
        state = cls.__new__(cls)
        state._values = values
        return state

    def __getitem__(self, name: str) -> Tensor:
        return self._values[name]

    def __getattr__(self, name: str) -> Tensor:
        values = self.__dict__.get("_values", {})
        if name in values:
            value: Tensor = values[name]
            return value
        raise AttributeError(f"the state has no '{name}'. Its names are: {', '.join(values) or 'none'}")

    def __iter__(self) -> Iterator[str]:
        if unpacking():
            shown = ", ".join(f"state.{n}" for n in self._values)
            raise InputError(
                f"a state cannot be unpacked, as in 'h, c = state': it holds values by name. Write {shown}"
            )
        return iter(self._values)

    __eq__, __hash__ = object.__eq__, object.__hash__  # tensors have no equality that a mapping could use

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._values.keys()

    def items(self) -> ItemsView[str, Tensor]:
        """The names and values, each value (batch, size), or (batch,) for a scalar."""
        return self._values.items()

    def values(self) -> ValuesView[Tensor]:
        """The values, each (batch, size), or (batch,) for a scalar."""
        return self._values.values()

    def __len__(self) -> int:
        return len(self._values)

    def _each(self, function: Callable[[Tensor], Tensor]) -> State:
        return State(**{n: function(v) for n, v in self._values.items()})

    def detach(self) -> State:
        """The same values, detached from the gradient, as truncated back-propagation needs between segments."""
        return self._each(lambda v: v.detach())

    def select(self, rows: Tensor | list[int]) -> State:
        """The states of some rows of the batch, in the given order.

        >>> State(h=torch.zeros(8, 128)).select([5, 0])
        State(h=(2, 128))

        Args:
            rows: indices (k,), or a boolean mask (batch,).
        """
        index = torch.as_tensor(rows)
        return self._each(lambda v: v[index.to(v.device)])

    def reset(self, mask: Tensor) -> State:
        """The states with zeros in the rows where a new sequence begins; no gradient flows into those rows.

        Args:
            mask: booleans (batch,), true where a new sequence begins.

        Raises:
            InputError: the mask is not a boolean tensor (batch,).
        """
        batch = next(iter(self._values.values())).shape[0] if self._values else 0
        if not isinstance(mask, Tensor) or mask.dtype != torch.bool or mask.shape != (batch,):
            given = f"{mask.dtype} {tuple(mask.shape)}" if isinstance(mask, Tensor) else type(mask).__name__
            raise InputError(f"reset takes a boolean tensor of shape ({batch},), got {given}")
        return self._each(
            lambda v: torch.where(mask.to(v.device).view(-1, *[1] * (v.ndim - 1)), torch.zeros_like(v), v)
        )

    def to(self, *args: object, **kwargs: object) -> State:
        """The states moved or converted as by ``Tensor.to``."""
        return self._each(lambda v: v.to(*args, **kwargs))  # type: ignore[call-overload]

    def __repr__(self) -> str:
        return f"State({', '.join(f'{n}={tuple(v.shape)}' for n, v in self._values.items())})"
