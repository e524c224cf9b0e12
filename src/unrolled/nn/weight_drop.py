"""Dropout on the recurrent matrices of a layer."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..graph.node import order
from ..graph.recurrence import Recurrence
from ..transform.regularise import carries
from .recurrent import Recurrent
from .result import Result


def run_dropped(net: Recurrent, share: float, /, **inputs: Any) -> Result:
    """Run a network with a share of its recurrent weights set to zero, the same ones at every step.

    This is the weight-dropped LSTM of Merity, Keskar and Socher (2018), section 2, for any circuit.

    >>> run_dropped(net, 0.2, x=torch.randn(8, 100, 65)).h.shape
    torch.Size([8, 100, 256])

    Args:
        net: the network.
        share: the share of weights to drop, from 0 to 1.
        inputs: the arguments of the call by name, such as x (batch, time, size).
    """
    names = recurrent_weights(net.circuit.recurrence)
    dropped = {n: nn.functional.dropout(getattr(net, n), share, training=True) for n in names}
    result: Result = torch.func.functional_call(net, dropped, (), inputs)
    return result


def recurrent_weights(recurrence: Recurrence) -> list[str]:
    """The matrices that multiply the previous state, directly or after a gate, and those that such a matrix is computed
    from, for example under a mask. Constants are left out, since they are not learned."""
    states = set(recurrence.states.values())
    matrices = {node: n for n, node in recurrence.parameters.items() if n not in recurrence.constants}

    found = {
        matrices[part]
        for node in recurrence.nodes
        if node.op == "matvec" and carries(node.args[1], states)
        for part in order([node.args[0]])
        if part in matrices and len(part.type.dims) == 2
    }
    return sorted(found)
