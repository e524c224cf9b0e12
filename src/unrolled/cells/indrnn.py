"""Li, S., Li, W., Cook, C., Zhu, C. and Gao, Y. (2018). Independently recurrent neural network (IndRNN). CVPR, eq. 2:
each hidden unit is connected in time to itself alone. Recurrent weights start uniform in [0, 1] (section 3)."""

from __future__ import annotations

from ..circuits import circuit, relu, uniform


@circuit(init={"u": uniform(0.0, 1.0)})
def indrnn(x, h, *, W, u, b):
    """Independent recurrence: one recurrent weight per unit."""
    h = relu(b + W @ x + u * h)
    return {"h": h}
