"""Gradients of parameters at each step, before they are summed over time and batch.

Wherever a parameter is used, an input z of zeros is added: (b + z), or (W x + z). The gradient of z is the contribution
of each step to the gradient of b. For W, the contribution is the outer product of ∇z and x. With these, one pass over a
batch gives the gradients of each sequence separately.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from ..graph.node import Node, leaf, rewrite, vector
from ..graph.ops import make
from ..graph.recurrence import Recurrence
from ..graph.size import Size
from .unfold import same_op


@dataclass(frozen=True)
class Entry:
    """One use of a parameter.

    Attributes:
        parameter: the name of the parameter.
        added: the input of zeros that is added there.
        by: the returned value by which the gradient of ``added`` is multiplied, or the token input for a table; empty
            if there is none.
        op: the operation; empty for a sum.
        turned: the parameter is transposed there.
    """

    parameter: str
    added: str
    by: str = ""
    op: str = ""
    turned: bool = False


@dataclass(frozen=True, eq=False)
class PerStep:
    """The recurrence with the added inputs, and the use of a parameter that each of them belongs to."""

    recurrence: Recurrence
    entries: tuple[Entry, ...]


@lru_cache(maxsize=256)
def per_step(recurrence: Recurrence, parameters: tuple[str, ...]) -> PerStep | None:
    """The step with an input of zeros at every use of one of the parameters. None if a matrix is used in any other way
    than in a matrix-vector product, or as a table of the tokens of an input."""
    names = {recurrence.parameters[n]: n for n in parameters}
    matrices = {p for p in names if len(p.type.dims) == 2}
    if not all(_known(node, matrices) for node in recurrence.nodes) or not matrices.isdisjoint(
        recurrence.returns.values()
    ):
        return None
    added, seen, entries = dict[str, Node](), dict[str, Node](), list[Entry]()

    def zeros(like: Node) -> Node:
        """A new input with the type of ``like``."""
        name = f"added {len(added)}"
        added[name] = leaf("input", vector(like.type.dims[0] if like.type.dims else Size.of(1)), name=name)
        return added[name] if like.type.dims else make("sum", added[name])

    replace = {x: x for x in recurrence.leaves.values()}
    for p, name in names.items():
        if p not in matrices:
            replace[p] = make("add", p, zeros(p))
            entries.append(Entry(name, list(added)[-1]))

    def build(node: Node, args: tuple[Node, ...]) -> Node:
        again, matrix = same_op(node, args), node.args[0]
        turned = matrix.op == "transpose"
        p = matrix.args[0] if turned else matrix
        if node.op not in ("matvec", "take") or p not in matrices:
            return again
        total = make("add", again, zeros(again))
        by = args[1]["name"] if node.op == "take" else f"factor {len(seen)}"
        if node.op == "matvec":
            seen[by] = args[1]
        entries.append(Entry(names[p], list(added)[-1], by, node.op, turned))
        return total

    done = rewrite(recurrence.returns.values(), replace, build)
    returns = {n: done[node] for n, node in recurrence.returns.items()}
    inputs = {**recurrence.inputs, **added}
    made = Recurrence(recurrence.name, inputs, recurrence.states, recurrence.parameters, {**returns, **seen})
    return PerStep(made, tuple(entries))


def _known(node: Node, matrices: set[Node]) -> bool:
    """Whether the gradients of the matrices that this node uses can be separated by steps."""
    for k, arg in enumerate(node.args):
        turned = arg.op == "transpose" and arg.args[0] in matrices
        if arg in matrices and not (k == 0 and node.op in ("matvec", "take")) and node.op != "transpose":
            return False
        if turned and not (k == 0 and node.op == "matvec"):
            return False
        if arg in matrices and node.op == "take" and node.args[1].op != "input":
            return False
    return True
