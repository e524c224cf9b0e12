"""Locks on files and folders."""

from __future__ import annotations

import errno

from ..errors import UsageError


def lock(descriptor: int, busy: str) -> None:
    """Keep other processes from locking the same file or folder, until the descriptor is closed or the process ends.

    Where the system or the file system has no such locks (Windows, some network drives), nothing happens.

    Raises:
        UsageError: another process has locked it, with the message ``busy``.
    """
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UsageError(busy) from None
    except OSError as problem:
        if problem.errno not in (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP):
            raise
