"""What each op means on torch tensors. This table is the definition of correct.

Shapes, with any leading dimensions ``...`` (the batch, or none for values of parameters alone):
a scalar is (..., 1), a vector (..., n), a matrix (..., m, n), a token (...) of integers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def _matvec(A: Tensor, x: Tensor) -> Tensor:
    return x @ A.transpose(-2, -1) if A.ndim == 2 else (A @ x[..., None])[..., 0]


def _over(reduce: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """A reduction over the features of a vector, to a scalar; or along an axis of a matrix, to a vector."""

    def reduced(x: Tensor, axis: int | None = None) -> Tensor:
        return reduce(x, -1, keepdim=True) if axis is None else reduce(x, axis - 2)

    return reduced


def _concat(*pieces: Tensor) -> Tensor:
    lead = torch.broadcast_shapes(*(p.shape[:-1] for p in pieces))
    return torch.cat([p.expand(*lead, p.shape[-1]) for p in pieces], -1)


def _total(x: Tensor, rank: int, axis: int | None = None) -> Tensor:
    if axis is not None:
        return x.sum(axis - 2)
    return x.sum(-1, keepdim=True) if rank == 1 else x.sum((-2, -1))[..., None]


def _broadcast(x: Tensor, dims: tuple[int, ...]) -> Tensor:
    return x.view(*x.shape[:-1], *(1 for _ in dims)).expand(*x.shape[:-1], *dims)


def _repeat(x: Tensor, axis: int, dims: tuple[int, ...]) -> Tensor:
    return x.unsqueeze(axis - 2).expand(*x.shape[:-1], *dims)


def _onehot(t: Tensor, size: int, like: Tensor) -> Tensor:
    return torch.nn.functional.one_hot(t, size).to(like.dtype)


def _pick(o: Tensor, t: Tensor) -> Tensor:
    return o.expand(*t.shape, o.shape[-1]).gather(-1, t[..., None])


def _take(E: Tensor, t: Tensor) -> Tensor:
    if E.ndim == 2:
        return E[t]
    rows = t[..., None, None].expand(*t.shape, 1, E.shape[-1])  # each row of the batch has its own table
    return E.gather(-2, rows)[..., 0, :]


# op: function of its arguments and of its attributes, which are numbers
RULES: dict[str, Callable[..., Any]] = {
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
    "matvec": _matvec,
    "matmul": torch.matmul,
    "transpose": lambda A: A.transpose(-2, -1),
    "outer": lambda u, v: u[..., :, None] * v[..., None, :],
    "sum": _total,
    "mean": _over(torch.mean),
    "max": _over(torch.amax),
    "min": _over(torch.amin),
    "logsumexp": _over(torch.logsumexp),
    "softmax": lambda x, axis=None: torch.softmax(x, -1 if axis is None else axis - 2),
    "cumsum": lambda x, reverse: x.flip(-1).cumsum(-1).flip(-1) if reverse else x.cumsum(-1),
    "broadcast": _broadcast,
    "repeat": _repeat,
    "concat": _concat,
    "slice": lambda x, index, sizes: x.split(sizes, -1)[index],
    "onehot": _onehot,
    "pick": _pick,
    "take": _take,
    "argmax": lambda x: x.argmax(-1),
    "choose": lambda c, a, b: torch.where(c[..., 0], a, b),
    "constant": lambda value, dims, like: like.new_tensor(value).expand(dims or (1,)).contiguous(),
    "size": lambda of, like: like.new_full((1,), of),
}
