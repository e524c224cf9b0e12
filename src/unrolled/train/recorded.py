"""A training that is recorded in its run folder, and can be gone on with after whatever stopped it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import DataError, NumberError, command_line
from .checkpoint import Checkpoint, read_checkpoint
from .distributed import Ranks
from .loop import ALONE, Progress, Snapshot, Task, Training
from .run_folder import BATCH, CHECKPOINTS, RunFolder, best_update
from .settings import Settings


class Recorded:
    """A training and its run folder.

    >>> recorded = Recorded(task, Settings(updates=1000), RunFolder(Path("runs/mine")))
    >>> recorded.begin(circuit, {"task": "mine"})
    >>> for progress in recorded.run():
    ...     print(progress.update, progress.loss)

    A checkpoint is written after every validation, every ``settings.checkpoint_every`` updates, and when the training
    is stopped. Of several ``ranks`` only the first writes: the others have no folder.
    """

    def __init__(self, task: Task, settings: Settings, folder: RunFolder | None, ranks: Ranks = ALONE) -> None:
        self._folder, self.settings, self.ranks = folder, settings, ranks
        self.training = Training(task, settings, ranks)

    @property
    def folder(self) -> RunFolder:
        assert self._folder is not None, "only the first process writes"
        return self._folder

    def begin(self, circuit: Circuit, description: Mapping[str, Any]) -> None:
        """Fill the folder of a new training: see ``RunFolder.begin``."""
        snapshot = self.training.snapshot()
        self.ranks.together(lambda: self.folder.begin(circuit, description, snapshot) if self.ranks.first else None)

    def resume(self, tell: Callable[[str], None]) -> None:
        """Go back to the newest checkpoint that is whole. ``tell`` is told of damaged ones.

        Raises:
            DataError: there is none, or it belongs to another model.
        """
        found = self.ranks.together(lambda: self._newest(tell) if self.ranks.first else None)
        checkpoint, kept = self.ranks.from_first(found) or (None, None)
        assert checkpoint is not None
        try:
            progress = checkpoint.progress
            best = best_update(progress)
            snapshot = Snapshot(progress["update"], best, checkpoint.model, checkpoint.optimizer, progress)
            self.training.restore(snapshot, kept)
        except (KeyError, ValueError, TypeError, RuntimeError) as problem:
            raise DataError(f"the newest checkpoint of the run does not fit its model: {problem}") from None
        if self.ranks.first:
            self.folder.cut_log(self.training.update)
            self.folder.prune()

    def _newest(self, tell: Callable[[str], None]) -> tuple[Checkpoint, dict[str, Tensor] | None]:
        """The newest checkpoint that is whole, and the model of the best validation if that was an earlier one."""
        self.folder.tidy()
        checkpoint = self.folder.newest(tell)
        best = best_update(checkpoint.progress)
        if best in (None, checkpoint.progress.get("update")):
            return checkpoint, None
        return checkpoint, read_checkpoint(self.folder.path / CHECKPOINTS / f"{best:08d}").model

    def run(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train, tell after each update, and write a checkpoint where one is due."""
        every = self.settings.checkpoint_every
        steps = self.training.run(stop)
        while progress := self._next(steps):
            yield progress  # whoever logs it does so before the checkpoint: a resumed log has no gap
            due = every and progress.update % every == 0
            if due or progress.validation is not None or progress.stopped:
                snapshot = self.training.snapshot()
                if self.ranks.first:
                    self.folder.save(snapshot)

    def _next(self, steps: Iterator[Progress]) -> Progress | None:
        """The next update; a batch that goes wrong is saved, with the command that reads it again."""
        try:
            return next(steps, None)
        except NumberError as problem:
            if not isinstance(problem.batch, tuple):
                raise
            batch = {n: v for n, v in problem.batch._asdict().items() if isinstance(v, Tensor)}  # type: ignore[attr-defined]
            snapshot = self.training.snapshot()
            if not self.ranks.first:
                raise
            path = self.folder.save_fault(snapshot, batch)
            again = command_line("replay", path)
            raise NumberError(f"{problem}.\nThe batch is kept. To read it again: {again}") from None


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
