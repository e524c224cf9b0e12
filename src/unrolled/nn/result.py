"""The results of a network for a batch of sequences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from ..engines.border import shape_of
from ..errors import InputError, did_you_mean
from ..sequence.container import container
from ..sequence.ragged import Ragged
from ..sequence.state import State, unpacking


class Hidden:
    """A method of dict that results do not have, so that a value of this name is an attribute like any other."""

    def __get__(self, instance: object, kind: type) -> Any:
        raise AttributeError


@container
class Named(dict[str, Any]):
    """Tensors by their names in the circuit, as attributes (``out.h``) and as items (``out["h"]``).

    A dict, because that is what torch and libraries around it look into.
    """

    clear = copy = fromkeys = pop = popitem = setdefault = update = Hidden()

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        hint = did_you_mean(name, self.keys()) or f"; it returns {', '.join(self.keys())}"
        raise AttributeError(f"the circuit does not return '{name}'{hint}")

    def __iter__(self) -> Iterator[str]:
        if unpacking():  # torch's layers give a tuple: out, state = layer(x)
            names = [*self.keys(), *(["state"] if isinstance(self, Step | Result) else [])]
            raise InputError(
                "a result cannot be unpacked, as in 'a, b = net(x)': it holds values by name. Write out = net(x), "
                f"then {', '.join(f'out.{n}' for n in names)}"
            )
        return super().__iter__()

    # tensors have no equality that a dict could use
    __eq__, __ne__, __hash__ = object.__eq__, object.__ne__, object.__hash__  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (dict(self.items()), *vars(self).values())

    def __repr__(self) -> str:
        shown = (f"{n}={v!r}" if isinstance(v, Ragged) else f"{n}={tuple(v.shape)}" for n, v in self.items())
        return f"{type(self).__name__}({', '.join(shown)})"


@container
class Step(Named):
    """The values of one step.

    >>> out = net.step(torch.randn(8, 65))
    >>> out.h.shape
    torch.Size([8, 256])

    Args:
        values: by name, (batch, size), or (batch,) for scalars.
        state: the state for the next step.
    """

    state: State

    def __init__(self, values: Mapping[str, Any], state: State) -> None:
        super().__init__(values)
        self.state = state


@container
class Result(Named):
    """The values of all steps.

    >>> out = net(torch.randn(8, 100, 65))
    >>> out.h.shape, out.last.h.shape
    (torch.Size([8, 100, 256]), torch.Size([8, 256]))

    Args:
        values: by name, (batch, time, size), or (batch, time) for scalars; Ragged if the inputs are.
        state: the state from which a following call continues.
    """

    state: State

    def __init__(self, values: Mapping[str, Any], state: State) -> None:
        super().__init__(values)
        self.state = state

    @property
    def last(self) -> Named:
        """The values at the last step of each sequence, by name: (batch, size), or (batch,) for scalars.

        Raises:
            InputError: a sequence has no steps.
        """
        return Named({n: v.last if isinstance(v, Ragged) else _last(v) for n, v in self.items()})


def _last(series: Tensor) -> Tensor:
    if not shape_of(series)[1]:
        raise InputError("the sequences have no steps, hence no last step. Their state is unchanged: out.state")
    return series[:, -1]
