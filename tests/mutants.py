"""Planted faults: what the tests must notice. `make mutants` plants them one by one; about fifteen minutes.

    python tests/mutants.py                            # all of them
    python tests/mutants.py --only "max with ties"     # some, by a part of their name or of their file
    python tests/mutants.py --list                     # their names; nothing is run

Each fault stands in a file of ``tests/planted``: a piece of the sources, what is put in its place, and the tests that
must then fail. The sources and tests are copied to a temporary folder and changed there. A fault is

- caught, if one of its tests fails, crashes or does not end in time;
- survived, if all of them pass: write a test that sees it;
- stale, if it cannot be planted, because the piece is no longer in the file exactly once: mend the entry.

The exit status is 1 if any fault survived or is stale.
"""

from __future__ import annotations

import argparse
import ast
import copy
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
import xml.etree.ElementTree as xml
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

ROOT = Path(__file__).parent.parent
PLANTED = Path(__file__).parent / "planted"
COPIED = ("src", "tests", "examples", "docs", "benchmarks")
SPARE, SLOWER = 60.0, 10  # a test may take so many seconds, and so many times what it takes without a fault
CAUGHT, SURVIVED, STALE = "caught", "survived", "stale"
NOT_FOUND, NOTHING_RUN = 4, 5  # exit codes of pytest


@dataclass(frozen=True)
class Mutant:
    """A planted fault. file: within src/unrolled. tests: node ids of pytest, within tests."""

    name: str
    fault: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def text(self, root: Path) -> str:
        """The file with the fault.

        Raises:
            ValueError: it cannot be planted, with the reason.
        """
        path = self.path(root)
        content = path.read_text(encoding="utf-8") if path.is_file() else ""
        if (count := content.count(self.old)) != 1:
            raise ValueError(f"{self.file} has the text {self.old!r} {count} times, not once")
        changed = content.replace(self.old, self.new)
        if path.suffix == ".py":
            try:
                ast.parse(changed)
            except SyntaxError as problem:
                raise ValueError(f"{self.file} is no Python any more: {problem}") from None
        return changed

    def path(self, root: Path) -> Path:
        return root / "src" / "unrolled" / self.file


@dataclass(frozen=True)
class Verdict:
    """What became of a fault. why: the last line of the tests, or why it could not be planted."""

    mutant: Mutant
    outcome: str
    seconds: float
    why: str


def load(folder: Path = PLANTED) -> list[Mutant]:
    """All planted faults, file by file.

    Raises:
        ValueError: an entry that lacks something, has a name twice, or changes nothing.
    """
    found = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf-8"))["mutant"]:
            if set(entry) != {"name", "fault", "file", "old", "new", "tests"} or entry["old"] == entry["new"]:
                raise ValueError(f"{path.name}: {entry.get('name')}: needs name, fault, file, old, another new, tests")
            found.append(Mutant(**{**entry, "tests": tuple(entry["tests"])}))
    twice = [name for name, count in Counter(m.name for m in found).items() if count > 1]
    if twice:
        raise ValueError(f"several planted faults are called {', '.join(twice)}")
    return found


