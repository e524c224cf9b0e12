"""Memories of different length in one batch: the recurrence in which a step sees only the rows that each sequence has.

All memories of a batch are stored with as many rows as the longest has; a further input tells which rows are valid.
Reductions over rows leave out the others, and returned values are zero there. So no engine needs to know about it.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from ..errors import InputError
from ..graph.node import REAL, Node, leaf, rewrite, vector
from ..graph.ops import constant, make
from ..graph.recurrence import Recurrence
from ..graph.size import Size
from .unfold import same_op


def valid(size: str) -> str:
    """The name of the input that tells which of the rows counted by a size are valid: 1, or 0 (rows,)."""
    return f"valid {size}"


@lru_cache(maxsize=256)
def masked(recurrence: Recurrence, sizes: tuple[str, ...]) -> Recurrence:
    """The recurrence for memories of different length.

    Args:
        recurrence: the step.
        sizes: the names of the sizes that count rows of which only some are valid.

    Raises:
        InputError: rows are concatenated or split, so that they cannot be told apart.
    """
    leaves = {Size.of(n): leaf("input", vector(Size.of(n)), name=valid(n), fixed=True) for n in sizes}

    def only_valid(x: Node, otherwise: float, axes: tuple[int, ...] = (0, 1)) -> Node:
        """x with another number in the rows, along some axes, that are not valid."""
        for axis, size in enumerate(x.type.dims if x.type.kind == REAL else ()):
            if size in leaves and axis in axes:
                there = leaves[size]
                if len(x.type.dims) == 2:
                    there = make("repeat", there, axis=1 - axis, dims=x.type.dims)
                condition = make("less", constant(0.5, x.type.dims), there)
                x = make("where", condition, x, constant(otherwise, x.type.dims))
        return x

    def build(node: Node, args: tuple[Node, ...]) -> Node:
        _check(node, sizes)
        if node.op in ("matvec", "matmul"):
            return make(node.op, args[0], only_valid(args[1], 0.0, (0,)), source=node.source)
        axes, dims = _reduced_axes(node), args[0].type.dims
        if node.op == "mean" and (found := [dims[k] for k in axes if dims[k] in leaves]):
            return _mean(node, only_valid(args[0], 0.0, axes), leaves[found[0]])
        if node.op in REDUCED:
            return same_op(node, (only_valid(args[0], REDUCED[node.op], axes),))
        return same_op(node, args)

    done = rewrite(recurrence.returns.values(), {x: x for x in recurrence.leaves.values()}, build)
    return replace(
        recurrence,
        inputs={**recurrence.inputs, **{x["name"]: x for x in leaves.values()}},
        returns={n: only_valid(done[node], 0.0) for n, node in recurrence.returns.items()},
        labels={done[node]: n for node, n in recurrence.labels.items() if node in done},
    )


# op: the number that does not change its result
REDUCED = {
    "sum": 0.0, "cumsum": 0.0, "max": -math.inf, "argmax": -math.inf, "logsumexp": -math.inf, "softmax": -math.inf,
    "min": math.inf,
}  # fmt: skip


def _reduced_axes(node: Node) -> tuple[int, ...]:
    """The axes over which a reduction runs."""
    axis = dict(node.attrs).get("axis")
    return tuple(range(len(node.args[0].type.dims))) if axis is None else (axis,)


def _mean(node: Node, x: Node, there: Node) -> Node:
    """The mean over valid rows of x, which is zero elsewhere."""
    total = make("sum", x, **dict(node.attrs))
    count = make("sum", there)
    return make("div", total, make("broadcast", count, dims=total.type.dims) if total.type.dims else count)


def _check(node: Node, sizes: tuple[str, ...]) -> None:
    if node.op in ("concat", "slice") and any(set(d.names) & set(sizes) for a in node.args for d in a.type.dims):
        raise InputError(
            "memories of different length cannot be concatenated or split within a step. Give memories of one length",
            node.source,
        )
