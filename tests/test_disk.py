"""What a power cut may not take: the order in which files are written, flushed, renamed, and their folders flushed.

``Disk`` watches the calls. No file gets its name before its content was flushed, no folder before its files were; after
a name was given, nothing else is renamed, made or removed before the folder with the name was flushed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

import torture
import unrolled
from unrolled import cells
from unrolled.cli import main
from unrolled.engines.c.cache import private_folder
from unrolled.files import write as files
from unrolled.nn.model import SequenceModel
from unrolled.nn.stored import save_network
from unrolled.run import folder as run_folder
from unrolled.run.checkpoint import CONFIG, checkpoints
from unrolled.run.folder import CURVES, FILES, FORECAST, LOG, MARK, RunFolder
from unrolled.stream.options import StreamOptions
from unrolled.stream.streaming import Streaming, open_streamed
from unrolled.train.snapshot import Snapshot

Key = tuple[int, int]  # device and inode


class Disk:
    """What is on the disk, as far as the calls of this process say."""

    def __init__(self) -> None:
        self.flushed: dict[Key, tuple[int, int]] = {}  # size and time of change, when it was flushed
        self.due: dict[Key, Path] = {}  # folders in which a name is new
        self.named: list[Path] = []  # what got its name, in this order

    def fsync(self, descriptor: int) -> None:
        found = os.fstat(descriptor)
        self.flushed[found.st_dev, found.st_ino] = found.st_size, found.st_mtime_ns
        self.due.pop((found.st_dev, found.st_ino), None)

    def check(self, path: Path) -> None:
        """A file, or a folder with all that is in it, must be on the disk as it is now."""
        for found in [path, *path.rglob("*")] if path.is_dir() else [path]:
            status = found.stat()
            now = status.st_size, status.st_mtime_ns
            assert self.flushed.get((status.st_dev, status.st_ino)) == now, f"'{found}' was not flushed to the disk"

    def before(self, what: str) -> None:
        """Nothing is changed while a new name is not on the disk."""
        assert not self.due, f"{what}, before the folder '{next(iter(self.due.values()), None)}' was flushed"

    def after(self, path: Path) -> None:
        status = path.parent.stat()
        self.due[status.st_dev, status.st_ino] = path.parent
        self.named.append(path)


@contextmanager
def watched() -> Iterator[Disk]:
    """Watch the calls of this process while the block runs."""
    disk, real = Disk(), {name: getattr(os, name) for name in ("fsync", "rename", "replace", "mkdir", "unlink")}
    kernels = [Path(os.environ["UNROLLED_CACHE"]), private_folder()]  # may be lost

    def is_kernel(path: Any) -> bool:
        return any(Path(path).absolute().is_relative_to(folder) for folder in kernels)

    def fsync(descriptor: int) -> None:
        real["fsync"](descriptor)
        disk.fsync(descriptor)

    def rename(source: Any, target: Any) -> None:
        if is_kernel(target):
            real["replace"](source, target)
            return
        disk.before(f"'{source}' was renamed")
        if str(source).endswith(".part"):  # it was being written
            disk.check(Path(source))
            if Path(target).parent.name == "checkpoints":
                disk.check(Path(target).parents[1] / LOG)
        real["replace"](source, target)
        if not str(target).endswith(".part"):  # else it is removed next
            disk.after(Path(target))

    def mkdir(path: Any, *args: Any, **named: Any) -> None:
        if is_kernel(path):
            real["mkdir"](path, *args, **named)
            return
        disk.before(f"'{path}' was made")
        real["mkdir"](path, *args, **named)
        if not str(path).endswith(".part"):
            disk.after(Path(path))

    def unlink(path: Any, *args: Any, **named: Any) -> None:
        if is_kernel(path):
            real["unlink"](path, *args, **named)
            return
        disk.before(f"'{path}' was removed")
        real["unlink"](path, *args, **named)

    with pytest.MonkeyPatch.context() as patch:
        for name, call in {
            "fsync": fsync,
            "rename": rename,
            "replace": rename,
            "mkdir": mkdir,
            "unlink": unlink,
        }.items():
            patch.setattr(os, name, call)
        yield disk
        disk.before("the process ended")


def contents(run: Path) -> list[Path]:
    return [path for path in run.rglob("*") if path.is_file() and path.name != MARK]  # which is empty


def test_a_run_folder_is_on_the_disk_before_it_is_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    Path("text.txt").write_text(torture.TEXT)
    run, training = Path("new/runs/run"), ("--hidden", "4", "--updates", "3", "--checkpoint-every", "1", "--json")
    with watched() as disk:
        assert main(["train", "text.txt", *training, "--out", str(run)]) == 0
        for path in contents(run):
            disk.check(path)
    assert disk.named[:3] == [Path("new"), Path("new/runs"), Path("new/runs/run")]
    assert set(FILES) - {LOG, FORECAST} < {path.name for path in disk.named if path.parent == run}
    assert [p.name for p in disk.named if p.parent.name == "checkpoints"] == [f"{n:08d}" for n in range(4)]
    newest = checkpoints(run)[-1]
    (newest / "optimizer.safetensors").write_bytes(b"damaged")
    with watched() as disk:
        assert main(["train", "--resume", str(run), "--json"]) == 0
        disk.check(run / LOG)
        disk.check(newest)
    assert [p.name for p in disk.named] == ["00000003.damaged", LOG, "00000003", CONFIG, CURVES]
    with watched() as disk:
        assert main(["train", "text.txt", *training, "--out", str(run), "--overwrite"]) == 0
    assert disk.named[-3:] == [run / "checkpoints" / "00000003", run / CONFIG, run / CURVES]


def test_a_stream_and_a_network_are_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("unrolled.stream.streaming.EVERY", 0.0)
    Path("rows.csv").write_text("1,2,3\n" * 100)
    with watched() as disk:
        save_network(unrolled.Recurrent(cells.elman, x=3, h=5, o=2), "net.safetensors")
        disk.check(Path("net.safetensors"))
    way = StreamOptions(10)
    with watched() as disk:
        for _ in Streaming(open_streamed(Path("net.safetensors"), way), Path("rows.csv"), Path("out"), way).run():
            disk.check(Path("out.state"))
            assert disk.named[-1] == Path("out.state")
            size = Path("out").stat().st_size
            found = Path("out").stat()
            assert disk.flushed[found.st_dev, found.st_ino][0] <= size
        disk.check(Path("out"))
    assert len(disk.named) == 12, "before the first piece, after each of ten, and at the end"


# the watcher sees faults


def saved(folder: Path) -> None:
    """A small run folder: begun, one checkpoint, one fault, continued."""
    model = SequenceModel(cells.gru, 5, 5, 3)
    snapshot = Snapshot(model.state_dict(), {}, {"update": 0, "best": None})
    with RunFolder(folder / "run") as run:
        run.begin(cells.gru, {"options": {"model": {"hidden": 3}}}, snapshot)
        run.log({"update": 1})
        run.save(Snapshot(model.state_dict(), {}, {"update": 1, "best": None}))
        run.save_fault(snapshot, {"x": torch.zeros(1)})
        run.log({"update": 2})
        run.sync_log()
        for path in contents(run.path):
            watching.check(path)


watching = Disk()


def unflushed(path: Path, content: bytes) -> None:
    path.write_bytes(content)


def too_late(path: Path, content: bytes) -> None:
    """Renames before it flushes."""
    part = path.with_name(f".{path.name}.1.part")
    part.write_bytes(content)
    part.replace(path)
    files.sync_file(path)
    files.sync_folder(path.parent)


def nothing(*_: object) -> None:
    """Flushes nothing."""


PLANTED: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "no file is flushed": lambda patch: patch.setattr(files, "_write", unflushed),
    "no folder is flushed": lambda patch: [patch.setattr(room, "sync_folder", nothing) for room in (files, run_folder)],
    "the rename comes first": lambda patch: [
        patch.setattr(room, "write_bytes", too_late) for room in (files, run_folder)
    ],
    "the log is not flushed": lambda patch: patch.setattr(run_folder, "sync_file", nothing),
    "parents are not flushed": lambda patch: patch.setattr(
        run_folder, "make_folder", lambda path: path.mkdir(parents=True, exist_ok=True)
    ),
}


@pytest.mark.parametrize("fault", [None, *PLANTED])
def test_the_watcher_sees_planted_faults(fault: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    global watching
    if fault:
        PLANTED[fault](monkeypatch)
    try:
        with watched() as watching:
            saved(tmp_path)
    except AssertionError as problem:
        assert fault and "flushed" in str(problem), problem
    else:
        assert fault is None, "the fault was not seen"
