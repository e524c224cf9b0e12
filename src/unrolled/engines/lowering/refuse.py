"""What no statement can express."""

from __future__ import annotations

from ...graph.node import TOKEN
from .schedule import ENTRYWISE, IN_PLACE, Schedule

REDUCTIONS = ("sum", "mean", "max", "min", "logsumexp", "softmax", "cumsum")
STATED = ENTRYWISE.union(IN_PLACE, REDUCTIONS, ("matvec", "concat", "pick", "onehot"))
OF_TOKENS = ("take", "pick", "onehot")


class Refused(Exception):
    """A pass cannot be lowered. The message names the operation that no statement can express."""


def check(made: Schedule) -> None:
    """Raise Refused if no statement can express something that a pass computes."""
    tables = {n.args[0] for n in made.nodes if n.op == "take"}
    for n in made.nodes:
        if len(n.type.dims) > 1:
            raise Refused(f"a step computes a matrix ('{n.op}')")
        if n.op not in STATED:
            raise Refused(f"a step has '{n.op}' of {' and '.join(f'a {a.type}' for a in n.args) or 'nothing'}")
        if n.op == "take" and n.args[0] not in made.fixed:
            raise Refused("a step takes a row of a matrix that changes from step to step")
    for n in made.matrices:
        if n in made.moving or n in made.nodes or n in made.previous:
            raise Refused("a step multiplies by a matrix that changes from step to step")
    for n in (*made.fixed, *made.moving, *made.previous):
        if len(n.type.dims) > 1 and n not in tables:
            raise Refused(f"a step has a {n.type} other than in a product")
    for n in made.states:
        if len(n.type.dims) > 1:
            raise Refused(f"state '{n['name']}' is a matrix")
    for n in made.nodes:
        if any(a.type.kind == TOKEN for a in n.args) and n.op not in OF_TOKENS:
            raise Refused(f"a step has '{n.op}' of a token")
