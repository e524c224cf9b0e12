"""Ba, J. L., Kiros, J. R. and Hinton, G. E. (2016). Layer normalization. arXiv:1607.06450, eqs. 20-22 of the
supplement: both products and the cell are normalised over the units of the layer."""

from __future__ import annotations

from ..circuits import circuit, constant, gate, glorot, normalised, orthogonal, sigmoid, split, tanh


@circuit(
    init={
        "U": glorot(gates=4),
        "W": orthogonal(gates=4),
        "b": gate(1, of=4, value=1.0),
        "gx": constant(1.0),
        "gh": constant(1.0),
        "gc": constant(1.0),
    }
)
def layernorm_lstm(x, h, c, *, U, W, b, gx, gh, gc, bc):
    """LSTM with layer normalisation, gains g and biases b."""
    p = normalised(W @ h)
    q = normalised(U @ x)
    a = gh * p + gx * q + b
    i, f, g, o = split(a, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    k = normalised(c)
    h = o * tanh(gc * k + bc)
    return {"h": h, "c": c}
