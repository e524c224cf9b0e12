"""Handling of Ctrl-C and SIGTERM, during imports and during a training."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
IMPORT = "<frozen importlib._bootstrap>"  # the file name in the frames of an import


class Interrupt:
    """Whether a signal has arrived, and which one."""

    number = 0

    def __call__(self) -> bool:
        return self.number > 0

    @property
    def code(self) -> int:
        """The exit code of a process that this signal ended: 130 after Ctrl-C, 143 after SIGTERM."""
        return 128 + self.number


@contextmanager
def at_once_while_importing() -> Iterator[None]:
    """Let Ctrl-C end the process at once while a module is being imported.

    A half-imported module, such as numpy, turns KeyboardInterrupt into other errors. Outside of imports, Ctrl-C raises
    KeyboardInterrupt as usual.
    """

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
    """Let the first Ctrl-C or SIGTERM request a clean stop, and the second end the process at once.

    The block polls the value that this yields:

    >>> with interruptible() as interrupted:
    ...     while not interrupted():
    ...         work()
    """
    interrupt = Interrupt()
    if threading.current_thread() is not threading.main_thread():  # only the main thread receives signals
        yield interrupt
        return

    def asked(number: int, _: FrameType | None) -> None:
        if interrupt():
            os.write(2, b"\nunrolled: interrupted again, stopping now\n")
            os._exit(128 + number)
        interrupt.number = number

    before = {number: signal.signal(number, asked) for number in SIGNALS}
    try:
        yield interrupt
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
