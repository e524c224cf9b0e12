"""Named points in the course of an update. A test can observe them; `make torture` kills a training at each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

FAILPOINTS = ("read", "forward", "backward", "step", "validate", "write", "flush", "rename")

_observers: list[Callable[[str], None]] = []


def reach(failpoint: str) -> None:
    """Announce that a failpoint is reached. Costs nothing unless it is observed."""
    for observer in _observers:
        observer(failpoint)


@contextmanager
def observed(observer: Callable[[str], None]) -> Iterator[None]:
    """Call ``observer`` with the name of every failpoint that is reached while the block runs."""
    _observers.append(observer)
    try:
        yield
    finally:
        _observers.remove(observer)
