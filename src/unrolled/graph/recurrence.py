"""A recurrence: one step as a graph, and the values that the next step reads.

Unfolding, differentiating, drawing, planning and running all start from this value. ``circuits/`` makes it from a
user's equations, and ``transform/`` from other recurrences.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from .drawn import Distribution, distribution
from .node import TOKEN, Node, is_fixed, order
from .verify import verify


@dataclass(frozen=True, eq=False)
class Recurrence:
    """One step of a recurrent network.

    Attributes:
        inputs, states, parameters: leaves by name. A state leaf holds the state's value one step earlier. An input that
            is fixed in time has one value per sequence.
        returns: the values that the step returns, by name: the new value of each state, and the outputs.
        sums: values that are summed over all steps and over the batch: the gradients of parameters. Those of fixed
            inputs are summed over the steps of each sequence.
        labels: the names that the user gave to intermediate values.
        reverse: time runs backward; a state leaf then holds the state's value one step later.
        primal: for an adjoint, the recurrence that it was derived from.
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
        """The returned values that are not states."""
        return {name: node for name, node in self.returns.items() if name not in self.states}

    @cached_property
    def constants(self) -> tuple[str, ...]:
        """The parameters that are not trained."""
        return tuple(name for name, node in self.parameters.items() if dict(node.attrs).get("constant"))

    @cached_property
    def fixed(self) -> tuple[str, ...]:
        """The inputs that are fixed in time."""
        return tuple(name for name, node in self.inputs.items() if is_fixed(node))

    @cached_property
    def series(self) -> dict[str, Node]:
        """The inputs that have a value at each step."""
        return {name: node for name, node in self.inputs.items() if not is_fixed(node)}

    @cached_property
    def tokens(self) -> frozenset[str]:
        """The states that are tokens."""
        return frozenset(name for name, node in self.states.items() if node.type.kind == TOKEN)

    @cached_property
    def drawn(self) -> dict[str, Distribution]:
        """The inputs that are drawn at random, and their distributions."""
        found = {name: distribution(node) for name, node in self.inputs.items()}
        return {name: each for name, each in found.items() if each is not None}

    @property
    def leaves(self) -> dict[str, Node]:
        """All inputs, states and parameters."""
        return {**self.inputs, **self.states, **self.parameters}

    @cached_property
    def nodes(self) -> list[Node]:
        """All nodes, arguments before their users."""
        return order([*self.leaves.values(), *self.returns.values(), *self.sums.values()])
