"""Single measurements: the first use of a circuit with an empty and a filled cache, and one streaming step."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

import torch

from unrolled.engines.c.build import compiler
from unrolled.engines.threads import processor_threads
from unrolled.nn.interop import from_torch

# A user's own LSTM, forward and backward: the time until the first result minus the time of a later call.
FIRST = """
import sys, time, torch
from unrolled import Recurrent, circuit, sigmoid, split, tanh

torch.set_num_threads(1)
torch.ones(1, requires_grad=True).sum().backward()  # starts autograd
x = torch.randn(1, int(sys.argv[1]), 40)

def use():
    begin = time.perf_counter()
    net(x).h.sum().backward()
    return time.perf_counter() - begin

begin = time.perf_counter()
@circuit
def own(x, h, c, *, U, W, b):
    i, f, g, o = split(b + W @ h + U @ x, 4)
    c = sigmoid(f) * c + sigmoid(i) * tanh(g)
    h = sigmoid(o) * tanh(c)
    return {"h": h, "c": c}
net = Recurrent(own, x=40, h=128)
made = time.perf_counter() - begin
print(made + use() - min(use() for _ in range(3)))
"""


@dataclass(frozen=True)
class FirstUse:
    """Seconds to prepare a new circuit: with an empty cache, and in a later process that finds its kernels cached."""

    steps: int
    empty: float
    later: float


def first_use(steps: int) -> FirstUse | None:
    """Time the first use. None without a C compiler, since then nothing is compiled."""
    if compiler() is None:
        return None
    with tempfile.TemporaryDirectory(prefix="unrolled-bench-") as folder:
        environment = {**os.environ, "UNROLLED_CACHE": folder}

        def seconds() -> float:
            command = [sys.executable, "-c", FIRST, str(steps)]
            run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            return float(run.stdout)

        return FirstUse(steps, seconds(), statistics.median(seconds() for _ in range(3)))


@dataclass(frozen=True)
class Streaming:
    """Microseconds per step of an LSTM at batch 1, called from Python: medians over turns."""

    hidden: int
    unrolled: float
    lstm_cell: float


def streaming(hidden: int = 128, turns: int = 15, calls: int = 300) -> Streaming:
    """Time ``net.step`` and ``torch.nn.LSTMCell`` in turns, on one thread."""
    module = torch.nn.LSTM(hidden, hidden, batch_first=True)
    cell = torch.nn.LSTMCell(hidden, hidden)
    cell.load_state_dict({n.removesuffix("_l0"): p for n, p in module.state_dict().items()})
    net, x = from_torch(module), torch.randn(1, hidden)

    def ours() -> torch.Tensor:
        out = net.step(x)
        for _ in range(calls):
            out = net.step(x, out.state)
        return out.h

    def theirs() -> torch.Tensor:
        state = cell(x)
        for _ in range(calls):
            state = cell(x, state)
        return state[0]

    def timed(run) -> float:
        begin = time.perf_counter()
        run()
        return 1e6 * (time.perf_counter() - begin) / calls

    with torch.no_grad(), processor_threads():
        torch.testing.assert_close(ours(), theirs(), rtol=1e-4, atol=1e-5)
        pairs = [(timed(ours), timed(theirs)) for _ in range(turns)]
    return Streaming(hidden, statistics.median(a for a, _ in pairs), statistics.median(b for _, b in pairs))
