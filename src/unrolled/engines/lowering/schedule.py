"""When a compiled pass computes each value, and what it reads and writes.

The plan's stages suit an engine that carries out one operation at a time. In compiled code, an entry-by-entry operation
costs least next to the operation that uses its result. So only products, and what they need, are computed for many
steps at once, and all else is computed in the stage that uses it first.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache

from ...graph.node import Node, order
from ...graph.ops import POINTWISE
from ...plan.loop import Loop
from ...plan.plan import Pass
from ...plan.stages import EACH, ONCE, Kinds

LITERALS = ("constant", "size")
SPREAD = ("broadcast", "repeat")  # of a scalar to all entries, of a vector to all rows or columns
# operations on one entry of each argument, on the number of a scalar, or on an entry of the row's or column's vector
ENTRYWISE = POINTWISE.union(SPREAD, ("outer",))
IN_PLACE = ("slice", "take")  # see in_place
PRODUCTS = ("matvec", "matmul")  # read the matrix of which an argument is the transpose
# operations on vectors that C rounds like torch, whatever comes next; it may fuse a product with an addition
EXACT = frozenset(("add", "sub", "neg", "stop_gradient", "broadcast", "slice", "concat"))


def in_place(n: Node) -> bool:
    """Whether a value is a part of others, or another way to read them, and so is not computed. A row of a table is one
    if its token is given; a computed token may be overwritten before the row is read."""
    return n.op in IN_PLACE and (n.op != "take" or n.args[1].op == "input")


@dataclass(frozen=True, eq=False)
class Schedule:
    """The values that each stage computes, arguments first, and what is read and written.

    before, loop, after: the stages.
    states, new: the states, and what they are after a step.
    moving: series to read. previous: states of the forward pass; the backward pass reads them one step earlier.
    matrices, fixed: values that are the same at every step; matrices are factors of products, fixed are all others.
    each: values that are the same at every step of a sequence.
    once: the values among these that are computed before the pass, from parameters or from fixed inputs.
    keep: the values to store at every step.
    reverse: whether time runs backward.
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
    each: tuple[Node, ...]
    once: tuple[Node, ...]
    keep: tuple[Node, ...]
    reverse: bool

    @property
    def stages(self) -> tuple[tuple[Node, ...], ...]:
        """The values of each stage, in the order of the stages."""
        return self.before, self.loop, self.after

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All computed values, arguments first."""
        return (*self.before, *self.loop, *self.after)


@lru_cache(maxsize=512)
def schedule(way: Pass, wanted: tuple[Node, ...]) -> Schedule:
    """The schedule of a pass that stores the wanted values, unless they are available before it."""
    step = way.recurrence
    states = tuple(step.states.values())
    new = tuple(step.returns[n] for n in step.states)
    return _reading(_stages(way, states, new, {*new, *wanted}), states, new, wanted, way.kinds, step.reverse)


@lru_cache(maxsize=512)
def of_loop(loop: Loop) -> Schedule:
    """The schedule of a loop of the plan alone: all else is computed by others, before it and after it."""
    read = {*loop.new, *loop.keep}.union(*map(operands, loop.nodes))
    nodes = tuple(n for n in loop.nodes if n.op != "transpose" or n in read)
    made = _reading(((), nodes, ()), loop.states, loop.new, loop.keep, loop.kinds, loop.reverse)
    return replace(made, moving=(*made.moving, *made.previous), previous=())


def _reading(
    stages: tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]],
    states: tuple[Node, ...],
    new: tuple[Node, ...],
    wanted: tuple[Node, ...],
    kinds: Kinds,
    reverse: bool,
) -> Schedule:
    """The schedule with these stages, and what they read."""
    nodes = tuple(n for stage in stages for n in stage)
    computed = set(nodes)
    read = {a: None for n in nodes for a in _read(n, kinds)}
    outside = [n for n in {**read, **dict.fromkeys(new)} if n not in computed and n not in states]
    moving = [n for n in outside if kinds[n] > EACH]
    matrices = tuple(dict.fromkeys(n.args[0] for n in nodes if n.op == "matvec" and kinds[n.args[0]] == ONCE))
    fixed, each = (tuple(n for n in outside if kinds[n] == kind) for kind in (ONCE, EACH))
    given = order([*matrices, *fixed, *each, *wanted])
    return Schedule(
        *stages,
        states,
        new,
        moving=tuple(n for n in moving if n.op != "state"),
        previous=tuple(n for n in moving if n.op == "state"),
        matrices=matrices,
        fixed=fixed,
        each=each,
        once=tuple(n for n in given if kinds[n] <= EACH and n.op not in ("parameter", "input")),
        keep=tuple(n for n in dict.fromkeys(wanted) if n in computed or n in states),
        reverse=reverse,
    )


def of_fixed_values(made: Schedule) -> Schedule | None:
    """The schedule of a pass of one row that computes the fixed values from parameters. None if all of them are
    parameters, if one is a constant, or if an operation might be rounded differently from torch's."""
    wanted = tuple(n for n in made.fixed if n.op != "parameter")
    nodes = tuple(n for n in order(wanted) if n.op != "parameter" and n.op not in LITERALS)
    refused = any(n.op not in EXACT or len(n.type.dims) > 1 for n in nodes) or any(n.op in LITERALS for n in wanted)
    if not wanted or refused:
        return None
    read = tuple(dict.fromkeys(a for n in nodes for a in n.args if a.op == "parameter"))
    return Schedule(nodes, (), (), (), (), (), (), (), fixed=read, each=(), once=(), keep=wanted, reverse=False)


