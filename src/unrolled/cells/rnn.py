"""The hidden units of Elman (1990) without a read-out, as torch.nn.RNN computes them. Also the lecture's structure 3,
which reads a whole sequence and computes a single output from the last state."""

from __future__ import annotations

from ..circuits import circuit, orthogonal, tanh


@circuit(init={"W": orthogonal()})
def rnn(x, h, *, U, W, b):
    """Recurrence between hidden units, tanh."""
    h = tanh(b + W @ h + U @ x)
    return {"h": h}
