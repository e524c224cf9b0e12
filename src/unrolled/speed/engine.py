"""How much faster a network's engine is than the reference, on this machine."""

from __future__ import annotations

import copy
import statistics
import time

import torch
from torch import Tensor

from ..graph.node import TOKEN
from ..nn.recurrent import Recurrent

TURNS = 3


def times_faster(net: Recurrent, output: str, tokens: bool = False, rows: int = 16, steps: int = 32) -> float:
    """The time that the reference takes, forward and backward, for each second of the network's own engine.

    Both are timed in turns, on random inputs (rows, steps, size), or whole numbers (rows, steps) with ``tokens``, with
    the gradient of one of its outputs. Neither the network nor torch's generator is changed.
    """
    generator = torch.Generator().manual_seed(0)

    def drawn(name: str) -> Tensor:
        size = net.sizes[name]
        if tokens or net.circuit.recurrence.inputs[name].type.kind == TOKEN:
            return torch.randint(size, (rows, steps), generator=generator)
        return torch.randn(rows, steps, size, generator=generator)

    inputs = {n: drawn(n) for n in net.circuit.inputs}
    own = copy.deepcopy(net)
    exact = copy.deepcopy(net).use("reference")

    def turn(one: Recurrent) -> float:
        start = time.perf_counter()
        one(**inputs, **({} if inputs else {"steps": steps}))[output].sum().backward()
        return time.perf_counter() - start

    turn(own), turn(exact)  # the first compiles
    pairs = [(turn(own), turn(exact)) for _ in range(TURNS)]
    return statistics.median(slow / fast for fast, slow in pairs)
