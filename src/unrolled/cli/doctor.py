"""The command ``unrolled doctor``: are all engines correct on this machine, and how fast is it?"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ..errors import command_line

if TYPE_CHECKING:
    from ..speed.machine import Machine
    from ..speed.timing import Row
    from ..testing.doctor import Finding


@dataclass(frozen=True)
class Cache:
    """The cache of compiled kernels.

    Attributes:
        folder: where it is.
        kernels: number of kernels in it.
        size: their total size in bytes.
        note: what is wrong with the folder; empty if nothing is.
    """

    folder: str
    kernels: int
    size: int
    note: str


@dataclass(frozen=True)
class Report:
    """Everything that ``unrolled doctor`` prints."""

    machine: Machine
    cache: Cache
    threads: int
    missing: dict[str, str]
    findings: list[Finding]
    speed: Row
    seconds: float

    @property
    def wrong(self) -> list[Finding]:
        """The comparisons that disagree with the reference."""
        return [f for f in self.findings if not f.agrees]


def doctor(*, json: bool = False) -> int:
    """Check every engine against the float64 reference on this machine, and report the hardware, versions and speed.

    Exits with 1 if an engine disagrees.

    Args:
        json: Print one JSON object.
    """
    from .screen import as_json

    report = _examine_machine(quiet=json)
    if json:
        print(as_json(_record(report)))
    else:
        _show(report)
    return 1 if report.wrong else 0


def _examine_machine(quiet: bool) -> Report:
    import torch
    from rich.markup import escape

    from ..speed.machine import machine
    from ..speed.point import Point
    from ..speed.timing import Effort, local, processors, time_point
    from ..testing.doctor import available, build, cases, examine
    from .steps import counted

    begin = time.monotonic()
    threads = torch.get_num_threads()
    cache = _cache()
    engines, missing = available()
    these = cases()
    with counted(sum(len(c.ways(engines)) for c in these), quiet, "compiling") as done:
        build(these, engines)
        findings = []
        for finding in examine(these, engines):
            findings.append(finding)
            done("" if finding.agrees else escape(f"wrong   {finding}"))
    with processors(1):
        point = Point("gru", steps=100, batch=1, inputs=64, hidden=128)
        speed = time_point(point, [local(n, 1) for n in ("unrolled", "torch.nn")], Effort(turns=3))
    return Report(machine(), cache, threads, missing, findings, speed, time.monotonic() - begin)


def _cache() -> Cache:
    import warnings

    from ..engines.c.cache import cache_folder

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        folder = cache_folder()
    kept = list(folder.glob("*.kernel"))
    note = str(said[0].message) if said else ""
    return Cache(str(folder), len(kept), sum(path.stat().st_size for path in kept), note)


def _record(report: Report) -> dict[str, Any]:
    return {
        "agrees": not report.wrong,
        **asdict(report),
        "findings": [
            asdict(f) | {"agrees": f.agrees, "error": f.error if not f.problem else None} for f in report.findings
        ],
    }


def _show(report: Report) -> None:
    from rich.markup import escape

    from .screen import console, out

    here, speed = report.machine, report.speed
    size = f"{report.cache.kernels} kernels, {report.cache.size / 1e6:.1f} MB"
    rows = [
        ("processor", f"{here.processor}, {here.processors} processors; torch uses {report.threads}"),
        ("versions", f"torch {here.torch}, Python {here.python}"),
        ("compiler", here.compiler or "none"),
        ("vectors", here.vectors),
        ("cache", report.cache.note or f"{report.cache.folder}: {size} before this run"),
        ("products", f"{2 * speed.rate / 1e9:.0f} GFLOP/s for a large matrix product on one thread"),
        ("GRU", _speed(speed)),
    ]
    out()
    for name, text in rows:
        out(f"  [bold]{name:<10}[/] {escape(text)}")
    out()
    console().print(_table(report))
    for name, why in report.missing.items():
        out(f"  [bold]{name}[/] cannot run: {escape(why)}")
    many = len(report.findings)
    if not report.wrong:
        out(f"\n  [green]All engines agree[/]: {many} comparisons of values and gradients in {report.seconds:.0f} s.")
        return
    out(f"\n  [bold red]{len(report.wrong)} of {many} comparisons disagree with the float64 reference:[/]\n")
    for finding in report.wrong[:SHOWN]:
        out(f"  {escape(str(finding))}")
    if len(report.wrong) > SHOWN:
        out(f"  and {len(report.wrong) - SHOWN} more; {escape(command_line('doctor', '--json'))} lists them all")
    out(f"\n  {_advice(report)}")


SHOWN = 10


def _speed(row: Row) -> str:
    if "unrolled" not in row.times:
        return f"not timed: it {row.absent.get('unrolled', '')}"
    ours = f"{row.per_step(row.times['unrolled'].median)} µs per step ({row.about['unrolled']})"
    theirs = f", torch.nn {row.per_step(row.times['torch.nn'].median)}" if "torch.nn" in row.times else ""
    return f"{ours}{theirs}: forward and backward, batch {row.point.batch}, hidden {row.point.hidden}, one thread"


def _table(report: Report) -> Any:
    """A table with one row per engine and precision."""
    from rich.table import Table

    table = Table(
        "  engine", "precision", "comparisons", "largest error", "allowed", "", box=None, padding=(0, 2, 0, 0)
    )
    groups: dict[tuple[str, str], list[Finding]] = {}
    for f in report.findings:
        groups.setdefault((f.engine, f.precision), []).append(f)
    for (engine, precision), found in groups.items():
        worst = max(f.error for f in found)
        word = "[green]agrees[/]" if all(f.agrees for f in found) else "[bold red]disagrees[/]"
        table.add_row(f"  {engine}", precision, str(len(found)), f"{worst:.1e}", f"{found[0].allowed:.0e}", word)
    return table


def _advice(report: Report) -> str:
    wrong = {f.engine for f in report.wrong}
    right = [e for e in ("c", "torch", "reference") if e in {f.engine for f in report.findings} - wrong]
    other = f'use engine="{right[0]}", which agrees; ' if right else ""
    if "c" in wrong:
        other += f"empty {report.cache.folder}, or set $CC to another compiler, and try again; "
    return f"What to do: {other}and report the problem with the output of [bold]{command_line('doctor', '--json')}[/]."
