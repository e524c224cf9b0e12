"""Engine ``cuda`` on a GPU: is it right, and how fast is it beside torch.nn, the loop in torch and the lower bound?

make bench-cuda                         8 minutes on a GPU; writes RESULTS-CUDA.md
make bench-cuda ARGS=--rehearse         a short run on the CPU with engine torch in place of cuda; writes nothing

First every cell is compared with the reference in float64, in both kinds of launch. Then the latency of a barrier is
measured, and then the points: our two kinds of launch, torch.nn (cuDNN), the loop in torch, and the same loop in a CUDA
graph take turns. What cannot run is reported with its reason.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import unrolled
from unrolled import cells
from unrolled.engines.cuda import gpu
from unrolled.engines.cuda.loop import CudaLoop
from unrolled.engines.cuda.memory import Memory
from unrolled.engines.cuda.render import Text, prelude
from unrolled.engines.cuda.shape import GRID, TILE, Shape
from unrolled.engines.planned import Planned
from unrolled.engines.registry import ENGINES
from unrolled.graph.bind import bind
from unrolled.testing.compare import TOLERANCES, largest, relative_error
from unrolled.testing.gradients import random_leaves, random_weights, values_and_gradients

HERE = Path(__file__).parent
STOCK = {"rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CUSTOM = ("mgu", "layernorm_lstm")
SIZES = {"x": 33, "h": 65, "s": 65, "o": 17}  # of the comparison: no multiples of a warp
OTHER_SIZES: dict[str, dict[str, Any]] = {
    "lstm_projected": {"x": 33, "h": 65, "c": 70},
    "es_rnn": {"x": 3, "h": 65, "o": 15},
    "mlstm": {"x": 33, "h": 65, "k": 17},
    "delta": {"x": 33, "h": 65, "k": 17},
    "bahdanau": {"x": 33, "h": 65, "q": 17, "M": (7, 18)},
    "luong": {"x": 33, "h": 65, "htilde": 17, "M": (7, 18)},
    "neural_stack": {"x": 33, "h": 65, "S": (5, 18)},
}
BATCHES, HIDDEN, STEPS = (1, 16, 128, 512), (64, 128, 256, 512, 1024), (100, 1000)
SECONDS = 480  # after which no further point begins
TURNS = 5
BARRIERS = 10_000

Call = Callable[[], object]


# is it right


def compared(name: str, kind: str, dtype: torch.dtype, device: str) -> tuple[float, str]:
    """The largest relative error of all values and gradients of a cell, and where it is."""
    recurrence = cells.ALL[name].recurrence
    known = {*recurrence.inputs, *recurrence.states, *recurrence.returns}
    sizes = bind(recurrence, OTHER_SIZES.get(name) or {n: size for n, size in SIZES.items() if n in known})
    torch.manual_seed(0)
    values, weights = random_leaves(recurrence, sizes, 9, 19), random_weights(recurrence, sizes, 9, 19)
    values |= {n: values[n] / 2 for n in recurrence.parameters if values[n].ndim == 2}
    if name == "slstm":
        values["n"] = values["n"].abs() + 1  # a divisor
    values, weights = ({n: _in_float32(t) for n, t in v.items()} for v in (values, weights))
    expected = values_and_gradients(recurrence, sizes, values, weights)
    there = [{n: _moved(t, dtype, device) for n, t in v.items()} for v in (values, weights)]
    actual = values_and_gradients(recurrence, sizes, *there, kind)
    scale = largest([*expected[1].values(), *weights.values()])
    errors = {n: relative_error(actual[0][n].cpu().double(), v.double()) for n, v in expected[0].items()}
    errors |= {
        f"gradient of {n}": relative_error(actual[1][n].cpu().double(), g, scale) for n, g in expected[1].items()
    }
    worst = max(errors, key=errors.__getitem__)
    return errors[worst], worst


def _in_float32(t: Tensor) -> Tensor:
    """Numbers that are exact in both precisions."""
    return t.float().double() if t.is_floating_point() else t


def _moved(t: Tensor, dtype: torch.dtype, device: str) -> Tensor:
    return t.to(device, dtype if t.is_floating_point() else None)


def correctness(kinds: Mapping[str, str], device: str) -> Iterator[str]:
    """A line for each cell and kind of launch that is wrong or cannot run, then one line about all."""
    count, wrong = 0, 0
    for name in cells.ALL:
        for kind in kinds:
            for dtype, allowed in (("float32", "engines, float32"), ("float64", "engines, float64")):
                count += 1
                try:
                    error, where = compared(name, kind, getattr(torch, dtype), device)
                    bad = "" if error <= TOLERANCES[allowed] else f"{where} is off by {error:.1e}"
                except Exception as problem:  # all cells are to be seen
                    bad = f"{type(problem).__name__}: {str(problem).splitlines()[0]}"
                if bad:
                    wrong += 1
                    yield f"- {name}, {kinds[kind]}, {dtype}: {bad}"
    yield f"- {count - wrong} of {count} comparisons of values and gradients agree with the reference in float64"


# how long does a barrier take


def barrier(device: str) -> float:
    """The seconds that all blocks of a GPU wait for each other, without work."""
    shape = Shape(GRID, 1, 256, 1, torch.cuda.get_device_properties(device).multi_processor_count)
    names = {
        "LANES": 1,
        "THREADS": shape.width,
        "DEPTH": 1,
        "BLOCKS": shape.blocks,
        "POINTERS": 1,
        "REVERSE": 0,
        "ROOM": 0,
    }
    text = "\n".join(
        [
            "#define GRID",
            *(f"#define {n} {value}" for n, value in names.items()),
            prelude(),
            "EXPORT void __launch_bounds__(THREADS * DEPTH, 1) run(const arguments a) {",
            "    for (int64_t t = 0; t < *(const int64_t *)a.p[0]; t++) WAIT;",
            "}",
        ]
    )
    made = Text(text, shape, Memory([], 0, 0, frozenset()))
    lanes, room = torch.zeros(1, 3, dtype=torch.int64, device=device), torch.empty(0, device=device)
    times = {n: torch.full((1,), n, dtype=torch.int64, device=device) for n in (1, BARRIERS)}
    took = {n: shortest(lambda t=t: gpu.Gpu().launch(made, lanes, None, room, [t])) for n, t in times.items()}
    return (took[BARRIERS] - took[1]) / (BARRIERS - 1)


# how fast is it


def waited() -> None:
    """Wait until the GPU is idle."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def shortest(call: Call, turns: int = TURNS) -> float:
    """The seconds of the shortest of some calls, after one that is not counted."""
    best = float("inf")
    for turn in range(turns + 1):
        waited()
        begin = time.perf_counter()
        call()
        waited()
        best = min(best, time.perf_counter() - begin) if turn else best
    return best


