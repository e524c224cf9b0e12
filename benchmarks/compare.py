"""Training speed, side by side in one run: this library against torch.nn, with the physical floor beside both.

    make bench            (some minutes; writes benchmarks/RESULTS.md and results.json)

Time is forward + backward of a whole batch, one thread, float32; the contestants take turns, and the median of the
turns counts. Nothing is timed that does not first agree with torch.nn. The floor is the time that the multiplications
of all matrix products alone would take at the rate of a large matrix product, measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from unrolled.nn.interop import from_torch
from unrolled.testing import relative_error

HERE = Path(__file__).parent
KINDS: dict[str, tuple[type[torch.nn.RNNBase], int]] = {
    "rnn": (torch.nn.RNN, 1),
    "gru": (torch.nn.GRU, 3),
    "lstm": (torch.nn.LSTM, 4),
}
# steps, batch, input size, hidden size
SHAPES = [(500, 1, 40, 64), (500, 1, 40, 128), (500, 1, 40, 256), (100, 20, 64, 128), (100, 32, 64, 128)]
SHAPES += [(100, 32, 128, 256), (50, 64, 256, 512), (50, 16, 256, 1024)]
TURNS = 9
ALLOWED = 2e-5  # float32 gradients summed over thousands of rows, against torch.nn's in another order


def matrix_rate() -> float:
    """Multiply-adds per second of a large matrix product, the best of several."""
    a, b = torch.randn(1536, 1536), torch.randn(1536, 1536)
    times = [timed(lambda: a @ b) for _ in range(12)]
    return 1536**3 / min(times)


def timed(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def work(kind: str, steps: int, batch: int, inputs: int, hidden: int) -> int:
    """Multiply-adds of all matrix products: forward, gradient of the state, gradients of the two matrices. The input
    needs no gradient."""
    gates = KINDS[kind][1] * hidden
    return steps * batch * gates * (2 * inputs + 3 * hidden)


def compare(kind: str, shape: tuple[int, int, int, int], rate: float) -> dict[str, object]:
    """The median times of both, in microseconds per step."""
    steps, batch, inputs, hidden = shape
    torch.manual_seed(0)
    theirs = KINDS[kind][0](inputs, hidden, batch_first=True)
    ours = from_torch(theirs)
    x = torch.randn(batch, steps, inputs)
    weight = torch.randn(batch, steps, hidden)

    def run_theirs() -> torch.Tensor:
        theirs.zero_grad()
        out = theirs(x)[0]
        out.backward(weight)
        return out

    def run_ours() -> torch.Tensor:
        ours.zero_grad()
        out = ours(x).h
        out.backward(weight)
        return out

    outputs = relative_error(run_ours(), run_theirs())
    gradients = relative_error(ours.W.grad, theirs.weight_hh_l0.grad)
    if max(outputs, gradients) > ALLOWED:
        raise SystemExit(f"{kind} {shape} does not agree with torch.nn ({outputs:.1e}, {gradients:.1e}): not timed")
    turns = [(timed(run_ours), timed(run_theirs)) for _ in range(TURNS + 2)][2:]
    us = [1e6 * t / steps for t, _ in turns]
    them = [1e6 * t / steps for _, t in turns]
    floor = 1e6 * work(kind, *shape) / rate / steps
    return {
        "cell": kind,
        "steps": steps,
        "batch": batch,
        "input": inputs,
        "hidden": hidden,
        "engine": ours.engine,
        "unrolled": statistics.median(us),
        "spread": (max(us) - min(us)) / statistics.median(us),
        "torch.nn": statistics.median(them),
        "floor": floor,
        "ratio": statistics.median(them) / statistics.median(us),
    }


def table(rows: list[dict[str, object]]) -> str:
    lines = [
        "| cell | T, B, I, H | unrolled, µs/step | torch.nn, µs/step | times faster | floor, µs/step |",
        "|" + " --- |" * 6,
    ]
    for r in rows:
        shape = f"{r['steps']}, {r['batch']}, {r['input']}, {r['hidden']}"
        lines.append(
            f"| {r['cell']} | {shape} | {r['unrolled']:.1f} ± {r['spread'] / 2:.0%} | {r['torch.nn']:.1f} "
            f"| {r['ratio']:.2f} | {r['floor']:.1f} |"
        )
    return "\n".join(lines)


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    torch.set_num_threads(1)
    rate = matrix_rate()
    rows = []
    for kind in options.cells:
        for shape in SHAPES:
            rows.append(compare(kind, shape, rate))
            print(table(rows[-1:]).splitlines()[-1], flush=True)
    machine = f"{processor()}, {torch.backends.cpu.get_cpu_capability()}, one thread, torch {torch.__version__}"
    where = f"{machine}, {2 * rate / 1e9:.0f} GFLOP/s in a large matrix product"
    (HERE / "results.json").write_text(json.dumps({"machine": where, "rows": rows}, indent=1) + "\n")
    title = f"# Results of `make bench`\n\nForward + backward, float32, medians of {TURNS} turns. {where}."
    (HERE / "RESULTS.md").write_text(f"{title}\n\n{table(rows)}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
