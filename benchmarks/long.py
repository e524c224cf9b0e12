"""The exact gradient through a voice recording of 5,000 minutes: 30,000,000 steps, in bounded memory.

make bench-long                                     both cells, the whole recording; writes LONG.md and long.json
make bench-long ARGS="--steps 1000000"              minutes; compares the gradient with Store() and with float64

The recording (see recording.py) is a FLAC file. A network of 128 units reads 40 log-mel features per 10 ms, and a
linear layer predicts those of the next 10 ms. The loss is the squared error, summed over all steps.
``unrolled.backpropagate`` reads the file twice. The first reading is one forward pass; the page compares the total
time with it.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from recording import RATE, record
from torch import Tensor, nn

import unrolled
from unrolled.cli.steps import counted
from unrolled.nn.result import Result
from unrolled.speed.machine import machine, peak_memory
from unrolled.speed.timing import processors
from unrolled.train.sources import AudioFile, LogMel

HERE = Path(__file__).parent
STEPS, HOP, MELS, HIDDEN = 30_000_000, RATE // 100, 40, 128
CELLS = {"gru": unrolled.cells.gru, "rnn": unrolled.cells.rnn}
MOST_MEMORY, MOST_FORWARDS = 1.5e9, 4.5  # the aims: bytes of the whole process, time in forward passes
COMPARED = 1_000_000  # the gradient over this many first steps is compared with that of Store()
MIDDLE, WIDTH = -7.0, 4.0  # approximate mean and spread of log-mel features


class Voice:
    """A source of features; ``next`` holds the targets of the last piece, so that the file is read once for both."""

    def __init__(self, path: Path, steps: int, dtype: torch.dtype = torch.float32) -> None:
        self.features, self.length, self.dtype = LogMel(AudioFile(path), mels=MELS), steps, dtype
        self.seconds = 0.0
        self.next = torch.empty(0)

    def read(self, start: int, stop: int) -> Tensor:
        """Features (steps, 40) of a piece; the targets go to ``next``."""
        begin = time.perf_counter()
        piece = self.features.read(start, min(stop + 1, self.length)).to(self.dtype)
        piece.sub_(MIDDLE).div_(WIDTH)
        self.next = piece[1:]
        self.seconds += time.perf_counter() - begin
        return piece[: stop - start]


class Listener(nn.Module):
    """A network with a linear layer that predicts the next features."""

    def __init__(self, cell: str, dtype: torch.dtype = torch.float32, engine: str = "auto") -> None:
        super().__init__()
        torch.manual_seed(0)
        self.net = unrolled.Recurrent(CELLS[cell], x=MELS, h=HIDDEN, engine=engine)
        self.head = nn.Linear(HIDDEN, MELS)
        self.to(dtype)

    def loss(self, out: Result, target: Tensor) -> Tensor:
        """The squared error of one piece; the last step of the recording has no target."""
        return (self.head(out.h[0, : len(target)]) - target).square().sum()

    def gradient(self) -> dict[str, Tensor]:
        """All gradients by name, in float64; clears ``.grad``."""
        found = {n: p.grad.double() for n, p in self.named_parameters() if p.grad is not None}
        self.zero_grad()
        return found


@dataclass
class Long:
    """The measurements of one cell; times in seconds."""

    cell: str
    steps: int
    loss: float = 0.0  # per step
    forward: float = 0.0  # the forward pass over the file: reading, features, network, without the loss
    total: float = 0.0  # everything
    parts: dict[str, float] = field(default_factory=dict)
    memory: int = 0  # peak of the process, in bytes
    segment: int = 0  # steps per segment
    against_store: float | None = None  # largest relative difference of any parameter's gradient
    against_double: float | None = None

    @property
    def forwards(self) -> float:
        """The total time in forward passes."""
        return self.total / self.forward


class Clock:
    """Where the time goes: the time between two marks counts towards the part that the second one names."""

    def __init__(self) -> None:
        self.parts: dict[str, float] = {}
        self.last = time.perf_counter()

    def mark(self, part: str) -> None:
        """Add the time since the last mark to a part."""
        now = time.perf_counter()
        self.parts[part] = self.parts.get(part, 0.0) + now - self.last
        self.last = now


def gradient(result: Long, model: Listener, voice: Voice, memory: str, told: Callable[[str], None]) -> None:
    """Compute the gradient; fill in the result and the model's .grad."""
    clock, begin = Clock(), time.perf_counter()

    class Timed:
        length = voice.length

        def read(self, start: int, stop: int) -> Tensor:
            clock.mark("other")
            x = voice.read(start, stop)
            clock.mark("reading and features")
            result.segment = max(result.segment, len(x))
            return x

    def loss(out: Result, start: int, stop: int) -> Tensor:
        clock.mark("forward again")
        value = model.loss(out, voice.next)
        clock.mark("loss")
        return value

    def after(now: str, done: int, of: int) -> None:
        clock.mark(now)
        if now == "forward":
            result.forward = (clock.last - begin) * of / done  # the forward pass skips the last segment
        told(f"{now} {done / of:.0%}")

    total = unrolled.backpropagate(model.net, Timed(), loss, memory, told=after)
    result.loss, result.parts, result.total = total / voice.length, clock.parts, time.perf_counter() - begin


def difference(found: dict[str, Tensor], right: dict[str, Tensor]) -> float:
    """The largest error of any gradient, relative to the largest entry of the same gradient."""
    return max(float((found[n] - right[n]).abs().max() / right[n].abs().max()) for n in right)