def training(forward: Callable[[], Tensor], parameters: list[nn.Parameter]) -> Call:
    """A forward and backward pass."""

    def run() -> None:
        torch.autograd.grad(forward().sum(), parameters)

    return run


def graphed(call: Call) -> Call:
    """The same call in a CUDA graph."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        for _ in range(3):
            call()
    waited()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def players(
    name: str, x: Tensor, hidden: int, kinds: Mapping[str, str], train: bool
) -> Iterator[tuple[str, Callable[[], Call]]]:
    """What takes part at a point: its name, and what makes its call."""

    def ours(engine: str) -> Call:
        net = unrolled.Recurrent(
            cells.ALL[name], engine=engine, x=x.shape[-1], h=hidden, device=x.device, dtype=x.dtype
        )
        return called(lambda: net(x).h, list(net.parameters()))

    def theirs() -> Call:
        layer = STOCK[name](x.shape[-1], hidden, batch_first=True, device=x.device, dtype=x.dtype)
        return called(lambda: layer(x)[0], list(layer.parameters()))

    def called(forward: Callable[[], Tensor], parameters: list[nn.Parameter]) -> Call:
        return training(forward, parameters) if train else torch.no_grad()(forward)

    for engine, title in kinds.items():
        yield title, lambda engine=engine: ours(engine)
    if name in STOCK:
        yield "torch.nn", theirs
    yield "torch loop", lambda: ours("torch")
    if x.is_cuda:
        yield "graphed loop", lambda: graphed(ours("torch"))


def point(name: str, x: Tensor, hidden: int, kinds: Mapping[str, str], train: bool) -> dict[str, float | str]:
    """The seconds of each player, or why it does not run."""
    found: dict[str, float | str] = {}
    for title, make in players(name, x, hidden, kinds, train):
        try:
            found[title] = shortest(make(), 3)
        except Exception as problem:  # the others are to be seen
            found[title] = f"{type(problem).__name__}"
            print(f"  {title}: {problem}", file=sys.stderr)
    return found


def speed(kinds: Mapping[str, str], device: str, rehearse: bool) -> Iterator[str]:
    """A table row for each point: microseconds per step."""
    titles = [*kinds.values(), "torch.nn", "torch loop", "graphed loop"]
    yield f"| cell | hidden | batch | steps | pass | {' | '.join(titles)} |"
    yield f"| --- | --- | --- | --- | --- |{' --- |' * len(titles)}"
    until = time.monotonic() + SECONDS
    points = [(h, b, t) for t in STEPS for h in HIDDEN for b in BATCHES if t * h * b <= 2**26]
    for hidden, batch, steps in [(8, 2, 5)] if rehearse else points:
        for name in (*STOCK, *CUSTOM):
            for train in (False, True):
                if time.monotonic() > until:
                    return
                x = torch.randn(batch, steps, hidden, device=device)
                found = point(name, x, hidden, kinds, train)
                shown = [f"{1e6 * s / steps:.3g}" if isinstance(s := found.get(n, ""), float) else s for n in titles]
                what = "training" if train else "forward"
                yield f"| {name} | {hidden} | {batch} | {steps} | {what} | {' | '.join(shown)} |"


def main() -> int:
    parser = argparse.ArgumentParser(description="engine cuda on a GPU")
    parser.add_argument("--rehearse", action="store_true", help="a short run on the CPU; engine torch replaces cuda")
    rehearse = parser.parse_args().rehearse
    if not rehearse and (reason := gpu.missing()):
        print(f"make bench-cuda needs a GPU: {reason}")
        return 1
    device = "cpu" if rehearse else "cuda"
    kinds = {"torch": "ours"} if rehearse else {TILE: "tile", GRID: "grid"}
    if not rehearse:
        ENGINES.update({kind: Planned("cuda", CudaLoop(gpu.Gpu(kind))) for kind in (TILE, GRID)})
    lines = ["# Engine cuda on a GPU", "", f"torch {torch.__version__}"]
    if not rehearse:
        about, compiler = torch.cuda.get_device_properties(device), gpu.nvrtc()
        lines[-1] += f", {about.name}, {about.multi_processor_count} processors, NVRTC {compiler and compiler.version}"
    lines += ["", "## Correctness", ""]
    for line in correctness(kinds, device):
        print(line, flush=True)
        lines.append(line)
    if not rehearse:
        lines += ["", "## Barrier", "", f"All blocks wait for each other in {1e6 * barrier(device):.2f} µs."]
        print(lines[-1], flush=True)
    lines += ["", "## Speed", "", "Microseconds per step, the shortest of three calls; float32.", ""]
    for line in speed(kinds, device, rehearse):
        print(line, flush=True)
        lines.append(line)
    if not rehearse:
        (HERE / "RESULTS-CUDA.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
