"""The folder of a training: what describes it, how it went, its views, and its checkpoints.

.unrolled           says that the folder is one of ours, from before anything else is in it
config.json         sizes, vocabulary, settings, versions, and the circuit itself: no one's code is needed again
config.toml         the options alone, to be used again with --config
log.jsonl           the training, line by line
faults/             batches whose numbers went wrong, each with the model that read it
checkpoints/        the last two checkpoints and the best one, each a folder of its own: see checkpoint.py
circuit.svg         the circuit diagram
unfolded.svg        the graph without recurrence
equations.txt       the equations, and those of the gradient
equations.tex       the same as a document to typeset
track/              curves for TensorBoard, if they were asked for

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
from typing import Any, NoReturn, Self

from torch import Tensor, nn

from ..circuits.circuit import Circuit
from ..errors import DataError, UnrolledError, UsageError, command_line, did_you_mean, reason
from ..files.lock import lock
from ..files.read import read_bytes
from ..files.strict_json import as_json, from_json
from ..files.toml import write_toml
from ..files.write import append_text, make_folder, remove_orphans, sync_file, sync_folder, write_bytes, write_text
from ..graph.stored import dump, load
from .checkpoint import (
    CONFIG,
    LARGEST_TEXT,
    PROGRESS,
    Checkpoint,
    is_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from .loop import Snapshot
from .views import VIEWS, write_views

FORMAT, OLDEST = 3, 2  # in format 2 two directions gave another last answer: see registry.py
MARK, LOG, OPTIONS = ".unrolled", "log.jsonl", "config.toml"
CHECKPOINTS, FAULTS, TRACK = "checkpoints", "faults", "track"
FILES = (CONFIG, OPTIONS, LOG, *VIEWS)
DAMAGED = ".damaged"
OURS = re.compile(rf"\d+({re.escape(DAMAGED)}(-\d+)?)?")  # in checkpoints/ and faults/
CHANGED = "it is not what the checkpoints were made with"
BATCH = "batch."  # how tensors of a batch that went wrong are named
KEEP = 2  # of the newest checkpoints; the best one is kept as well


class RunFolder:
    """A run folder that is being written.

    >>> run = RunFolder(Path("runs/mine"))
    >>> run.begin(circuit, {"task": "language"}, training.snapshot())

    It is locked until ``close`` (or the end of a ``with``): no other process can train into it, nor replace it.

    Args:
        path: made when it does not exist.
        overwrite: whether a training that is already there may be replaced. Only what is ours is removed.
        again: whether the training that is there is continued.

    Raises:
        UsageError: a training is there, another process is training into it, or the folder holds something else.
        DataError: the folder cannot be made, or has links inside; with ``again``, it is no run folder or a damaged one.
    """

    def __init__(self, path: Path, overwrite: bool = False, again: bool = False) -> None:
        self.path, self.config = path, dict[str, Any]()
        if again:
            _check_folder(path)
        self.close: Callable[[], object] = lambda: None
        try:
            make_folder(path)
            if os.name != "nt":  # Windows cannot open folders
                descriptor = os.open(path, os.O_RDONLY)
                self.close = weakref.finalize(self, os.close, descriptor)
                lock(descriptor, f"another process is training into '{path}'. Wait for it, or stop it")
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
        """Make the folder ours, and remove what another training has left in it."""
        foreign = None if _is_ours(self.path) else next(self.path.iterdir(), None)
        if foreign is not None:
            raise UsageError(
                f"'{self.path}' holds '{foreign.name}' and no training of ours, so nothing in it is touched. "
                "Choose another --out: a new folder, or an empty one"
            )
        if is_taken(self.path) and not overwrite:
            raise UsageError(
                f"'{self.path}' holds a training already. Choose another --out, add --overwrite to replace it, "
                f"or go on with it: {command_line('train', '--resume', self.path)}"
            )
        append_text(self.path / MARK, "")
        sync_folder(self.path)
        for name in FILES:  # config.json first: without it the rest is no run
            (self.path / name).unlink(missing_ok=True)
        for folder in (CHECKPOINTS, FAULTS):
            self._remove(path for path in _entries(self.path / folder) if OURS.fullmatch(path.name))
        for path in _entries(self.path / TRACK):
            if path.name.startswith("events.out.tfevents."):
                path.unlink()
        self.tidy()

    def tidy(self) -> None:
        """Remove what a killed process left half-written.

        Raises:
            DataError: the folder cannot be written.
        """
        try:
            make_folder(self.path / CHECKPOINTS)
            for folder in (self.path, self.path / CHECKPOINTS):
                remove_orphans(folder)
        except OSError as problem:
            raise DataError(f"the run folder '{self.path}' cannot be written: {reason(problem)}") from None

    def begin(self, circuit: Circuit, values: Mapping[str, Any], snapshot: Snapshot) -> None:
        """Fill a new folder: the views, a checkpoint of the model before it learns, and at last config.json (the
        circuit, and what the task adds), which makes it a run: whatever is killed later can be gone on with."""
        self.config = {"format": FORMAT, **values, "circuit": dump(circuit.recurrence)}
        write_views(self.path, circuit)
        if "options" in values:
            write_text(self.path / OPTIONS, write_toml(values["options"]))
        write_text(self.path / LOG, "")
        self.save(snapshot)
        write_bytes(self.path / CONFIG, as_json(self.config))

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to log.jsonl. It is on the disk with the next checkpoint, or after ``sync_log``."""
        append_text(self.path / LOG, as_line(record) + "\n")

    def sync_log(self) -> None:
        """Flush log.jsonl to the disk."""
        sync_file(self.path / LOG)

    def cut_log(self, update: int) -> None:
        """Take back the lines of log.jsonl that come after an update, and a last one that was cut off."""
        path = self.path / LOG
        if path.exists():
            lines = read_bytes(path, "the log of a training").decode("utf-8", "replace").splitlines(keepends=True)
            write_text(path, "".join(line for line in lines if _stands(line, update)))

    def save(self, snapshot: Snapshot) -> None:
        """Write a checkpoint, then remove those that are no longer needed.

        Raises:
            DataError: it cannot be written. The checkpoints before it are as they were.
        """
        self.sync_log()  # a checkpoint never knows more than the log
        path = self.path / CHECKPOINTS / f"{snapshot.update:08d}"
        write_checkpoint(path, Checkpoint(snapshot.model, snapshot.optimizer, self.config, snapshot.progress))
        self.prune()

    def save_fault(self, snapshot: Snapshot, batch: Mapping[str, Tensor]) -> Path:
        """Write a batch that went wrong, with the training as it was before it; where that is."""
        folder = self.path / FAULTS
        path = folder / f"{snapshot.update + 1:08d}"
        try:
            make_folder(folder)
        except OSError as problem:
            raise DataError(f"'{folder}' cannot be made: {reason(problem)}") from None
        if not path.exists():
            tensors = snapshot.optimizer | {f"{BATCH}{n}": v for n, v in batch.items()}
            write_checkpoint(path, Checkpoint(snapshot.model, tensors, self.config, snapshot.progress))
        return path

    def prune(self) -> None:
        """Remove all checkpoints but the newest ones and, for each of them, the best one up to there."""
        kept = set[Path]()
        for path in checkpoints(self.path)[-KEEP:]:
            best = _best_as_it_says(path)
            kept |= {path} if best is None else {path, path.with_name(f"{best:08d}")}
        self._remove(path for path in checkpoints(self.path) if path not in kept)

    def newest(self, tell: Callable[[str], None]) -> Checkpoint:
        """The newest checkpoint that is whole. Damaged ones after it are renamed to a name that says so, and ``tell``
        is told.

        Raises:
            DataError: there is no checkpoint, all are damaged, or config.json has been changed since.
        """
        found = checkpoints(self.path)
        for path in reversed(found):
            try:
                checkpoint = read_checkpoint(path)
            except DataError as problem:
                if path == found[0]:
                    raise
                tell(f"{problem}. Going on from the one before it")
                path.rename(free_folder(path.parent, path.name + DAMAGED))
                sync_folder(path.parent)
                continue
            if checkpoint.config != self.config:
                Config(self.path).refuse(CHANGED)
            return checkpoint
        raise _no_checkpoint(self.path)

    def _remove(self, paths: Iterable[Path]) -> None:
        """Remove checkpoints, each under a temporary name first, so that no part of one is ever seen."""
        for path in list(paths):
            path.rename(path.with_name(f".{path.name}.{os.getpid()}.part"))
            remove_orphans(path.parent)


