"""The tasks of a step in phases. The threads of a block wait for each other only between two phases."""

from __future__ import annotations

from collections.abc import Iterable

from .tasks import Task, Touch

Phase = tuple[Task, ...]


def phases(tasks: Iterable[Task]) -> tuple[Phase, ...]:
    """Tasks in their order, cut where a thread needs what another one computed, or would overwrite what another one
    still reads."""
    found: list[list[Task]] = [[]]
    for task in tasks:
        if _depends([task], found[-1]):
            found.append([])
        found[-1].append(task)
    return tuple(tuple(phase) for phase in found if phase)


def waits_at_the_end(step: tuple[Phase, ...]) -> bool:
    """Whether threads have to wait between the last phase of a step and the first phase of the next one."""
    return bool(step) and _depends(step[0], step[-1])


def _depends(tasks: Iterable[Task], earlier: Iterable[Task]) -> bool:
    found = [touch for task in earlier for touch in task.touches]
    return any(_conflict(a, b) for a in found for task in tasks for b in task.touches)


def _conflict(a: Touch, b: Touch) -> bool:
    """Whether two uses of a buffer by different threads may concern the same entry."""
    if a.buffer != b.buffer or not (a.writes or b.writes):
        return False
    return a.own is None or a.own != b.own
