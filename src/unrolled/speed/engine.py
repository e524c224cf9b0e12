"""The speed of a network's engine relative to the reference, on this machine."""

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
    """How many times as fast as the reference the network's own engine is, forward and backward.

    Both engines take turns on the same random inputs. The network and torch's random generator are left unchanged.

    Args:
        net: the network.
        output: the name of the output whose sum is differentiated.
        tokens: feed tokens (rows, steps) instead of vectors (rows, steps, size).
        rows: number of sequences.
        steps: their length.
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
