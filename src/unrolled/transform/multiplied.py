"""The parameters of a recurrence that it multiplies vectors by."""

from __future__ import annotations

from ..graph.node import Node
from ..graph.recurrence import Recurrence


def multiplied(recurrence: Recurrence) -> tuple[str, ...]:
    """The names of the matrices W, in the order of the parameters, of products W @ v and W.T @ v with a vector.

    >>> multiplied(cells.lstm.recurrence)
    ('U', 'W')
    """
    found = {_parameter(n.args[0]) for n in recurrence.nodes if n.op == "matvec"}
    return tuple(n for n in recurrence.parameters if n in found)


def _parameter(matrix: Node) -> str | None:
    """The name of the parameter that a matrix is, or is the transpose of."""
    matrix = matrix.args[0] if matrix.op == "transpose" else matrix
    return matrix["name"] if matrix.op == "parameter" else None
