"""Threads that assist. They wait in C for the next work, so that it begins at once, and fall asleep where none comes
for about a millisecond: to wake a thread takes longer than many a call.

A signal handler may raise an exception after any line that the main thread runs here. No line leaves anything to be
undone by a later one, so that nothing is lost: who has the crew is decided in C (see crew.c), a helper enters itself.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from _thread import start_new_thread  # threading.Thread takes locks, which an exception can leave locked

from .libraries import products


def crew(threads: int) -> int | None:
    """The address of the crew, of which so many threads may take part, this one included. None if one is enough."""
    return _crew().called(threads - 1) if threads > 1 else None


class _Helper:
    def __init__(self) -> None:
        self.asleep, self.gate = False, threading.Lock()
        self.gate.acquire()

    def wake(self) -> None:
        with contextlib.suppress(RuntimeError):  # another call has woken it
            self.gate.release()


class _Crew:
    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(products(False).crew_size())
        self.address = ctypes.addressof(self.memory)
        self.helpers: dict[int, _Helper] = {}
        self.hired = 0

    def called(self, helpers: int) -> int:
        """The address, when so many helpers are awake or about to be."""
        if self.hired != helpers:
            with contextlib.suppress(RuntimeError):  # no more threads to be had: those that are here do the work
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
        me, assist = _Helper(), products(False).assist
        if self.helpers.setdefault(number, me) is not me:  # two calls, or one that was interrupted, have started two
            return
        while True:
            assist(self.address, number)
            me.asleep = True
            me.gate.acquire()
            me.asleep = False


_crews: dict[int, _Crew] = {}  # by process: threads do not survive a fork


def _crew() -> _Crew:
    process = os.getpid()
    return _crews.get(process) or _crews.setdefault(process, _Crew())
