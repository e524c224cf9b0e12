"""The tasks of a step in phases. The threads of a block wait for each other only at the end of a phase."""

from __future__ import annotations

from collections.abc import Iterable

from .tasks import Task, Touch

Phase = tuple[Task, ...]


def phases(tasks: Iterable[Task]) -> tuple[Phase, ...]:
    """Tasks in their order, cut where a thread needs what another one computed, or would overwrite what another one
    still reads."""
    found: list[list[Task]] = [[]]
    for task in tasks:
        if any(_conflict(a, b) for earlier in found[-1] for a in earlier.touches for b in task.touches):
            found.append([])
        found[-1].append(task)
    return tuple(tuple(phase) for phase in found if phase)


def _conflict(a: Touch, b: Touch) -> bool:
    """Whether two uses of a buffer by different threads may concern the same entry."""
    if a.buffer != b.buffer or not (a.writes or b.writes):
        return False
    return a.own is None or a.own != b.own
