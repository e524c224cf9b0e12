"""The folder of a run.

.unrolled           marks the folder as ours, before anything else is in it
config.json         the model, the options, and the circuit itself: no code is needed to load it
config.toml         the options alone, to be used again with --config
log.jsonl           the training, line by line
training.svg        its losses and its learning rate, drawn at the end
faults/             batches with NaN or infinite losses, each with the model that read it
checkpoints/        the last two checkpoints and the best one, each a folder of its own: see checkpoint.py
circuit.svg         the circuit diagram
unfolded.svg        the graph without recurrence
equations.txt       the equations, and those of the gradient
equations.tex       the same as a LaTeX document
forecast.svg        of a forecast: the test part and the future
track/              curves for TensorBoard, with --track

A process locks the folder before it looks into it, and writes only into a folder that was empty or is ours.
"""

from __future__ import annotations

import json
import math
import os
import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, takewhile
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from ..circuits.circuit import Circuit
from ..errors import DataError, UsageError, command_line, reason
from ..files.lock import lock
from ..files.read import read_bytes
from ..files.strict_json import as_json
from ..files.toml import write_toml
from ..files.write import append_text, make_folder, remove_orphans, sync_file, sync_folder, write_bytes, write_text
from ..train.snapshot import Snapshot
from .checkpoint import (
    CHECKPOINTS,
    CONFIG,
    PROGRESS,
    Checkpoint,
    best_of,
    checkpoints,
    no_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from .config import CHANGED, WARNING, Config, check_folder, is_run, same
from .views import VIEWS, write_views

MARK, LOG, OPTIONS, CURVES = ".unrolled", "log.jsonl", "config.toml", "training.svg"
FAULTS, TRACK = "faults", "track"
FORECAST = "forecast.svg"
FILES = (CONFIG, OPTIONS, LOG, CURVES, *VIEWS, FORECAST)
DAMAGED = ".damaged"
OURS = re.compile(rf"\d+({re.escape(DAMAGED)}(-\d+)?)?")  # in checkpoints/ and faults/
BATCH = "batch."  # how tensors of a faulty batch are named
KEEP = 2  # of the newest checkpoints; the best one is kept as well


class RunFolder:
    """A run folder that is being written.

    >>> folder = RunFolder(Path("runs/mine"))
    >>> folder.begin(circuit, description(spec, data, model), capture(training))

    It is locked until ``close`` (or the end of a ``with``): no other process can train into it or replace it.

    Args:
        path: made if it does not exist.
        overwrite: replace a training in the folder. Only our own files are removed.
        again: resume the training in the folder.

    Raises:
        UsageError: the folder has a training, another process is training into it, or it has files that are not ours.
        DataError: the folder cannot be made, or has links inside; with ``again``, it is not a run folder, or damaged.
    """

    def __init__(self, path: Path, overwrite: bool = False, again: bool = False) -> None:
        self.path, self.config = path, dict[str, Any]()
        if again:
            check_folder(path)
        self.close: Callable[[], object] = lambda: None
        try:
            make_folder(path)
            if os.name != "nt":  # Windows cannot open folders
                descriptor = os.open(path, os.O_RDONLY)
                self.close = weakref.finalize(self, os.close, descriptor)
                lock(descriptor, f"another process is training into '{path}'. Wait until it ends, or stop it")
            _refuse_links(path)
            if again:
                self.config = Config(path).values
            else:
                self._take(overwrite)
        except OSError as problem:
            self.close()
            what = "used" if again else "made"
            raise DataError(f"the run folder '{path}' cannot be {what}: {reason(problem)}") from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, overwrite: bool) -> None:
        """Mark the folder as ours, and remove the files of an earlier training."""
        foreign = None if _is_ours(self.path) else next(self.path.iterdir(), None)
        if foreign is not None:
            raise UsageError(
                f"'{self.path}' is not a run folder: it has '{foreign.name}' in it. Choose another --out: a new or an "
                "empty folder"
            )
        if is_run(self.path) and not overwrite:
            raise UsageError(
                f"'{self.path}' already has a training. Choose another --out, add --overwrite to replace it, or resume "
                f"it: {command_line('train', '--resume', self.path)}"
            )
        append_text(self.path / MARK, "")
        sync_folder(self.path)
        for name in FILES:  # config.json first: without it, the rest is not a run
            (self.path / name).unlink(missing_ok=True)
        for folder in (CHECKPOINTS, FAULTS):
            self._remove(path for path in _entries(self.path / folder) if OURS.fullmatch(path.name))
        for path in _entries(self.path / TRACK):
            if path.name.startswith("events.out.tfevents."):
                path.unlink()
        self.tidy()

    def tidy(self) -> None:
        """Remove files that a killed process has left half-written.

        Raises:
            DataError: the folder cannot be written.
        """
        try:
            make_folder(self.path / CHECKPOINTS)
            for folder in (self.path, self.path / CHECKPOINTS):
                remove_orphans(folder)
        except OSError as problem:
            raise DataError(f"the run folder '{self.path}' cannot be written: {reason(problem)}") from None

    def begin(
        self, circuit: Circuit, config: Mapping[str, Any], snapshot: Snapshot, decoder: Circuit | None = None
    ) -> None:
        """Fill a new folder: the views, a checkpoint of the untrained model, and at last config.json, which makes it a
        run: from then on, a killed training can be resumed."""
        self.config = dict(config)
        write_views(self.path, circuit)
        if decoder:
            write_views(self.path, decoder, "decoder_")
        if "options" in config:
            write_text(self.path / OPTIONS, write_toml(config["options"]))
        write_text(self.path / LOG, "")
        self.save(snapshot)
        write_bytes(self.path / CONFIG, as_json(self.config))

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to log.jsonl. The next checkpoint or ``sync_log`` flushes it to the disk."""
        append_text(self.path / LOG, as_line(record) + "\n")

    def warn(self, message: str) -> None:
        """Write a warning about the trained model into config.json."""
        self.config[WARNING] = message
        write_bytes(self.path / CONFIG, as_json(self.config))

    def sync_log(self) -> None:
        """Flush log.jsonl to the disk."""
        sync_file(self.path / LOG)

    def cut_log(self, update: int, result: bool = True) -> None:
        """Remove the lines of log.jsonl from after an update, an incomplete last one, and on request the ``result``
        of that update, which a training writes again if it was killed after writing it."""
        path = self.path / LOG
        if path.exists():
            lines = read_bytes(path, "the log of a training").decode("utf-8", "replace").splitlines(keepends=True)
            write_text(path, "".join(line for line in lines if _is_before(line, update, result)))

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint, then remove those that are no longer needed.

        Raises:
            DataError: it cannot be written. Earlier checkpoints are not changed.
        """
        self.sync_log()  # a checkpoint never knows more than the log
        write_checkpoint(
            self.checkpoint(snapshot.update),
            Checkpoint(snapshot.model, snapshot.optimizer, snapshot.progress, self.config),
        )
        self.prune()

    def checkpoint(self, update: int) -> Path:
        """The folder of the checkpoint after an update."""
        return self.path / CHECKPOINTS / f"{update:08d}"

    def save_fault(self, snapshot: Snapshot, batch: Mapping[str, Tensor]) -> Path:
        """Write a faulty batch, with the training as it was before it. Returns the folder."""
        folder = self.path / FAULTS
        path = folder / f"{snapshot.update + 1:08d}"
        try:
            make_folder(folder)
        except OSError as problem:
            raise DataError(f"'{folder}' cannot be made: {reason(problem)}") from None
        if not path.exists():
            tensors = snapshot.optimizer | {f"{BATCH}{n}": v for n, v in batch.items()}
            write_checkpoint(path, Checkpoint(snapshot.model, tensors, snapshot.progress, self.config))
        return path

    def prune(self) -> None:
        """Remove all checkpoints but the newest ones and, for each of them, the best one at its time."""
        kept = set[Path]()
        for path in checkpoints(self.path)[-KEEP:]:
            best = _best_before(path)
            kept |= {path} if best is None else {path, path.with_name(f"{best:08d}")}
        self._remove(path for path in checkpoints(self.path) if path not in kept)

    def newest(self, tell: Callable[[str], None]) -> Checkpoint:
        """The newest undamaged checkpoint. Damaged ones after it are renamed, and ``tell`` is called with a message.

        Raises:
            DataError: there is no checkpoint, all are damaged, or config.json has changed since.
        """
        found = checkpoints(self.path)
        for path in reversed(found):
            try:
                checkpoint = read_checkpoint(path)
            except DataError as problem:
                if path == found[0]:
                    raise
                tell(f"{problem}. Resuming from the checkpoint before it")
                path.rename(free_folder(path.parent, path.name + DAMAGED))
                sync_folder(path.parent)
                continue
            if not same(checkpoint.config, self.config):
                Config(self.path).refuse(CHANGED)
            return checkpoint
        raise no_checkpoint(self.path)

    def _remove(self, paths: Iterable[Path]) -> None:
        """Remove checkpoints. Each is renamed first, so that no part of one is ever read."""
        for path in list(paths):
            path.rename(path.with_name(f".{path.name}.{os.getpid()}.part"))
            remove_orphans(path.parent)


