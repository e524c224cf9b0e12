"""Memory against length: the gradient through one sequence of 10 thousand to 30 million steps.

make bench-memory                                   half an hour; writes MEMORY.md, memory.json and memory.svg

One sequence with 40 inputs, 128 units, and the sum of all squared outputs as the loss. Compares nn.RNN and nn.GRU, this
library with ``Store()``, which keeps everything as torch does, and ``unrolled.backpropagate``, which reads the inputs
piece by piece. Each gradient runs in a process of its own on one thread, limited to the machine's free memory. A method
that runs out of memory is not tried at longer lengths. All methods must give the same gradient.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib
import torch
from torch import Tensor, nn

import unrolled
from unrolled.nn.interop import from_torch
from unrolled.speed.machine import machine, peak_memory
from unrolled.testing.compare import relative_error

HERE = Path(__file__).parent
LENGTHS = (10_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000, 30_000_000)
INPUTS, HIDDEN, BUDGET = 40, 128, "300 MB"
MODULES = {"rnn": nn.RNN, "gru": nn.GRU}
WAYS = {"torch.nn": "all in memory", "Store()": "all in memory", "backpropagate": f'memory="{BUDGET}"'}
MARGIN = 2e9  # bytes left to the system
AGREE = 1e-3  # relative to the largest entry: float32 sums over up to 300,000 steps, which torch does not compensate


@dataclass(frozen=True)
class Found:
    """One gradient: its time in seconds and the peak memory of the process. ``problem`` says why there is none."""

    cell: str
    way: str
    steps: int
    seconds: float = 0.0
    memory: int = 0
    problem: str = ""
    slope: tuple[float, ...] = ()  # the gradient of the loss per step with respect to the biases


class Waves:
    """A source of sines with periods of up to 20 thousand steps, computed on demand and never stored as a whole."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.speed = 2 * torch.pi / torch.logspace(0.5, 4.3, INPUTS, dtype=torch.float64)

    def read(self, start: int, stop: int) -> Tensor:
        """Steps start ... stop - 1: (steps, 40)."""
        return torch.sin(torch.arange(start, stop, dtype=torch.float64)[:, None] * self.speed).float()