def time_recording(cell: str, path: Path, steps: int, memory: str) -> Long:
    """Time the gradient through a recording."""
    result, model = Long(cell, steps), Listener(cell)
    voice = Voice(path, steps)
    gradient(Long(cell, 200), model, Voice(path, 200), "1 MB", lambda line: None)  # compiles
    model.zero_grad()
    shown: set[str] = set()
    with counted(200, False, f"{cell}: {steps:,} steps") as done:

        def told(line: str) -> None:
            if line not in shown:
                shown.add(line)
                done(f"{cell} {line}" if line.endswith("0%") and not sys.stdout.isatty() else "")

        gradient(result, model, voice, memory, told)
    result.memory = peak_memory()
    return result


def compare(result: Long, path: Path, memory: str) -> None:
    """Compare the gradient over the beginning of the recording with that of Store(), and with float64."""
    steps, model = min(result.steps, COMPARED), Listener(result.cell)
    gradient(Long(result.cell, steps), model, Voice(path, steps), memory, lambda line: None)
    found, voice = model.gradient(), Voice(path, steps)
    x = voice.read(0, steps)
    model.loss(model.net(x[None]), voice.next).backward()
    result.against_store = difference(found, model.gradient())
    double = Listener(result.cell, torch.float64, "c")
    double.load_state_dict(model.state_dict())
    gradient(Long(result.cell, steps), double, Voice(path, steps, torch.float64), memory, lambda line: None)
    result.against_double = difference(found, double.gradient())


def as_markdown(rows: list[Long], memory: str) -> str:
    """The page of results."""
    lines = [
        "# The exact gradient through a long recording",
        "",
        f"{machine()}; one thread.",
        "",
        f"A FLAC file at 8 kHz, {MELS} log-mel features per 10 ms, {HIDDEN} units, the squared error of the next frame",
        f'summed over all steps; `unrolled.backpropagate(..., memory="{memory}")`. Written by `make bench-long`.',
        "",
        "| cell | steps | seconds | steps/s | one forward pass | in forward passes | peak memory | loss per step |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        reached = r.forwards <= MOST_FORWARDS, r.memory < MOST_MEMORY
        aims = ["" if yes else " (missed)" for yes in reached]
        lines.append(
            f"| {r.cell} | {r.steps:,} | {r.total:,.1f} | {r.steps / r.total:,.0f} | {r.forward:,.1f} s | "
            f"{r.forwards:.2f}{aims[0]} | {r.memory / 1e9:.2f} GB{aims[1]} | {r.loss:.4f} |"
        )
    lines += ["", f"Aims: at most {MOST_FORWARDS} forward passes, less than {MOST_MEMORY / 1e9} GB of memory.", ""]
    names = sorted({n for r in rows for n in r.parts}, key=lambda n: -max(r.parts.get(n, 0) for r in rows))
    lines += ["| share of the time | " + " | ".join(names) + " |", "| --- |" + " --- |" * len(names)]
    for r in rows:
        shares = (f"{r.parts.get(n, 0) / r.total:.1%}" for n in names)
        lines.append(f"| {r.cell}, segments of {r.segment:,} | " + " | ".join(shares) + " |")
    if compared := [r for r in rows if r.against_store is not None]:
        steps = min(compared[0].steps, COMPARED)
        lines += ["", f"The gradient over the first {steps:,} steps: the largest difference of any entry, relative to"]
        lines += [
            "the largest entry of the same parameter's gradient:",
            "",
            "| cell | from `Store()` | from float64 |",
            "| --- | --- | --- |",
        ]
        lines += [f"| {r.cell} | {r.against_store:.1e} | {r.against_double:.1e} |" for r in compared]
    return "\n".join(lines) + "\n"


def keep(rows: list[Long], memory: str, folder: Path | None) -> None:
    """Write the results so far."""
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "LONG.md").write_text(as_markdown(rows, memory), encoding="utf-8")
        content = {"machine": str(machine()), "memory": memory, "rows": [asdict(r) for r in rows]}
        (folder / "long.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Run the benchmark; exits with 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--memory", default="300 MB", help="memory for states and one segment")
    parser.add_argument("--recording", type=Path, help="recording to use; created if missing (default: temporary)")
    parser.add_argument(
        "--compare", action=argparse.BooleanOptionalAction, default=True, help="compare with Store() and float64"
    )
    parser.add_argument("--out", type=Path, help="folder for LONG.md and long.json")
    options = parser.parse_args()
    if not 1000 <= options.steps <= STEPS:
        parser.error(f"--steps must be from 1,000 to {STEPS:,}, got {options.steps:,}")
    if options.out is None and options.steps == STEPS and options.cells == list(CELLS):
        options.out = HERE
    with tempfile.TemporaryDirectory() as folder, processors(1):
        path = options.recording or Path(folder, "voice.flac")
        if not path.exists():
            record(path, math.ceil(options.steps * HOP / RATE), told=True)
        rows: list[Long] = []
        for cell in options.cells:
            rows.append(time_recording(cell, path, options.steps, options.memory))
            keep(rows, options.memory, options.out)
        for row in rows if options.compare else ():  # last, since Store() needs far more memory
            compare(row, path, options.memory)
            keep(rows, options.memory, options.out)
    print(as_markdown(rows, options.memory))
    return 0 if all(r.forwards <= MOST_FORWARDS and r.memory < MOST_MEMORY for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
