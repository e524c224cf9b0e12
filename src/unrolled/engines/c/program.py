"""A pass over time as C carries it out, for some steps of some sequences at a time: products that do not wait for a
state first, for all of these steps together; then step by step what does; then what is needed by no state.

Unlike the plan's stages, which torch operations carry out one by one, entry-by-entry work costs least beside the work
that uses it. So it stands where it is used first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from ...graph.node import TOKEN, Node, order
from ...plan.plan import Pass
from ...plan.stages import ONCE, Kinds

POINTWISE = {
    "neg": "-{}",
    "tanh": "u_tanh({})",
    "sigmoid": "u_sigmoid({})",
    "relu": "u_relu({})",
    "exp": "u_exp({})",
    "log": "u_log({})",
    "sqrt": "u_sqrt({})",
    "abs": "u_abs({})",
    "sign": "u_sign({})",
    "floor": "u_floor({})",
    "sin": "u_sin({})",
    "cos": "u_cos({})",
    "softplus": "u_softplus({})",
    "erf": "u_erf({})",
    "stop_gradient": "{}",
    "add": "{} + {}",
    "sub": "{} - {}",
    "mul": "{} * {}",
    "div": "{} / {}",
    "maximum": "u_maximum({}, {})",
    "minimum": "u_minimum({}, {})",
    "less": "({} < {} ? (real)1 : (real)0)",
    "less_equal": "({} <= {} ? (real)1 : (real)0)",
    "equal": "({} == {} ? (real)1 : (real)0)",
    "where": "({} != 0 ? {} : {})",
    "broadcast": "{}",
}
WHOLE = ("matvec", "sum", "mean", "max", "min", "logsumexp", "softmax", "cumsum", "concat", "pick", "onehot")
ADDING = ("sum", "mean")  # of what a loop over the features computes, added up in it
PLACES = ("slice", "take")  # where something stands, nothing to compute
LITERALS = ("constant", "size", "broadcast")  # of parameters alone: written into the expression


@dataclass(frozen=True, eq=False)
class Program:
    """What is computed when, arguments first, and what it reads and writes.

    moving: series that are read. previous: states of the forward pass, read as the series of the step before.
    matrices, fixed: what is the same at every step. keep: what is wanted as a series.
    """

    before: tuple[Node, ...]
    loop: tuple[Node, ...]
    after: tuple[Node, ...]
    states: tuple[Node, ...]
    new: tuple[Node, ...]
    moving: tuple[Node, ...]
    previous: tuple[Node, ...]
    matrices: tuple[Node, ...]
    fixed: tuple[Node, ...]
    once: tuple[Node, ...]
    keep: tuple[Node, ...]
    reverse: bool

    @property
    def nodes(self) -> tuple[Node, ...]:
        return (*self.before, *self.loop, *self.after)


@lru_cache(maxsize=512)
def make_program(way: Pass, wanted: tuple[Node, ...]) -> Program:
    """The program of a pass that writes the series of what is wanted and is not there already."""
    step, cut, kinds = way.recurrence, way.stages, Kinds(way.recurrence)
    states = tuple(step.states.values())
    new = tuple(step.returns[n] for n in step.states)
    computed = {*cut.before, *cut.loop, *cut.after}
    first = _needed([n for n in cut.before if n.op in WHOLE], computed)
    light = [n for n in cut.before if n not in first]
    inner = _needed([*cut.loop, *new], computed)
    for n in (*light, *cut.after):
        if n.op == "slice" and (n.args[0] in states or (n.args[0] in inner and n.args[0] not in first)):
            inner.add(n)  # a part is where the whole is
    before = tuple(n for n in cut.before if n in first)
    loop = tuple(n for n in (*light, *cut.loop, *cut.after) if n in inner)
    after = tuple(n for n in (*light, *cut.after) if n not in inner)

    nodes = (*before, *loop, *after)
    read = {a: None for n in nodes for a in (_unfolded(n.args, kinds) if n.op in POINTWISE else n.args)}
    outside = [n for n in {**read, **dict.fromkeys(new)} if n not in computed and n not in states]
    moving = [n for n in outside if kinds[n] != ONCE]
    matrices = tuple(dict.fromkeys(n.args[0] for n in nodes if n.op == "matvec"))
    fixed = tuple(n for n in outside if kinds[n] == ONCE and n not in matrices)
    given = order([*matrices, *fixed, *wanted])
    return Program(
        before,
        loop,
        after,
        states,
        new,
        moving=tuple(n for n in moving if n.op != "state"),
        previous=tuple(n for n in moving if n.op == "state"),
        matrices=matrices,
        fixed=fixed,
        once=tuple(n for n in given if kinds[n] == ONCE and n.op != "parameter"),
        keep=tuple(n for n in dict.fromkeys(wanted) if n in computed or n in states),
        reverse=step.reverse,
    )


def _needed(roots: Iterable[Node], among: set[Node]) -> set[Node]:
    """The roots and what they need, among some nodes."""
    found: set[Node] = set()
    waiting = [n for n in roots if n in among]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [a for a in node.args if a in among]
    return found


def _unfolded(read: Iterable[Node], kinds: Kinds) -> dict[Node, None]:
    """What is read, with what literals are made of in their place."""
    found: dict[Node, None] = {}
    for n in read:
        if is_literal(n, kinds):
            found |= _unfolded(n.args, kinds)
        else:
            found[n] = None
    return found


def is_literal(node: Node, kinds: Kinds) -> bool:
    return node.op in LITERALS and kinds[node] == ONCE


def obstacle(way: Pass) -> str:
    """What the pass holds that is not written in C; empty if all of it is."""
    program = make_program(way, ())
    for n in program.nodes:
        if len(n.type.dims) > 1:
            return f"a step computes a matrix ('{n.op}')"
        if n.op not in (*POINTWISE, *WHOLE, *PLACES):
            return f"a step has '{n.op}' of {' and '.join(f'a {a.type}' for a in n.args) or 'nothing'}"
        if n.op == "take" and n.args[0] not in program.fixed:
            return "a step takes a row of a matrix that changes from step to step"
    for n in program.matrices:
        if n in program.moving or n in program.nodes or n in program.previous:
            return "a step multiplies by a matrix that changes from step to step"
    tables = {n.args[0] for n in program.nodes if n.op == "take"}
    for n in (*program.fixed, *program.moving, *program.previous):
        if len(n.type.dims) > 1 and n not in tables:
            return f"a step has a {n.type} other than in a product"
    for n in program.nodes:
        if any(a.type.kind == TOKEN for a in n.args) and n.op not in ("take", "pick", "onehot"):
            return f"a step has '{n.op}' of a token"
    return ""