def free_folder(parent: Path, name: str) -> Path:
    """``parent/name``, or the first of ``parent/name-2``, ``-3``, ... that does not exist."""
    return next(path for path in _numbered(parent, name) if not path.exists())


def latest_folder(parent: Path, name: str) -> Path | None:
    """The folder that ``free_folder`` has returned last, if there is one."""
    return next(iter(reversed(list(takewhile(Path.exists, _numbered(parent, name))))), None)


def _numbered(parent: Path, name: str) -> Iterator[Path]:
    yield parent / name
    yield from (parent / f"{name}-{number}" for number in count(2))


def _is_ours(run: Path) -> bool:
    """Whether a training has begun in a folder. Runs of early versions have no mark, but a config.json."""
    if (run / MARK).is_file():
        return True
    try:
        values = json.loads((run / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and "format" in values and isinstance(values.get("circuit"), dict)


def _refuse_links(run: Path) -> None:
    """Refuse links in a run folder, so that nothing outside of it is written or removed. It may be a link itself."""
    inside = [run / name for name in (MARK, *FILES, CHECKPOINTS, FAULTS, TRACK)]
    links = [path for path in inside if path.is_symlink()]
    links += [path for folder in inside if folder not in links for path in _entries(folder) if path.is_symlink()]
    if links:
        raise DataError(
            f"'{links[0]}' is a link, so a training would change files outside of its folder. Replace it by the files "
            "themselves"
        )


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def as_line(record: Mapping[str, Any]) -> str:
    """A record as a line of JSON, with null for NaN and infinity."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    return json.dumps(finite, allow_nan=False)


def _best_before(folder: Path) -> int | None:
    try:
        progress = json.loads((folder / PROGRESS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # damaged: reading it will say so
    return best_of(progress) if isinstance(progress, dict) else None


def _is_before(line: str, update: int, result: bool) -> bool:
    """Whether a line of the log is complete, and not from after an update. ``result``: whether its result is."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    if not line.endswith("\n") or not isinstance(record, dict):
        return False
    at = record.get("update", 0)
    return at < update if record.get("event") == "result" and not result else at <= update
