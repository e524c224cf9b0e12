"""Timing of one point of the table: check every contestant, let all take turns, report the median of the turns."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from ..engines.threads import processor_threads
from ..errors import InputError
from .agree import disagreement, reference
from .contestants import CONTESTANTS, make_problem, takes_part
from .floor import Floor, floor, matrix_rate
from .point import Point
from .process import Absent, Local, Player, Turn

LEEWAY = 0.2  # extra processors that a contestant may keep busy: the system counts time coarsely


@dataclass(frozen=True)
class Effort:
    """The effort of a measurement: turns per contestant, and the minimum duration of a turn in seconds."""

    turns: int = 9
    seconds: float = 0.03


@dataclass(frozen=True)
class Time:
    """Seconds per call: the median over turns, and half their interquartile range."""

    median: float
    spread: float
    first: float  # seconds until the first call returned, with building and compiling

    @staticmethod
    def of(turns: Sequence[Turn], first: float) -> Time:
        """Summarise the turns of a contestant."""
        medians = sorted(statistics.median(t.seconds) for t in turns)
        quarters = statistics.quantiles(medians, n=4) if len(medians) > 1 else [medians[0]] * 3
        return Time(statistics.median(medians), (quarters[2] - quarters[0]) / 2, first)


def digits(value: float) -> str:
    """A number with three significant digits, never with an exponent."""
    return f"{float(f'{value:.3g}'):,.10g}"


@dataclass
class Row:
    """The results at one point, by contestant.

    Attributes:
        point: the point.
        times: the times of the contestants that were timed.
        absent: the others, each with the reason.
        about: what a contestant says about itself, such as its engine.
        rate: multiply-adds per second of a large matrix product, measured in the same turns.
        floor: the lower bounds.
    """

    point: Point
    times: dict[str, Time] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    about: dict[str, str] = field(default_factory=dict)
    rate: float = 0.0
    floor: Floor = Floor(0.0, None)  # noqa: RUF009  a frozen value

    def ratio(self, other: str, ours: str = "unrolled") -> float | None:
        """The time of another contestant divided by ours; None unless both were timed."""
        if other not in self.times or ours not in self.times:
            return None
        return self.times[other].median / self.times[ours].median

    def per_step(self, seconds: float) -> str:
        """Microseconds per step, with three significant digits."""
        return digits(1e6 * seconds / self.point.steps)


def time_point(point: Point, players: Sequence[Player], effort: Effort = Effort()) -> Row:
    """Time the contestants at a point, in turns.

    A contestant is not timed if it disagrees with the float64 reference, fails, takes too long, or keeps more
    processors busy than the point has threads; ``Row.absent`` gives the reason.
    """
    with processor_threads(point.threads):
        row = Row(point)
        present = _prepare(row, players)
        _take_turns(row, present, effort)
    return row


def _prepare(row: Row, players: Sequence[Player]) -> dict[str, tuple[Player, float]]:
    """The contestants whose results are right, each with the seconds until its first call returned."""
    point, problem = row.point, make_problem(row.point)
    expected = reference(problem)
    present: dict[str, tuple[Player, float]] = {}
    for player in players:
        try:
            ready = player.prepare(problem, point.training)
        except Absent as reason:
            row.absent[player.name] = str(reason)
            continue
        row.about[player.name] = ready.about
        if wrong := disagreement(ready.results, expected, point.training):
            row.absent[player.name] = wrong
        else:
            present[player.name] = player, ready.seconds
    return present


def _take_turns(row: Row, present: dict[str, tuple[Player, float]], effort: Effort) -> None:
    """Fill in the times, the rate and the floor of a row."""
    point, turns, rates = row.point, {name: list[Turn]() for name in present}, []
    matrix_rate()
    for _ in range(effort.turns):
        torch.set_num_threads(point.threads)
        rates.append(matrix_rate())
        for name, (player, _) in list(present.items()):
            try:
                turns[name].append(player.turn(effort.seconds))
            except Absent as reason:
                row.absent[name] = str(reason)
                del present[name]
    for name, (_, first) in present.items():
        busy = statistics.median(t.busy for t in turns[name])
        if busy > point.threads + LEEWAY:
            row.absent[name] = f"kept {busy:.1f} processors busy, with {point.threads} allowed"
        else:
            row.times[name] = Time.of(turns[name], first)
    row.rate = statistics.median(rates)
    row.floor = floor(point, row.rate)


def local(name: str, threads: int, known_as: str = "") -> Local:
    """A contestant of ``contestants.py``, in this process."""
    return Local(known_as or name, CONTESTANTS[name], lambda: torch.set_num_threads(threads))


def local_players(point: Point) -> list[Player]:
    """The contestants that need only torch and no long compilation."""
    return [local(n, point.threads) for n in ("unrolled", "torch.nn", "torch loop") if takes_part(n, point)]


@contextmanager
def processors(number: int) -> Iterator[None]:
    """Limit torch to a number of threads, and this process and its children to as many processors where possible.

    Raises:
        InputError: the machine has fewer processors.
    """
    allowed = _affinity()
    available = len(allowed) if allowed else os.cpu_count() or 1
    if not 1 <= number <= available:
        raise InputError(f"threads must be from 1 to {available}, the processors of this machine, got {number}")
    if allowed:
        os.sched_setaffinity(0, sorted(allowed)[-number:])
    try:
        with processor_threads(number):
            yield
    finally:
        if allowed:
            os.sched_setaffinity(0, allowed)


def _affinity() -> set[int]:
    return os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
