"""A language model under torch.compile: graphs, compilations, the time to compile, and the time of a training step.

make bench-compile                                        5 minutes; writes COMPILE.md

Embedding, two LSTM layers, linear layer and loss; forward and backward, one thread. The model is compiled once and then
trained on longer and longer sequences. Eager and compiled steps take turns; the page shows the shortest of each. The
same model with the loop over time in torch is compiled at the first length alone, since torch.compile unfolds the loop.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch._dynamo.testing import CompileCounterWithBackend

import unrolled
from unrolled.speed.machine import machine
from unrolled.speed.timing import processors
from unrolled.testing import assert_close

HERE = Path(__file__).parent
BATCH, INPUTS, HIDDEN, TOKENS = 4, 128, 256, 100
LENGTHS = (20, 50, 200, 1000)
MOST_COMPILATIONS, MOST_OF_EAGER, MOST_OF_LOOP = 2, 1.05, 1 / 3  # the aims; 5% is noise


class Model(nn.Module):
    """A language model: the loss for tokens (batch, time)."""

    def __init__(self, layers: nn.Module) -> None:
        super().__init__()
        self.table, self.layers, self.scores = nn.Embedding(TOKENS, INPUTS), layers, nn.Linear(HIDDEN, TOKENS)

    def forward(self, tokens: Tensor) -> Tensor:
        output, _ = self.layers(self.table(tokens))
        return nn.functional.cross_entropy(self.scores(output).flatten(0, 1), tokens.flatten())


class Loop(nn.Module):
    """Two LSTM layers as a loop over torch's cells."""

    def __init__(self) -> None:
        super().__init__()
        self.cells = nn.ModuleList([nn.LSTMCell(INPUTS, HIDDEN), nn.LSTMCell(HIDDEN, HIDDEN)])

    def forward(self, x: Tensor) -> tuple[Tensor, None]:
        for cell in self.cells:
            h, c = x.new_zeros(2, len(x), HIDDEN)
            steps = []
            for t in range(x.shape[1]):
                h, c = cell(x[:, t], (h, c))
                steps.append(h)
            x = torch.stack(steps, 1)
        return x, None


@dataclass(frozen=True)
class Row:
    """What was measured at one length, in seconds. loop: the time to compile the loop in torch."""

    steps: int
    graphs: int
    compilations: int
    first: float
    eager: float
    compiled: float
    loop: float | None


def trained(model: Callable[[Tensor], Tensor], tokens: Tensor) -> tuple[float, Tensor]:
    """Run a training step without the update: its time in seconds, and the loss."""
    begin = time.perf_counter()
    loss = model(tokens)
    loss.backward()
    return time.perf_counter() - begin, loss.detach()


def measure(lengths: tuple[int, ...], turns: int, with_loop: bool) -> list[Row]:
    """Compile the model once, and train it on sequences of these lengths."""
    torch.manual_seed(0)
    model = Model(unrolled.nn.LSTM(INPUTS, HIDDEN, 2, batch_first=True))
    torch.compile(torch.sin)(torch.ones(8, requires_grad=True)).sum().backward()  # what is done once for all models
    counter, rows = CompileCounterWithBackend("inductor"), list[Row]()
    compiled = torch.compile(model, fullgraph=True, backend=counter)
    for steps in lengths:
        tokens = torch.randint(TOKENS, (BATCH, steps))
        trained(model, tokens)  # compiles the loops in C, which both have
        before = counter.frame_count
        first, loss = trained(compiled, tokens)
        assert_close("loss", loss, trained(model, tokens)[1], "engines, float32")
        seconds: list[list[float]] = [[], []]
        for _ in range(turns):
            for found, way in zip(seconds, (model, compiled), strict=True):
                found.append(trained(way, tokens)[0])
        loop = trained(torch.compile(Model(Loop()), fullgraph=True), tokens)[0] if with_loop and not rows else None
        rows.append(Row(steps, 1, counter.frame_count, first, *map(min, seconds), loop))
        new = counter.frame_count - before
        print(f"{steps} steps: {new} compilations, {first:.1f} s", file=sys.stderr, flush=True)
    return rows


def missed(rows: list[Row]) -> list[str]:
    """The aims that were missed."""
    found = []
    if rows[-1].compilations > MOST_COMPILATIONS:
        found.append(f"compilations: {rows[-1].compilations}")
    found += [f"slower at {r.steps} steps" for r in rows if r.compiled > MOST_OF_EAGER * r.eager]
    return found + [f"time to compile at {r.steps} steps" for r in rows if r.loop and r.first > MOST_OF_LOOP * r.loop]


def as_markdown(rows: list[Row]) -> str:
    """The page of results."""
    lines = [
        "# A model under torch.compile",
        "",
        f"{machine()}; one thread.",
        "",
        f"Embedding, two LSTM layers of {HIDDEN} units, linear layer and loss; batch {BATCH}, forward and backward.",
        "The model is compiled once with `fullgraph=True`, then trained on longer and longer sequences. First:",
        "the first training step at this length, with its compilations. Loop: the same for the loop over time",
        "in torch. Where batch times steps passes 4096, torch compiles its own operations once more, with or",
        "without recurrent layers. Written by `make bench-compile`.",
        "",
        "| steps | graphs | compilations so far | first, s | loop, s | eager, ms | compiled, ms | speed |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for r in rows:
        loop = "" if r.loop is None else f"{r.loop:.0f}"
        lines.append(
            f"| {r.steps} | {r.graphs} | {r.compilations} | {r.first:.2f} | {loop} | {1e3 * r.eager:.1f} | "
            f"{1e3 * r.compiled:.1f} | {r.eager / r.compiled:.2f} |"
        )
    lines += [
        "",
        f"Aims: at most {MOST_COMPILATIONS} compilations, speed at least 0.95, first at most a third of loop.",
    ]
    return "\n".join([*lines, f"Missed: {', '.join(missed(rows)) or 'none'}."]) + "\n"


def main() -> int:
    """Run the benchmark; exits with 1 if an aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lengths", type=int, nargs="+", default=LENGTHS)
    parser.add_argument("--turns", type=int, default=30)
    parser.add_argument("--no-loop", action="store_true", help="do not compile the loop in torch")
    parser.add_argument("--out", type=Path, default=HERE / "COMPILE.md")
    options = parser.parse_args()
    if min(*options.lengths, options.turns) < 1:
        parser.error("--lengths and --turns must be at least 1")
    with processors(1), tempfile.TemporaryDirectory() as fresh:
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = fresh  # so that each run compiles again
        rows = measure(tuple(options.lengths), options.turns, not options.no_loop)
    text = as_markdown(rows)
    print(text)
    options.out.write_text(text, encoding="utf-8")
    return 1 if missed(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
