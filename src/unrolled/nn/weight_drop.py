"""Dropout inside a recurrent layer: on the matrices that carry the state from step to step."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from ..graph.node import Node, order
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
    """The matrices that a state of the step before is multiplied with, also when it goes through a gate first, and
    those that such a matrix is made of, as under a mask; but no constants, which are not learned."""
    states = set(recurrence.states.values())
    matrices = {node: n for n, node in recurrence.parameters.items() if n not in recurrence.constants}

    def carries(node: Node) -> bool:
        return node in states or (node.op == "mul" and any(a in states for a in node.args))

    found = {
        matrices[part]
        for node in recurrence.nodes
        if any(carries(a) for a in node.args)
        for weight in node.args
        if len(weight.type.dims) == 2
        for part in order([weight])
        if part in matrices and len(part.type.dims) == 2
    }
    return sorted(found)
