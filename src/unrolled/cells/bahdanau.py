"""Bahdanau, D., Cho, K. and Bengio, Y. (2015). Neural machine translation by jointly learning to align and translate.
ICLR. Section 3.1 and appendix A.1.2: a decoder that looks at all that an encoder has read, the rows of M."""

from __future__ import annotations

from ..circuits import circuit, glorot, orthogonal, rows, sigmoid, softmax, split, tanh


@circuit(fixed=("M",), init={"U": glorot(gates=3), "C": glorot(gates=3), "W": orthogonal(gates=2)})
def bahdanau(x, h, M, *, A, K, v, U, C, W, V, b):
    """A gated recurrent unit that reads its last symbol x, and a mean c of a memory M with weights a."""
    q = A @ h
    a = softmax(tanh(M @ K.T + rows(q)) @ v)
    c = M.T @ a
    e = b + U @ x + C @ c
    d = W @ h
    (z, r, k), (p, s) = split(e, 3), split(d, 2)
    z, r = sigmoid(z + p), sigmoid(r + s)
    k = tanh(k + V @ (r * h))
    h = (1 - z) * h + z * k
    return {"h": h, "a": a}
