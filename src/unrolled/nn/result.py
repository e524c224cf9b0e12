"""The results of a network for a batch of sequences."""

from __future__ import annotations

import dis
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from ..engines.border import shape_of
from ..errors import InputError, did_you_mean
from ..sequence.ragged import Ragged
from ..sequence.state import State

UNPACK = dis.opmap["UNPACK_SEQUENCE"]


class Named(Mapping[str, Any]):
    """Tensors by their names in the circuit, as attributes (``out.h``) and as items (``out["h"]``)."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = dict(values)

    def __getattr__(self, name: str) -> Any:
        values: dict[str, Any] = self.__dict__.get("_values", {})
        if name in values:
            return values[name]
        hint = did_you_mean(name, values) or f"; it returns {', '.join(values)}"
        raise AttributeError(f"the circuit does not return '{name}'{hint}")

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        caller = sys._getframe(1)
        if caller.f_code.co_code[caller.f_lasti] == UNPACK:  # torch's layers give a tuple: out, state = layer(x)
            given = ", ".join(f"out.{n}" for n in self._values)
            raise InputError(
                f"a result cannot be unpacked, as in 'a, b = net(x)': it holds values by name. Write out = net(x), "
                f"then {given} and out.state"
            )
        return iter(self._values)

    __eq__, __hash__ = object.__eq__, object.__hash__  # tensors have no equality that a mapping could use

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shown = (f"{n}={v!r}" if isinstance(v, Ragged) else f"{n}={tuple(v.shape)}" for n, v in self._values.items())
        return f"{type(self).__name__}({', '.join(shown)})"


class Step(Named):
    """The values of one step.

    >>> out = net.step(torch.randn(8, 65))
    >>> out.h.shape
    torch.Size([8, 256])

    Args:
        values: by name, (batch, size), or (batch,) for scalars.
        state: the state for the next step.
    """

    def __init__(self, values: Mapping[str, Any], state: State) -> None:
        super().__init__(values)
        self.state = state


class Result(Named):
    """The values of all steps.

    >>> out = net(torch.randn(8, 100, 65))
    >>> out.h.shape, out.last.h.shape
    (torch.Size([8, 100, 256]), torch.Size([8, 256]))

    Args:
        values: by name, (batch, time, size), or (batch, time) for scalars; Ragged if the inputs are.
        state: the state from which a following call continues.
    """

    def __init__(self, values: Mapping[str, Any], state: State) -> None:
        super().__init__(values)
        self.state = state

    @property
    def last(self) -> Named:
        """The values at the last step of each sequence, by name: (batch, size), or (batch,) for scalars.

        Raises:
            InputError: a sequence has no steps.
        """
        return Named({n: v.last if isinstance(v, Ragged) else _last(v) for n, v in self._values.items()})


def _last(series: Tensor) -> Tensor:
    if not shape_of(series)[1]:
        raise InputError("the sequences have no steps, hence no last step. Their state is unchanged: out.state")
    return series[:, -1]
