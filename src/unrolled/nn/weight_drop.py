"""Dropout inside a recurrent layer: on the matrices that carry the state from step to step."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..graph.node import Node
from ..graph.recurrence import Recurrence
from .recurrent import Recurrent
from .result import Result


def run_dropped(net: Recurrent, share: float, **inputs: Any) -> Result:
    """A pass in which a share of the recurrent weights is zero, the same ones at every step (Merity, Keskar and Socher
    2018, section 2: the weight-dropped LSTM), for any circuit.

    >>> run_dropped(net, 0.2, x=torch.randn(8, 100, 65)).h.shape
    torch.Size([8, 100, 256])
    """
    names = recurrent_weights(net.circuit.recurrence)
    dropped = {n: nn.functional.dropout(getattr(net, n), share, training=True) for n in names}
    result: Result = torch.func.functional_call(net, dropped, (), inputs)
    return result


def recurrent_weights(recurrence: Recurrence) -> list[str]:
    """The matrices that a state of the step before is multiplied with, also when it goes through a gate first."""
    states, matrices = set(recurrence.states.values()), {node: n for n, node in recurrence.parameters.items()}

    def carries(node: Node) -> bool:
        return node in states or (node.op == "mul" and any(a in states for a in node.args))

    found = [
        matrices[weight]
        for node in recurrence.nodes
        for weight in node.args
        if weight in matrices and len(weight.type.dims) == 2 and any(carries(a) for a in node.args)
    ]
    return sorted(set(found))
