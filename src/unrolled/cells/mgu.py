"""Zhou, G.-B., Wu, J., Zhang, C.-L. and Zhou, Z.-H. (2016). Minimal gated unit for recurrent neural networks.
International Journal of Automation and Computing 13(3), eqs. 8a-8c: a single gate, which both forgets and resets."""

from __future__ import annotations

from ..circuits import circuit, constant, orthogonal, sigmoid, tanh


@circuit(init={"W": orthogonal(), "Wf": orthogonal(), "bf": constant(1.0)})
def mgu(x, h, *, U, W, b, Uf, Wf, bf):
    """Minimal gated unit: the forget gate f is also the reset gate."""
    f = sigmoid(bf + Wf @ h + Uf @ x)
    n = tanh(b + W @ (f * h) + U @ x)
    h = (1 - f) * h + f * n
    return {"h": h}
