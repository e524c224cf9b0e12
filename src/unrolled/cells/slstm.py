"""Beck, M., Pöppel, K., Spanring, M., Auer, A., Prudnikova, O., Kopp, M., Klambauer, G., Brandstetter, J. and
Hochreiter, S. (2024). xLSTM: Extended long short-term memory. NeurIPS. Eqs. 8-17, with one head and a sigmoid forget
gate."""

from __future__ import annotations

from ..circuits import circuit, exp, gate, glorot, maximum, orthogonal, sigmoid, softplus, split, tanh


@circuit(init={"U": glorot(gates=4), "W": orthogonal(gates=4), "b": gate(2, of=4, value=3.0)})
def slstm(x, h, c, n, m, *, U, W, b):
    """A cell c with exponential gates and its normaliser n; both are divided by exp(m)."""
    a = b + W @ h + U @ x
    z, i, f, o = split(a, 4)
    z, f, o = tanh(z), -softplus(-f), sigmoid(o)
    top = maximum(f + m, i)
    i, f = exp(i - top), exp(f + m - top)
    c = f * c + i * z
    n = f * n + i
    h = o * (c / n)
    return {"h": h, "c": c, "n": n, "m": top}
