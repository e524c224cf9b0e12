"""Speed compared with torch.nn, loops in torch, torch.compile, JAX, ONNX Runtime and the floor, all in one run.

make bench                                          everything, about 20 minutes; updates RESULTS.md and results.json
python benchmarks/run.py --quick                    about 2 minutes
python benchmarks/run.py --cells gru --batch 32     a selection; printed, and written only with --out

The results of a machine replace its earlier ones; those of machines with other processors or vectors are kept.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import sys
from datetime import date
from pathlib import Path

import others
from once import FirstUse, Streaming, first_use, streaming
from points import FULL, FULL_EFFORT, QUICK, QUICK_EFFORT, Case, select
from report import line, page, summary
from results import Results, merged
from rich.markup import escape

from unrolled.cli.steps import counted
from unrolled.errors import UnrolledError
from unrolled.speed.machine import machine
from unrolled.speed.process import Child
from unrolled.speed.timing import Effort, Row, processors, time_point

HERE = Path(__file__).parent
NAMES = ("unrolled", "torch.nn", "torch loop", "torch.compile", "JAX", "ONNX", "unrolled, 1 thread")


def arguments(argv: list[str]) -> tuple[argparse.Namespace, list[Case], Effort]:
    """The options, the selected cases, and the effort."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer points and turns; the figures are rough")
    parser.add_argument("--cells", nargs="+", choices=sorted({c.point.cell for c in FULL}))
    parser.add_argument("--batch", nargs="+", type=int)
    parser.add_argument("--hidden", nargs="+", type=int)
    parser.add_argument("--threads", nargs="+", type=int)
    parser.add_argument("--way", choices=("training", "forward"))
    parser.add_argument("--contestants", nargs="+", choices=NAMES)
    parser.add_argument("--turns", type=int, help="turns of each contestant at a point")
    parser.add_argument("--out", type=Path, help="folder for RESULTS.md and results.json")
    parser.add_argument("--json", action="store_true", help="print only the results, as JSON")
    options = parser.parse_args(argv)
    if options.turns is not None and options.turns < 1:
        parser.error(f"--turns must be at least 1, got {options.turns}")
    wanted = {"cell": options.cells, "batch": options.batch, "hidden": options.hidden, "threads": options.threads}
    everything = QUICK if options.quick else FULL
    cases = select(everything, options.contestants, **wanted, way=options.way and [options.way])
    if not cases:
        parser.error("no point of the table matches. The points are listed in benchmarks/points.py")
    effort = QUICK_EFFORT if options.quick else FULL_EFFORT
    effort = Effort(options.turns or effort.turns, effort.seconds)
    if cases == FULL and options.out is None:
        options.out = HERE
    return options, cases, effort


def run(cases: list[Case], effort: Effort, quiet: bool) -> list[Row]:
    """Time all points, grouped by number of threads."""
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
                    row = time_point(case.point, [players[n] for n in case.names if n in players], effort)
                    row.absent |= {n: missing[n] for n in case.names if n in missing}
                    rows.append(row)
                    done(escape(line(row)))
    return rows


def _threads(case: Case) -> int:
    return case.point.threads


def main(argv: list[str]) -> int:
    """Run the benchmark and write its results."""
    options, cases, effort = arguments(argv)
    try:
        rows = run(cases, effort, options.json)
    except UnrolledError as problem:
        print(f"benchmarks/run.py: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("benchmarks/run.py: interrupted; nothing was written", file=sys.stderr)
        return 130
    first: list[FirstUse] = []
    stream: Streaming | None = None
    if cases in (FULL, QUICK):
        first = [f for f in map(first_use, (10, 2000)) if f]  # the compiler can use all processors
        with processors(1):
            stream = streaming()
    found = Results(date.today().isoformat(), machine(), effort, rows, first, stream)
    if options.json:
        print(json.dumps(found.as_dict()))
    else:
        print("\n" + summary([t for t in found.targets if t.figures]))
    if options.out:
        write(found, options.out)
        if not options.json:
            print(f"written: {options.out / 'RESULTS.md'}, {options.out / 'results.json'}")
    return 0


def write(found: Results, folder: Path) -> None:
    """Update the results file and the page in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = merged(folder / "results.json", found)
    content = {"runs": [r.as_dict() for r in runs]}
    (folder / "results.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    (folder / "RESULTS.md").write_text(page(runs), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
