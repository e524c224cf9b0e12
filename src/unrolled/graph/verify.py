"""The contract of a recurrence, checked whenever one is made: after tracing and after every transformation.

- every node is a leaf of the recurrence, or an op of the closed set applied to nodes that keep the contract;
- every node's type is what the op's rule gives for its arguments;
- a state's new value has the type of the state;
- inputs hold vectors or tokens, states vectors or scalars, parameters anything but tokens, all of them leaves under
  their own name; what is fed in the place of a state is an input like it;
- names are unique over inputs, states and parameters;
- an adjoint may also use any node of its primal: the value that it had at the same step.

Nodes cannot form a cycle: a node's arguments exist before it does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import GraphError
from .node import REAL, TOKEN, Node, order
from .ops import LEAVES, OPS, make

if TYPE_CHECKING:
    from .recurrence import Recurrence


def verify(recurrence: Recurrence) -> None:
    """Raise GraphError with the first broken line of the contract."""
    groups = {"input": recurrence.inputs, "state": recurrence.states, "parameter": recurrence.parameters}
    leaves: dict[Node, str] = {}
    for kind, group in groups.items():
        for name, node in group.items():
            if node.op != kind or node["name"] != name:
                raise GraphError(f"'{name}' is listed as {kind} but is {node!r}")
            if node in leaves or name in leaves.values():
                raise GraphError(f"two leaves are called '{name}'")
            leaves[node] = name
            delayed = kind == "input" and "delayed" in dict(node.attrs)
            ranks = (
                (0, 1, 2)
                if kind == "parameter" or recurrence.primal
                else (0, 1)
                if kind == "state" or delayed
                else (1,)
            )
            if node.type.kind not in (REAL, TOKEN) or len(node.type.dims) not in ranks:
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
                raise GraphError(f"{node!r} is no leaf of '{recurrence.name}'")
        elif node.op not in OPS:
            raise GraphError(f"'{node.op}' is no operation")
        elif make(node.op, *node.args, **dict(node.attrs)) is not node:
            raise GraphError(f"{node!r} is not typed by its rule")
