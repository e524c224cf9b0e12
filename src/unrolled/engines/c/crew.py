"""Threads that assist. They wait in C for the next work, so that it begins at once, and fall asleep where none comes
for about a millisecond: to wake a thread takes longer than many a call."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable
from functools import cache

from .libraries import products


def with_crew(threads: int, work: Callable[[int | None], None]) -> None:
    """Carry out work that is given the address of a crew of so many threads, of which this is one; or, if one thread is
    enough or another call has the crew, None."""
    if threads == 1 or not (crew := _crew()).free.acquire(blocking=False):
        work(None)
        return
    try:
        work(crew.called(threads - 1))
    finally:
        crew.free.release()


class _Crew:
    def __init__(self) -> None:
        self.memory = ctypes.create_string_buffer(products(False).crew_size())
        self.address, self.free = ctypes.addressof(self.memory), threading.Lock()
        self.helpers: list[_Helper] = []
        self.hired = 0

    def called(self, helpers: int) -> int:
        """The address, when so many helpers are awake."""
        if self.hired != helpers:
            with contextlib.suppress(RuntimeError):  # no more threads to be had: those that are here do the work
                while len(self.helpers) < helpers:
                    self.helpers.append(_Helper(self, len(self.helpers)))
            products(False).hire(self.address, helpers)
            self.hired = helpers
        for helper in self.helpers[:helpers]:
            helper.wake()
        return self.address


class _Helper:
    def __init__(self, crew: _Crew, number: int) -> None:
        self.asleep, self.gate = False, threading.Lock()
        self.gate.acquire()
        threading.Thread(target=self.attend, args=(crew, number), name=f"unrolled-{number}", daemon=True).start()

    def attend(self, crew: _Crew, number: int) -> None:
        while True:
            products(False).assist(crew.address, number)
            self.asleep = True
            self.gate.acquire()

    def wake(self) -> None:
        if self.asleep:
            self.asleep = False
            self.gate.release()


@cache
def _crew() -> _Crew:
    return _Crew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_crew.cache_clear)  # threads do not survive a fork
