"""Hochreiter, S. and Schmidhuber, J. (1997). Long short-term memory. Neural Computation 9(8), with the forget gate of
Gers, F. A., Schmidhuber, J. and Cummins, F. (2000). Learning to forget. Neural Computation 12(10). The forget bias
starts at 1: Jozefowicz, R., Zaremba, W. and Sutskever, I. (2015). Gates in torch's order: i f g o."""

from __future__ import annotations

from ..circuits import circuit, gate, glorot, orthogonal, sigmoid, split, tanh


@circuit(init={"U": glorot(gates=4), "W": orthogonal(gates=4), "b": gate(1, of=4, value=1.0)})
def lstm(x, h, c, *, U, W, b):
    """Long short-term memory: gates write, keep and read a cell c."""
    a = b + W @ h + U @ x
    i, f, g, o = split(a, 4)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c = f * c + i * g
    h = o * tanh(c)
    return {"h": h, "c": c}
