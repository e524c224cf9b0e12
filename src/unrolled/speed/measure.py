"""One point of the table: everyone is checked, then all take turns, and the median of the turns counts."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from ..errors import InputError
from .agree import disagreement, reference
from .contestants import CONTESTANTS, make_problem, takes_part
from .floor import Floor, floor, matrix_rate
from .point import Point
from .process import Absent, Local, Player, Turn

LEEWAY = 0.2  # processors that a contestant may be busy on beyond its threads: the counting is coarse


@dataclass(frozen=True)
class Effort:
    """How carefully is measured: turns of each contestant, and the seconds that a turn lasts at least."""

    turns: int = 9
    seconds: float = 0.03


@dataclass(frozen=True)
class Time:
    """Seconds of a call: the median of the turns, and half the distance between their quartiles."""

    median: float
    spread: float
    first: float  # seconds until the first call was done: building, compiling

    @staticmethod
    def of(turns: Sequence[Turn], first: float) -> Time:
        medians = sorted(statistics.median(t.seconds) for t in turns)
        quarters = statistics.quantiles(medians, n=4) if len(medians) > 1 else [medians[0]] * 3
        return Time(statistics.median(medians), (quarters[2] - quarters[0]) / 2, first)


def digits(value: float) -> str:
    """A figure to three digits, never with an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


@dataclass
class Row:
    """What came out at a point. absent: who did not take part, and why."""

    point: Point
    times: dict[str, Time] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    rate: float = 0.0  # multiply-adds per second of a large matrix product, in the same turns
    floor: Floor = Floor(0.0, None)  # noqa: RUF009  a frozen value

    def ratio(self, other: str, ours: str = "unrolled") -> float | None:
        """How many times as long as ours another takes; None if one of them was not timed."""
        if other not in self.times or ours not in self.times:
            return None
        return self.times[other].median / self.times[ours].median

    def per_step(self, seconds: float) -> str:
        """Microseconds per step, to three digits."""
        return digits(1e6 * seconds / self.point.steps)


def measure(point: Point, players: Sequence[Player], effort: Effort = Effort()) -> Row:
    """Time the players at a point. Who disagrees with the float64 reference, fails, takes too long or uses more
    processors than there are threads is not timed, and ``Row.absent`` says why. Torch then has as many threads as
    before."""
    before = torch.get_num_threads()
    try:
        return _measured(point, players, effort)
    finally:
        torch.set_num_threads(before)


def _measured(point: Point, players: Sequence[Player], effort: Effort) -> Row:
    row = Row(point)
    problem = make_problem(point)
    expected = reference(problem)
    present: dict[str, Player] = {}
    first: dict[str, float] = {}
    for player in players:
        try:
            ready = player.prepare(problem, point.training)
        except Absent as reason:
            row.absent[player.name] = str(reason)
            continue
        row.about[player.name], first[player.name] = ready.about, ready.seconds
        if wrong := disagreement(ready.results, expected, point.training):
            row.absent[player.name] = wrong
        else:
            present[player.name] = player

    turns: dict[str, list[Turn]] = {name: [] for name in present}
    rates = []
    torch.set_num_threads(point.threads)
    matrix_rate()
    for _ in range(effort.turns):
        torch.set_num_threads(point.threads)
        rates.append(matrix_rate())
        for name, player in list(present.items()):
            try:
                turns[name].append(player.turn(effort.seconds))
            except Absent as reason:
                row.absent[name] = str(reason)
                del present[name]
    for name in present:
        busy = statistics.median(t.busy for t in turns[name])
        if busy > point.threads + LEEWAY:
            row.absent[name] = f"was busy on {busy:.1f} processors where {point.threads} were asked"
        else:
            row.times[name] = Time.of(turns[name], first[name])
    row.rate = statistics.median(rates)
    row.floor = floor(point, row.rate)
    return row


def local(name: str, threads: int, known_as: str = "") -> Local:
    """A contestant of ``contestants.py`` in this process."""
    return Local(known_as or name, CONTESTANTS[name], lambda: torch.set_num_threads(threads))


def local_players(point: Point) -> list[Player]:
    """Those that need nothing but torch and no long compilation."""
    return [local(n, point.threads) for n in ("unrolled", "torch.nn", "torch loop") if takes_part(n, point)]


@contextmanager
def processors(number: int) -> Iterator[None]:
    """Torch on so many threads, and this process, with those that it starts, on so many processors, where the system
    lets it choose.

    Raises:
        InputError: there are fewer processors.
    """
    allowed = _affinity()
    there = len(allowed) if allowed else os.cpu_count() or 1
    if not 1 <= number <= there:
        raise InputError(f"threads must be from 1 to {there}, the processors of this machine, got {number}")
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    if allowed:
        os.sched_setaffinity(0, sorted(allowed)[-number:])
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if allowed:
            os.sched_setaffinity(0, allowed)


def _affinity() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
