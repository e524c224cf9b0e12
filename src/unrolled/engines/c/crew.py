"""Helper threads. They wait in C for work, so that it starts at once, and sleep if none comes for about a millisecond.
Waking a thread takes longer than many calls.

A signal handler may raise an exception after any line that the main thread runs here. So no line leaves a state that a
later line has to repair: C decides which call has the crew (see crew.c), and a helper registers itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from _thread import start_new_thread  # threading.Thread takes locks that an exception can leave locked

from .libraries import products


def crew(threads: int) -> int | None:
    """The address of the crew, for ``threads`` threads with this one. None if one thread is enough."""
    return _crew().called(threads - 1) if threads > 1 else None


class _Helper:
    """A helper thread; it sleeps on its gate."""

    def __init__(self) -> None:
        self.asleep, self.gate = False, threading.Lock()
        self.gate.acquire()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # another call woke it
            self.gate.release()


class _Crew:
    """The helpers of a process, and the memory by which C gives them work."""

    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(products(False).crew_size())
        self.address = ctypes.addressof(self.memory)
        self.helpers: dict[int, _Helper] = {}
        self.hired = 0

    def called(self, helpers: int) -> int:
        """The address; ``helpers`` helpers are awake, or waking."""
        if self.hired != helpers:
            with contextlib.suppress(RuntimeError):  # the system has no more threads; fewer helpers do the work
                for number in range(helpers):
                    if number not in self.helpers:
                        start_new_thread(self.attend, (number,))
            products(False).hire(self.address, helpers)
            self.hired = helpers
        for number, helper in self.helpers.copy().items():
            if number < helpers and helper.asleep:
                helper.wake()
        return self.address

    def attend(self, number: int) -> None:
        """The life of a helper: work, sleep, work."""
        me, assist = _Helper(), products(False).assist
        if self.helpers.setdefault(number, me) is not me:  # two calls, or an interrupted one, started two
            return
        while True:
            assist(self.address, number)
            me.asleep = True
            me.gate.acquire()
            me.asleep = False


_crews: dict[int, _Crew] = {}  # by process, since threads do not survive a fork


def _crew() -> _Crew:
    process = os.getpid()
    return _crews.get(process) or _crews.setdefault(process, _Crew())
