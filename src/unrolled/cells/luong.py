"""Luong, M.-T., Pham, H. and Manning, C. D. (2015). Effective approaches to attention-based neural machine translation.
EMNLP. Sections 3.1 and 3.3: global attention with the score 'general', and input feeding. One layer of LSTM."""

from __future__ import annotations

from ..circuits import circuit, gate, glorot, orthogonal, sigmoid, softmax, split, tanh


@circuit(
    fixed=("M",),
    init={"U": glorot(gates=4), "F": glorot(gates=4), "W": orthogonal(gates=4), "b": gate(1, of=4, value=1.0)},
)
def luong(x, h, c, htilde, M, *, U, F, W, b, A, C, D):
    """An LSTM that looks at a memory M with its new state h, and reads at the next step what it found."""
    e = b + U @ x + F @ htilde + W @ h
    i, f, g, o = split(e, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * tanh(c)
    a = softmax((M @ A) @ h)
    s = M.T @ a
    htilde = tanh(C @ s + D @ h)
    return {"h": h, "c": c, "htilde": htilde, "a": a}