def gradient(cell: str, way: str, steps: int) -> Found:
    """Compute one gradient in this process."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    theirs, source = MODULES[cell](INPUTS, HIDDEN, batch_first=True), Waves(steps)
    ours = from_torch(theirs)
    begin = time.perf_counter()
    if way == "backpropagate":
        unrolled.backpropagate(ours, source, lambda out, start, stop: out.h.square().sum(), BUDGET)
    else:
        x = torch.empty(1, steps, INPUTS)
        for start in range(0, steps, 4096):
            stop = min(start + 4096, steps)
            x[0, start:stop] = source.read(start, stop)
        h = theirs(x)[0] if way == "torch.nn" else ours(x).h
        h.square().sum().backward()
    seconds = time.perf_counter() - begin
    bias = theirs.bias_ih_l0.grad if way == "torch.nn" else ours.b.grad
    assert isinstance(bias, Tensor)
    return Found(cell, way, steps, seconds, peak_memory(), slope=tuple((bias.double() / steps).tolist()))


def available() -> float:
    """Bytes that a new process can use without swapping."""
    found = re.search(r"MemAvailable: *(\d+) kB", Path("/proc/meminfo").read_text())
    assert found, "this measurement needs Linux"
    return 1024.0 * int(found[1])


def child(cell: str, way: str, steps: int) -> Found:
    """Compute one gradient in a process of its own, with at most the memory that is free now."""
    free = available() - MARGIN

    def bounded() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (int(free), int(free)))

    command = [sys.executable, __file__, "--one", cell, way, str(steps)]
    done = subprocess.run(command, capture_output=True, text=True, preexec_fn=bounded)
    if done.returncode == 0:
        return Found(**json.loads(done.stdout))
    lines = done.stderr.strip().splitlines() or [f"the process ended with {done.returncode}"]
    if not any("alloc" in line or "Memory" in line for line in lines[-3:]):
        raise RuntimeError(done.stderr)
    return Found(cell, way, steps, problem=f"needs more than the {free / 1e9:.0f} GB of free memory")


def compute_all(cells: list[str], lengths: list[int]) -> list[Found]:
    """All methods, each up to the length at which memory runs out."""
    rows: list[Found] = []
    for cell, way in itertools.product(cells, WAYS):
        for steps in lengths:
            rows.append(child(cell, way, steps))
            told = rows[-1].problem or f"{rows[-1].memory / 1e9:.2f} GB, {rows[-1].seconds:.1f} s"
            print(f"{cell}, {way}, {steps:,} steps: {told}", file=sys.stderr, flush=True)
            if rows[-1].problem:
                break
    return rows


def agree(rows: list[Found]) -> None:
    """Check that all methods gave the same gradients."""
    for one, other in itertools.combinations([r for r in rows if r.slope and r.steps <= 300_000], 2):
        if (one.cell, one.steps) == (other.cell, other.steps):
            error = relative_error(torch.tensor(one.slope), torch.tensor(other.slope))
            assert error < AGREE, f"{one.way} and {other.way} differ by {error:.1e}: {one.cell}, {one.steps:,} steps"


def as_markdown(rows: list[Found]) -> str:
    """The page of results."""
    least = min(r.memory for r in rows if r.memory)
    lines = [
        "# Memory against length",
        "",
        f"{machine()}; one thread.",
        "",
        f"The gradient through one sequence with {INPUTS} inputs, {HIDDEN} units and a loss at every step: the",
        f"peak memory of the process, including {least / 1e9:.2f} GB for libraries, and the time. `backpropagate` is",
        f'`unrolled.backpropagate(..., memory="{BUDGET}")`; as exact as the others. Written by `make bench-memory`.',
        "",
        "![The memory of nn.RNN, nn.GRU and Store() grows with length; that of backpropagate stays flat](memory.svg)",
        "",
        "| steps | " + " | ".join(f"{cell}, {way}" for cell, way in _columns(rows)) + " |",
        "| --- |" + " --- |" * len(_columns(rows)),
    ]
    at = {(r.cell, r.way, r.steps): r for r in rows}
    for steps in sorted({r.steps for r in rows}):
        cells = []
        for cell, way in _columns(rows):
            r = at.get((cell, way, steps))
            cells.append("" if r is None else r.problem or f"{r.memory / 1e9:.2f} GB, {r.seconds:,.1f} s")
        lines.append(f"| {steps:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _columns(rows: list[Found]) -> list[tuple[str, str]]:
    return list(dict.fromkeys((r.cell, r.way) for r in rows))


def draw(rows: list[Found], path: Path) -> None:
    """Draw memory against length."""
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "memory"  # the same file from the same numbers
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7.5, 4.2), layout="constrained")
    colours = {"torch.nn": "#d55e00", "Store()": "#0072b2", "backpropagate": "#009e73"}
    for cell, way in _columns(rows):
        here = [r for r in rows if (r.cell, r.way) == (cell, way) and r.memory]
        name = f"nn.{cell.upper()}" if way == "torch.nn" else f"{cell.upper()}, {way}"
        style = "-" if cell == "gru" else "--"
        axes.plot(
            [r.steps for r in here], [r.memory / 1e9 for r in here], style, marker="o", color=colours[way], label=name
        )
        for r in rows:
            if (r.cell, r.way) == (cell, way) and r.problem:
                axes.annotate("×", (here[-1].steps, here[-1].memory / 1e9), color=colours[way], fontsize=18,
                              xytext=(8, 4), textcoords="offset points", ha="left")  # fmt: skip
    axes.set(xscale="log", yscale="log", xlabel="steps", ylabel="memory of the process, GB")
    axes.set_title("× the next length does not fit in this machine", fontsize=9, loc="right", color="#555555")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})


def main() -> int:
    """Run the benchmark, or one gradient of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--longest", type=int, default=LENGTHS[-1])
    parser.add_argument("--cells", nargs="+", choices=MODULES, default=list(MODULES))
    parser.add_argument("--out", type=Path, help="folder for MEMORY.md, memory.json and memory.svg")
    parser.add_argument("--one", nargs=3, metavar=("CELL", "WAY", "STEPS"), help="compute one gradient in this process")
    options = parser.parse_args()
    if options.one:
        cell, way, steps = options.one
        print(json.dumps(asdict(gradient(cell, way, int(steps)))))
        return 0
    lengths = [n for n in LENGTHS if n <= options.longest]
    if not lengths:
        parser.error(f"--longest must be at least {LENGTHS[0]:,}, got {options.longest:,}")
    if options.out is None and len(lengths) == len(LENGTHS) and options.cells == list(MODULES):
        options.out = HERE
    rows = compute_all(options.cells, lengths)
    agree(rows)
    text = as_markdown(rows)
    print(text)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "MEMORY.md").write_text(text, encoding="utf-8")
        content = {
            "machine": str(machine()),
            "rows": [{n: v for n, v in asdict(r).items() if n != "slope"} for r in rows],
        }
        (options.out / "memory.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        draw(rows, options.out / "memory.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
