"""What a network gives for a batch of sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from ..engines.border import shape_of
from ..errors import InputError, did_you_mean
from ..sequence.ragged import Ragged
from ..sequence.state import State


class Named:
    """Tensors by the names that they have in the circuit."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        hint = did_you_mean(name, values) or f"; there is {', '.join(values)}"
        raise AttributeError(f"the circuit returns no '{name}'{hint}")

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __repr__(self) -> str:
        shown = (f"{n}={v!r}" if isinstance(v, Ragged) else f"{n}={tuple(v.shape)}" for n, v in self._values.items())
        return f"{type(self).__name__}({', '.join(shown)})"


class Step(Named):
    """The values of one step, each (batch, size), (batch,) for scalars; ``state`` is what the next step needs."""

    def __init__(self, values: Mapping[str, Any], state: State) -> None:
        super().__init__(values)
        self.state = state


class Result(Named):
    """The values of every step, each (batch, time, size), (batch, time) for scalars.

    ``last``: those of the last step (batch, size). ``state``: what a following call needs to go on.
    """

    def __init__(self, values: Mapping[str, Any], state: State) -> None:
        super().__init__(values)
        self.state = state

    @property
    def last(self) -> Named:
        return Named({n: v.last if isinstance(v, Ragged) else _last(v) for n, v in self._values.items()})


def _last(series: Tensor) -> Tensor:
    if not shape_of(series)[1]:
        raise InputError("a sequence without steps has no last step. Its state is unchanged: out.state")
    return series[:, -1]
