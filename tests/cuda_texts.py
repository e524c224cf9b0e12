"""Compile the CUDA text of every cell with NVRTC, which needs no GPU, and read the compiler's report: ``make
test-cuda-text``. Ends with an error if a text cannot be compiled, or if its registers are not enough, so that the GPU
would keep values in memory (spills)."""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Iterator

from cells_for_tests import CIRCUITS, SIZES
from unrolled.engines.cuda.loop import placed
from unrolled.engines.cuda.nvrtc import INSTALL, Nvrtc, nvrtc
from unrolled.engines.cuda.render import Text, render
from unrolled.engines.cuda.shape import grid, tile
from unrolled.graph.bind import bind
from unrolled.plan.plan import make_plan

ARCHITECTURES = (80, 90, 100, 120)
HIDDEN, SEQUENCES, PROCESSORS = 128, 512, 132  # of an H100
SHARED = 96 * 1024  # bytes that a block of each of these GPUs has
SPILLS = re.compile(r"(\d+) bytes spill stores, (\d+) bytes spill loads")
REGISTERS = re.compile(r"Used (\d+) registers")


def texts(name: str, double: bool) -> Iterator[tuple[str, Text]]:
    """The texts of a cell's loops, forward and backward."""
    plan = make_plan(CIRCUITS[name].recurrence)
    sizes = bind(CIRCUITS[name].recurrence, SIZES[name] | ({"h": HIDDEN} if "h" in SIZES[name] else {}))
    everything = {**plan.step.inputs, **plan.step.parameters}
    for title, way in (("forward", plan.forward(True)), ("backward", plan.backward(plan.step.returns, everything))):
        if way.loop.states:
            entries = max((n.type.entries(sizes) for n in way.loop.nodes), default=1)
            for shape in (tile(SEQUENCES, entries, PROCESSORS, SHARED), grid(SEQUENCES, entries, PROCESSORS, SHARED)):
                text = render(placed(way.loop), way.loop.totals, sizes, double, shape)
                yield f"{title:<8} {shape.kind}", text


def examine(compiler: Nvrtc, name: str, double: bool) -> tuple[float, bool]:
    """Compile the texts of a cell and print a line for each. Returns the longest time, in s, and whether one spills."""
    longest, spilled = 0.0, False
    for title, text in texts(name, double):
        registers, spills, seconds = [], 0, []
        for architecture in ARCHITECTURES:
            begin = time.process_time()
            _, report = compiler.compile(text.text, architecture)
            seconds.append(time.process_time() - begin)  # other programs do not count
            registers.append(max(map(int, REGISTERS.findall(report))))
            spills += sum(int(stored) + int(loaded) for stored, loaded in SPILLS.findall(report))
        longest, spilled = max(longest, *seconds), spilled or spills > 0
        precision = "float64" if double else "float32"
        shown = f"{name:<26} {title} {precision}  {max(seconds):5.2f} s  registers {registers}"
        print(f"{shown}  shared {text.memory.shared:6}" + (f"  spills {spills} bytes" if spills else ""), flush=True)
    return longest, spilled


def main() -> int:
    parser = argparse.ArgumentParser(description="compile the CUDA text of every cell without a GPU")
    parser.add_argument("--cells", nargs="*", default=[*CIRCUITS], help="names of cells; all by default")
    parser.add_argument("--double", action="store_true", help="in float64, too")
    given = parser.parse_args()
    compiler = nvrtc()
    if compiler is None:
        print(f"NVRTC was not found. {INSTALL}")
        return 1
    print(f"NVRTC {compiler.version}, for {', '.join(f'sm_{n}' for n in ARCHITECTURES)}; hidden size {HIDDEN}")
    found = [
        examine(compiler, n, double) for n in given.cells for double in ((False, True) if given.double else (False,))
    ]
    spilled = sum(spills for _, spills in found)
    print(f"{len(found)} cells; the longest compilation took {max(t for t, _ in found):.2f} s; {spilled} cells spill")
    return int(spilled > 0)


if __name__ == "__main__":
    sys.exit(main())
