"""Jordan, M. I. (1986). Serial order: a parallel distributed processing approach. ICS Report 8604, UC San Diego.
In the form of Goodfellow, Bengio and Courville (2016), fig. 10.4: the lecture's structure 2."""

from __future__ import annotations

from ..circuits import circuit, tanh


@circuit
def jordan(x, o, *, U, W, b, V, c):
    """An output at every step, recurrence only from the output to the hidden units of the next step."""
    a = b + W @ o + U @ x
    h = tanh(a)
    o = c + V @ h
    return {"o": o, "h": h}
