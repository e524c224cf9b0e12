"""A step of an exported C file beside the library's own kernel and ONNX Runtime, for one sequence on one thread.

make bench-export                                   a minute; writes EXPORT.md

All take turns within one process, each for some milliseconds; the page shows the median of the turns. The library and
ONNX Runtime run a whole sequence in one call, and may multiply the inputs of many steps at once; a C file reads its
weights at every step, as it must for inputs that arrive one by one. The floor is the time to read all weights once.
"""

from __future__ import annotations

import argparse
import ctypes
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from unrolled import Recurrent, cells
from unrolled.engines.c.build import compiler
from unrolled.export.about import About
from unrolled.export.c.check import FLAGS
from unrolled.export.c.file import made
from unrolled.export.c.text import text_of
from unrolled.export.network import network_of
from unrolled.export.options import Options
from unrolled.speed.machine import machine

HERE = Path(__file__).parent
CELLS, SIZES, STEPS = {"LSTM": cells.lstm, "GRU": cells.gru}, (64, 128, 256, 512, 1024), 100
FORMS = {"C": {}, "C, bf16": {"weights": "bf16"}, "C, int8": {"weights": "int8"}, "C, --static": {"static": True}}

Call = Callable[[], object]


def exported(net: Recurrent, folder: Path, **options: object) -> Call:
    """A call of STEPS steps of an exported file."""
    command = compiler()
    assert command is not None, "needs a C compiler"
    source = folder / "model.c"
    source.write_text(text_of(made(network_of(net), About(), Options(**options))))
    library = Path(tempfile.mkdtemp(dir=folder)) / "model.so"
    subprocess.run([*command, *FLAGS, "-shared", "-fPIC", str(source), "-o", str(library)], check=True)
    loaded, size = ctypes.CDLL(str(library)), net.sizes["h"]
    state, x, o = (np.zeros(n, np.float32) for n in (8 * size, STEPS * size, STEPS * size))
    x[:] = np.random.default_rng(0).standard_normal(len(x))
    loaded.model_reset(ctypes.c_void_p(state.ctypes.data))
    addresses = [ctypes.c_void_p(a.ctypes.data) for a in (x, o)]
    return lambda: (state, x, o, loaded.model_run(ctypes.c_void_p(state.ctypes.data), STEPS, *addresses))


def others(net: Recurrent, cell: str) -> Iterator[tuple[str, Call]]:
    """The library itself, ONNX Runtime if it is installed, and the floor."""
    size = net.sizes["h"]
    x = torch.randn(1, STEPS, size)
    yield "engine c", lambda: net(x)
    state, first = net.initial_state(1), x[:, 0]
    yield "net.step", lambda: [net.step(first, state=state) for _ in range(STEPS)]
    try:
        import onnxruntime
        from onnx_operators import model

        from unrolled.speed.point import Problem

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        parameters = {n: p.detach().numpy() for n, p in net.named_parameters()}
        none = np.zeros((1, 0, size), np.float32)
        problem = Problem(cell.lower(), {}, parameters, x.numpy(), x.numpy(), none, np.zeros(1))
        content = model(problem).SerializeToString()
        session = onnxruntime.InferenceSession(content, options, ["CPUExecutionProvider"])
        given = {"X": np.ascontiguousarray(x.numpy().swapaxes(0, 1))}
        yield "ONNX Runtime", lambda: session.run(None, given)
        one = {"X": given["X"][:1]}
        yield "ONNX Runtime, step", lambda: [session.run(None, one) for _ in range(STEPS)]
    except ImportError as missing:
        print(f"without ONNX Runtime: {missing}")
    weights = np.concatenate([p.detach().numpy().ravel() for p in net.parameters()])
    yield "floor", lambda: [np.dot(weights, weights) for _ in range(STEPS)]


def turns(calls: dict[str, Call], count: int) -> dict[str, float]:
    """The microseconds of a step, the median of the turns."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(count):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            found[name].append((time.perf_counter() - begin) / STEPS * 1e6)
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> None:
    """Measure all, and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--turns", type=int, default=31)
    parser.add_argument("--write", type=Path, default=HERE / "EXPORT.md")
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows, names = [], []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad():
        for cell, circuit in CELLS.items():
            for size in SIZES:
                net = Recurrent(circuit, x=size, h=size)
                calls = {name: exported(net, Path(folder), **form) for name, form in FORMS.items()}
                calls |= dict(others(net, cell))
                times = turns(calls, given.turns)
                names = [*times]
                rows.append(f"| {cell} {size} | " + " | ".join(f"{t:.2f}" for t in times.values()) + " |")
                print(rows[-1], flush=True)
    head = f"| | {' | '.join(names)} |\n|---{'|---:' * len(names)}|\n"
    text = __doc__.partition("\n\n")[2].partition("\n\n")[2]
    about = f"Microseconds per step. {machine()}\n\n"
    given.write.write_text(f"# Exported C files\n\n{about}{head}" + "\n".join(rows) + f"\n\n{text.strip()}\n")


if __name__ == "__main__":
    main()