class Copy:
    """A copy of the project, in which one fault at a time is planted."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(root / "pyproject.toml", folder)

    def again(self, folder: Path) -> Copy:
        """The same once more, with what the tests have left: bytecode and compiled loops."""
        twin = copy.copy(self)
        twin.folder = shutil.copytree(self.folder, folder)
        return twin

    def run(self, tests: Iterable[str], limit: float | None, report: Path | None = None) -> tuple[int | None, str]:
        """Run tests; the exit code (None: not in time) and what was printed. With a ``report``, nothing is planted, and
        the bytecode is kept: the files that are changed later are newer than it."""
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=line"]
        command += [f"--junitxml={report}", "-o", "junit_family=legacy"] if report else ["-x"]
        command += [f"tests/{test}" for test in tests]
        quiet = {"CI": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        quiet |= {} if report else {"PYTHONDONTWRITEBYTECODE": "1"}
        places = {"PYTHONPATH": str(self.folder / "src"), "UNROLLED_CACHE": str(self.folder / "kernels")}
        process = subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **quiet, **places},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            return None, f"no end after {limit:.0f} s"
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
        return process.returncode, said

    def judge(self, mutant: Mutant, limit: float) -> Verdict:
        """Plant a fault, run its tests, and take it out again."""
        start = time.monotonic()
        path = mutant.path(self.folder)
        try:
            changed = mutant.text(self.folder)
        except ValueError as problem:
            return Verdict(mutant, STALE, 0.0, str(problem))
        sound = path.read_text(encoding="utf-8")
        path.write_text(changed, encoding="utf-8")
        try:
            code, said = self.run(mutant.tests, limit)
        finally:
            path.write_text(sound, encoding="utf-8")
        outcome = SURVIVED if code == 0 else STALE if code in (NOT_FOUND, NOTHING_RUN) else CAUGHT
        return Verdict(mutant, outcome, time.monotonic() - start, _last_line(said))


def _last_line(said: str) -> str:
    return next((line.strip("= ") for line in reversed(said.splitlines()) if line.strip()), "")


def seconds_without_fault(project: Copy, mutants: Sequence[Mutant]) -> dict[str, float]:
    """How long each test of the mutants takes, of which all must pass without any fault.

    Raises:
        ValueError: one fails, or there is none of that name, with what pytest printed.
    """
    tests = dict.fromkeys(test for mutant in mutants for test in mutant.tests)
    report = project.folder / "report.xml"
    code, said = project.run(tests, None, report)
    if code != 0:
        raise ValueError(f"the tests do not pass without a fault:\n{said}")
    cases = [(f"{c.get('file')}::{c.get('name')}", float(c.get("time", 0))) for c in xml.parse(report).iter("testcase")]
    return {test: sum(s for name, s in cases if name.startswith(f"tests/{test}")) for test in tests}


def judge_all(
    mutants: Sequence[Mutant], root: Path, jobs: int, told: Callable[[Verdict], None], spare: float = SPARE
) -> list[Verdict]:
    """Plant all faults, ``jobs`` at a time, in the order in which they are judged; ``told`` of each at once."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        first, free = Copy(root, Path(name) / "0"), queue.SimpleQueue[Copy]()
        sound = [m for m in mutants if not _stale(m, root)]
        seconds = seconds_without_fault(first, sound) if sound else {}
        for project in (first, *(first.again(Path(name) / str(job)) for job in range(1, jobs))):
            free.put(project)

        def judge(mutant: Mutant) -> Verdict:
            project = free.get()
            try:
                return project.judge(mutant, spare + SLOWER * sum(seconds.get(test, 0.0) for test in mutant.tests))
            finally:
                free.put(project)

        found = []
        with ThreadPoolExecutor(jobs) as pool:
            for future in as_completed([pool.submit(judge, mutant) for mutant in mutants]):
                found.append(future.result())
                told(found[-1])
        return found


def _stale(mutant: Mutant, root: Path) -> bool:
    try:
        mutant.text(root)
    except ValueError:
        return True
    return False


def _main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", default="", metavar="NAME", help="those with this in their name or file")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="faults at a time (default: 1)")
    parser.add_argument("--list", action="store_true", help="print the names and faults, and run nothing")
    given = parser.parse_args()
    mutants = [m for m in load() if given.only in m.name or given.only in m.file]
    if not mutants:
        parser.error(f"no planted fault has '{given.only}' in its name or file; --list prints them")
    console = Console(highlight=False)
    if given.list:
        for mutant in mutants:
            console.print(f"{mutant.name}: {mutant.fault} ({mutant.file})", markup=False, soft_wrap=True)
        return 0
    console.print(f"{len(mutants)} planted faults; first their tests without a fault")
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    begun = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(mutants), rate="")

        def told(verdict: Verdict) -> None:
            done = progress.tasks[0].completed + 1
            progress.update(bar, advance=1, rate=f"{60 * done / (time.monotonic() - begun):.1f} a minute")
            line = f"{verdict.outcome:9} {verdict.seconds:6.1f} s  {verdict.mutant.name}"
            console.print(line, markup=False, soft_wrap=True)

        try:
            found = judge_all(mutants, ROOT, max(1, given.jobs), told)
        except ValueError as problem:
            console.print(str(problem), markup=False, soft_wrap=True)
            return 1
    for verdict in found:
        if verdict.outcome != CAUGHT:
            where = f"{verdict.mutant.file}: {verdict.mutant.fault}"
            console.print(f"\n{verdict.outcome}: {verdict.mutant.name}\n  {where}\n  {verdict.why}", markup=False)
    caught = sum(verdict.outcome == CAUGHT for verdict in found)
    console.print(f"{caught} of {len(found)} caught")
    return 0 if caught == len(found) else 1


if __name__ == "__main__":
    sys.exit(_main())
