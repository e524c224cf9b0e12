"""How far a stream is: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from .progress import MARGIN
from .screen import console, out

EVERY = 5.0  # seconds between plain lines
REDRAWN = 0.1  # seconds between two pictures of the bar
Show = Callable[[int, float | None], None]  # steps in all, and the part of the input that was read, if that is known


class Figures:
    """Steps, their rate, and the time that is left where the end is known, since it was made."""

    def __init__(self, unit: str, begin: int) -> None:
        self.unit, self.begin, self.first, self.started = unit, begin, -1.0, time.monotonic()

    def line(self, steps: int, done: float | None) -> str:
        spent = time.monotonic() - self.started
        rate = f"{steps:,} {self.unit}   {(steps - self.begin) / max(spent, 1e-9):,.0f} a second"
        if done is None:
            return rate
        if self.first < 0:
            self.first = done  # what was passed over, and the first piece
        left = f"   {_clock(spent * (1 - done) / (done - self.first))} left" if done > self.first else ""
        return f"{done:4.0%}   {rate}{left}"


@contextmanager
def meter(unit: str, begin: int, quiet: bool) -> Iterator[Show]:
    """Shows what it is told about a stream that goes on from step ``begin``."""
    figures, screen = Figures(unit, begin), console()
    last = -math.inf if screen.is_terminal else time.monotonic()  # however short the stream, the bar is seen

    def due(every: float) -> bool:
        nonlocal last
        if time.monotonic() - last < every:
            return False
        last = time.monotonic()
        return True

    if quiet:
        yield lambda steps, done: None
    elif not screen.is_terminal:
        yield lambda steps, done: out(figures.line(steps, done)) if due(EVERY) else None
    else:
        with Live(console=screen, auto_refresh=False, transient=True) as live:

            def draw(steps: int, done: float | None) -> None:
                if due(REDRAWN):
                    rows = Table.grid()
                    rows.add_column(width=screen.width - MARGIN)
                    rows.add_row(ProgressBar(total=None if done is None else 1.0, completed=done or 0.0))
                    rows.add_row(Text(figures.line(steps, done), "dim", no_wrap=True, overflow="ellipsis"))
                    live.update(rows, refresh=True)

            yield draw


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"