def _stages(
    way: Pass, states: tuple[Node, ...], new: tuple[Node, ...], results: set[Node]
) -> tuple[tuple[Node, ...], tuple[Node, ...], tuple[Node, ...]]:
    cut = way.stages
    computed = {*cut.before, *cut.loop, *cut.after}
    read = results.union(*(operands(n) for n in computed))
    computed -= {n for n in computed if n.op == "transpose" and n not in read}
    first = _needed([n for n in cut.before if n.op not in ENTRYWISE and not in_place(n)], computed)
    light = [n for n in cut.before if n not in first and n in computed]
    inner = _needed([*cut.loop, *new], computed)
    for n in (*light, *cut.after):
        if n.op == "slice" and (n.args[0] in states or (n.args[0] in inner and n.args[0] not in first)):
            inner.add(n)  # a part is read where the whole is
    return (
        tuple(n for n in cut.before if n in first),
        tuple(n for n in (*light, *cut.loop, *cut.after) if n in inner),
        tuple(n for n in (*light, *cut.after) if n not in inner and n in computed),
    )


def _needed(roots: Iterable[Node], among: set[Node]) -> set[Node]:
    """The roots and all that they need, restricted to some nodes."""
    found: set[Node] = set()
    waiting = [n for n in roots if n in among]
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += [a for a in operands(node) if a in among]
    return found


def _read(n: Node, kinds: Kinds) -> Iterable[Node]:
    """The arguments of an operation, without the matrix of a product if it is the same at every step."""
    if n.op == "matvec" and kinds[n.args[0]] == ONCE:
        return n.args[1:]
    if n.op in PRODUCTS:
        return operands(n)
    return _opened(n.args, kinds) if n.op in ENTRYWISE else n.args


def operands(n: Node) -> tuple[Node, ...]:
    """The values that an operation reads: its arguments, but in a product the matrices that these are transposes of."""
    return tuple(map(straight, n.args)) if n.op in PRODUCTS else n.args


def straight(matrix: Node) -> Node:
    """The matrix of which another one is the transpose; any other matrix itself."""
    return matrix.args[0] if matrix.op == "transpose" else matrix


def _opened(read: Iterable[Node], kinds: Kinds) -> dict[Node, None]:
    """The values that a loop reads. Literals are not read, but written into its lines."""
    found: dict[Node, None] = {}
    for n in read:
        if n.op in (*LITERALS, *SPREAD) and kinds[n] <= EACH:
            found |= _opened(n.args, kinds)
        else:
            found[n] = None
    return found
