"""A continuous-time network τ dh/dt = -h + tanh(b + W h + U x), one Euler step per step: Funahashi, K. and Nakamura, Y.
(1993). Approximation of dynamical systems by continuous time recurrent neural networks. Neural Networks 6(6); leaky
integrator units: Jaeger, H. et al. (2007). Neural Networks 20(3). The rate 1/τ of each unit is learned, in (0, 1)."""

from __future__ import annotations

from ..circuits import circuit, orthogonal, sigmoid, tanh, uniform


@circuit(init={"W": orthogonal(), "k": uniform(-2.0, 2.0)})
def leaky(x, h, *, U, W, b, k):
    """Leaky integration: each unit moves towards its input drive at its own rate."""
    rate = sigmoid(k)
    drive = tanh(b + W @ h + U @ x)
    h = (1 - rate) * h + rate * drive
    return {"h": h}
