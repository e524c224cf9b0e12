"""Evaluation: what each op means on torch tensors. This table is the definition of correct.

Shapes, with any leading dimensions ``...`` (the batch, or none for what depends on parameters only):
a scalar is (..., 1), a vector (..., n), a matrix (..., m, n), a token (...) of whole numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from ..graph.node import Node, order
from ..graph.size import Size

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@cache
def rules() -> dict[str, Callable[..., Any]]:
    """op -> function of argument tensors and of the node's attributes as numbers (made on first use)."""
    import torch

    def matvec(A: Tensor, x: Tensor) -> Tensor:
        return x @ A.transpose(-2, -1) if A.ndim == 2 else (A @ x[..., None])[..., 0]

    def softmax(x: Tensor) -> Tensor:
        return torch.softmax(x, -1)

    def logsumexp(x: Tensor) -> Tensor:
        return torch.logsumexp(x, -1, keepdim=True)

    def concat(*pieces: Tensor) -> Tensor:
        lead = torch.broadcast_shapes(*(p.shape[:-1] for p in pieces))
        return torch.cat([p.expand(*lead, p.shape[-1]) for p in pieces], -1)

    def total(x: Tensor, rank: int) -> Tensor:
        return x.sum(-1, keepdim=True) if rank == 1 else x.sum((-2, -1))[..., None]

    def broadcast(x: Tensor, dims: tuple[int, ...]) -> Tensor:
        return x.view(*x.shape[:-1], *(1 for _ in dims)).expand(*x.shape[:-1], *dims)

    def onehot(t: Tensor, size: int, like: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(t, size).to(like.dtype)

    def pick(o: Tensor, t: Tensor) -> Tensor:
        return o.expand(*t.shape, o.shape[-1]).gather(-1, t[..., None])

    def take(E: Tensor, t: Tensor) -> Tensor:
        if E.ndim == 2:
            return E[t]
        rows = t[..., None, None].expand(*t.shape, 1, E.shape[-1])  # every row of the batch has a table of its own
        return E.gather(-2, rows)[..., 0, :]

    return {
        "neg": torch.neg,
        "tanh": torch.tanh,
        "sigmoid": torch.sigmoid,
        "relu": torch.relu,
        "exp": torch.exp,
        "log": torch.log,
        "sqrt": torch.sqrt,
        "abs": torch.abs,
        "sign": torch.sign,
        "floor": torch.floor,
        "sin": torch.sin,
        "cos": torch.cos,
        "softplus": lambda x: torch.logaddexp(x, torch.zeros_like(x)),  # torch's softplus is not exact above 20
        "erf": torch.erf,
        "stop_gradient": lambda x: x.detach().clone(),
        "add": torch.add,
        "sub": torch.sub,
        "mul": torch.mul,
        "div": torch.div,
        "maximum": torch.maximum,
        "minimum": torch.minimum,
        "less": torch.lt,
        "less_equal": torch.le,
        "equal": torch.eq,
        "where": torch.where,
        "matvec": matvec,
        "matmul": torch.matmul,
        "transpose": lambda A: A.transpose(-2, -1),
        "outer": lambda u, v: u[..., :, None] * v[..., None, :],
        "sum": total,
        "mean": lambda x: x.mean(-1, keepdim=True),
        "max": lambda x: x.amax(-1, keepdim=True),
        "min": lambda x: x.amin(-1, keepdim=True),
        "logsumexp": logsumexp,
        "softmax": softmax,
        "cumsum": lambda x, reverse: x.flip(-1).cumsum(-1).flip(-1) if reverse else x.cumsum(-1),
        "broadcast": broadcast,
        "concat": concat,
        "slice": lambda x, index, sizes: x.split(sizes, -1)[index],
        "onehot": onehot,
        "pick": pick,
        "take": take,
        "constant": lambda value, dims, like: like.new_tensor(value).expand(dims or (1,)).contiguous(),
        "size": lambda of, like: like.new_full((1,), of),
    }


Table = Mapping[str, Callable[..., Any]]
Instruction = tuple[Node, Callable[..., Any], tuple[Node, ...], dict[str, Any]]


def instructions(
    nodes: Iterable[Node], sizes: Mapping[str, int], like: torch.Tensor, table: Table | None = None
) -> list[Instruction]:
    """The nodes as calls with their attributes as numbers. ``like`` gives dtype and device of new tensors."""
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
        return {"rank": len(node.args[0].type.dims)}
    attributes = {name: number(value) for name, value in node.attrs}
    return {**attributes, "like": like} if node.op in ("constant", "size") else attributes


def execute(program: Iterable[Instruction], values: dict[Node, Tensor]) -> None:
    """Carry out the calls in their order, adding each result to ``values``."""
    for node, function, args, attributes in program:
        values[node] = function(*[values[a] for a in args], **attributes)


def evaluate(
    roots: Iterable[Node],
    values: Mapping[Node, Tensor],
    sizes: Mapping[str, int],
    like: torch.Tensor,
    table: Table | None = None,
) -> dict[Node, Tensor]:
    """The values of the roots and of all that they need, given the values of the leaves (or of any other nodes)."""
    result = dict(values)
    execute(instructions(order(roots, known=result), sizes, like, table), result)
    return result
