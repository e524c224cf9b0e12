"""Cho, K. et al. (2014). Learning phrase representations using RNN encoder-decoder. EMNLP, eqs. 5-8: the reset gate
acts on the state before the product with the recurrent weights."""

from __future__ import annotations

from ..circuits import circuit, glorot, orthogonal, sigmoid, split, tanh


@circuit(init={"U": glorot(gates=3), "W": orthogonal(gates=2), "Wn": orthogonal()})
def gru_reset_before(x, h, *, U, W, Wn, b):
    """Gated recurrent unit as published: n = tanh(... + Wn (r * h))."""
    a = b + U @ x
    k = W @ h
    (ar, az, an), (kr, kz) = split(a, 3), split(k, 2)
    r = sigmoid(ar + kr)
    z = sigmoid(az + kz)
    n = tanh(an + Wn @ (r * h))
    h = (1 - z) * n + z * h
    return {"h": h}
