"""Elman, J. L. (1990). Finding structure in time. Cognitive Science 14(2). With a linear read-out, as in
Goodfellow, Bengio and Courville (2016), eqs. 10.8-10.10: the lecture's structure 1."""

from __future__ import annotations

from ..circuits import circuit, orthogonal, tanh


@circuit(init={"W": orthogonal()})
def elman(x, h, *, U, W, b, V, c):
    """An output at every step, recurrence between hidden units."""
    a = b + W @ h + U @ x
    h = tanh(a)
    o = c + V @ h
    return {"h": h, "o": o}
