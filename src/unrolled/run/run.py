"""A training that is recorded in its run folder, and can be resumed after any interruption."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..circuits.circuit import Circuit
from ..data.kind import Data, Kind
from ..errors import DataError, NumberError, command_line
from ..nn.encoder_decoder import Model
from ..nn.model import SequenceModel
from ..train.distributed import ALONE, Ranks
from ..train.lesson import Loss, Progress, States
from ..train.loop import Training
from ..train.snapshot import capture, restore
from .checkpoint import Checkpoint, best_of, read_checkpoint
from .config import Config, description
from .folder import BATCH, RunFolder
from .spec import Spec
from .trained import Trained, restored


class Run:
    """A training and its run folder.

    >>> with Run.open(Path("runs/mine"), spec, data, model) as run:
    ...     for progress in run.fit():
    ...         print(progress.update, progress.loss)

    A checkpoint is written after every validation, every ``settings.checkpoint_every`` updates, and when the training
    is stopped. Of several processes only the first one has a folder; the others write nothing.
    """

    def __init__(self, folder: RunFolder | None, training: Training) -> None:
        self.folder, self.training, self.ranks = folder, training, training.ranks

    @staticmethod
    @contextmanager
    def open(
        path: Path,
        spec: Spec,
        data: Data,
        model: Model,
        ranks: Ranks = ALONE,
        overwrite: bool = False,
        source: Path | None = None,
    ) -> Iterator[Run]:
        """A new training in a new run folder, which is locked until the end of the block. ``source``: the run that the
        training starts from."""
        with ExitStack() as locked:
            folder = None
            with ranks.together():
                if ranks.first:
                    folder = locked.enter_context(RunFolder(path, overwrite))
            run = Run(folder, Training(model, data, spec.training, ranks))
            run.begin(model.circuit, description(spec, data, model, source))
            yield run

    @staticmethod
    @contextmanager
    def resume(
        path: Path, data: Path | None = None, ranks: Ranks = ALONE, tell: Callable[[str], None] = print
    ) -> Iterator[Run]:
        """The training of a run folder, at its newest undamaged checkpoint. ``data``: where they are, if they have
        moved; ``tell`` is called with a message for each damaged checkpoint."""
        with ExitStack() as locked:
            folder = None
            with ranks.together():
                if ranks.first:
                    folder = locked.enter_context(RunFolder(path, again=True))
                spec, learned, model = restored(Config(path), data)
            run = Run(folder, Training(model, learned, spec.training, ranks))
            run.restore(tell)
            yield run

    @property
    def model(self) -> Model:
        assert isinstance(self.training.model, Model)
        return self.training.model

    @property
    def data(self) -> Data:
        assert isinstance(self.training.lesson, Data)
        return self.training.lesson

    def begin(self, circuit: Circuit, config: Mapping[str, Any]) -> None:
        """Fill the folder of a new training: see ``RunFolder.begin``."""
        snapshot = capture(self.training)
        with self.ranks.together():
            if self.folder:
                self.folder.begin(circuit, config, snapshot, decoder_of(self.model))

    def restore(self, tell: Callable[[str], None]) -> None:
        """Go back to the newest undamaged checkpoint. ``tell`` is called with a message for each damaged one.

        Raises:
            DataError: there is no checkpoint, or it belongs to another model.
        """
        found = None
        with self.ranks.together():
            if self.folder:
                found = _newest(self.folder, tell)
        checkpoint, best = self.ranks.from_first(found) or (None, None)
        assert checkpoint is not None
        try:
            restore(self.training, checkpoint, best)
        except (KeyError, ValueError, TypeError, RuntimeError) as problem:
            raise DataError(f"the newest checkpoint of the run does not fit its model: {problem}") from None
        if self.folder:
            self.folder.cut_log(self.training.update)
            self.folder.prune()

    def fit(self, stop: Callable[[], bool] = lambda: False) -> Iterator[Progress]:
        """Train, report after each update, and write checkpoints: see ``Training.run``."""
        every = self.training.settings.checkpoint_every
        steps = self.training.run(stop)
        while progress := self._next(steps):
            yield progress  # a record of it is logged before the checkpoint, so that a resumed log has no gap
            due = every and progress.update % every == 0
            if due or progress.validation is not None or progress.stopped:
                snapshot = capture(self.training)
                if self.folder:
                    self.folder.save(snapshot)

    def _next(self, steps: Iterator[Progress]) -> Progress | None:
        """The next update. A faulty batch is saved, with the command that reads it again."""
        try:
            return next(steps, None)
        except NumberError as problem:
            if not isinstance(problem.batch, tuple):
                raise
            batch = {n: v for n, v in problem.batch._asdict().items() if isinstance(v, Tensor)}  # type: ignore[attr-defined]
            snapshot = capture(self.training)
            if not self.folder:
                raise
            again = command_line("replay", self.folder.save_fault(snapshot, batch))
            raise NumberError(f"{problem}.\nThe batch was saved. To read it again: {again}") from None


def decoder_of(model: Model) -> Circuit | None:
    """The circuit that writes, if a model has one."""
    return None if isinstance(model, SequenceModel) else model.decoder.circuit


def _newest(folder: RunFolder, tell: Callable[[str], None]) -> tuple[Checkpoint, dict[str, Tensor] | None]:
    """The newest undamaged checkpoint, and the model of the best validation if that was an earlier one."""
    folder.tidy()
    checkpoint = folder.newest(tell)
    best = best_of(checkpoint.progress)
    if best in (None, checkpoint.progress.get("update")):
        return checkpoint, None
    return checkpoint, read_checkpoint(folder.checkpoint(best)).model


def replay(fault: Path) -> float:
    """Read a faulty batch again, with the model that read it. Returns its loss per step.

    Raises:
        NumberError: it is NaN or infinite again.
        DataError: the folder is not a faulty batch.
    """
    checkpoint, trained = read_checkpoint(fault), Trained.load(fault)
    tensors = {n.removeprefix(BATCH): v for n, v in checkpoint.optimizer.items() if n.startswith(BATCH)}
    batch = trained.kind.batch_type(**tensors)
    training = Training(trained.model, _Single(trained.kind, batch), trained.spec.training)
    restore(training, checkpoint)
    loss, _, _ = training.learn(batch)
    return loss


@dataclass(frozen=True)
class _Single:
    """A lesson of a single batch."""

    kind: Kind
    batch: Any

    def batches(self, epoch: int) -> list[Any]:
        return [self.batch]

    def loss(self, model: SequenceModel, batch: Any, states: States) -> Loss:
        return self.kind.loss(model, batch, states)

    def validate(self, model: SequenceModel) -> float:
        return math.nan
