"""Random circuits in random calls on every engine, compared with the independent interpreter, for as long as you like.

A failing circuit is printed as equations, with the number that reproduces it: ``--first NUMBER --circuits 1``.
Loops are compiled without optimisation, which takes a tenth of the time and computes the same equations. With
``--optimise`` they are compiled as for users.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

AT_ONCE = 100  # circuits per process, since compiled loops stay loaded until it ends
CASES = 2  # calls per circuit
SHOWN = 5  # failures shown per kind
INTERRUPTED = (-signal.SIGINT, 128 + signal.SIGINT)


def try_circuits(first: int, circuits: int, engines: list[str]) -> None:
    """Draw some circuits and try each. Prints a line of JSON before the first, and one after each."""
    import faulthandler

    import torch

    from unrolled.testing import calls
    from unrolled.testing.strategies import random_circuit

    faulthandler.enable()
    torch.set_num_threads(1)
    print(flush=True)
    for number in range(first, first + circuits):
        done, failures = Counter[str](), []
        try:
            drawn = random_circuit(random.Random(number).choice, matrices=number % 3 == 2, tokens=number % 5 == 4)
        except Exception as problem:
            failures.append((f"generator: {_kind(problem)}", f"number {number}\n{traceback.format_exc(limit=-3)}"))
        else:
            for case in (calls.random_case(drawn, CASES * number + k) for k in range(CASES)):
                for engine in engines:
                    try:
                        done[f"{engine}: {calls.check(case, engine)}"] += 1
                    except Exception as problem:
                        text = f"number {number}, {case.way}\n{drawn!r}\n{traceback.format_exc(limit=-3)}"
                        failures.append((f"{engine}, {_kind(problem)}", text))
        print(json.dumps([done, failures]), flush=True)


def _kind(problem: Exception) -> str:
    if isinstance(problem, AssertionError):
        return "wrong number"
    where = traceback.extract_tb(problem.__traceback__)[-1]
    return f"{type(problem).__name__} in {os.path.basename(where.filename)}, {where.name}"


def reports(first: int, circuits: int, engines: str) -> Iterator[tuple[dict[str, int], list[Any]]]:
    """The outcome of each circuit, tried in a separate process. A circuit that ends the process counts as a failure."""
    last = first + circuits
    while first < last:
        with tempfile.TemporaryDirectory(prefix="unrolled-fuzz-") as folder:
            command = [sys.executable, __file__, "--try", str(first), str(last - first), engines]
            environment = {**os.environ, "UNROLLED_CACHE": folder}
            with subprocess.Popen(
                command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            ) as child:
                assert child.stdout and child.stderr
                for line in child.stdout:
                    if line.strip():
                        yield tuple(json.loads(line))
                        first += 1
                said = child.stderr.read()
            if child.returncode in INTERRUPTED:
                return
            if first < last:
                yield {}, [(f"the process ended with {child.returncode}", f"number {first}\n{said[-3000:]}")]
                first += 1


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--circuits", type=int, default=100_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first circuit")
    parser.add_argument("--engines", default="reference,torch,c")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--optimise", action="store_true", help="compile as users do")
    given = parser.parse_args()
    if not given.optimise:
        os.environ["UNROLLED_CFLAGS"] = "-O0"
    console, last = Console(stderr=True), given.first + given.circuits
    parts = [(first, min(AT_ONCE, last - first)) for first in range(given.first, last, AT_ONCE)]
    circuits, done, kinds, begun = 0, Counter[str](), Counter[str](), time.monotonic()
    columns = ("circuits", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    with ThreadPoolExecutor(given.processes) as pool, Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=given.circuits, rate="")

        def run(part: tuple[int, int]) -> None:
            nonlocal circuits
            for found, failures in reports(*part, given.engines):
                circuits += 1
                done.update(found)
                for kind, text in failures:
                    kinds[kind] += 1
                    if kinds[kind] <= SHOWN:
                        console.print(f"{kind}\n{text}", markup=False, highlight=False, soft_wrap=True)
                rate = 60 * circuits / (time.monotonic() - begun)
                progress.update(bar, completed=circuits, rate=f"{rate:.0f} a minute, {sum(kinds.values())} failures")

        try:
            for _ in pool.map(run, parts):
                pass
        except KeyboardInterrupt:  # the child processes receive it, too
            pool.shutdown(cancel_futures=True)
    for what, count in sorted(done.items()):
        print(f"{count:>9,}  {what}")
    for kind, count in kinds.most_common():
        print(f"{count:>9,}  FAILED  {kind}")
    print(f"{sum(kinds.values())} failures of {circuits:,} circuits")
    return bool(kinds)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--try"]:
        try_circuits(int(sys.argv[2]), int(sys.argv[3]), sys.argv[4].split(","))
    else:
        sys.exit(main())
