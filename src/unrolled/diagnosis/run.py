"""A trained model diagnosed on data of its task."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..errors import UsageError, command_line
from ..tasks.registry import check_readable, trained
from ..tasks.task import Task
from .diagnose import FARTHEST, diagnose_loss
from .report import Diagnosis

LEAST = 256  # steps of a text to be read, also where fewer are looked back


def diagnose_run(
    run: Path, data: Path | None = None, farthest: int | None = None, exponents: int = 3, seed: int = 0
) -> Diagnosis:
    """The diagnosis of a run folder.

    Args:
        data: what its model is to read; unless given, what it learned from.
        farthest: how many steps to look back; unless given, the window of a language model, else 1,000.

    Raises:
        DataError: no run, or data that its model cannot read.
        UsageError: no data, and those that it learned from are gone.
    """
    task = trained(run)
    if data is None:
        data = Path(task.source.get("path", ""))
        if not data.exists() or data == Path():
            raise UsageError(
                f"'{run}' learned from '{data}', which is not there any more. Say what its network is to read: "
                f"{command_line('diagnose', run, 'DATA')}"
            )
    check_readable(task, data)
    farthest = looked_back(task) if farthest is None else farthest
    batch = task.excerpt(data, max(farthest, LEAST))
    return diagnose_batch(task, batch, farthest, exponents, seed)


def diagnose_batch(task: Task, batch: Any, farthest: int, exponents: int = 3, seed: int = 0) -> Diagnosis:
    """The diagnosis of a task's model, from a batch of the task."""
    generator = torch.Generator().manual_seed(seed)
    return diagnose_loss(task.model, lambda: task.loss(batch, ()).total, farthest, exponents, generator)


def regularly(task: Task, every: int) -> Callable[[int], dict[str, Any] | None]:
    """For a training: a function that is told each update, and every so many gives a record for the log. The batch is
    always the same, the first one of the first pass. Nothing of the training is changed; 0 for never."""
    batch: list[Any] = []

    def told(update: int) -> dict[str, Any] | None:
        if not every or update % every:
            return None
        if not batch:
            batch.append(next(iter(task.batches(0))))
        return {"event": "diagnosis", "update": update, **diagnose_batch(task, batch[0], looked_back(task)).summary()}

    return told


def looked_back(task: Task) -> int:
    """How far back a task can learn: over its window, if it has one, else all of a sequence within reason."""
    return task.options.reading.window or FARTHEST
