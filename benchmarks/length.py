"""Sequences of very different lengths in one batch: time per step, compared with a dense batch and torch's packed one.

make bench-length                                   20 minutes, mostly torch's; writes LENGTH.md and length.json

32 sequences with log-uniform lengths from 1 to 10,000, 40 inputs, 128 units, forward and backward, one thread. The
dense batch has the same total number of steps and the same average number of live rows (steps / longest), hence the
same number of steps in time: these lengths cannot run faster than that. Ragged and dense batches take turns; the page
shows the median of each. A packed batch is timed once per cell, since its backward pass takes minutes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from unrolled import Ragged
from unrolled.nn.interop import from_torch
from unrolled.speed.machine import machine
from unrolled.speed.timing import processors
from unrolled.testing import assert_close

HERE = Path(__file__).parent
BATCH, INPUTS, HIDDEN, LONGEST = 32, 40, 128, 10_000
MODULES = {"gru": nn.GRU, "rnn": nn.RNN}
MOST_OF_DENSE, LEAST_OF_PACKED = 1.25, 10.0  # the aims: time relative to dense, speed relative to packed


@dataclass(frozen=True)
class Row:
    """The times of one draw of lengths, in microseconds per step."""

    cell: str
    seed: int
    steps: int
    longest: int
    ragged: float
    dense: float
    packed: float | None

    @property
    def of_dense(self) -> float:
        """The time relative to the dense batch."""
        return self.ragged / self.dense

    @property
    def of_packed(self) -> float | None:
        """The speed relative to the packed batch."""
        return None if self.packed is None else self.packed / self.ragged


def lengths_of(seed: int, longest: int) -> list[int]:
    """Random lengths, log-uniform from 1 to the longest."""
    generator = torch.Generator().manual_seed(seed)
    return (longest ** torch.rand(BATCH, generator=generator, dtype=torch.float64)).round().long().tolist()


def time_lengths(cell: str, seed: int, longest: int, turns: int, with_packed: bool) -> Row:
    """Time a ragged and a dense batch in turns, and a packed one once if asked."""
    torch.manual_seed(seed)
    theirs = MODULES[cell](INPUTS, HIDDEN, batch_first=True)
    ours, lengths = from_torch(theirs), lengths_of(seed, longest)
    steps, last = sum(lengths), max(lengths)
    ragged = Ragged([torch.randn(n, INPUTS) for n in lengths])
    packed, rows = ragged.to_packed(), max(1, round(steps / last))
    dense = torch.randn(rows, round(steps / rows), INPUTS)

    def learn(net: nn.Module, values: Callable[[], Tensor]) -> Tensor:
        net.zero_grad()
        found = values()
        found.square().sum().backward()
        return found.detach()

    ways = {
        "ragged": lambda: learn(ours, lambda: ours(ragged).h.values),
        "dense": lambda: learn(ours, lambda: ours(dense).h),
    }
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, way in ways.items():
            begin = time.perf_counter()
            way()
            if turn:  # the first one compiles
                seconds[name].append(time.perf_counter() - begin)
    each = {name: 1e6 * statistics.median(found) / steps for name, found in seconds.items()}
    each["dense"] *= steps / (dense.shape[0] * dense.shape[1])
    mine, once = ways["ragged"](), None
    assert len(mine) == steps, "no step is padding"
    if with_packed:
        begin = time.perf_counter()
        torchs = learn(theirs, lambda: theirs(packed)[0].data)
        once = 1e6 * (time.perf_counter() - begin) / steps
        assert_close("sum of the outputs", mine.sum(), torchs.sum(), "engines, float32")
    return Row(cell, seed, steps, last, **each, packed=once)


def as_markdown(rows: list[Row], longest: int) -> str:
    """The page of results."""
    lines = [
        "# Lengths from 1 to 10,000 in one batch",
        "",
        f"{machine()}; one thread.",
        "",
        f"{BATCH} sequences with log-uniform lengths from 1 to {longest:,}, {INPUTS} inputs, {HIDDEN} units. µs per",
        "step, forward and backward. Dense: a dense batch with the same number of steps and live rows. Packed:",
        "torch.nn on a PackedSequence. No padding is computed. Written by `make bench-length`.",
        "",
        "| cell | seed | steps | longest | ragged | dense | ragged / dense | packed | packed / ragged |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        dense = "" if r.of_dense <= MOST_OF_DENSE else " (missed)"
        packed = "|  |  |"
        if r.packed is not None and r.of_packed is not None:
            packed = f"| {r.packed:.1f} | {r.of_packed:.1f}{'' if r.of_packed >= LEAST_OF_PACKED else ' (missed)'} |"
        lines.append(
            f"| {r.cell} | {r.seed} | {r.steps:,} | {r.longest:,} | {r.ragged:.2f} | {r.dense:.2f} | "
            f"{r.of_dense:.2f}{dense} {packed}"
        )
    lines += ["", f"Aims: ragged / dense at most {MOST_OF_DENSE}, packed / ragged at least {LEAST_OF_PACKED:g}."]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Run the benchmark; exits with 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, help="number of draws of lengths")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--longest", type=int, default=LONGEST)
    parser.add_argument("--out", type=Path, help="folder for LENGTH.md and length.json")
    options = parser.parse_args()
    if min(options.seeds, options.turns, options.longest) < 1:
        parser.error("--seeds, --turns and --longest must be at least 1")
    if options.out is None and options.longest == LONGEST:
        options.out = HERE
    with processors(1):
        rows = []
        for cell, seed in itertools.product(MODULES, range(options.seeds)):
            rows.append(time_lengths(cell, seed, options.longest, options.turns, with_packed=seed == 0))
            print(
                f"{cell}, seed {seed}: {rows[-1].of_dense:.2f} times the time of a dense batch",
                file=sys.stderr,
                flush=True,
            )
    text = as_markdown(rows, options.longest)
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "LENGTH.md").write_text(text, encoding="utf-8")
        content = {"machine": str(machine()), "rows": [asdict(r) for r in rows]}
        (options.out / "length.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return 0 if all(r.of_dense <= MOST_OF_DENSE and (r.of_packed or math.inf) >= LEAST_OF_PACKED for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
