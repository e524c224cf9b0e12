"""Locks on files and folders."""

from __future__ import annotations

import errno

from ..errors import UsageError


def lock(descriptor: int, busy: str) -> None:
    """Lock a file or folder against other processes, until the descriptor is closed or the process ends.

    Where the system or the file system has no such locks (Windows, some network drives), this does nothing.

    Raises:
        UsageError: another process has locked it; ``busy`` is the message.
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
