"""The call of an operator (``operator.py``): from its arguments to an engine, with the checks of a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor

from ..engines.call import Call, Engine
from ..engines.registry import choose
from ..sequence.ragged import Ragged
from ..sequence.state import State
from .calls import call_of_sequences, call_of_step
from .description import STATES, STEP, Description
from .incoming import checked_parameters
from .memory import Store

Tensors = dict[str, Tensor]


class Made(NamedTuple):
    """A call, the engine that runs it, and for states that are given from outside the values after the last steps."""

    about: Description
    engine: Engine
    call: Call
    ends: Tensors

    @property
    def keeps(self) -> bool:
        """Whether the forward pass gives what it keeps to the backward pass, which otherwise computes it again."""
        return self.about.plain and isinstance(self.about.memory, Store)

    @staticmethod
    def of(
        tensors: Sequence[Tensor], lengths: Sequence[Tensor], reset: Tensor | None, steps: int | None, text: str
    ) -> Made:
        about = Description.of(text)
        check, parameters, inputs, given, state = about.parted(tensors)
        checked = checked_parameters(parameters, about.shapes)
        start = State(**state) if state else None
        ends: Tensors = {}
        if about.kind == STEP:
            call = call_of_step(check, about.bound, checked, inputs, start)
        else:
            each = iter(lengths)
            fixed = about.circuit.recurrence.fixed
            series = {n: x if n in fixed else _series(x, each) for n, x in inputs.items()}
            fed = {n: _series(x, each) for n, x in given.items()}
            again = None if reset is None else _series(reset, each)
            only = about.kind == STATES
            arguments = about.bound, checked, series, start, fed, again, steps, only
            call, forced = call_of_sequences(check, *arguments)
            ends = forced.ends(about.circuit.recurrence, {})
        engine, _ = choose(about.engine, about.circuit.recurrence, call.like.device.type, call.like.dtype)
        return Made(about, about.memory.around(engine, call), call, ends)

    def in_order(self, ends: Mapping[str, Tensor]) -> list[Tensor]:
        """The states after the last steps, in the order of the circuit; none for one step."""
        return [] if self.about.kind == STEP else [ends[n] for n in self.about.circuit.states]


def _series(values: Tensor, lengths: Iterable[Tensor]) -> Tensor | Ragged:
    own = next(iter(lengths), None)
    return values if own is None else Ragged(values=values, lengths=own)
