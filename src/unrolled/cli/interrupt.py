"""Ctrl-C while something is being trained."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class Interrupt:
    """Whether Ctrl-C was pressed."""

    requested = False

    def __call__(self) -> bool:
        return self.requested


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """The first Ctrl-C asks for a clean end, which the work looks for; the second ends at once.

    >>> with interruptible() as interrupted:
    ...     while not interrupted():
    ...         work()
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread alone
        yield interrupt
        return
    before = signal.getsignal(signal.SIGINT)

    def once(*_: Any) -> None:
        interrupt.requested = True
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, once)
    try:
        yield interrupt
    finally:
        signal.signal(signal.SIGINT, before)
