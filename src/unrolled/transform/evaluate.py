"""Evaluation: the values of nodes as torch tensors, by the table of ``transform/operations.py`` or another one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..graph.node import MASK, TOKEN, Node, order
from ..graph.size import Size

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Table = Mapping[str, Callable[..., Any]]
Instruction = tuple[Node, Callable[..., Any], tuple[Node, ...], dict[str, Any]]


def rules() -> Table:
    """The table that defines what is correct: op -> function of tensors. Imports torch on first use."""
    from .operations import RULES

    return RULES


def instructions(
    nodes: Iterable[Node], sizes: Mapping[str, int], like: torch.Tensor, table: Table | None = None
) -> list[Instruction]:
    """The nodes as calls, with their attributes as numbers. New tensors get the dtype and device of ``like``."""
    table = table or rules()
    return [(n, table[n.op], n.args, _attributes(n, sizes, like)) for n in nodes]


def _attributes(node: Node, sizes: Mapping[str, int], like: torch.Tensor) -> dict[str, Any]:
    def number(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(number(v) for v in value)
        return value.value(sizes) if isinstance(value, Size) else value

    if node.op == "onehot":
        return {"size": node.type.dims[0].value(sizes), "like": like}
    if node.op == "sum":
        return {"rank": len(node.args[0].type.dims), **dict(node.attrs)}
    attributes = {name: number(value) for name, value in node.attrs}
    return {**attributes, "like": like} if node.op in ("constant", "size") else attributes


def every_row(value: Tensor, node: Node, rows: int) -> Tensor:
    """The value of a node with a leading dimension of ``rows``, which values that depend on no input lack."""
    has_one = value.ndim > (0 if node.type.kind == TOKEN else max(1, len(node.type.dims)))
    return value if has_one else value.expand(rows, *value.shape)


def dtype_of(node: Node, like: Tensor) -> torch.dtype:
    """The dtype of the value of a node: that of ``like`` for numbers, integers for tokens, booleans for masks."""
    import torch

    return {TOKEN: torch.int64, MASK: torch.bool}.get(node.type.kind, like.dtype)


def execute(program: Iterable[Instruction], values: dict[Node, Tensor]) -> None:
    """Run the calls in order and add each result to ``values``."""
    for node, function, args, attributes in program:
        values[node] = function(*[values[a] for a in args], **attributes)


def evaluate(
    roots: Iterable[Node],
    values: Mapping[Node, Tensor],
    sizes: Mapping[str, int],
    like: torch.Tensor,
    table: Table | None = None,
) -> dict[Node, Tensor]:
    """The values of the roots and of every node that they depend on, given the values of the leaves or of other nodes.

    A scalar has the shape (..., 1), a vector (..., n), a matrix (..., m, n), and a token (...).
    """
    result = dict(values)
    execute(instructions(order(roots, known=result), sizes, like, table), result)
    return result
