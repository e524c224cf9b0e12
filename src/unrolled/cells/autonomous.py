"""The classical dynamical system s(t) = f(s(t-1); θ) of Goodfellow, Bengio and Courville (2016), eq. 10.1, with
f(s; θ) = tanh(b + A s): a network that runs by itself."""

from __future__ import annotations

from ..circuits import circuit, orthogonal, tanh


@circuit(init={"A": orthogonal()})
def autonomous(s, *, A, b):
    """A system without inputs: the next state depends only on the state."""
    s = tanh(b + A @ s)
    return {"s": s}
