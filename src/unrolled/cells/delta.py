"""Yang, S., Kautz, J. and Hatamizadeh, A. (2025). Gated delta networks: Improving Mamba2 with delta rule. ICLR. Eq. 10:
S(t) = S(t-1) α (I - β k kᵀ) + β v kᵀ, with keys and queries of length 1. Both gates are sigmoids here."""

from __future__ import annotations

from ..circuits import circuit, constant, outer, sigmoid, split, sqrt, stack, sum


def direction(a):
    """The vector a, scaled to length 1."""
    return a / sqrt(sum(a * a) + 1e-6)


@circuit(init={"ba": constant(3.0)})
def delta(x, S, *, Q, K, V, G, ba, bb):
    """A matrix memory S that is corrected where it answers a key k with another value than v."""
    q, k, v = direction(Q @ x), direction(K @ x), V @ x
    g = G @ x + stack(ba, bb)
    alpha, beta = split(g, 2)
    alpha, beta = sigmoid(sum(alpha)), sigmoid(sum(beta))
    S = alpha * S
    S = S + outer(beta * (v - S @ k), k)
    h = S @ q
    return {"h": h, "S": S}
