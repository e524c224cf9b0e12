"""The contract of a recurrence, checked whenever one is made: after tracing and after every transformation.

- Every node is a leaf of the recurrence, or an op of the closed set whose arguments keep the contract.
- Every node has the type that the op's rule computes from its arguments.
- The new value of a state has the type of the state.
- Inputs are vectors, matrices or tokens. States may also be scalars; parameters are anything but tokens. All of them
  are leaves under their own name. An input that replaces a state (teacher forcing) has the type of that state, and its
  mask is a scalar; one that is fixed in time may be a scalar, too.
- Names are unique among inputs, states and parameters.
- An adjoint may also use any node of its primal: the value that the node had at the same step.

Nodes cannot form a cycle: the arguments of a node exist before the node does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import GraphError
from .node import REAL, TOKEN, Node, is_fixed, order
from .ops import LEAVES, OPS, make

if TYPE_CHECKING:
    from .recurrence import Recurrence


def verify(recurrence: Recurrence) -> None:
    """Check the contract.

    Raises:
        GraphError: the first rule that is broken.
    """
    groups = {"input": recurrence.inputs, "state": recurrence.states, "parameter": recurrence.parameters}
    leaves: dict[Node, str] = {}
    for kind, group in groups.items():
        for name, node in group.items():
            if node.op != kind or node["name"] != name:
                raise GraphError(f"'{name}' is listed under {kind}, but it is {node!r}")
            if node in leaves or name in leaves.values():
                raise GraphError(f"two leaves are called '{name}'")
            leaves[node] = name
            delayed = kind == "input" and "delayed" in dict(node.attrs)
            free = delayed or is_fixed(node) or recurrence.primal
            scalar = not node.type.dims and kind == "input" and not free
            if node.type.kind not in (REAL, TOKEN) or scalar:
                raise GraphError(f"{kind} '{name}' cannot be a {node.type}")
    for name, leaf in recurrence.states.items():
        new = recurrence.returns.get(name)
        if new is None:
            raise GraphError(f"state '{name}' is not returned")
        if new.type != leaf.type:
            raise GraphError(f"state '{name}' is a {leaf.type}, but its new value is a {new.type}")
    primal = recurrence.primal.nodes if recurrence.primal else ()
    for node in order([*recurrence.returns.values(), *recurrence.sums.values()], known=primal):
        if node.op in LEAVES:
            if node not in leaves:
                raise GraphError(f"{node!r} is not a leaf of '{recurrence.name}'")
        elif node.op not in OPS:
            raise GraphError(f"'{node.op}' is not an operation")
        elif make(node.op, *node.args, **dict(node.attrs)) is not node:
            raise GraphError(f"{node!r} does not have the type that its rule computes")
