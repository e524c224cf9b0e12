"""Le, Q. V., Jaitly, N. and Hinton, G. E. (2015). A simple way to initialize recurrent networks of rectified linear
units. arXiv:1504.00941. The recurrent weights start as the identity, the bias as zero (section 2)."""

from __future__ import annotations

from ..circuits import circuit, identity, relu


@circuit(init={"W": identity()})
def irnn(x, h, *, U, W, b):
    """Recurrence between rectified linear units; the recurrent weights start as the identity."""
    h = relu(b + W @ h + U @ x)
    return {"h": h}
