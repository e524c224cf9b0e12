"""Diagnosis of a trained model on data of its kind, and of a model in training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from ..data.kind import Data, Kind
from ..errors import UsageError, command_line
from ..nn.encoder_decoder import Model
from ..run.trained import Trained
from .diagnose import FARTHEST, diagnose_loss
from .report import Diagnosis

LEAST = 256  # steps of a text that are read, even for a smaller lag


def diagnose_run(
    run: Path, data: Path | None = None, farthest: int | None = None, exponents: int = 3, seed: int = 0
) -> Diagnosis:
    """The diagnosis of a run folder.

    Args:
        run: the folder.
        data: what its model reads; by default the data that it was trained on.
        farthest: the largest lag, in steps; by default the window of the training, or 1,000.
        exponents: the number of Lyapunov exponents.
        seed: of the random directions.

    Raises:
        DataError: the folder is not a run, or its model cannot read the data.
        UsageError: there are no data, and those that it was trained on are missing.
    """
    trained = Trained.load(run)
    if data is None:
        data = trained.path
        if not data.exists() or data == Path():
            raise UsageError(
                f"'{run}' was trained on '{data}', which does not exist any more. Name other data: "
                f"{command_line('diagnose', run, 'DATA')}"
            )
    farthest = lag_of(trained.kind) if farthest is None else farthest
    batch = trained.read(data).excerpt(max(farthest, LEAST))
    return diagnose_batch(trained.model, trained.kind, batch, farthest, exponents, seed)


def diagnose_batch(model: Model, kind: Kind, batch: Any, farthest: int, exponents: int = 3, seed: int = 0) -> Diagnosis:
    """The diagnosis of a model while it reads a batch of its kind of data."""
    generator = torch.Generator().manual_seed(seed)
    return diagnose_loss(model, lambda: kind.loss(model, batch, ()).total, farthest, exponents, generator)


def regularly(model: Model, data: Data, every: int) -> Callable[[int], dict[str, Any] | None]:
    """For a training: a function that is called with the number of each update, and returns a record for the log after
    every ``every`` updates (0 for never). It always reads the first batch of the first pass, and does not change the
    training."""
    batches: list[Any] = []

    def after(update: int) -> dict[str, Any] | None:
        if not every or update % every:
            return None
        if not batches:
            batches.append(next(iter(data.batches(0))))
        found = diagnose_batch(model, data.kind, batches[0], lag_of(data.kind))
        return {"event": "diagnosis", "update": update, **found.summary()}

    return after


def lag_of(kind: Kind) -> int:
    """The largest lag that a training can learn over: its window, if it has one, else that of any diagnosis."""
    return kind.reading.window or FARTHEST
