"""Feng, L., Tung, F., Ahmed, M. O., Bengio, Y. and Hajimirsadeghi, H. (2024). Were RNNs all we needed?
arXiv:2410.01201, section 3.1."""

from __future__ import annotations

from ..circuits import circuit, glorot, sigmoid, split


@circuit(init={"U": glorot(gates=2)})
def mingru(x, h, *, U, b):
    """A gated recurrent unit whose gate and candidate see the input only, so that h is linear in its past."""
    a = b + U @ x
    z, k = split(a, 2)
    z = sigmoid(z)
    h = (1 - z) * h + z * k
    return {"h": h}
