"""A test circuit that uses most operations in one step."""

# ruff: noqa: F403, F405  the equations read like those of a user

from __future__ import annotations

from ..circuits import *


@circuit
def many_operations(x, h, y, *, U, W, M, E, b, v):
    """A bounded circuit with most operations, smooth almost everywhere."""
    a = b + W @ h + U @ x + take(E, y)
    p, q = split(concat(tanh(a), sigmoid(a)), 2)
    r = relu(p) * exp(-q) / sqrt(1 + p * p) + log(1 + q)
    s = softmax(r) * logsumexp(p) + max(q) * mean(p) - 0.1 * sum(p * q) * v
    k = where(p > q - 0.3317, s, 0.5 * s) + maximum(sin(p), cos(q)) * erf(s) + cumsum(softplus(s)) * min(p)
    k = k + minimum(s, 0.3317) * sign(q - 0.4417) + abs(s - floor(2.717 * q)) * stop_gradient(p)
    h = tanh(k + M.T @ h)
    return {"h": h, "L": nll(s, y)}
