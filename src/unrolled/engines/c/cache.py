"""A cache of compiled libraries on disk.

Anyone who can write to the cache decides what this process runs. So, as ssh does with its files, a folder is used only
if it belongs to this user, and others can write neither to it nor to a folder above it. Otherwise this process uses a
temporary folder. It loads a new copy of the bytes that it has read and checked.

An entry is one file: a digest, then the library. It is renamed into place, so that several processes can build the same
library at once. It is not flushed to the disk: after a power failure, the digest of an incomplete entry does not match.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

DIGEST = hashlib.sha256().digest_size
OURS = ".unrolled-"  # prefix of temporary files

# flags that only some systems have
SAFELY = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


def cache_folder() -> Path:
    """The folder of the cache: $UNROLLED_CACHE, or the user's cache folder. If neither can be used, a temporary one."""
    return _lasting() or private_folder()


@cache
def _lasting() -> Path | None:
    try:
        folder = _named()
    except RuntimeError:  # neither $HOME nor an entry for the user
        return _warn("there is no home folder for the cache of compiled loops, name a folder with $UNROLLED_CACHE")
    try:
        for missing in reversed([f for f in (folder, *folder.parents) if not f.exists()]):
            missing.mkdir(mode=0o700, exist_ok=True)
        folder = folder.resolve(strict=True)
        if obstacle := _obstacle(folder):
            return _warn(f"{folder} is not used as the cache of compiled loops: {obstacle}")
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as problem:
        return _warn(f"{folder} cannot be written ({problem.strerror})")


@cache
def _warn(reason: str) -> None:
    warnings.warn(f"{reason}; compiled loops are not cached", stacklevel=4)


def _named() -> Path:
    if given := os.environ.get("UNROLLED_CACHE"):
        return Path(given).absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if os.path.isabs(base) else Path.home() / ".cache") / "unrolled"


def _obstacle(folder: Path) -> str:
    """How others could change the contents of a folder; empty if they cannot."""
    if not hasattr(os, "getuid"):
        return ""
    for above in reversed(folder.parents):  # from the root on: nobody can replace what is in a safe folder
        status = above.stat()
        if status.st_uid not in (0, os.getuid()):
            return f"{above} belongs to another user ({status.st_uid})"
        if (
            _others_write(status) and not status.st_mode & stat.S_ISVTX
        ):  # in /tmp, users can only rename their own files
            return f"others can write to {above} (chmod go-w {above})"
    status = folder.stat()
    if status.st_uid != os.getuid():
        return f"it belongs to another user ({status.st_uid})"
    return f"others can write to it (chmod go-w {folder})" if _others_write(status) else ""


def _others_write(status: os.stat_result) -> bool:
    if status.st_mode & stat.S_IWGRP and not _group_of_one(status.st_gid):
        return True
    return bool(status.st_mode & stat.S_IWOTH)


def _group_of_one(number: int) -> bool:
    """Whether this user is the only member of a group; many systems create such a group for every user."""
    import grp
    import pwd

    try:
        user, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(number)
    except KeyError:
        return False
    return group.gr_name == user and {*group.gr_mem} <= {user}


def private_folder() -> Path:
    """A temporary folder, removed when this process ends."""
    return _private(os.getpid())  # a forked process has one of its own


@cache
def _private(process: int) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="unrolled-"))
    atexit.register(_remove, folder, process)
    return folder


def _remove(folder: Path, process: int) -> None:
    if process == os.getpid():
        shutil.rmtree(folder, ignore_errors=True)


# entries


def read(key: str) -> bytes | None:
    """The library stored under a key; None if there is none, if it belongs to another user, or if it is damaged."""
    with contextlib.suppress(OSError), _opened(cache_folder() / _entry(key), os.O_RDONLY) as file:
        status = os.fstat(file)
        mine = not hasattr(os, "getuid") or (status.st_uid == os.getuid() and not _others_write(status))
        if not mine or not stat.S_ISREG(status.st_mode) or status.st_nlink != 1:
            return None
        with open(file, "rb", closefd=False) as entry:
            digest, library = entry.read(DIGEST), entry.read()
        return library if digest == _digest(key, library) else None
    return None


def write(key: str, library: bytes) -> None:
    """Store a library; if that fails, warn once."""
    try:
        _put(cache_folder() / _entry(key), _digest(key, library) + library)
    except OSError as problem:
        _warn(f"{cache_folder()} cannot be written ({problem.strerror})")


def write_text(key: str, text: str, ending: str = ".c") -> Path:
    """Store a text that could not be compiled. Returns its path."""
    content = text.encode()
    with contextlib.suppress(OSError):
        if folder := _lasting():
            return _put(folder / f"{key}{ending}", content)
    file, path = tempfile.mkstemp(prefix="unrolled-", suffix=ending)
    with open(file, "wb") as kept:
        kept.write(content)
    return Path(path)


def _entry(key: str) -> str:
    return f"{key}.kernel"


def _digest(key: str, library: bytes) -> bytes:
    return hashlib.sha256(key.encode() + library).digest()


def _put(path: Path, content: bytes) -> Path:
    """Write a file atomically; it replaces a file or a link of the same name."""
    new = path.with_name(f"{OURS}{secrets.token_hex(8)}{path.suffix}")
    try:
        _create(new, content)
        os.replace(new, path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    return path


def _create(path: Path, content: bytes) -> None:
    with _opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as file, open(file, "wb", closefd=False) as new:
        new.write(content)


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file; a link is not followed."""
    file = os.open(path, flags | SAFELY, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def loaded(library: bytes) -> ctypes.CDLL:
    """Load a library from its bytes, by way of a temporary file. Raises OSError if it cannot be loaded."""
    try:
        return _loaded(library, cache_folder())
    except OSError:  # the disk is full, or the folder is mounted without permission to execute
        return _loaded(library, private_folder())


def _loaded(library: bytes, folder: Path) -> ctypes.CDLL:
    copy = folder / f"{OURS}{secrets.token_hex(8)}.so"
    try:
        _create(copy, library)
        return ctypes.CDLL(str(copy))
    finally:
        with contextlib.suppress(OSError):
            copy.unlink()
