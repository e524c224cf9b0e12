"""Joulin, A. and Mikolov, T. (2015). Inferring algorithmic patterns with stack-augmented recurrent nets. NIPS. Section
3.2, with the operation 'no-op' and one stack of vectors. A matrix N that is not trained moves the rows of the stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..circuits import circuit, outer, sigmoid, softmax, split, stack, sum

if TYPE_CHECKING:
    from torch import Tensor


def top(e: Tensor) -> None:
    """One for the first row, zero for the others."""
    e.zero_()[0] = 1.0


def down(N: Tensor) -> None:
    """The matrix that moves each row one place down, and the last one out."""
    N.zero_()[1:].fill_diagonal_(1.0)


@circuit(constant={"e": top, "N": down})
def neural_stack(x, h, S, *, U, W, R, b, A, b1, b2, b3, D, e, N):
    """A network that reads the top row r of a stack S, and then pushes a vector or pops one."""
    r = S.T @ e
    h = sigmoid(b + U @ x + W @ h + R @ r)
    a = softmax(A @ h + stack(b1, b2, b3))
    push, pop, keep = split(a, 3)
    v = sigmoid(D @ h)
    S = sum(push) * (N @ S + outer(e, v)) + sum(pop) * (N.T @ S) + sum(keep) * S
    return {"h": h, "S": S}
