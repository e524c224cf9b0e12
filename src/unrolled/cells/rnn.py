"""The hidden units of Elman (1990) without a read-out: what torch.nn.RNN computes, and the reader of the lecture's
structure 3, which takes a whole sequence in and answers once, from its last state."""

from __future__ import annotations

from ..circuits import circuit, orthogonal, tanh


@circuit(init={"W": orthogonal()})
def rnn(x, h, *, U, W, b):
    """Recurrence between hidden units, tanh."""
    h = tanh(b + W @ h + U @ x)
    return {"h": h}
