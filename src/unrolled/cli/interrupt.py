"""Ctrl-C, and being asked to end, while something is being trained."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupt:
    """Whether a signal came, and which."""

    number = 0

    def __call__(self) -> bool:
        return self.number > 0

    @property
    def code(self) -> int:
        """The exit code of a process that this signal ended: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.number


@contextmanager
def interruptible() -> Iterator[Interrupt]:
    """The first Ctrl-C or SIGTERM asks for a clean end, which the work looks for; the second ends the process at once.

    >>> with interruptible() as interrupted:
    ...     while not interrupted():
    ...         work()
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():  # signals come to the main thread alone
        yield interrupt
        return

    def asked(number: int, _: Any) -> None:
        if interrupt():
            os.write(2, b"\nunrolled: interrupted again, ended at once\n")
            os._exit(128 + number)
        interrupt.number = number

    before = {number: signal.signal(number, asked) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
