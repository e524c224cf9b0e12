"""Speed beside others, in one run, side by side: torch.nn, loops in torch, compiled ones, JAX, ONNX Runtime, the floor.

make bench                                          everything, about 20 minutes; writes RESULTS.md and results.json
python benchmarks/run.py --quick                    about 2 minutes
python benchmarks/run.py --cells gru --batch 32     some of it; a selection is printed, and written with --out
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
from pathlib import Path

import others
from once import FirstUse, Streaming, first_use, streaming
from points import FULL, FULL_EFFORT, QUICK, QUICK_EFFORT, Case, select
from report import as_json, as_markdown, line, summary
from rich.markup import escape
from targets import targets

from unrolled.cli.progress import counted
from unrolled.errors import UnrolledError
from unrolled.speed.machine import machine
from unrolled.speed.measure import Effort, Row, measure, processors
from unrolled.speed.process import Child

HERE = Path(__file__).parent
NAMES = ("unrolled", "torch.nn", "torch loop", "torch.compile", "JAX", "ONNX", "unrolled, 1 thread")


def arguments(argv: list[str]) -> tuple[argparse.Namespace, list[Case], Effort]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer points, fewer turns, no figures to rely on")
    parser.add_argument("--cells", nargs="+", choices=sorted({c.point.cell for c in FULL}))
    parser.add_argument("--batch", nargs="+", type=int)
    parser.add_argument("--hidden", nargs="+", type=int)
    parser.add_argument("--threads", nargs="+", type=int)
    parser.add_argument("--way", choices=("training", "forward"))
    parser.add_argument("--contestants", nargs="+", choices=NAMES)
    parser.add_argument("--turns", type=int, help="of each contestant at a point")
    parser.add_argument("--out", type=Path, help="the folder for RESULTS.md and results.json")
    parser.add_argument("--json", action="store_true", help="print the results as JSON, and nothing else")
    options = parser.parse_args(argv)
    if options.turns is not None and options.turns < 1:
        parser.error(f"--turns must be at least 1, got {options.turns}")
    wanted = {"cell": options.cells, "batch": options.batch, "hidden": options.hidden, "threads": options.threads}
    everything = QUICK if options.quick else FULL
    cases = select(everything, options.contestants, **wanted, way=options.way and [options.way])
    if not cases:
        parser.error("no point of the table is such. Its points are in benchmarks/points.py")
    effort = QUICK_EFFORT if options.quick else FULL_EFFORT
    effort = Effort(options.turns or effort.turns, effort.seconds)
    if cases == FULL and options.out is None:
        options.out = HERE
    return options, cases, effort


def run(cases: list[Case], effort: Effort, quiet: bool) -> list[Row]:
    """All points, by the number of threads."""
    names = {n for c in cases for n in c.names}
    missing = {n: why for n in sorted(names) if (why := others.obstacle(n))}
    rows = []
    with counted(len(cases), quiet) as done:
        for threads, group in itertools.groupby(sorted(cases, key=_threads), _threads):
            with processors(threads), contextlib.ExitStack() as stack:
                players = {p.name: p for p in others.players(tuple(sorted(names - set(missing))), threads)}
                for player in players.values():
                    if isinstance(player, Child):
                        stack.enter_context(player)
                for case in group:
                    row = measure(case.point, [players[n] for n in case.names if n in players], effort)
                    row.absent |= {n: missing[n] for n in case.names if n in missing}
                    rows.append(row)
                    done(escape(line(row)))
    return rows


def _threads(case: Case) -> int:
    return case.point.threads


def main(argv: list[str]) -> int:
    options, cases, effort = arguments(argv)
    try:
        rows = run(cases, effort, options.json)
    except UnrolledError as problem:
        print(f"benchmarks/run.py: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks/run.py: interrupted; nothing is written", file=sys.stderr)
        return 130
    first: list[FirstUse] = []
    stream: Streaming | None = None
    if cases in (FULL, QUICK):
        first = [f for f in map(first_use, (10, 2000)) if f]  # the compiler may use all processors
        with processors(1):
            stream = streaming()
    aims = targets(rows, first, stream)
    found = (machine(), effort, rows, first, stream, aims)
    if options.json:
        print(json.dumps(as_json(*found)))
    else:
        print("\n" + summary([t for t in aims if t.figures]))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "RESULTS.md").write_text(as_markdown(*found), encoding="utf-8")
        (options.out / "results.json").write_text(json.dumps(as_json(*found), indent=1) + "\n", encoding="utf-8")
        if not options.json:
            print(f"written: {options.out / 'RESULTS.md'}, {options.out / 'results.json'}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
