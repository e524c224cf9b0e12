"""What no statement can express."""

from __future__ import annotations

from ...graph.node import TOKEN
from .schedule import ENTRYWISE, IN_PLACE, Schedule

REDUCTIONS = ("sum", "mean", "max", "min", "argmax", "logsumexp", "softmax", "cumsum")
STATED = ENTRYWISE.union(IN_PLACE, REDUCTIONS, ("matvec", "concat", "pick", "onehot", "choose"))
OF_TOKENS = ("take", "pick", "onehot", "choose")


class Refused(Exception):
    """A pass cannot be lowered. The message names the operation that no statement can express."""


def check(made: Schedule) -> None:
    """Raise Refused if no statement can express something that a pass computes."""
    for n in made.nodes:
        if n.op not in STATED:
            raise Refused(f"a step has '{n.op}' of {' and '.join(f'a {a.type}' for a in n.args) or 'nothing'}")
        if n.op == "take" and n.args[0] not in made.fixed:
            raise Refused("a step takes a row of a matrix that changes from step to step")
    turned = {n for n in made.nodes if n.op == "transpose"}
    elsewhere = {a for n in made.nodes for a in n.args[n.op == "matvec" :]}.union(made.keep, made.new)
    if not turned.isdisjoint(elsewhere):
        raise Refused("a step uses the transpose of a matrix other than in a product with a vector")
    for n in made.nodes:
        if any(a.type.kind == TOKEN for a in n.args) and n.op not in OF_TOKENS:
            raise Refused(f"a step has '{n.op}' of a token")
