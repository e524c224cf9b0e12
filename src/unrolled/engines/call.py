"""The interface of engines: a call, and what an engine does with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from torch import Tensor

from ..graph.recurrence import Recurrence
from ..sequence.layout import Layout
from ..sequence.rounding import Narrow


class Call(NamedTuple):
    """A recurrence to run over a batch of sequences.

    Attributes:
        recurrence: the step.
        sizes: all sizes by name.
        parameters: by name.
        inputs: series by name: vectors (rows, size), matrices (rows, m, n) or tokens (rows,), with one row per step of
            each sequence. Those that are fixed in time have one per sequence instead: (sequences, ...).
        state: the initial states by name, (sequences, size) or (sequences, m, n).
        layout: which rows belong to which sequence.
        like: a tensor with the dtype and device of every new tensor.
        narrow: the other parameters by name: matrices of narrow numbers, which only engine ``c`` reads.
    """

    recurrence: Recurrence
    sizes: dict[str, int]
    parameters: dict[str, Tensor]
    inputs: dict[str, Tensor]
    state: dict[str, Tensor]
    layout: Layout
    like: Tensor
    narrow: Mapping[str, Narrow] = MappingProxyType({})

    @property
    def leaves(self) -> dict[str, Tensor]:
        """Inputs, initial states and parameters by name."""
        return {**self.inputs, **self.state, **self.parameters}

    def values(self, names: Iterable[str]) -> dict[str, Tensor]:
        """Some parameters by name, narrow ones as float32."""
        given = self.parameters
        return {n: given[n] if n in given else self.narrow[n].wide() for n in names}


Kept = list[dict[Any, Tensor]]  # values stored for the backward pass


class Engine(Protocol):
    """Runs calls. All engines give the same results as ``reference``; they differ only in speed."""

    @property
    def name(self) -> str:
        """The name of the engine."""
        ...

    def forward(self, call: Call, keep: bool) -> tuple[dict[str, Tensor], Kept]:
        """Run forward.

        Returns:
            every returned value by name, as a series (rows, size), (rows, 1) for scalars; and, with ``keep``, the
            values that the backward pass needs.
        """
        ...

    def backward(self, call: Call, kept: Kept, grads: dict[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
        """Run backward.

        Args:
            call: the call.
            kept: what ``forward`` stored.
            grads: the gradients of the loss with respect to some returned values, by name, (rows, size).
            wanted: the names of the leaves whose gradients are requested.

        Returns:
            their gradients by name, in their own shapes.
        """
        ...
