"""Progress of long reading, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Show = Callable[[float, str], None]
_show: ContextVar[Show | None] = ContextVar("show", default=None)


@contextmanager
def shown(show: Show) -> Iterator[None]:
    """Show the progress of what is read in the block.

    Args:
        show: is called with the fraction that is done, and what is done.
    """
    before = _show.set(show)
    try:
        yield
    finally:
        _show.reset(before)


def progress(done: float, what: str) -> None:
    """Say how far something is, such as ``progress(0.5, "reading")``. Without someone who shows it, nothing happens."""
    if show := _show.get():
        show(min(done, 1.0), what)