def free_folder(parent: Path, name: str) -> Path:
    """``parent/name``, or ``parent/name-2``, ``-3``, ... while that is taken."""
    return next(path for path in _numbered(parent, name) if not path.exists())


def latest_folder(parent: Path, name: str) -> Path | None:
    """The folder that ``free_folder`` gave last, if there is one."""
    return next(iter(reversed(list(takewhile(Path.exists, _numbered(parent, name))))), None)


def _numbered(parent: Path, name: str) -> Iterator[Path]:
    yield parent / name
    yield from (parent / f"{name}-{number}" for number in count(2))


def is_taken(run: Path) -> bool:
    """Whether a training lives in a folder."""
    return (run / CONFIG).exists()


def _is_ours(run: Path) -> bool:
    """Whether a training was begun in a folder. Runs of earlier versions have no mark, but a description."""
    if (run / MARK).is_file():
        return True
    try:
        values = json.loads((run / CONFIG).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(values, dict) and "format" in values and isinstance(values.get("circuit"), dict)


def _refuse_links(run: Path) -> None:
    """A run folder may be named by a link, but holds none: what is written or removed stays inside it."""
    inside = [run / name for name in (MARK, *FILES, CHECKPOINTS, FAULTS, TRACK)]
    links = [path for path in inside if path.is_symlink()]
    links += [path for folder in inside if folder not in links for path in _entries(folder) if path.is_symlink()]
    if links:
        raise DataError(
            f"'{links[0]}' is a link, so a training would change files outside of its folder. "
            "Put the files themselves in its place"
        )


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def as_line(record: Mapping[str, Any]) -> str:
    """A record as a line of JSON; a number that is not finite is null."""
    finite = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    return json.dumps(finite, allow_nan=False)


def checkpoints(run: Path) -> list[Path]:
    """The checkpoint folders of a run, oldest first."""
    return [path for path in _entries(run / CHECKPOINTS) if path.name.isdigit()]


def best_update(progress: Mapping[str, Any]) -> int | None:
    """After which update the validation was best, as a checkpoint's progress says; None before the first one."""
    best = progress.get("best")
    return best if isinstance(best, int) else None


def _best_as_it_says(folder: Path) -> int | None:
    try:
        progress = json.loads((folder / PROGRESS).read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # damaged: reading it will say so
    return best_update(progress) if isinstance(progress, dict) else None


def read_model(run: Path) -> tuple[Config, dict[str, Tensor]]:
    """The best model of a run (of its last checkpoint, if none was validated yet), or that of one checkpoint folder:
    what it is, and its parameters.

    Raises:
        DataError: no run folder, no checkpoint yet, or a damaged one.
    """
    if is_checkpoint(run):
        checkpoint = read_checkpoint(run)
        return Config(run, checkpoint.config), checkpoint.model
    config, found = Config(run), checkpoints(run)
    if not found:
        raise _no_checkpoint(run)
    checkpoint = read_checkpoint(found[-1])
    best = best_update(checkpoint.progress)
    if best is not None and f"{best:08d}" != found[-1].name:
        checkpoint = read_checkpoint(run / CHECKPOINTS / f"{best:08d}")
    if checkpoint.config != config.values:
        config.refuse(CHANGED)
    return config, checkpoint.model


class Config:
    """What a run's config.json says, read with care.

    Raises:
        DataError: for a folder that is no run, and for a file that is damaged, naming both.
    """

    def __init__(self, run: Path, values: Any = None) -> None:
        self.run, self.path = run, run / CONFIG
        _check_folder(run)
        try:
            self.values = from_json(self._read()) if values is None else values
        except (ValueError, RecursionError) as problem:
            self.refuse(f"it is no JSON ({problem})")
        if not isinstance(self.values, dict) or "format" not in self.values:
            self.refuse("it does not describe a run")
        if self.values["format"] not in (OLDEST, FORMAT):
            self.refuse(f"its format is {self.values['format']!r}; this version reads {OLDEST} and {FORMAT}")

    def _read(self) -> bytes:
        if (size := self.path.stat().st_size) > LARGEST_TEXT:
            self.refuse(f"it has {size:,} bytes, too many for one")
        return read_bytes(self.path, "the description of a run")

    def get(self, name: str, kind: type) -> Any:
        """The value under a dotted name such as 'model.hidden', which must be of a kind."""
        value = self.values
        for part in name.split("."):
            if not isinstance(value, dict) or part not in value:
                self.refuse(f"'{name}' is missing")
            value = value[part]
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            self.refuse(f"'{name}' must be of type {kind.__name__}, got {value!r:.40}")
        return value

    def sizes(self) -> list[int]:
        """Every whole number under [model], of which none can be larger than the model has parameters."""
        model = self.get("options.model", dict)
        numbers = [n for value in model.values() for n in (value if isinstance(value, list) else [value])]
        return [n for n in numbers if isinstance(n, int)]

    def circuit(self) -> Circuit:
        """The circuit as it was stored. No code is run."""
        stored = self.get("circuit", dict)
        try:
            return Circuit.stored(load(stored))
        except UnrolledError as problem:
            self.refuse(str(problem))

    def refuse(self, why: str) -> NoReturn:
        copy = " (each checkpoint has a copy)" if checkpoints(self.run) else ""
        raise DataError(f"'{self.path}' cannot be used: {why}. Restore the file{copy}, or train again")


def check_fit(config: Config, model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Refuse parameters that are not those of a model, naming the first that differs.

    Raises:
        DataError: their names or shapes differ.
    """
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    wanted = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    for name in sorted({**found, **wanted}):
        if found.get(name) != wanted.get(name):
            config.refuse(
                f"it does not fit its parameters: {name} is {found.get(name, 'missing')} there, "
                f"{wanted.get(name, 'missing')} here"
            )


def _no_checkpoint(run: Path) -> DataError:
    return DataError(f"'{run / CHECKPOINTS}' holds no checkpoint. Restore the folder from a copy, or train again")


def _check_folder(run: Path) -> None:
    if not run.exists():
        siblings = [str(path.parent) for path in run.parent.glob(f"*/{CONFIG}")] if run.parent.is_dir() else []
        hint = did_you_mean(str(run), siblings) or f". To make one: {command_line('train', 'DATA')}"
        raise DataError(f"there is no run folder '{run}'{hint}")
    if not (run / CONFIG).exists():
        what = "a file" if run.is_file() else f"a folder without {CONFIG}"
        raise DataError(f"'{run}' is no run folder but {what}. To make one: {command_line('train', 'DATA')}")


def _stands(line: str, update: int) -> bool:
    """Whether a line of the log is whole, and not from after an update."""
    try:
        record = json.loads(line)
    except ValueError:
        return False
    return line.endswith("\n") and isinstance(record, dict) and record.get("update", 0) <= update
