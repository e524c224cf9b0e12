"""Speed in units of this machine: a time relative to that of fixed work in Python, measured in turns.

A bound in seconds holds on one machine and fails on a slower or busier one, and in a process with a large heap, which
the collector of garbage searches. Fixed work is slowed down in the same way.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

TURNS = 4


def relative_time(run: Callable[[], object]) -> float:
    """The processor time of a call relative to that of the fixed work, the best of some turns each."""
    calls, yardstick = [], []
    collecting = gc.isenabled()
    gc.disable()
    try:
        for _ in range(TURNS):
            calls.append(_processor_time(run))
            yardstick.append(_processor_time(_work))
    finally:
        if collecting:
            gc.enable()
    return min(calls) / min(yardstick)


def unit() -> float:
    """The processor time of the fixed work, in seconds: the best of some turns."""
    return min(_processor_time(_work) for _ in range(TURNS))


def _processor_time(run: Callable[[], object]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def _work() -> int:
    """Objects are made, kept in a dictionary, and forgotten: some 10 ms of a processor of 2022."""
    kept: dict[int, tuple[int, int]] = {}
    total = 0
    for i in range(100_000):
        kept[i % 997] = (i, total)
        total += i
    return total
