"""What an engine is given, and what it gives."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout


class Call(NamedTuple):
    """One recurrence to be run over a batch of sequences.

    parameters: by name. inputs: series (rows, size), tokens (rows,), one row for each step of each sequence.
    state: (sequences, size).
    """

    recurrence: Recurrence
    sizes: dict[str, int]
    parameters: dict[str, Tensor]
    inputs: dict[str, Tensor]
    state: dict[str, Tensor]
    layout: Layout
    like: Tensor  # has the dtype and device of every new tensor

    @property
    def leaves(self) -> dict[str, Tensor]:
        return {**self.inputs, **self.state, **self.parameters}


Kept = list[dict[Any, Tensor]]  # what the backward pass will want


class Engine(Protocol):
    """Runs calls. Engines differ in speed only: ``reference`` says what is right."""

    @property
    def name(self) -> str: ...

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        """Every returned value as a series (rows, size), (rows, 1) for scalars; with ``keep`` also what the backward
        pass will want."""
        ...

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        """The gradients of the wanted leaves, from those of some returned values."""
        ...
