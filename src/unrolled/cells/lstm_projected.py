"""Sak, H., Senior, A. and Beaufays, F. (2014). Long short-term memory recurrent neural network architectures for large
scale acoustic modeling. Interspeech, eqs. 1-6 without peepholes, as torch computes it: what returns to the gates is a
projection of the cell's output, smaller than the cell. Gates in torch's order: i f g o."""

from __future__ import annotations

from ..circuits import circuit, gate, glorot, orthogonal, sigmoid, split, tanh


@circuit(init={"U": glorot(gates=4), "P": orthogonal(), "b": gate(1, of=4, value=1.0)})
def lstm_projected(x, h, c, *, U, W, b, P):
    """LSTM with a recurrent projection: h = P (o * tanh(c)) is smaller than the cell c."""
    a = b + W @ h + U @ x
    i, f, g, o = split(a, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    m = o * tanh(c)
    h = P @ m
    return {"h": h, "c": c}
