"""A training that is recorded in its run folder, and can be gone on with after whatever stopped it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import DataError, NumberError
from .checkpoint import Checkpoint, read_checkpoint
from .loop import Progress, Snapshot, Task, Training
from .run_folder import BATCH, CHECKPOINTS, RunFolder, best_update
from .settings import Settings


class Recorded:
    """A training and its run folder.

    >>> recorded = Recorded(task, Settings(updates=1000), RunFolder(Path("runs/mine")))
    >>> recorded.begin(circuit, {"task": "mine"})
    >>> for progress in recorded.run():
    ...     print(progress.update, progress.loss)

    A checkpoint is written after every validation, every ``settings.checkpoint_every`` updates, and when the training
    is stopped.
    """

    def __init__(self, task: Task, settings: Settings, folder: RunFolder) -> None:
        self.folder, self.settings = folder, settings
        self.training = Training(task, settings)

    def begin(self, circuit: Circuit, description: Mapping[str, Any]) -> None:
        """Fill the folder of a new training: see ``RunFolder.begin``."""
        self.folder.begin(circuit, description, self.training.snapshot())

    def resume(self, tell: Callable[[str], None]) -> None:
        """Go back to the newest checkpoint that is whole. ``tell`` is told of damaged ones.

        Raises:
            DataError: there is none, or it belongs to another model.
        """
        self.folder.tidy()
        checkpoint = self.folder.newest(tell)
        progress, best, kept = checkpoint.progress, best_update(checkpoint.progress), None
        if best not in (None, progress.get("update")):
            kept = read_checkpoint(self.folder.path / CHECKPOINTS / f"{best:08d}").model
        try:
            snapshot = Snapshot(progress["update"], best, checkpoint.model, checkpoint.optimizer, progress)
            self.training.restore(snapshot, kept)
        except (KeyError, ValueError, TypeError, RuntimeError) as problem:
            where = self.folder.path / CHECKPOINTS
            raise DataError(f"the newest checkpoint in '{where}' does not fit its model: {problem}") from None
        self.folder.cut_log(self.training.update)
        self.folder.prune()

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train, tell after each update, and write a checkpoint where one is due."""
        every = self.settings.checkpoint_every
        steps = self.training.run(stop)
        while progress := self._next(steps):
            yield progress  # whoever logs it does so before the checkpoint: a resumed log has no gap
            due = every and progress.update % every == 0
            if due or progress.validation is not None or progress.stopped:
                self.folder.save(self.training.snapshot())

    def _next(self, steps: Iterator[Progress]) -> Progress | None:
        """The next update; a batch that goes wrong is saved, with the command that reads it again."""
        try:
            return next(steps, None)
        except NumberError as problem:
            if not isinstance(problem.batch, tuple):
                raise
            batch = {n: v for n, v in problem.batch._asdict().items() if isinstance(v, Tensor)}  # type: ignore[attr-defined]
            path = self.folder.save_fault(self.training.snapshot(), batch)
            raise NumberError(f"{problem}.\nThe batch is kept. To read it again: unrolled replay {path}") from None


def replay(checkpoint: Checkpoint, training: Training, batch_type: Callable[..., Any]) -> float:
    """Read the batch of a fault again, with the model that it went wrong with; its loss per step.

    Raises:
        NumberError: it goes wrong again, with the same words.
    """
    progress = checkpoint.progress
    snapshot = Snapshot(progress["update"], None, checkpoint.model, checkpoint.optimizer, progress)
    training.restore(snapshot)
    tensors = {n.removeprefix(BATCH): v for n, v in checkpoint.optimizer.items() if n.startswith(BATCH)}
    loss, _, _ = training.learn(batch_type(**tensors))
    return loss
