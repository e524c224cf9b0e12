"""Random circuits in random calls, on every engine, against the independent interpreter, for as long as you like.

A failing circuit is printed as its equations with the number that draws it again: ``--first NUMBER --circuits 1``.
Loops are compiled without optimisation, which takes a tenth of the time and computes the same equations; with
``--optimise`` they are compiled as for users.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

AT_ONCE = 100  # circuits of one process: each loads compiled loops, which stay until it ends
CASES = 2  # calls of each circuit
SHOWN = 5  # failures of one kind

Report = tuple[Counter[str], list[tuple[str, str]]]  # what was done; kinds of failures and their texts


def work(first: int, circuits: int, engines: tuple[str, ...]) -> Report:
    """Draw some circuits and try each."""
    import torch

    from unrolled.testing import calls
    from unrolled.testing.strategies import random_circuit

    torch.set_num_threads(1)
    done, failures = Counter[str](), list[tuple[str, str]]()
    with tempfile.TemporaryDirectory(prefix="unrolled-fuzz-") as folder:
        os.environ["UNROLLED_CACHE"] = folder
        for number in range(first, first + circuits):
            try:
                drawn = random_circuit(random.Random(number).choice)
            except Exception as problem:
                failures.append((f"generator: {_kind(problem)}", f"number {number}\n{traceback.format_exc(limit=-3)}"))
                continue
            done["circuits"] += 1
            for case in (calls.random_case(drawn, CASES * number + k) for k in range(CASES)):
                for engine in engines:
                    try:
                        done[f"{engine}: {calls.check(case, engine)}"] += 1
                    except Exception as problem:
                        text = f"number {number}, {case.way}\n{drawn!r}\n{traceback.format_exc(limit=-3)}"
                        failures.append((f"{engine}, {_kind(problem)}", text))
    return done, failures


def _kind(problem: Exception) -> str:
    if isinstance(problem, AssertionError):
        return "wrong number"
    where = traceback.extract_tb(problem.__traceback__)[-1]
    return f"{type(problem).__name__} in {os.path.basename(where.filename)}, {where.name}"


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
    engines, console = tuple(given.engines.split(",")), Console(stderr=True)
    last = given.first + given.circuits
    parts = [(first, min(AT_ONCE, last - first)) for first in range(given.first, last, AT_ONCE)]
    done, kinds, begun = Counter[str](), Counter[str](), time.monotonic()
    columns = ("circuits", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    pool = ProcessPoolExecutor(given.processes, mp_context=get_context("spawn"), max_tasks_per_child=1)
    with pool, Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=given.circuits, rate="")
        for future in as_completed([pool.submit(work, *part, engines) for part in parts]):
            found, failures = future.result()
            done.update(found)
            for kind, text in failures:
                kinds[kind] += 1
                if kinds[kind] <= SHOWN:
                    console.print(f"{kind}\n{text}", markup=False, highlight=False)
            seconds = time.monotonic() - begun
            progress.update(bar, completed=done["circuits"], rate=f"{60 * done['circuits'] / seconds:.0f} a minute")
    for what, count in sorted(done.items()):
        print(f"{count:>9,}  {what}")
    for kind, count in kinds.most_common():
        print(f"{count:>9,}  FAILED  {kind}")
    print(f"{sum(kinds.values())} failures of {done['circuits']:,} circuits")
    return bool(kinds)


if __name__ == "__main__":
    sys.exit(main())
