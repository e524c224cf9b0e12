"""A recurrence: one step as a graph, and which of its values return to it a step later.

This is the value that every room reads: unfolding, differentiating, drawing, planning, running. It is made from
a user's equations by ``circuits/``, and from other recurrences by ``transform/``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .node import Node, order
from .verify import verify

RESERVED = ("state", "given", "steps", "last", "batch")  # words of calls and results: no value can have such a name


@dataclass(frozen=True, eq=False)
class Recurrence:
    """One step of a recurrent network.

    inputs, states, parameters: leaves by name. A state leaf holds the value one step earlier.
    returns: what the step gives, by name; for each state its new value, for any other name an output.
    sums: values added up over all steps (and over the batch): the gradients of parameters.
    labels: names of intermediate values, for people.
    reverse: time runs backward; a state leaf then holds the value one step later.
    primal: for an adjoint, the recurrence it was derived from.
    """

    name: str
    inputs: Mapping[str, Node]
    states: Mapping[str, Node]
    parameters: Mapping[str, Node]
    returns: Mapping[str, Node]
    sums: Mapping[str, Node] = field(default_factory=dict)
    labels: Mapping[Node, str] = field(default_factory=dict)
    reverse: bool = False
    primal: Recurrence | None = None

    def __post_init__(self) -> None:
        verify(self)

    @property
    def outputs(self) -> dict[str, Node]:
        """What is returned and is no state."""
        return {name: node for name, node in self.returns.items() if name not in self.states}

    @cached_property
    def constants(self) -> tuple[str, ...]:
        """The parameters that are not trained."""
        return tuple(name for name, node in self.parameters.items() if dict(node.attrs).get("constant"))

    @property
    def leaves(self) -> dict[str, Node]:
        return {**self.inputs, **self.states, **self.parameters}

    @cached_property
    def nodes(self) -> list[Node]:
        """All nodes, arguments before users."""
        return order([*self.leaves.values(), *self.returns.values(), *self.sums.values()])
