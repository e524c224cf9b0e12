"""Reading of data, with the requested threads and a bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def reading(threads: int = 1, quiet: bool = False) -> Iterator[None]:
    """Read data in the block: torch's operations use ``threads`` threads, and a bar shows how far the data are read.

    Args:
        threads: the number of CPU threads.
        quiet: show no bar.
    """
    from ..engines.threads import processor_threads
    from ..files.progress import shown
    from .progress import Bar

    with processor_threads(threads), Bar(quiet) as bar, shown(bar.show_part):
        yield
