"""Li, S., Li, W., Cook, C., Zhu, C. and Gao, Y. (2018). Independently recurrent neural network (IndRNN). CVPR, eq. 2:
the recurrence connects each hidden unit only to itself. Recurrent weights start uniform in [0, 1] (section 3)."""

from __future__ import annotations

from ..circuits import circuit, relu, uniform


@circuit(init={"u": uniform(0.0, 1.0)})
def indrnn(x, h, *, W, u, b):
    """Independent recurrence: one recurrent weight per unit."""
    h = relu(b + W @ x + u * h)
    return {"h": h}
