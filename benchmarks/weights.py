"""Inference with float32, bf16 and int8 weights, beside the time that it takes to read them.

make bench-weights                                  2 minutes; writes WEIGHTS.md

One thread. The three take turns within one process, as in small.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from small import CELLS, times
from written_page import write_page

import unrolled
from unrolled.nn.narrow_weights import narrow_weights
from unrolled.speed.floor import read_bandwidth
from unrolled.speed.machine import machine

SIZES, BATCHES, STEPS = (128, 256, 512, 1024), (2, 8, 32), 50
KINDS = ("float32", "bf16", "int8")
MOST = 0.5  # the aim: the time with int8 weights, relative to float32, of an LSTM of 512 and of 1024


@dataclass(frozen=True)
class Row:
    """The times with each kind of weights, in microseconds, and those that it takes to read the weights."""

    what: str
    times: list[float]
    floors: list[float]

    def __str__(self) -> str:
        each = " | ".join(f"{t:.1f} ({f:.1f})" for t, f in zip(self.times, self.floors, strict=True))
        ratios = " | ".join(f"{t / self.times[0]:.2f}" for t in self.times[1:])
        return f"| {self.what} | {each} | {ratios} |"


def networks(name: str, size: int) -> dict[str, unrolled.Recurrent]:
    """The same network with each kind of weights."""
    net = unrolled.Recurrent(CELLS[name], x=size, h=size)
    return {kind: net if kind == "float32" else unrolled.narrow(net, kind) for kind in KINDS}


def floor(net: unrolled.Recurrent) -> float:
    """The microseconds that it takes to read the matrices once."""
    narrow = [t for w in narrow_weights(net).values() for t in w.tensors]
    size = sum(t.nbytes for t in narrow or net.parameters())
    return 1e6 * size / (read_bandwidth(size) or float("inf"))


def single_steps(turns: int) -> Iterator[Row]:
    """Single steps at batch 1."""
    for name in CELLS:
        for size in SIZES:
            nets = networks(name, size)
            x, calls = torch.randn(1, size), []
            for net in nets.values():
                state = net.step(x).state
                calls.append(lambda net=net, x=x, state=state: net.step(x, state))
            yield Row(f"{name}, {size}", times(calls, turns), [floor(net) for net in nets.values()])


def batches(turns: int) -> Iterator[Row]:
    """Whole sequences, in batches. The floor reads the weights at every step, though they stay in a cache."""
    for batch in BATCHES:
        for size in (256, 512):
            nets, x = networks("LSTM", size), torch.randn(batch, STEPS, size)
            calls = [lambda net=net, x=x: net(x) for net in nets.values()]
            floors = [STEPS * floor(net) / 2 for net in nets.values()]  # W only: U is read once for many steps
            yield Row(f"LSTM, {size}, batch {batch}", times(calls, max(3, turns // 4)), floors)


@torch.no_grad()
def page(turns: int) -> Iterator[str]:
    """The lines of WEIGHTS.md."""
    head = "| --- | --- | --- | --- | --- | --- |"
    yield "# Narrow weights: results of `make bench-weights`\n"
    yield f"{machine()}; one thread.\n"
    yield "Microseconds of the shortest of several turns; in brackets, those that it takes to read the weights at the"
    yield "measured bandwidth of the cache or memory that they fit into. Then the time relative to float32.\n"
    yield "## Single steps at batch 1 (`net.step`), with as many inputs as units\n"
    yield f"| cell, units | {' | '.join(KINDS)} | bf16 | int8 |\n{head}"
    ratios = {}
    for row in single_steps(turns):
        ratios[row.what] = row.times[2] / row.times[0]
        yield str(row)
    aimed = ", ".join(f"{ratios[f'LSTM, {size}']:.2f} at {size} units" for size in (512, 1024))
    yield f"\nThe aim for LSTM with int8 weights is at most {MOST:g}: it takes {aimed}.\n"
    yield f"## Sequences of {STEPS} steps, in batches\n\n| point | {' | '.join(KINDS)} | bf16 | int8 |\n{head}"
    yield from map(str, batches(turns))


if __name__ == "__main__":
    write_page("WEIGHTS.md", page, __doc__, turns=40)
