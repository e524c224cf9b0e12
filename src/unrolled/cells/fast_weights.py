"""Ba, J., Hinton, G., Mnih, V., Leibo, J. Z. and Ionescu, C. (2016). Using fast weights to attend to the recent past.
NIPS. Eqs. 1, 2 and 5, with one step of the inner loop and layer normalisation."""

from __future__ import annotations

from ..circuits import circuit, constant, normalised, outer, relu


@circuit(init={"g": constant(1.0)})
def fast_weights(x, A, h, *, W, C, g, b, decay=0.95, rate=0.5):
    """A matrix A of fast weights stores recent states, and draws the new state towards those it resembles."""
    A = decay * A + rate * outer(h, h)
    s = relu(W @ h + C @ x)
    h = relu(b + g * normalised(W @ h + C @ x + A @ s))
    return {"h": h, "A": A}
