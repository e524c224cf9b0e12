"""The speed of training with two processes, relative to one: torchrun with one thread per process.

make bench-parallel                                 minutes; prints the results and writes nothing

Both train the same language model on the same batches; each of the two processes reads half of every batch. One and two
processes take turns. The text is tinyshakespeare in $UNROLLED_DATA. Prints characters per second, the best over all
turns, and the final losses, which must agree up to rounding.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from unrolled.speed.machine import machine

AIM = 1.6
ALIKE = 1e-3  # relative difference of the losses: float32 sums in another order, over all updates
MODELS = {"gru": ("gru", 256, 64), "lstm": ("lstm", 512, 32)}  # cell, hidden, batch


def train(cell: str, hidden: int, batch: int, updates: int, text: Path, processes: int) -> tuple[float, float]:
    """Train once; returns characters per second and the validation loss."""
    start = [] if processes == 1 else ["torch.distributed.run", "--nproc-per-node", str(processes), "-m"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "run")
        command = [
            sys.executable,
            "-m",
            *start,
            "unrolled",
            "train",
            str(text),
            "--cell",
            cell,
            "--hidden",
            str(hidden),
        ]
        command += ["--batch", str(batch), "--window", "100", "--updates", str(updates), "--out", str(out)]
        command += ["--threads", "1", "--set", "training.validations=1"]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise SystemExit(done.stdout + done.stderr)
        events = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    last = next(e for e in reversed(events) if e["event"] == "progress")
    return last["per_second"], last["validation"]


def main() -> int:
    """Run the benchmark; exits with 1 if the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=100)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    if "UNROLLED_DATA" not in os.environ:
        parser.error("set UNROLLED_DATA to the folder of the data sets")
    text = Path(os.environ["UNROLLED_DATA"], "tinyshakespeare", "input.txt")
    print(machine(), end="\n\n")
    ratios = []
    for cell, hidden, batch in MODELS.values():
        speeds: dict[int, list[float]] = {1: [], 2: []}
        losses = {}
        for _ in range(options.turns):
            for processes, found in speeds.items():
                speed, losses[processes] = train(cell, hidden, batch, options.updates, text, processes)
                found.append(speed)
        assert abs(losses[1] / losses[2] - 1) < ALIKE, f"not the same training: {losses}"
        one, two = max(speeds[1]), max(speeds[2])
        ratios.append(two / one)
        print(f"{cell}, {hidden} units, batch {batch}: {one:,.0f} characters/s with one process, {two:,.0f} with two:")
        print(f"  {two / one:.2f} times as fast{'' if two / one >= AIM else ' (missed)'}; ", end="")
        print(f"loss {losses[1]:.5f} and {losses[2]:.5f}; all turns {speeds}", flush=True)
    return 0 if min(ratios) >= AIM else 1


if __name__ == "__main__":
    sys.exit(main())
