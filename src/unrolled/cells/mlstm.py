"""Beck, M., Pöppel, K., Spanring, M., Auer, A., Prudnikova, O., Kopp, M., Klambauer, G., Brandstetter, J. and
Hochreiter, S. (2024). xLSTM: Extended long short-term memory. NeurIPS. Eqs. 19-27, with the stabiliser m of eqs. 15-17.
The factor 1/√d of the keys is left to the starting values of K."""

from __future__ import annotations

from ..circuits import abs, circuit, constant, exp, maximum, outer, sigmoid, softplus, split, stack, sum


@circuit(init={"bf": constant(3.0)})
def mlstm(x, C, n, m, *, Q, K, V, O, G, bq, bk, bv, bo, bi, bf):
    """A matrix memory C with exponential gates, which are divided by exp(m) so that none overflows."""
    q, k, v = bq + Q @ x, bk + K @ x, bv + V @ x
    g = G @ x + stack(bi, bf)
    i, f = split(g, 2)
    i, f = sum(i), -softplus(-sum(f))
    top = maximum(f + m, i)
    i, f = exp(i - top), exp(f + m - top)
    C = f * C + outer(i * v, k)
    n = f * n + i * k
    h = sigmoid(bo + O @ x) * (C @ q) / maximum(abs(sum(n * q)), exp(-top))
    return {"h": h, "C": C, "n": n, "m": top}
