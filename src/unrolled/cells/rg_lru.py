"""De, S., Smith, S. L., Fernando, A. et al. (2024). Griffin: Mixing gated linear recurrences with local attention for
efficient language models. arXiv:2402.19427. The real-gated linear recurrent unit, eqs. 1-4, and the matrix V before
it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..circuits import circuit, exp, sigmoid, softplus, sqrt

if TYPE_CHECKING:
    from torch import Tensor


def slow(lam: Tensor) -> None:
    """Where the gate r is 1, a unit keeps a share of its value that is uniform between 0.9 and 0.999."""
    keeps = lam.uniform_(0.9, 0.999) ** (1 / 8)
    lam.copy_((keeps / (1 - keeps)).log())


@circuit(init={"lam": slow})
def rg_lru(x, h, *, V, A, B, ba, bb, lam):
    """A linear unit whose gates see the input only: r sets how fast it forgets, i what it reads."""
    v = V @ x
    r, i = sigmoid(ba + A @ v), sigmoid(bb + B @ v)
    a = exp(-8 * softplus(-lam) * r)
    h = a * h + sqrt(1 - a * a) * (i * v)
    return {"h": h}
