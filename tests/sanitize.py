"""Run engine c with kernels that check themselves: addresses and undefined behaviour, then races between threads.

    python tests/sanitize.py            both, each after a planted fault that must be found
    python tests/sanitize.py address    one of them

Nothing is kept for a next call, and memory is exactly as large as needed, so that numbers read or written beyond it are
found.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import threading
from pathlib import Path

HERE = Path(__file__).parent
CHECKS = "-g -fno-omit-frame-pointer -fno-sanitize-recover=all"
KINDS = {
    "address": (f"-fsanitize=address,undefined {CHECKS}", "libasan.so", "ERROR: AddressSanitizer"),
    "thread": (f"-fsanitize=thread {CHECKS}", "libtsan.so", "WARNING: ThreadSanitizer: data race"),
}
OPTIONS = {
    # Python and torch leave memory to the end of the process
    "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": f"halt_on_error=1:ignore_noninstrumented_modules=1:suppressions={HERE / 'sanitize.supp'}",
}


def main(kinds: list[str]) -> int:
    for kind in kinds or list(KINDS):
        planted = start(kind, "plant", stderr=subprocess.PIPE)
        if planted.returncode == 0 or KINDS[kind][2] not in planted.stderr:
            print(f"sanitize     {kind}: the planted fault was not found\n{planted.stderr[-3000:]}")
            return 1
        print(f"sanitize     {kind}: the planted fault was found", flush=True)
        if start(kind, "work").returncode:
            return 1
    return 0


def start(kind: str, what: str, **streams: int) -> subprocess.CompletedProcess[str]:
    """A process whose kernels check themselves."""
    flags, library, _ = KINDS[kind]
    # races are only found where addresses are not random
    fixed = ["setarch", platform.machine(), "-R"] if kind == "thread" and shutil.which("setarch") else []
    environment = {
        **os.environ,
        **OPTIONS,
        "UNROLLED_CFLAGS": flags,
        "UNROLLED_CACHE": str(HERE.parent / ".pytest_cache" / f"kernels-{kind}"),
        "LD_PRELOAD": f"{runtime(library)} {runtime('libstdc++.so.6')}",
    }
    command = [*fixed, sys.executable, __file__, "--inside", kind, what]
    return subprocess.run(command, env=environment, text=True, **streams)


def runtime(name: str) -> str:
    from unrolled.engines.c.build import compiler

    command = compiler()
    if command is None:
        sys.exit("sanitize: no C compiler was found")
    path = subprocess.run([*command, f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
    if not os.path.isabs(path):
        sys.exit(f"sanitize: {' '.join(command)} has no {name}")
    return path


# in that process


def inside(kind: str, what: str) -> None:
    from cells_for_tests import CIRCUITS

    os.environ.pop("LD_PRELOAD")  # is not for the compiler
    exactly()
    if what == "plant":
        plant(kind)
        run("rnn", 128, "float32", batch=24, steps=12, threads=2)
        return
    if kind == "address":
        for size in (1, 15, 16, 17, 257):
            for cell in ("gru", "lstm"):
                for dtype in ("float32", "float64"):
                    run(cell, size, dtype)
        for number, cell in enumerate(CIRCUITS):
            run(cell, (16, 15, 17, 1)[number % 4], ("float32", "float64")[number % 2])
        for size in (1, 15, 16, 17, 257):
            narrow("gru", size)
    narrow("rnn", 1040, threads=2)  # units are shared
    run("gru", 96, "float32", batch=24, steps=20, threads=2)  # sequences are shared
    run("rnn", 520, "float32", batch=1, steps=20, threads=2)  # units are shared
    together()
    print("sanitize     nothing was found", flush=True)


def exactly() -> None:
    import torch

    from unrolled.engines.c import blocks, cache, kernel, sums

    class Exact(blocks.Room):
        def __init__(self, size: int) -> None:
            self.size, self.bytes = size, torch.empty(size, dtype=torch.uint8)
            self.at = self.bytes.data_ptr()
            assert self.at % blocks.ALIGNED == 0

    kernel.scratch = sums.scratch = Exact
    blocks.MOST, blocks._fresh = -1, lambda size: torch.empty(size, dtype=torch.uint8).numpy()
    cache.Path.unlink = lambda path: None if path.suffix == ".so" else os.unlink(path)  # reports name lines of it


def plant(kind: str) -> None:
    """A state that is one number too long, or a count of parts that threads do not agree on."""
    from unrolled.engines.c import kernel, libraries, render

    text, part = render.render, render.part
    if kind == "address":
        kernel.render = lambda *given: text(*given).replace("j < 128; j++) end0", "j <= 128; j++) end0")
    else:
        right, wrong = "__atomic_add_fetch(&c->done, 1, __ATOMIC_RELEASE);", "c->done++;"
        libraries.part = lambda name: part(name).replace(right, wrong)


def run(cell: str, size: int, dtype: str, batch: int = 3, steps: int = 6, threads: int = 1) -> None:
    """All ways of calling a network, and all gradients. Inputs start at addresses that are aligned for no vector."""
    import torch

    from cells_for_tests import CIRCUITS, SIZES
    from unrolled import Ragged, Recurrent, State

    print(f"sanitize     {cell}, {size} units, {dtype}, {threads} threads", flush=True)
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    sizes = {n: 7 if n == "x" else size for n in SIZES[cell]}
    net = Recurrent(CIRCUITS[cell], engine="c", dtype=getattr(torch, dtype), **sizes)
    lengths = [steps, 0, 1, steps // 2, *[steps] * (batch - 1)]

    def numbers(*shape: int) -> torch.Tensor:
        count = torch.Size(shape).numel()
        values = torch.randn(count + 1, dtype=getattr(torch, dtype))[1:].view(shape)
        return values.requires_grad_()

    def series(name: str, *shape: int) -> torch.Tensor:
        if name == "y":
            return torch.randint(sizes.get("o", size), shape)
        return numbers(*shape, net.sizes[name])

    def start(count: int) -> State:
        return State(**{n: numbers(count, net.sizes[n]) for n in net.circuit.states})

    def given(*shape: int) -> dict[str, torch.Tensor]:
        return {n: series(n, *shape) for n in net.circuit.inputs}

    def learn(out: object) -> None:
        values = [getattr(out, n) for n in out]
        total = sum((v.values if isinstance(v, Ragged) else v).sin().sum() for v in values)
        (total + sum(s.cos().sum() for s in out.state.values())).backward()

    also = {} if net.circuit.inputs else {"steps": steps}
    learn(net(**given(batch, steps), state=start(batch), **also))
    learn(net(**given(batch, steps), state=start(batch), reset=torch.rand(batch, steps) < 0.3, **also))
    learn(net(**given(0, steps), state=start(0), **also))
    if net.circuit.inputs:
        ragged = {n: Ragged(values=v, lengths=lengths) for n, v in given(sum(lengths)).items()}
        learn(net(**ragged, state=start(len(lengths))))
    with torch.no_grad():
        for _ in range(3):  # packs; takes a digest; compares it
            net(**given(batch, steps), state=start(batch), **also)
        for count in (1, 2, batch + 4):
            net.step(**given(count), state=start(count))


def narrow(cell: str, size: int, threads: int = 1) -> None:
    """A network with narrow weights, whose matrices and inputs start and end where memory does."""
    import torch

    from cells_for_tests import CIRCUITS
    from unrolled import Recurrent

    print(f"sanitize     {cell}, {size} units, narrow weights, {threads} threads", flush=True)
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    for kind in ("bf16", "int8"):
        net = Recurrent(CIRCUITS[cell], x=size, h=size, weights=kind)
        with torch.no_grad():
            for batch in (1, 2, 7, 13):
                net(torch.randn(batch, 3, size))
                net.step(torch.randn(batch, size))


def together() -> None:
    """Calls of several threads at the same time, one of which changes parameters."""
    import torch

    from cells_for_tests import CIRCUITS
    from unrolled import Recurrent

    print("sanitize     threads that call at the same time", flush=True)
    torch.set_num_threads(2)
    nets = [Recurrent(CIRCUITS["rnn"], x=3, h=h, engine="c") for h in (128, 520)]
    inputs = torch.randn(24, 12, 3), torch.randn(1, 8, 3)

    def calls(which: int) -> None:
        for _ in range(12):
            nets[which % 2](inputs[which % 2]).h.sum().backward()
            nets[which % 2].U.data = nets[which % 2].U.data.clone()

    threads = [threading.Thread(target=calls, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


if __name__ == "__main__":
    sys.path.insert(0, str(HERE))
    if sys.argv[1:2] == ["--inside"]:
        inside(*sys.argv[2:])
    else:
        sys.exit(main(sys.argv[1:]))
