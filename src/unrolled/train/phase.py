"""Where within an update a training stands, for whoever watches it: `make torture` kills it in each of these phases."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

PHASES = ("read", "forward", "backward", "step", "validate", "write", "flush", "rename")

_watchers: list[Callable[[str], None]] = []


def enter(phase: str) -> None:
    """Say that a phase begins. Costs nothing unless somebody watches."""
    for watcher in _watchers:
        watcher(phase)


@contextmanager
def watched(watcher: Callable[[str], None]) -> Iterator[None]:
    """Call ``watcher`` with the name of every phase that begins while the block runs."""
    _watchers.append(watcher)
    try:
        yield
    finally:
        _watchers.remove(watcher)
