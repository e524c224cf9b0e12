"""Planted faults: what the tests must notice. `make mutants` plants them one by one, in half an hour.

    python tests/mutants.py                            # all of them
    python tests/mutants.py --only "max with ties"     # some, by a part of their name or of their file
    python tests/mutants.py --list                     # their names; nothing is run

Each fault stands in a file of ``tests/planted``: a piece of the sources, what is put in its place, and the tests that
must then fail. The sources and tests are copied to a temporary folder and changed there. A fault is

- caught, if one of its tests fails, crashes or does not end in time;
- survived, if all of them pass: write a test that sees it;
- stale, if it cannot be planted, because the piece is no longer in the file exactly once, or if its tests do not pass
  without it: mend the entry.

The exit status is 1 if any fault survived or is stale.
"""

from __future__ import annotations

import argparse
import ast
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
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
SPARE, SLOWER = 60.0, 5  # tests may take so many seconds, and so many times what they take without a fault
CAUGHT, SURVIVED, STALE = "caught", "survived", "stale"


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

    def run(self, tests: Iterable[str], limit: float | None = None, planted: bool = False) -> tuple[int | None, str]:
        """Run tests; the exit code (None: not in time) and what was printed. Bytecode is kept only where nothing is
        planted: a file that is changed later is newer than it."""
        command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:randomly", "-p", "no:cacheprovider", "--tb=line"]
        command += [f"tests/{test}" for test in tests]
        quiet = {"CI": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        quiet |= {"PYTHONDONTWRITEBYTECODE": "1"} if planted else {}
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

    def judge(self, mutant: Mutant, sound: dict[tuple[str, ...], float], spare: float) -> Verdict:
        """Plant a fault, run its tests, and take it out again. Before that they must pass without it, in a process of
        their own; ``sound`` holds the seconds that those took that were tried already."""
        try:
            changed = mutant.text(self.folder)
        except ValueError as problem:
            return Verdict(mutant, STALE, 0.0, str(problem))
        start = time.monotonic()
        if mutant.tests not in sound:
            code, said = self.run(mutant.tests)
            if code != 0:
                return Verdict(mutant, STALE, 0.0, f"its tests do not pass without it: {_last_line(said)}")
            sound[mutant.tests] = time.monotonic() - start
        path, start = mutant.path(self.folder), time.monotonic()
        content = path.read_text(encoding="utf-8")
        path.write_text(changed, encoding="utf-8")
        try:
            code, said = self.run(mutant.tests, spare + SLOWER * sound[mutant.tests], planted=True)
        finally:
            path.write_text(content, encoding="utf-8")
        return Verdict(mutant, SURVIVED if code == 0 else CAUGHT, time.monotonic() - start, _last_line(said))


def _last_line(said: str) -> str:
    return next((line.strip("= ") for line in reversed(said.splitlines()) if line.strip()), "")


def judge_all(
    mutants: Sequence[Mutant], root: Path, jobs: int, told: Callable[[Verdict], None], spare: float = SPARE
) -> list[Verdict]:
    """Plant all faults, ``jobs`` at a time, in the order in which they are judged; ``told`` of each at once."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        free, sound = queue.SimpleQueue[Copy](), dict[tuple[str, ...], float]()
        for job in range(jobs):
            free.put(Copy(root, Path(name) / str(job)))

        def judge(mutant: Mutant) -> Verdict:
            project = free.get()
            try:
                return project.judge(mutant, sound, spare)
            finally:
                free.put(project)

        found = []
        with ThreadPoolExecutor(jobs) as pool:
            for future in as_completed([pool.submit(judge, mutant) for mutant in mutants]):
                found.append(future.result())
                told(found[-1])
        return found


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
    console.print(f"{len(mutants)} planted faults")
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"), TimeRemainingColumn())
    begun = time.monotonic()
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=len(mutants), rate="")

        def told(verdict: Verdict) -> None:
            done = progress.tasks[0].completed + 1
            progress.update(bar, advance=1, rate=f"{60 * done / (time.monotonic() - begun):.1f} a minute")
            line = f"{verdict.outcome:9} {verdict.seconds:6.1f} s  {verdict.mutant.name}"
            console.print(line, markup=False, soft_wrap=True)

        found = judge_all(mutants, ROOT, max(1, given.jobs), told)
    for verdict in found:
        if verdict.outcome != CAUGHT:
            where = f"{verdict.mutant.file}: {verdict.mutant.fault}"
            console.print(f"\n{verdict.outcome}: {verdict.mutant.name}\n  {where}\n  {verdict.why}", markup=False)
    caught = sum(verdict.outcome == CAUGHT for verdict in found)
    console.print(f"{caught} of {len(found)} caught")
    return 0 if caught == len(found) else 1


if __name__ == "__main__":
    sys.exit(_main())
