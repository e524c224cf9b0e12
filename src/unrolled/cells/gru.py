"""Cho, K. et al. (2014). Learning phrase representations using RNN encoder-decoder. EMNLP. The variant of torch and
cuDNN, which applies the reset gate after the product with W. Gates in torch's order: r z n."""

from __future__ import annotations

from ..circuits import circuit, glorot, orthogonal, sigmoid, split, tanh


@circuit(init={"U": glorot(gates=3), "W": orthogonal(gates=3)})
def gru(x, h, *, U, W, b, d):
    """Gated recurrent unit, reset after the product: n = tanh(... + r * (d + W h))."""
    a = b + U @ x
    k = W @ h
    (ar, az, an), (kr, kz, kn) = split(a, 3), split(k, 3)
    r = sigmoid(ar + kr)
    z = sigmoid(az + kz)
    n = tanh(an + r * (kn + d))
    h = (1 - z) * n + z * h
    return {"h": h}
