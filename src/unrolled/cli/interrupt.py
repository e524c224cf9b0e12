"""Ctrl-C, and being asked to end: while modules are imported, and while something is being trained."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
IMPORT = "<frozen importlib._bootstrap>"  # the file of the functions that import


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
def at_once_while_importing() -> Iterator[None]:
    """Ctrl-C ends the process at once while a module is being imported: a half-imported one, such as numpy, makes
    other errors of it. Elsewhere Ctrl-C raises KeyboardInterrupt, as usual."""

    def asked(number: int, frame: FrameType | None) -> None:
        while frame is not None:
            if frame.f_code.co_filename == IMPORT:
                os.write(2, b"\nunrolled: interrupted\n")
                os._exit(128 + number)
            frame = frame.f_back
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, asked)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


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

    def asked(number: int, _: FrameType | None) -> None:
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
