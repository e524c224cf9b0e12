"""Files and folders that are written atomically: after a crash they have the old content or the new.

A file has a temporary name (``.NAME.123.part``) until it is complete and on the disk. A process that is killed leaves
it behind; ``remove_orphans`` removes it. Permissions follow the umask of the process.

The order is: write, flush the file to the disk, rename, flush the folder. Without the first flush, a power failure can
leave the new name on an incomplete file; without the second, it can undo the rename.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from ..errors import DataError, reason
from .failpoints import reach

ORPHAN = re.compile(r"\..+\.\d+\.part")


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file atomically. A device or a pipe, such as /dev/stdout, is written to directly.

    Raises:
        DataError: it cannot be written. An existing file is not changed.
    """
    try:
        if _is_device(path):
            with path.open("ab") as file:
                file.write(content)
        else:
            _replace(path, content)
    except (OSError, ValueError) as problem:
        raise cannot_write(path, problem, len(content)) from None


def _is_device(path: Path) -> bool:
    """Whether a path is a device, a pipe, or a link of the system to an open file, such as /dev/stdout. A rename would
    replace it by a file."""
    own = path.is_symlink() and path.absolute().parts[1] in ("dev", "proc")
    return own or (path.exists() and not path.is_file() and not path.is_dir())


def _replace(path: Path, content: bytes) -> None:
    part = _part(path)
    try:
        part.unlink(missing_ok=True)
        _write(part, content)
        reach("rename")
        part.replace(path)
        sync_folder(path.parent)
    except BaseException:
        with suppress(OSError, ValueError):
            part.unlink(missing_ok=True)
        raise


def write_text(path: Path, content: str) -> None:
    """Write a text file (UTF-8) atomically: see ``write_bytes``."""
    write_bytes(path, content.encode("utf-8"))


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write a new folder of files atomically.

    Raises:
        DataError: it cannot be written, or already exists.
    """
    part = _part(path)
    try:
        _remove(part)
        part.mkdir()
        for name, content in files.items():
            _write(part / name, content)
        sync_folder(part)
        reach("rename")
        part.rename(path)
        sync_folder(path.parent)
    except OSError as problem:
        raise cannot_write(path, problem, sum(map(len, files.values()))) from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_orphans(folder: Path) -> list[str]:
    """Remove the incomplete files of killed processes from a folder. Returns their names."""
    found = sorted(path for path in folder.iterdir() if ORPHAN.fullmatch(path.name))
    for path in found:
        _remove(path)
    return [path.name for path in found]


def make_folder(path: Path) -> None:
    """Make a folder and its parents, where they do not exist, and flush their names to the disk.

    Raises:
        OSError: it cannot be made.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)  # another process may make it at the same time
    sync_folder(path.parent)


def append_text(path: Path, content: str) -> None:
    """Add text to the end of a file. ``sync_file`` flushes it to the disk.

    Raises:
        DataError: it cannot be written, or is a link.
    """
    try:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        with open(os.open(path, flags, 0o666), "w", encoding="utf-8") as file:
            file.write(content)
    except OSError as problem:
        raise DataError(f"'{path}' cannot be written: {reason(problem)}") from None


def sync_file(path: Path) -> None:
    """Flush a file to the disk, if it exists.

    Raises:
        DataError: it cannot be flushed.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return
    try:
        os.fsync(descriptor)
    except OSError as problem:
        raise DataError(f"'{path}' cannot be written: {reason(problem)}") from None
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, so that a rename survives a power failure."""
    if os.name == "nt":  # Windows cannot do so
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def cannot_write(path: Path, problem: OSError | ValueError, need: int) -> DataError:
    """The error for a file that could not be written: where, why, and what to do."""
    remedy = "Choose another place"
    if isinstance(problem, FileNotFoundError) and not _is_folder(path.parent):
        return DataError(f"'{path}' cannot be written: there is no folder '{path.parent}'. Make it, or put it back")
    if isinstance(problem, OSError) and problem.errno in FULL:
        remedy = f"It needs {size(need)}{_free(path.parent)}"
    elif isinstance(problem, IsADirectoryError):
        remedy = "Name a file in it"
    elif isinstance(problem, NotADirectoryError):
        remedy = f"'{path.parent}' is a file. Name a file in a folder"
    return DataError(f"'{path}' cannot be written: {reason(problem)}. {remedy}")


def _is_folder(path: Path) -> bool:
    with suppress(OSError):
        return path.is_dir()
    return False


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _free(folder: Path) -> str:
    with suppress(OSError):
        return f"; {size(shutil.disk_usage(folder).free)} are free there"
    return ""


def size(count: int) -> str:
    """A number of bytes for people, such as ``3.1 MB``."""
    for unit, bytes_ in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if count >= bytes_:
            return f"{count / bytes_:.1f} {unit}"
    return f"{count} bytes"


def _part(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _write(path: Path, content: bytes) -> None:
    reach("write")
    with path.open("xb") as file:  # a new file: never through an existing link
        file.write(content)
        file.flush()
        reach("flush")
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
