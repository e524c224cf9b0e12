"""Gers, F. A., Schraudolph, N. N. and Schmidhuber, J. (2002). Learning precise timing with LSTM recurrent networks.
JMLR 3, section 2.2: the input and forget gates see the previous cell, the output gate sees the new one."""

from __future__ import annotations

from ..circuits import circuit, gate, glorot, orthogonal, sigmoid, split, tanh


@circuit(init={"U": glorot(gates=4), "W": orthogonal(gates=4), "b": gate(1, of=4, value=1.0)})
def peephole_lstm(x, h, c, *, U, W, b, p, q, r):
    """LSTM whose gates look at the cell through the weights p (input), q (forget) and r (output)."""
    a = b + W @ h + U @ x
    i, f, g, o = split(a, 4)
    i, f, g = sigmoid(i + p * c), sigmoid(f + q * c), tanh(g)
    c = f * c + i * g
    o = sigmoid(o + r * c)
    h = o * tanh(c)
    return {"h": h, "c": c}
